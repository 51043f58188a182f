"""`kagaku finetune --nested`, end to end: figures, terminal, report, going on, refusals."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import kagaku
from kagaku.cli import app
from kagaku.errors import InputError
from kagaku.finetuning.folder import WORK_FOLDER
from kagaku.science_tasks import fitting
from kagaku.science_tasks.nested import repeat_in_folds

Quickly = Callable[[], ExitStack]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Path:
    """Molecules in groups, a number and a yes or no with gaps."""
    frame = pd.read_csv(samples / "molecules.csv").head(90)
    frame["plate"] = [f"p{i % 12}" for i in range(90)]
    frame["soluble"] = np.where(frame["logS [log10(mol/L)]"] > -2.5, "yes", "no")
    frame.loc[3::8, "soluble"] = None
    path = tmp_path_factory.mktemp("nested") / "lab.csv"
    frame.to_csv(path, index=False)
    return path


GIVEN: dict[str, Any] = {"method": "readout", "split": "group", "nested": True, "quiet": True}
SETTINGS = {"group": "plate", "folds": 3}


def tune(table: Path, folder: Path, quickly: Quickly, **changes: Any) -> kagaku.Run:
    with quickly():
        return kagaku.finetune(
            table, ["logS", "soluble"], folder, **{**GIVEN, "settings": SETTINGS, **changes}
        )


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory, quickly: Quickly) -> kagaku.Run:
    return tune(table, tmp_path_factory.mktemp("made") / "run", quickly)


def test_every_training_row_is_predicted_once_by_a_fit_without_it(run: kagaku.Run) -> None:
    n_train = run.metrics["split"]["n_train"]
    for found in run.metrics["targets"].values():
        folds = found["nested"]["folds"]
        assert len(folds) == 3
        assert sum(fold["n_test"] for fold in folds) == n_train
        assert all(fold["n_test"] + fold["n_train"] == n_train for fold in folds)


def test_scores_have_their_spread_over_folds_and_coverage_its_promise(run: kagaku.Run) -> None:
    for name, metric in (("logS", "RMSE"), ("soluble", "log loss")):
        nested = run.metrics["targets"][name]["nested"]
        assert nested["selection_metric"] == metric
        assert nested["score"] == pytest.approx(nested["scores"][metric]["value"])
        assert 0 < nested["standard_error"] < nested["score"]
        assert nested["scores"][metric]["standard_error"] == pytest.approx(nested["standard_error"])
        assert nested["coverage"]["confidence"] == 0.9
        assert 0.6 < nested["coverage"]["measured"] <= 1
    logs = run.metrics["targets"]["logS"]
    assert set(logs["nested"]["scores"]) == set(logs["test"])


def test_the_sentence_says_what_the_figures_mean(run: kagaku.Run) -> None:
    found = run.metrics["targets"]["logS"]
    sentence = found["nested"]["sentence"]
    assert "repeated the whole fit in 3 folds" in sentence
    assert f"RMSE {found['nested']['score']:.3g} ±" in sentence
    assert f"own cross-validated RMSE is {found['choosing']['own_score']:.3g}" in sentence
    assert f"{found['nested']['n_alike']} of 3 folds chose the same as this run." in sentence
    page = run.report.read_text(encoding="utf-8").replace("&#39;", "'")
    assert sentence in page
    assert page.count("<h3>Nested cross-validation</h3>") == 2


def test_groups_are_kept_apart_in_outer_folds(
    table: Path, tmp_path: Path, quickly: Quickly
) -> None:
    plates = pd.read_csv(table)["plate"].to_numpy()
    seen: list[tuple[set[str], set[str]]] = []

    def watch(fit: Any, records: Any, folds: Any, **named: Any) -> Any:
        for train, test in folds:
            sides = [set(plates[records.rows[side] - 2]) for side in (train, test)]
            seen.append((sides[0], sides[1]))
        return repeat_in_folds(fit, records, folds, **named)

    with patch.object(fitting, "repeat_in_folds", watch):
        tune(table, tmp_path / "run", quickly)
    assert len(seen) == 3
    assert not any(train & test for train, test in seen)


def test_a_stopped_run_goes_on_to_the_same_figures(
    table: Path, tmp_path: Path, quickly: Quickly, run: kagaku.Run
) -> None:
    fit, fits = fitting.fit_property, list[int]()

    def stopping(*given: Any, **named: Any) -> Any:
        fits.append(1)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(*given, **named)

    folder = tmp_path / "run"
    with patch.object(fitting, "fit_property", stopping), pytest.raises(KeyboardInterrupt):
        tune(table, folder, quickly)
    kept = list((folder / WORK_FOLDER).glob("outer-*.safetensors"))
    with patch.object(fitting, "fit_property", stopping):
        again = tune(table, folder, quickly)
    assert len(kept) == 2
    assert len(fits) == 4  # the two finished folds were not fitted again
    for name, found in again.metrics["targets"].items():
        nested, other = (one["nested"] for one in (found, run.metrics["targets"][name]))
        for key in ("score", "standard_error", "scores", "coverage", "sentence"):
            assert nested[key] == other[key]
    assert not (folder / WORK_FOLDER).exists()


def test_the_terminal_says_the_cost_before_and_the_figures_after(
    table: Path, tmp_path: Path, quickly: Quickly
) -> None:
    flags = ["--group", "plate", "--split", "group", "--method", "readout", "--nested"]
    output = tmp_path / "run"
    with quickly():
        told = CliRunner().invoke(
            app, ["finetune", str(table), "--target", "logS", "--output", str(output), *flags]
        )
    assert told.exit_code == 0, told.stderr
    words = " ".join(told.stderr.split())
    assert "so this takes about 6 times as long as without." in words
    assert "logS: nested cross-validation" in words
    assert json.loads((output / "metrics.json").read_text())["targets"]["logS"]["nested"]
    assert "nested: true" in (output / "config.yaml").read_text()


def test_without_it_nothing_is_repeated(run: kagaku.Run, table: Path, quickly: Quickly) -> None:
    plain = tune(table, run.folder.parent / "plain", quickly, nested=False)
    for name, found in plain.metrics["targets"].items():
        assert found["nested"] is None
        assert found["test"] == run.metrics["targets"][name]["test"]
    assert "<h3>Nested" not in plain.report.read_text(encoding="utf-8")


def test_what_makes_no_sense_is_refused_before_any_work(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the method 'full' chooses nothing"):
        kagaku.finetune(table, "logS", tmp_path / "run", method="full", nested=True, quiet=True)
    few = pd.read_csv(table).head(16)
    with pytest.raises(InputError, match="too few rows for nested cross-validation"):
        kagaku.finetune(few, "logS", tmp_path / "run", nested=True, quiet=True, split="random")
    assert not (tmp_path / "run").exists()
