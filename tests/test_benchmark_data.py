"""Public benchmark files, read and fitted as a user would; in the folder KAGAKU_DATA."""

import gzip
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import roc_auc_score, root_mean_squared_error

import kagaku
from kagaku.data import Table, infer_schema, read
from kagaku.science_tasks.metrics import paired_difference

pytestmark = pytest.mark.benchmark_data


@pytest.fixture(scope="module")
def benchmark_data() -> Path:
    return Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()


def ecfp(smiles: list[str]) -> np.ndarray:
    """Return count ECFP4 of 2,048 bits."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return np.stack([generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles])


def on_split(
    folder: Path, name: str, split: str, target: str, output: Path
) -> tuple[kagaku.Run, pd.DataFrame, np.ndarray, np.ndarray]:
    """Return a run on train + valid of a split, the table, and the indices of both sides."""
    with gzip.open(folder / f"{name}.splits.json.gz", "rt") as stream:
        sides = json.load(stream)[split]
    train, test = np.array(sides["train"] + sides["valid"]), np.array(sides["test"])
    indices = output / "split.json"
    indices.write_text(json.dumps({"train": train.tolist(), "test": test.tolist()}))
    run = kagaku.finetune(
        folder / f"{name}.csv.gz",
        target,
        output / "run",
        quiet=True,
        settings={"indices": str(indices), "max_seconds": 15.0},
    )
    return run, pd.read_csv(folder / f"{name}.csv.gz"), train, np.sort(test)


def test_esol_beats_the_mean_and_is_no_worse_than_a_forest_on_fingerprints(
    benchmark_data: Path, tmp_path: Path
) -> None:
    column = "measured log solubility in mols per litre"
    run, table, train, test = on_split(
        benchmark_data / "molecules/moleculenet",
        "ESOL",
        "random122",
        f"{column} [log10(mol/L)]",
        tmp_path,
    )
    held = pd.read_parquet(run.folder / "predictions.parquet").sort_values("row")
    np.testing.assert_array_equal(held["row"] - 2, test)
    truth = table[column].to_numpy()
    np.testing.assert_allclose(held[f"{column}_measured"], truth[test])
    bits = ecfp(table["smiles"].tolist())
    forest = RandomForestRegressor(300, random_state=0, n_jobs=2).fit(bits[train], truth[train])
    own, other = held[column].to_numpy(), forest.predict(bits[test])
    error = float(root_mean_squared_error(truth[test], own))
    assert error < 0.8 * float(truth[test].std())

    def score(y: np.ndarray, given: np.ndarray) -> float:
        return float(root_mean_squared_error(y, given))

    _, lower, _ = paired_difference(score, truth[test], own, other)
    assert lower <= 0
    coverage = run.metrics["targets"][column]["coverage"]
    assert coverage["lower"] <= 0.9 <= coverage["upper"]


def test_bace_is_learnt_and_a_forest_that_is_better_is_named(
    benchmark_data: Path, tmp_path: Path
) -> None:
    run, table, train, test = on_split(
        benchmark_data / "molecules/moleculenet", "BACE", "scaffold122", "Class: binary", tmp_path
    )
    held = pd.read_parquet(run.folder / "predictions.parquet").sort_values("row")
    bits, truth = ecfp(table["smiles"].tolist()), table["Class"].to_numpy()
    forest = RandomForestClassifier(300, random_state=0, n_jobs=2).fit(bits[train], truth[train])
    own, other = held["Class_p_1"].to_numpy(), forest.predict_proba(bits[test])[:, 1]

    def score(y: np.ndarray, given: np.ndarray) -> float:
        return float(roc_auc_score(y, given)) if len(set(y)) > 1 else float("nan")

    _, _, upper = paired_difference(score, truth[test], own, other)
    assert score(truth[test], own) > 0.75
    verdict = run.metrics["targets"]["Class"]["versus_best_baseline"]
    assert verdict["sentence"]
    if upper < 0:
        assert verdict["verdict"] == "worse"
        assert "use that one instead" in verdict["sentence"]


def test_uk_temperature_twelve_hours_ahead_beats_persistence(
    benchmark_data: Path, tmp_path: Path
) -> None:
    packed = np.load(
        benchmark_data / "climate/era5_uk_t2m/era5_uk_t2m_201903.npz", allow_pickle=False
    )
    hours = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), packed["t2m"], {"units": "K"})},
        coords={
            "time": pd.date_range("2019-03-01", periods=744, freq="h"),
            "latitude": packed["lat"],
            "longitude": packed["lon"],
        },
    )
    coarse = hours.isel(time=slice(0, 744, 3), latitude=slice(0, 33, 4), longitude=slice(0, 49, 4))
    coarse.to_netcdf(tmp_path / "uk.nc")
    run = kagaku.finetune(
        tmp_path / "uk.nc",
        "t2m",
        tmp_path / "run",
        quiet=True,
        settings={"lead": "12 hours", "max_seconds": 15.0},
    )
    found = run.metrics["targets"]["t2m"]
    scores = {one["name"]: one["test"]["RMSE"]["value"] for one in found["baselines"]}
    assert found["unit"] == "K"
    assert found["test"]["RMSE"]["value"] < scores["persistence"]
    table = run.predict_fields(tmp_path / "uk.nc")
    assert str(table["valid_time"].values[0])[:13] == "2019-03-01T12"


def test_flip_gb1_is_read_from_its_archive_and_learnt(benchmark_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(benchmark_data / "proteins/flip_gb1/flip_gb1_splits.zip") as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("two_vs_rest.csv")][:1]
        table = pd.read_csv(archive.open(name))
    table.to_csv(tmp_path / "gb1.csv", index=False)
    source = read(tmp_path / "gb1.csv")
    assert isinstance(source, Table)
    schema = infer_schema(source, targets=["target"])
    assert [(one.name, one.modality) for one in schema.inputs] == [("sequence", "protein")]
    assert {"set", "validation"} <= {one.column for one in schema.ignored}
    train = np.flatnonzero(table["set"] == "train")
    test = np.flatnonzero(table["set"] == "test")[::80]
    sides = {"train": train.tolist(), "test": test.tolist()}
    (tmp_path / "split.json").write_text(json.dumps(sides))
    run = kagaku.finetune(
        tmp_path / "gb1.csv",
        "target",
        tmp_path / "run",
        quiet=True,
        inputs=["sequence"],
        settings={"indices": str(tmp_path / "split.json"), "max_seconds": 15.0},
    )
    found = run.metrics["targets"]["target"]["test"]
    assert found["Spearman"]["value"] > 0.3
    assert run.metrics["split"]["n_test"] == len(test)
