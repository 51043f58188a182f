"""The shipped samples agree with their index, their cards and themselves."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from rdkit import Chem
from rdkit.Chem import rdinchi

from kagaku.data.formulas import parse_formula

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "data" / "samples"
INDEX: list[dict[str, Any]] = json.loads((SAMPLES / "index.json").read_text(encoding="utf-8"))
BY_NAME = {sample["name"]: sample for sample in INDEX}
HEADINGS = [
    "What it is",
    "Columns and units",
    "Rows",
    "Source",
    "Licence",
    "How it was made",
    "Known limits",
    "Suggested command",
]
GB1 = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"

every_sample = pytest.mark.parametrize("sample", INDEX, ids=lambda sample: str(sample["name"]))


def card_sections(sample: dict[str, Any]) -> dict[str, str]:
    """Return the card's text under each of its headings, in order."""
    text = (SAMPLES / sample["card"]).read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def read_text_cells(name: str) -> pd.DataFrame:
    """Return a table with every cell as the text that the file holds; empty cells are ''."""
    return pd.read_csv(SAMPLES / name, dtype=str, keep_default_na=False)


def inchi_keys(name: str) -> list[str]:
    """Return the standard InChIKey of every row of a table of molecules."""
    return [
        str(rdinchi.MolToInchiKey(Chem.MolFromSmiles(smiles)))
        for smiles in read_text_cells(name)["smiles"]
    ]


def test_the_index_lists_every_sample_once() -> None:
    assert list(BY_NAME) == [
        "molecules",
        "proteins",
        "images",
        "climate",
        "text",
        "reactions",
        "splicing",
        "alloys",
    ]
    assert len(BY_NAME) == len(INDEX)


def test_no_file_is_shipped_that_the_index_does_not_list() -> None:
    listed = {name for sample in INDEX for name in [*sample["files"], sample["card"]]}
    found = {
        path.relative_to(SAMPLES).as_posix()
        for path in SAMPLES.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert found == listed | {"index.json"}


@every_sample
def test_files_are_those_that_the_index_hashed(sample: dict[str, Any]) -> None:
    found = {
        name: hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() for name in sample["files"]
    }
    assert found == sample["sha256"]


@every_sample
def test_a_sample_stays_under_one_megabyte(sample: dict[str, Any]) -> None:
    sizes = [(SAMPLES / name).stat().st_size for name in [*sample["files"], sample["card"]]]
    assert sum(sizes) < 1_000_000


@every_sample
def test_a_card_has_the_fixed_headings(sample: dict[str, Any]) -> None:
    assert list(card_sections(sample)) == HEADINGS


@every_sample
def test_card_and_index_say_the_same(sample: dict[str, Any]) -> None:
    card = card_sections(sample)
    assert f"{sample['n_records']:,}" in card["Rows"]
    assert f"`{sample['command']}`" in card["Suggested command"]
    assert sample["command"].split()[2] == f"data/samples/{sample['files'][0]}"
    for licence in re.findall(r"[\w.-]+(?= \()", sample["licence"]):
        assert licence in card["Licence"]
    for package in re.findall(r"\(([\w-]+)\)", sample["licence"]):
        assert package in card["Source"]
    for target in sample["targets"]:
        assert f"`{target}`" in card["Columns and units"]


@every_sample
def test_a_card_describes_exactly_the_columns_of_its_tables(sample: dict[str, Any]) -> None:
    described = re.findall(
        r"`([^`]+)`",
        " ".join(
            row.split("|")[1]
            for row in card_sections(sample)["Columns and units"].splitlines()
            if row.startswith("| `")
        ),
    )
    found: list[str] = []
    for name in sample["files"]:
        if name.endswith(".csv"):
            found += list(read_text_cells(name).columns)
        elif name.endswith(".nc"):
            with xr.open_dataset(SAMPLES / name) as dataset:
                found += [str(variable) for variable in dataset.variables]
    assert set(described) == set(found)
    assert set(sample["targets"]) <= set(found)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("molecules.csv", ["smiles", "logS [log10(mol/L)]"]),
        ("molecules_new.csv", ["name", "smiles"]),
        ("molecules_new_measured.csv", ["name", "smiles", "logS [log10(mol/L)]"]),
        ("proteins.csv", ["sequence", "fitness [dimensionless]"]),
        ("splicing.csv", ["splice_site", "inclusion [log10(percent)]"]),
        ("images/labels.csv", ["image", "n_nuclei [dimensionless]"]),
        ("text.csv", ["text", "canonical_units"]),
        (
            "reactions.csv",
            [
                "base_smiles",
                "ligand_smiles",
                "solvent_smiles",
                "temperature [degC]",
                "concentration [mol/L]",
                "yield [percent]",
            ],
        ),
        (
            "alloys.csv",
            ["composition", "processing", "test", "temperature [degC]", "yield_strength [MPa]"],
        ),
    ],
)
def test_tables_have_their_columns_and_no_empty_cell(name: str, columns: list[str]) -> None:
    table = read_text_cells(name)
    assert list(table.columns) == columns
    assert (table != "").all(axis=None)
    for column in columns:
        if column.endswith("]"):
            assert np.isfinite(table[column].astype(float)).all()


@pytest.mark.parametrize(
    "name", ["molecules", "proteins", "images", "text", "reactions", "splicing", "alloys"]
)
def test_the_index_counts_the_rows_of_a_table(name: str) -> None:
    sample = BY_NAME[name]
    assert len(read_text_cells(sample["files"][0])) == sample["n_records"]


def test_no_compound_occurs_twice_in_or_across_the_molecule_tables() -> None:
    known, new = inchi_keys("molecules.csv"), inchi_keys("molecules_new.csv")
    assert len(new) == 40
    assert len({*known, *new}) == len(known) + len(new)


