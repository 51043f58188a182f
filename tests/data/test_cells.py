"""From cells to records: values, units, censoring, and what is a bad cell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.data import (
    BadCell,
    Input,
    Quantity,
    Records,
    Schema,
    Target,
    check_targets,
    infer_schema,
    parse_records,
    table_from_frame,
    without_bad_rows,
)
from kagaku.errors import InputError

QUANTITY = Input("temp", "temp [degC]", "quantity", "K")


def parse(
    columns: dict[str, list[object]],
    *,
    inputs: tuple[Input, ...] = (Input("x", "x", "text"),),
    targets: tuple[Target, ...] = (),
    folder: Path = Path(),
) -> tuple[Records, list[BadCell]]:
    table = table_from_frame(pd.DataFrame(columns, dtype=object), source="lab.csv", folder=folder)
    return parse_records(table, Schema(inputs, targets), with_targets=bool(targets))


def target_of(cells: list[object], target: Target) -> tuple[np.ndarray, np.ndarray, list[BadCell]]:
    records, bad = parse({"x": ["a"] * len(cells), "y": cells}, targets=(target,))
    values = records.targets[target.name]
    return values.values, values.censoring, bad


def test_quantities_come_in_the_unit_of_the_schema() -> None:
    records, bad = parse(
        {"temp [degC]": ["25", "25 °C", "300 K", 0, "NA", None], "z": ["a"] * 6},
        inputs=(QUANTITY, Input("z", "z", "text")),
    )
    assert not bad
    values = records.inputs["temp"]
    assert [None if one is None else round(one.value, 6) for one in values] == [
        298.15,
        298.15,
        300.0,
        273.15,
        None,
        None,
    ]
    assert values[2] == Quantity("temp", 300.0, "K")


def test_new_files_may_give_a_column_in_another_unit_or_without() -> None:
    for heading, cell in (("temp [K]", "298.15"), ("temp [degC]", "25"), ("temp", "298.15")):
        records, bad = parse({heading: [cell]}, inputs=(QUANTITY,))
        assert not bad
        assert records.inputs["temp"][0].value == pytest.approx(298.15)


def test_a_logarithmic_input_is_converted_cell_by_cell() -> None:
    one = Input("c", "c [mol/L]", "quantity", "-log10(mol/L)")
    records, _ = parse({"c [mol/L]": ["1e-7", "1e-3"]}, inputs=(one,))
    assert [value.value for value in records.inputs["c"]] == pytest.approx([7.0, 3.0])


def test_censored_values_keep_their_sign() -> None:
    target = Target("y", "y", "regression", "nM", "uM")
    values, censoring, bad = target_of(["<5", "> 100 nM", "7.5", None, "NA"], target)
    assert not bad
    np.testing.assert_allclose(values, [5000, 100, 7500, np.nan, np.nan])
    assert censoring.tolist() == [-1, 1, 0, 0, 0]


def test_a_flipped_logarithm_flips_the_censoring() -> None:
    target = Target("y", "y", "regression", "-log10(mol/L)", "nM")
    values, censoring, _ = target_of(["<10", ">1000"], target)
    np.testing.assert_allclose(values, [8.0, 6.0])
    assert censoring.tolist() == [1, -1]


def test_binary_and_multiclass_cells_become_indices() -> None:
    binary = Target("y", "y", "binary", classes=("0", "1"))
    values, _, bad = target_of(["1", 0.0, 1, None, "nan"], binary)
    assert not bad
    np.testing.assert_array_equal(values, [1, 0, 1, np.nan, np.nan])
    words = Target("y", "y", "multiclass", classes=("blue", "red"))
    assert target_of(["RED", "blue"], words)[0].tolist() == [1, 0]


def test_multilabel_cells_become_rows_of_zeros_and_ones() -> None:
    target = Target("y", "y", "multilabel", classes=("a", "b", "c"))
    values, _, bad = target_of(["a; c", "b", None, "d"], target)
    np.testing.assert_array_equal(values, [[1, 0, 1], [0, 1, 0], [np.nan] * 3, [np.nan] * 3])
    assert [cell.reason for cell in bad] == ["'d' is not one of the classes"]


def test_residue_labels_become_index_arrays() -> None:
    target = Target("y", "y", "per-token", classes=("E", "H"), labels="seq")
    records, bad = parse(
        {"seq": ["MKT", "MKT", "MKT", None], "y": ["HHE", "HH", "HXE", "HHE"]},
        inputs=(Input("seq", "seq", "protein"),),
        targets=(target,),
    )
    values = records.targets["y"].values
    assert values[0].tolist() == [1, 1, 0]
    assert [value is None for value in values] == [False, True, True, True]
    assert [cell.reason for cell in bad] == [
        "2 labels for 3 residues",
        "['X'] are not among the classes",
        "the row has no input at all",
    ]


@pytest.mark.parametrize(
    ("cell", "target", "reason"),
    [
        ("abc", Target("y", "y", "regression", "K", "K"), "'abc' is not a number"),
        ("1,5", Target("y", "y", "regression", "K", "K"), "'1,5' is not a number"),
        ("5 mol", Target("y", "y", "regression", "K", "K"), "'mol' cannot be converted to 'K'"),
        ("5 wobbles", Target("y", "y", "regression", "K", "K"), "'wobbles' is not a unit"),
        ("inf", Target("y", "y", "regression", "K", "K"), "not a finite number"),
        ("1e400", Target("y", "y", "regression", "K", "K"), "not a finite number"),
        ("0", Target("y", "y", "regression", "-log10(nM)", "nM"), "no finite counterpart"),
        ("maybe", Target("y", "y", "binary", classes=("no", "yes")), "not one of the classes"),
        ("<5", Target("y", "y", "binary", classes=("0", "1")), "cannot be a class"),
    ],
)
def test_bad_target_cells_are_told_with_a_reason(cell: str, target: Target, reason: str) -> None:
    values, _, bad = target_of([cell, None], target)
    assert len(bad) == 1
    assert reason in bad[0].reason
    assert bad[0].fix
    assert (bad[0].file, bad[0].row, bad[0].column, bad[0].value) == ("lab.csv", 0, "y", cell)
    assert np.isnan(values).all()


@pytest.mark.parametrize("cell", ["25 mol", "warm", "<5", "inf"])
def test_bad_quantities_are_told(cell: str) -> None:
    _, bad = parse({"temp [degC]": [cell]}, inputs=(QUANTITY,))
    assert [one.value for one in bad] == [cell]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("../secret.png", "leads out of the table's folder"),
        ("/etc/passwd", "absolute"),
        ("C:\\scans\\a.png", "absolute"),
        ("~/a.png", "absolute"),
        ("link.png", "leads out of the table's folder"),
        ("gone.png", "there is no such file"),
        ("a\0b.png", "not a path"),
        ("x" * 5000, "not a path"),
    ],
)
def test_image_paths_stay_in_the_folder(tmp_path: Path, cell: str, reason: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "good.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    records, bad = parse(
        {"image": ["good.png", cell]}, inputs=(Input("image", "image", "image"),), folder=folder
    )
    assert records.inputs["image"] == [folder / "good.png", None]
    assert len(bad) == 1
    assert reason in bad[0].reason


def test_a_row_without_input_is_bad_but_one_without_target_is_not() -> None:
    target = Target("y", "y", "regression", "K", "K")
    records, bad = parse({"x": ["a", None, "c"], "y": ["1", "2", None]}, targets=(target,))
    assert [(cell.row, cell.reason) for cell in bad] == [(1, "the row has no input at all")]
    kept = without_bad_rows(records, bad)
    assert kept.rows.tolist() == [0, 2]
    assert kept.targets["y"].present().tolist() == [True, False]
    assert kept.positions is not None
    assert kept.positions.tolist() == [0, 2]


def test_missing_columns_at_prediction_show_what_was_expected_and_found() -> None:
    inputs = (Input("smiles", "smiles", "molecule"), QUANTITY)
    with pytest.raises(InputError) as caught:
        parse({"SMILE": ["CC"], "note": ["x"]}, inputs=inputs)
    text = str(caught.value)
    assert "expected ['smiles', 'temp [degC]']" in text
    assert "found ['SMILE', 'note']" in text
    assert "Did you mean 'SMILE'?" in text


def test_a_column_in_a_unit_of_another_kind_stops_everything() -> None:
    with pytest.raises(InputError, match=r"lab.csv, column 'temp \[mol\]'.*cannot be converted"):
        parse({"temp [mol]": ["1"]}, inputs=(QUANTITY,))


def test_groups_and_times_come_along() -> None:
    frame = pd.DataFrame({"x": list("abc"), "y": [1, 2, 3], "lab": ["A", None, "B"],
                          "day": ["1970-01-02", "2", None]}, dtype=object)  # fmt: skip
    table = table_from_frame(frame)
    schema = infer_schema(table, targets=["y"], inputs=["x: text"], group="lab", time="day")
    records, bad = parse_records(table, schema, with_targets=True)
    assert records.groups is not None
    assert records.groups.tolist() == ["A", None, "B"]
    assert records.times is not None
    np.testing.assert_array_equal(records.times, [1.0, 2.0, np.nan])
    assert [cell.reason for cell in bad] == ["the time is missing"]


def trained_on(cells: list[object], kind: str = "regression") -> Records:
    target = (
        Target("y", "y", "regression", "K", "K")
        if kind == "regression"
        else Target("y", "y", "binary", classes=("no", "yes"))
    )
    return parse({"x": ["a"] * len(cells), "y": cells}, targets=(target,))[0]


@pytest.mark.parametrize(
    ("cells", "kind", "text"),
    [
        ([None] * 12, "regression", "no measured value"),
        (["1", "2", "3"], "regression", "3 measured rows, fewer than 10"),
        (["5"] * 12, "regression", "every measured value of the target is 5"),
        (["yes"] * 12, "binary", "one class only: every measured row is 'yes'"),
    ],
)
def test_targets_that_teach_nothing_are_refused(cells: list[object], kind: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        check_targets(trained_on(cells, kind))


def test_ten_different_rows_are_enough() -> None:
    check_targets(trained_on([str(i) for i in range(10)]))
