"""The schema worked out from realistic tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.data import Schema, infer_schema, table_from_frame
from kagaku.errors import InputError

SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN", "C1CCCCC1", "CC(C)O", "OCC=O", "c1ccncc1", "CCCl",
          "CC#N", "COC", "CC=C"]  # fmt: skip
N = 60
RNG = np.random.default_rng(0)


def schema_of(columns: dict[str, list[object]], *targets: str, **options: object) -> Schema:
    table = table_from_frame(pd.DataFrame(columns, dtype=object))
    inputs = options.get("inputs")
    assert inputs is None or isinstance(inputs, list)
    group, time = options.get("group"), options.get("time")
    assert group is None or isinstance(group, str)
    assert time is None or isinstance(time, str)
    return infer_schema(table, targets=list(targets), inputs=inputs, group=group, time=time)


def repeated(values: list[str]) -> list[object]:
    return [values[i % len(values)] for i in range(N)]


def numbers() -> list[object]:
    return [f"{value:.3f}" for value in RNG.normal(size=N)]


def esol_like() -> dict[str, list[object]]:
    return {
        "Compound ID": [f"compound {i} of a long list" for i in range(N)],
        "smiles": repeated(SMILES),
        "temp [degC]": numbers(),
        "batch": ["A"] * N,
        "comment": [None] * N,
        "set": repeated(["train", "test"]),
        "logS [log10(mol/L)]": numbers(),
    }


def modalities(schema: Schema) -> dict[str, str]:
    return {one.name: one.modality for one in schema.inputs}


def test_a_solubility_table_is_understood() -> None:
    schema = schema_of(esol_like(), "logS")
    assert modalities(schema) == {"smiles": "molecule", "temp": "quantity"}
    assert schema.input("temp").unit == "degC"
    target = schema.target("logS")
    assert (target.kind, target.unit, target.column) == (
        "regression",
        "log10(mol/L)",
        "logS [log10(mol/L)]",
    )
    reasons = {one.column: one.reason for one in schema.ignored}
    assert set(reasons) == {"Compound ID", "batch", "comment", "set"}
    assert "every cell is the same" in reasons["batch"]
    assert "empty" in reasons["comment"]
    assert "split" in reasons["set"]
    assert all(one.reason for one in schema.inputs)
    assert all(one.reason for one in schema.targets)


def test_a_table_of_variants_is_understood() -> None:
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    variants: list[object] = ["".join(RNG.choice(letters, 4)) for _ in range(N)]
    schema = schema_of({"variant": variants, "fitness": numbers()}, "fitness")
    assert modalities(schema) == {"variant": "protein"}


def test_a_reaction_table_with_conditions_is_understood() -> None:
    schema = schema_of(
        {
            "Ligand": repeated(SMILES[:5]),
            "solvent name": repeated(["DMF", "THF", "toluene"]),
            "temperature (°C)": repeated(["90", "105", "120"]),
            "conc [M]": repeated(["0.05", "0.1", "0.2"]),
            "pH": repeated(["7.0", "7.4"]),
            "notes": repeated(["stirred well for an hour", "a white solid fell out"]),
            "yield (%)": numbers(),
        },
        "yield",
    )
    assert modalities(schema) == {
        "Ligand": "molecule",
        "solvent name": "text",
        "temperature": "quantity",
        "conc": "quantity",
        "pH": "quantity",
        "notes": "text",
    }
    assert schema.input("temperature").unit == "°C"
    assert schema.target("yield").unit == "%"


def test_images_grids_and_nucleotides_are_told_apart() -> None:
    bases = list("ACGT")
    schema = schema_of(
        {
            "file": [f"cells/{i:03}.tif" for i in range(N)],
            "weather": [f"day{i}.nc" for i in range(N)],
            "promoter": ["".join(RNG.choice(bases, 20)) for _ in range(N)],
            "count": numbers(),
        },
        "count",
    )
    assert modalities(schema) == {"file": "image", "weather": "climate", "promoter": "nucleotide"}
    assert "nucleotides" in schema.input("promoter").reason


def test_numbers_with_units_in_their_cells_are_quantities() -> None:
    schema = schema_of({"t": [f"{i} °C" for i in range(N)], "y": numbers()}, "y")
    assert schema.input("t").unit == "°C"


def test_a_temperature_in_c_is_not_in_coulomb() -> None:
    schema = schema_of({"temp [C]": numbers(), "y": numbers()}, "y")
    assert schema.input("temp").unit == "degC"
    assert "degC" in schema.input("temp").reason


def test_an_unknown_unit_in_a_heading_stops_nobody_but_is_told() -> None:
    schema = schema_of({"x": numbers(), "score [wobbles]": numbers()}, "score")
    assert schema.target("score").unit == "dimensionless"
    assert "no known unit" in schema.target("score").reason


def test_running_numbers_and_codes_are_no_inputs() -> None:
    columns: dict[str, list[object]] = {
        "entry": [str(i) for i in range(1, N + 1)],
        "code": [f"CHEMBL{1000 + 7 * i}" for i in range(N)],
        "x": numbers(),
        "y": numbers(),
    }
    assert modalities(schema_of(columns, "y")) == {"x": "quantity"}


def test_another_form_of_the_target_is_left_out_unless_asked_for() -> None:
    values = RNG.uniform(1, 9, size=N)
    columns: dict[str, list[object]] = {
        "x": numbers(),
        "IC50 [nM]": [str(value) for value in 10 ** (9 - values)],
        "pIC50": [str(value) for value in values],
    }
    schema = schema_of(columns, "pIC50")
    assert modalities(schema) == {"x": "quantity"}
    assert "another form" in schema.ignored[0].reason
    asked = schema_of(columns, "pIC50", inputs=["x", "IC50"])
    assert set(modalities(asked)) == {"x", "IC50"}


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["1", "0"], "binary", ("0", "1")),
        ([1, 0], "binary", ("0", "1")),
        (["yes", "no"], "binary", ("no", "yes")),
        (["active", "inactive"], "binary", ("inactive", "active")),
        (["toxic", "non-toxic"], "binary", ("non-toxic", "toxic")),
        ([True, False], "binary", ("False", "True")),
        (["red", "green", "blue"], "multiclass", ("blue", "green", "red")),
        (["a;b", "b", "a|c"], "multilabel", ("a", "b", "c")),
        (["1", "2", "3"], "regression", ()),
        (["<5", "7.5", ">100"], "regression", ()),
        (["0.5", "1.5"], "regression", ()),
    ],
)
def test_the_kind_of_a_target_is_told_from_its_cells(
    cells: list[object], kind: str, classes: tuple[str, ...]
) -> None:
    values = [cells[i % len(cells)] for i in range(N)]
    target = schema_of({"x": numbers(), "y": values}, "y").targets[0]
    assert (target.kind, target.classes) == (kind, classes)


def test_whole_numbers_are_classes_where_the_name_says_so() -> None:
    target = schema_of(
        {"x": numbers(), "crystal class": repeated(["1", "2", "10"])}, "crystal class"
    )
    assert target.targets[0].kind == "multiclass"
    assert target.targets[0].classes == ("1", "2", "10")


def test_one_letter_for_each_residue_is_a_per_token_target() -> None:
    lengths = RNG.integers(20, 60, size=N)
    columns: dict[str, list[object]] = {
        "sequence": ["".join(RNG.choice(list("ACDEFGHIKLM"), n)) for n in lengths],
        "structure": ["".join(RNG.choice(list("HEC"), n)) for n in lengths],
    }
    target = schema_of(columns, "structure").targets[0]
    assert (target.kind, target.classes, target.labels) == (
        "per-token",
        ("C", "E", "H"),
        "sequence",
    )


def test_the_user_has_the_last_word() -> None:
    schema = schema_of(
        esol_like(), "logS [log10(mmol/L)]: regression", inputs=["smiles: text", "temp [K]"]
    )
    assert [(one.name, one.modality, one.unit) for one in schema.inputs] == [
        ("smiles", "text", None),
        ("temp", "quantity", "K"),
    ]
    target = schema.target("logS")
    assert (target.unit, target.column_unit) == ("log10(mmol/L)", "log10(mol/L)")
    assert "converted" in target.reason
    kinds = {"x": numbers(), "y": repeated(["1", "2", "3"])}
    assert schema_of(kinds, "y: multiclass").targets[0].classes == ("1", "2", "3")


def test_a_bracket_gives_the_unit_of_a_column_without_one() -> None:
    target = schema_of({"x": numbers(), "logS": numbers()}, "logS [log10(mol/L)]").targets[0]
    assert (target.name, target.column, target.unit, target.column_unit) == (
        "logS",
        "logS",
        "log10(mol/L)",
        "log10(mol/L)",
    )


def test_targets_groups_and_times_are_never_inputs() -> None:
    columns: dict[str, list[object]] = {
        "x": numbers(),
        "a": numbers(),
        "b": numbers(),
        "plate": repeated(["p1", "p2", "p3"]),
        "day": numbers(),
    }
    schema = schema_of(columns, "a", "b", group="plate", time="day")
    assert modalities(schema) == {"x": "quantity"}
    assert (schema.group, schema.time) == ("plate", "day")
    assert [one.name for one in schema.targets] == ["a", "b"]


def test_two_columns_of_one_name_and_different_units_keep_their_headings() -> None:
    schema = schema_of({"p [bar]": numbers(), "p [degC]": numbers(), "y": numbers()}, "y")
    assert set(modalities(schema)) == {"p [bar]", "p [degC]"}
    with pytest.raises(InputError, match="may mean any of"):
        schema_of({"p [bar]": numbers(), "p [degC]": numbers(), "y": numbers()}, "y", inputs=["p"])


def test_a_schema_survives_json() -> None:
    schema = schema_of(esol_like(), "logS")
    assert Schema.from_json(schema.to_json()) == schema


def test_fasta_names_are_no_inputs(tmp_path: Path) -> None:
    from kagaku.data import read_table

    lines = [f">p{i} fitness={i / 7:.3f}\n{'MKTAYIAKQR' * (1 + i % 3)}\n" for i in range(20)]
    (tmp_path / "a.fasta").write_text("".join(lines))
    schema = infer_schema(read_table(tmp_path / "a.fasta"), targets=["fitness"])
    assert modalities(schema) == {"sequence": "protein"}


@pytest.mark.parametrize(
    ("sequences", "modality"),
    [
        (["MKT--AAYIAK", "MKV-LLAAGI"], "protein"),
        (["MKT*AAYIAK", "MKVL*LAAGI"], "protein"),
        (["MK", "AV", "GL"], "protein"),
        (["XXXX", "XXXXX"], "protein"),
        (["XXXX"], "protein"),
        (["mktaay", "mkv"], "protein"),
        (["MKT1", "MKV2", "MKL3"], "protein"),
        (["40 40 38", "40 12"], "protein"),
        (["ACGT-ACGTTA*CGT", "ACG!TACGTTACG"], "nucleotide"),
        (["ACGTACGTAC--GT", "ACGTTTGACAC"], "nucleotide"),
    ],
)
def test_sequences_of_a_fasta_file_are_never_taken_for_words(
    tmp_path: Path, sequences: list[str], modality: str
) -> None:
    from kagaku.data import read_table

    path = tmp_path / "a.fasta"
    path.write_text("".join(f">p{i}\n{one}\n" for i, one in enumerate(sequences)))
    table = read_table(path)
    assert modalities(infer_schema(table, targets=[])) == {"sequence": modality}
    asked = infer_schema(table, targets=[], inputs=["sequence"])
    assert modalities(asked) == {"sequence": modality}
    named = infer_schema(table, targets=[], inputs=["sequence: text"])
    assert modalities(named) == {"sequence": "text"}


def test_a_column_called_sequence_elsewhere_may_hold_words() -> None:
    schema = schema_of({"sequence": ["first", "then", "last"] * 20})
    assert modalities(schema) == {"sequence": "text"}