def test_new_molecules_are_measured_in_the_same_order() -> None:
    new, measured = (
        read_text_cells("molecules_new.csv"),
        read_text_cells("molecules_new_measured.csv"),
    )
    pd.testing.assert_frame_equal(measured[["name", "smiles"]], new)
    assert measured["logS [log10(mol/L)]"].astype(float).between(-12, 2).all()


def test_proteins_are_distinct_double_mutants_of_gb1() -> None:
    sequences = read_text_cells("proteins.csv")["sequence"]
    assert sequences.is_unique
    assert (sequences.str.len() == len(GB1)).all()
    n_mutations = [
        sum(residue != wild for residue, wild in zip(sequence, GB1, strict=True))
        for sequence in sequences
    ]
    assert set(n_mutations) == {2}


def test_splice_sites_are_distinct_and_the_consensus_is_among_the_best() -> None:
    table = read_text_cells("splicing.csv")
    assert table["splice_site"].is_unique
    assert table["splice_site"].str.fullmatch("[ACGU]{3}G[CU][ACGU]{4}").all()
    inclusion = table["inclusion [log10(percent)]"].astype(float)
    assert inclusion.max() < 2.5
    # Three-letter ends of the consensus CAG|GUAAGU: its sites are kept more often than others.
    is_consensus = table["splice_site"].str.contains("^.AGGU[AG]AG.$")
    assert inclusion[is_consensus].median() > inclusion[~is_consensus].quantile(0.95)


def test_images_open_as_small_greyscale_pictures_and_tile_the_field() -> None:
    labels = read_text_cells("images/labels.csv")
    assert labels["image"].is_unique
    assert sorted(f"images/{name}" for name in labels["image"]) == BY_NAME["images"]["files"][1:]
    for name in labels["image"]:
        with Image.open(SAMPLES / "images" / name) as image:
            image.load()
            assert (image.mode, image.size, image.format) == ("L", (32, 32), "PNG")


def test_crops_with_more_nuclei_are_brighter() -> None:
    labels = read_text_cells("images/labels.csv")
    brightness = []
    for name in labels["image"]:
        with Image.open(SAMPLES / "images" / name) as image:
            brightness.append(float(np.asarray(image).mean()))
    n_nuclei = labels["n_nuclei [dimensionless]"].astype(int)
    means = pd.Series(brightness).groupby(n_nuclei).mean()
    assert means.loc[[0, 1, 2]].is_monotonic_increasing


def test_the_nino34_index_is_the_weighted_mean_of_its_box() -> None:
    with xr.open_dataset(SAMPLES / "climate.nc") as dataset:
        box = dataset["sst_anomaly"].sel(lat=slice(5, -5), lon=slice(190, 240)).to_numpy()
        lat = dataset["lat"].sel(lat=slice(5, -5)).to_numpy()
        stored = dataset["nino34"].to_numpy()
    assert box.shape == (420, 2, 14)
    weights = np.cos(np.deg2rad(lat))
    expected = np.average(box.mean(axis=2), axis=1, weights=weights)
    np.testing.assert_allclose(stored, expected, atol=1e-3, rtol=0)


def test_the_nino34_index_peaks_in_the_known_el_nino_winters() -> None:
    with xr.open_dataset(SAMPLES / "climate.nc") as dataset:
        series = dataset["nino34"].to_series()
    assert series["1982-12"].item() > 2
    assert series["1997-12"].item() > 2
    assert series["1988-12"].item() < -1.5


def test_the_climate_file_follows_cf_and_has_true_months() -> None:
    with xr.open_dataset(SAMPLES / "climate.nc", decode_times=False) as raw:
        assert raw["time"].attrs["calendar"] == "standard"
        assert raw["time"].attrs["units"] == "days since 1979-01-01"
        assert raw["lat"].attrs["units"] == "degrees_north"
        assert raw["lon"].attrs["units"] == "degrees_east"
        for name in ("sst_anomaly", "nino34"):
            assert raw[name].attrs["units"] == "K"
            assert raw[name].attrs["standard_name"] == "surface_temperature_anomaly"
    with xr.open_dataset(SAMPLES / "climate.nc") as dataset:
        months = pd.date_range("1979-01-01", periods=420, freq="MS")
        np.testing.assert_array_equal(dataset["time"].to_numpy(), months.to_numpy())
        assert dataset.sizes["time"] == BY_NAME["climate"]["n_records"]
        is_missing = dataset["sst_anomaly"].isnull()
        assert int(is_missing.all("time").sum()) == 264
        assert int(is_missing.any("time").sum()) == 264


def test_definitions_are_distinct_and_every_class_has_thirty() -> None:
    table = read_text_cells("text.csv")
    assert table["text"].is_unique
    assert table["canonical_units"].value_counts().min() >= 30


def test_every_alloy_has_a_composition_and_a_strength_that_metals_have() -> None:
    table = read_text_cells("alloys.csv")
    formulas = {parse_formula(formula).formula for formula in table["composition"]}
    assert 350 < len(formulas) <= table["composition"].nunique()
    assert table["yield_strength [MPa]"].astype(float).between(1, 5_000).all()
    assert set(table["test"]) == {"compression", "tension"}


def test_reactions_are_the_whole_grid_once_with_valid_molecules() -> None:
    table = read_text_cells("reactions.csv")
    conditions = table.drop(columns="yield [percent]")
    assert not conditions.duplicated().any()
    assert conditions.nunique().prod() == len(table)
    assert table["yield [percent]"].astype(float).between(0, 100).all()
    for column in ("base_smiles", "ligand_smiles", "solvent_smiles"):
        assert all(Chem.MolFromSmiles(smiles) is not None for smiles in table[column].unique())
