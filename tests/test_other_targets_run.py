"""A run whose winner reads predictions of the table's other target: kept, loaded, asked."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import kagaku
from kagaku.science_tasks import target_fitting
from kagaku.science_tasks.candidates import readout_candidates
from kagaku.science_tasks.readouts.stacked import StackedReadout


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, samples: Path, quickly: Callable[[], ExitStack]
) -> kagaku.Run:
    """Of two targets with gaps, where nothing else is tried."""
    frame = pd.read_csv(samples / "molecules.csv").head(80)
    logs = frame["logS [log10(mol/L)]"]
    frame["soluble"] = np.where(logs > -2.5, "yes", "no")
    frame.loc[3::8, "soluble"] = None
    frame.loc[5::9, "logS [log10(mol/L)]"] = np.nan
    folder = tmp_path_factory.mktemp("several")
    frame.to_csv(folder / "lab.csv", index=False)

    def first(*given: Any, **named: Any) -> list[Any]:
        return readout_candidates(*given, **named)[:0]

    with quickly(), patch.object(target_fitting, "readout_candidates", first):
        return kagaku.finetune(
            folder / "lab.csv", ["logS", "soluble"], folder / "run", method="readout", quiet=True
        )


def test_the_winner_is_named_and_predicts_rows_without_any_target(run: kagaku.Run) -> None:
    for found in run.metrics["targets"].values():
        assert found["chosen"] == "linear on classical features + other targets"
    new = pd.DataFrame({"smiles": ["CCO", "c1ccccc1", "CCCCCCCC"]})
    table = run.predict(new)
    assert np.isfinite(table["logS"]).all()
    assert table["logS"].iloc[0] > table["logS"].iloc[2]  # ethanol dissolves, octane does not
    assert table["soluble_p_yes"].between(0, 1).all()


def test_held_out_predictions_are_those_that_the_loaded_run_gives(run: kagaku.Run) -> None:
    held = pd.read_parquet(run.folder / "predictions.parquet")
    table = run.predict(run.config.data)
    rows = held["row"].to_numpy() - 2
    np.testing.assert_array_equal(held["logS"], table["logS"].to_numpy()[rows])
    np.testing.assert_array_equal(held["soluble_p_yes"], table["soluble_p_yes"].to_numpy()[rows])


def test_two_targets_of_which_no_row_has_both_still_teach_each_other(
    tmp_path: Path, samples: Path, quickly: Callable[[], ExitStack]
) -> None:
    frame = pd.read_csv(samples / "molecules.csv").head(120)
    frame["also logS [log10(mol/L)]"] = frame["logS [log10(mol/L)]"]
    frame.loc[frame.index % 4 != 0, "logS [log10(mol/L)]"] = np.nan
    frame.loc[frame.index % 4 == 0, "also logS [log10(mol/L)]"] = np.nan
    frame.to_csv(tmp_path / "lab.csv", index=False)
    stages: list[list[str]] = []

    def noted(readout: Any, *given: Any, **named: Any) -> None:
        stages.append([name for name, _ in readout._readouts])
        fit(readout, *given, **named)

    fit = StackedReadout.fit
    with quickly(), patch.object(StackedReadout, "fit", noted):
        run = kagaku.finetune(
            tmp_path / "lab.csv",
            ["logS", "also logS"],
            tmp_path / "run",
            method="readout",
            quiet=True,
        )
    assert ["also logS", "also logS"] in stages  # by a linear model and by trees
    assert ["logS", "logS"] in stages
    tried = [one["name"] for one in run.metrics["targets"]["logS"]["candidates"]]
    assert "linear on classical features + other targets" in tried


def test_a_run_holds_no_pickle(run: kagaku.Run) -> None:
    kept = {one.suffix for one in (run.folder / "model").rglob("*") if one.is_file()}
    assert kept <= {".safetensors", ".json"}
