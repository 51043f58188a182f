import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data.records import Field, Quantity, Records
from kagaku.data.schema import Input, Schema
from kagaku.errors import InputError
from kagaku.modalities.checking import (
    check_records,
    fit_modalities,
    make_modalities,
    modality_states,
    restore_modalities,
    shown,
    tokenize_records,
)

SCHEMA = Schema(
    inputs=(
        Input("smiles", "smiles", "molecule"),
        Input("temperature", "temperature [degC]", "quantity", "degC"),
        Input("solvent", "solvent", "molecule"),
    )
)


def records(smiles: list[Any], temperature: list[Any], solvent: list[Any]) -> Records:
    quantities = [
        None if value is None else Quantity("temperature", value, "degC") for value in temperature
    ]
    return Records(
        schema=SCHEMA,
        inputs={"smiles": smiles, "temperature": quantities, "solvent": solvent},
        targets={},
        rows=np.arange(len(smiles)) + 2,
        source="lab.csv",
    )


GOOD = records(["OCC", None, "C"], [20.0, 30.0, None], [None, "O", "O"])


def test_values_become_canonical_and_missing_cells_stay_missing() -> None:
    checked, bad = check_records(GOOD, make_modalities(SCHEMA))
    assert not bad
    assert checked.inputs["smiles"] == ["CCO", None, "C"]
    assert checked.inputs["temperature"][0] == Quantity("temperature", 293.15, "kelvin")
    assert checked.inputs["temperature"][2] is None
    assert GOOD.inputs["smiles"][0] == "OCC"


def test_every_bad_cell_is_listed_row_by_row_with_value_reason_and_fix() -> None:
    broken = records(["C1CC", "C", "C"], [20.0, float("nan"), 1.0], ["O", "X" * 99, "O"])
    checked, bad = check_records(broken, make_modalities(SCHEMA))
    assert [(cell.row, cell.column) for cell in bad] == [
        (2, "smiles"),
        (3, "temperature [degC]"),
        (3, "solvent"),
    ]
    assert str(bad[1]) == (
        "lab.csv, row 3, column 'temperature [degC]': the temperature is nan, not a finite number."
        " Leave the cell empty where nothing was measured."
    )
    assert bad[2].value == "X" * 57 + "..."
    assert checked.inputs["smiles"][0] == "C1CC"


def test_one_bad_text_in_many_rows_is_listed_for_each() -> None:
    broken = records(["C1CC"] * 3, [1.0] * 3, ["O"] * 3)
    assert [cell.row for cell in check_records(broken, make_modalities(SCHEMA))[1]] == [2, 3, 4]


def test_a_modality_learns_from_all_its_columns_and_tokens_stand_at_their_column() -> None:
    checked, _ = check_records(GOOD, make_modalities(SCHEMA))
    modalities = fit_modalities(checked)
    assert sorted(modalities) == ["molecule", "quantity"]
    tokens = tokenize_records(checked, modalities)
    assert [sorted(one) for one in tokens] == [[0, 1], [1, 2], [0, 2]]
    assert tokens[0][0][0] == "molecule"
    assert len(tokens[0][0][1]) == 5
    assert tokens[1][1][1].values[0, 0] == pytest.approx(1, abs=1e-5)


def test_equal_texts_share_their_tokens() -> None:
    checked, _ = check_records(GOOD, make_modalities(SCHEMA))
    tokens = tokenize_records(checked, fit_modalities(checked))
    assert tokens[1][2][1] is tokens[2][2][1]


def test_a_column_that_is_empty_in_training_can_still_be_read_where_nothing_is_learnt() -> None:
    empty = records(["C"], [None], [None])
    modalities = fit_modalities(empty)
    tokens = tokenize_records(records(["C"], [None], ["O"]), modalities)
    assert sorted(tokens[0]) == [0, 2]


def test_new_records_are_held_against_what_training_saw() -> None:
    checked, _ = check_records(GOOD, make_modalities(SCHEMA))
    modalities = restore_modalities(
        json.loads(json.dumps(modality_states(fit_modalities(checked))))
    )
    new = replace(GOOD, inputs={**GOOD.inputs, "temperature": [Quantity("time", 3.0, "h")] * 3})
    _, bad = check_records(new, modalities)
    assert len(bad) == 3
    assert "no quantities named 'time' in training" in bad[0].reason


def test_restored_modalities_give_the_same_tokens() -> None:
    checked, _ = check_records(GOOD, make_modalities(SCHEMA))
    modalities = fit_modalities(checked)
    restored = restore_modalities(json.loads(json.dumps(modality_states(modalities))))
    for one, other in zip(
        tokenize_records(checked, modalities), tokenize_records(checked, restored), strict=True
    ):
        assert one.keys() == other.keys()
        for column, (name, tokens) in one.items():
            assert other[column][0] == name
            assert np.array_equal(other[column][1].ids, tokens.ids)
            assert np.array_equal(other[column][1].values, tokens.values)


def test_settings_reach_their_modality_and_strangers_are_refused() -> None:
    schema = Schema(inputs=(Input("fields", "fields", "climate"),))
    made = make_modalities(schema, {"climate": {"patch_cells": 8}})
    assert made["climate"].n_values == 130
    with pytest.raises(InputError, match=r"no modality named 'climat'\. Did you mean 'climate'"):
        make_modalities(schema, {"climat": {}})
    with pytest.raises(InputError, match=r"settings of the climate modality.*'patch'"):
        make_modalities(schema, {"climate": {"patch": 8}})


@pytest.mark.parametrize("state", [{"scales": {"T": {"mean": 1}}}, {"scales": [1]}])
def test_a_damaged_state_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"state of the quantity modality is damaged.*Copy"):
        restore_modalities({"quantity": state})


def test_a_state_of_an_unknown_modality_is_refused() -> None:
    with pytest.raises(InputError, match=r"no modality named 'smell'"):
        restore_modalities({"smell": {}})


def test_values_are_shown_as_a_user_knows_them() -> None:
    field = Field(np.zeros((1, 2, 3)), ("air_temperature",), ("K",), np.zeros(2), np.zeros(3))
    assert shown(field) == "air_temperature on 2 x 3 cells"
    assert shown(Path("cells/a.png")) == "cells/a.png"
    assert shown("a\n  b") == "a b"
    assert shown("x" * 61) == "x" * 57 + "..."
