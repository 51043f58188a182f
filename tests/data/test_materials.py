"""Materials in tables: what columns are taken for, what is one sample, what splits keep apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.data import (
    Input,
    Records,
    Schema,
    SplitConfig,
    infer_schema,
    parse_records,
    split_records,
    table_from_frame,
)
from kagaku.data.columns import guess_column
from kagaku.data.corpora.encoding import decode_sample, encode_sample
from kagaku.data.corpora.held_out_files import read_held_out_folder
from kagaku.data.corpora.keys import kin_key, value_key
from kagaku.data.crystals import Crystal
from kagaku.data.grouping import chemical_system_groups
from kagaku.data.identity import material_key
from kagaku.data.tables import read_table
from kagaku.errors import InputError

OXIDES = ["SrTiO3", "TiO2", "LiCoO2", "Fe2O3", "ZnO", "La1.85Sr0.15CuO4", "MgAl2O4", "BaTiO3"]
SALTS = ["NaCl", "KCl", "LiF", "CaCl2", "NaBr", "KI", "MgSO4", "Na2CO3"]
SMILES = ["CCO", "CN", "C1CC1", "CC(C)O", "CO", "CCN", "COC", "CCCO"]

CESIUM_CHLORIDE = """data_cscl
_cell_length_a 4.12
_cell_length_b 4.12
_cell_length_c 4.12
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cs1 Cs 0 0 0
Cl1 Cl 0.5 0.5 0.5
"""


def salt(length: float = 4.12) -> Crystal:
    return Crystal(
        lattice=np.eye(3) * length,
        species=("Cs", "Cl"),
        positions=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
        occupancies=np.ones(2),
    )


def records_of(values: list[object]) -> Records:
    return Records(
        schema=Schema((Input("x", "x", "material"),), ()),
        inputs={"x": values},
        targets={},
        rows=np.arange(2, len(values) + 2),
        source="lab.csv",
    )


@pytest.mark.parametrize(
    ("heading", "cells", "modality"),
    [
        ("composition", OXIDES, "material"),
        ("formula", SALTS, "material"),
        ("x1", OXIDES, "material"),
        ("salt", SALTS, "material"),
        ("alloy", ["Al0.25 Co1 Fe1 Ni1", "Co1 Fe1 Ni1", "Cr1 Fe1"], "material"),
        ("material", ["Cu", "Fe", "Si", "Ge"], "material"),
        ("file", ["a.cif", "b.cif", "c.CIF"], "material"),
        ("smiles", SMILES, "molecule"),
        ("x1", ["C1CC1", "CC(C)O", "C1CCCCC1", "CC(C)(C)N"], "molecule"),
        ("material", ["C1CC1", "CC(C)O", "C1CCCCC1", "CC(C)(C)N"], "molecule"),
        ("plate well", ["B1", "B2", "C3", "B1", "C5"], "text"),
        ("answer", ["No", "In", "No", "As"], "text"),
        ("note", ["stirred", "NaCl", "heated", "NaCl"], "text"),
    ],
)
def test_formulas_are_told_from_smiles_codes_and_words(
    heading: str, cells: list[str], modality: str
) -> None:
    guess = guess_column(heading, cells)
    assert guess.modality == modality, guess


def test_the_reason_says_what_was_seen() -> None:
    assert guess_column("composition", OXIDES).reason == (
        "100% of the cells are formulas of elements; the heading says so too"
    )


def test_a_column_of_cif_paths_is_read_as_crystals_beside_formulas(tmp_path: Path) -> None:
    (tmp_path / "cscl.cif").write_text(CESIUM_CHLORIDE)
    (tmp_path / "broken.cif").write_text("no crystal")
    (tmp_path / "lab.csv").write_text(
        "structure,gap [eV]\ncscl.cif,8.3\nbroken.cif,1\ngone.cif,2\nMgO,7.8\n../x.cif,1\n"
    )
    table = read_table(tmp_path / "lab.csv")
    schema = infer_schema(table, targets=["gap"], inputs=["structure: material"])
    records, bad = parse_records(table, schema, with_targets=True)
    crystal, *_, formula, _ = records.inputs["structure"]
    assert isinstance(crystal, Crystal)
    assert (crystal.composition.formula, formula) == ("CsCl", "MgO")
    assert crystal.density == pytest.approx(4.0, abs=0.05)
    told = {cell.row: cell.reason for cell in bad}
    assert "holds no crystal" in told[3]
    assert "no such file" in told[4]
    assert "out of the table's folder" in told[6]


def test_the_text_of_a_cif_file_in_a_cell_is_a_crystal() -> None:
    frame = pd.DataFrame({"cif": [CESIUM_CHLORIDE, CESIUM_CHLORIDE], "y": [1.0, 2.0]})
    table = table_from_frame(frame)
    schema = infer_schema(table, targets=["y"], inputs=["cif: material"])
    records, bad = parse_records(table, schema, with_targets=True)
    assert not bad
    assert all(isinstance(one, Crystal) for one in records.inputs["cif"])


def test_one_composition_is_one_sample_and_polymorphs_are_two() -> None:
    assert material_key("Ba0.5Sr0.5TiO3") == material_key("(BaSr)Ti2O6")
    assert material_key(salt()) != material_key(salt(6.9))
    assert material_key("no formula") == "no formula"
    doubled = Crystal(
        lattice=np.diag([4.12, 4.12, 8.24]),
        species=("Cs", "Cl", "Cs", "Cl"),
        positions=np.array([[0, 0, 0], [0.5, 0.5, 0.25], [0, 0, 0.5], [0.5, 0.5, 0.75]]),
        occupancies=np.ones(4),
    )
    assert material_key(salt()) == material_key(doubled)


def test_a_chemical_system_stays_on_one_side() -> None:
    rng = np.random.default_rng(0)
    metals = ["Li", "Na", "K", "Mg", "Ca", "Sr", "Ba", "Ti", "Zr", "Fe", "Co", "Ni", "Cu", "Zn"]
    values: list[object] = [f"{rng.choice(metals)}{rng.integers(1, 4)}O2" for _ in range(120)]
    records = records_of(values)
    groups = chemical_system_groups(["LiO", "Li2O", "OLi3", None, None, "Qq", salt()])
    assert groups.tolist() == [0, 0, 0, 1, 2, 3, 4]
    split = split_records(records)
    assert split.kind == "chemical-system"
    assert "'x' has 14 chemical systems" in split.reason
    kinds = chemical_system_groups([str(value) for value in values])
    assert not set(kinds[split.train]) & set(kinds[split.test])
    again = split_records(records, SplitConfig(kind="chemical-system"))
    assert again.test.tolist() == split.test.tolist()


def test_a_split_by_chemical_system_needs_materials() -> None:
    records = records_of(["CCO", "CCN"])
    text = Records(
        schema=Schema((Input("x", "x", "text"),), ()),
        inputs=records.inputs,
        targets={},
        rows=records.rows,
        source="lab.csv",
    )
    with pytest.raises(InputError, match=r"by chemical system needs a material among the inputs"):
        split_records(text, SplitConfig(kind="chemical-system"))


def test_corpus_keys_know_compositions_and_take_polymorphs_for_kin() -> None:
    assert value_key("material", "Fe4O6") == value_key("material", "Fe2O3")
    assert value_key("material", salt()) != value_key("material", salt(6.9))
    assert kin_key("material", salt()) == kin_key("material", salt(6.9))
    assert kin_key("material", salt()) == kin_key("material", "CsCl")


def test_a_crystal_comes_back_from_a_corpus_as_it_was() -> None:
    span = encode_sample("0", "source/0", "source", {"material": salt(), "text": "a salt"})
    crystal = decode_sample(span).inputs["material"]
    assert isinstance(crystal, Crystal)
    assert crystal.species == ("Cs", "Cl")
    for name in ("lattice", "positions", "occupancies"):
        np.testing.assert_array_equal(getattr(crystal, name), getattr(salt(), name))


def test_formulas_of_benchmark_files_are_held_out(tmp_path: Path) -> None:
    rows = "\n".join(f"{formula},{number}.5" for number, formula in enumerate(OXIDES))
    (tmp_path / "gaps.csv").write_text(f"composition,gap\n{rows}\n")
    found = list(read_held_out_folder(tmp_path))
    assert [(one.modality, one.value) for one in found] == [("material", one) for one in OXIDES]
