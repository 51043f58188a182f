"""The whole procedure repeated in each fold: what it sees, keeps and tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data import Input, Records, Schema, Target
from kagaku.data.records import TargetValues
from kagaku.errors import InputError
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.fit_settings import FitSettings, check_rows
from kagaku.science_tasks.nested import joined_answers, repeat_in_folds
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import PropertyModel, TargetPrediction

N = 30


def records(n_records: int = N) -> Records:
    schema = Schema(
        (Input("note", "note", "text"),), (Target("y", "y", "regression", "K", reason="named"),)
    )
    values = TargetValues(np.arange(float(n_records)), np.zeros(n_records, dtype=np.int64))
    notes = [f"sample {i}" for i in range(n_records)]
    return Records(schema, {"note": notes}, {"y": values}, np.arange(n_records) + 2, "lab.csv")


def folds() -> list[Fold]:
    parts = np.array_split(np.random.default_rng(0).permutation(N), 3)
    return [(np.setdiff1d(np.arange(N), part), part) for part in parts]


@dataclass
class Fitted(PropertyModel):
    """Answers with the mean of what it was fitted to."""

    mean: float = 0.0

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def predict(self, records: Records, *, progress: Any = None) -> dict[str, TargetPrediction]:
        if progress is not None:
            progress(1, 1, "predicting")
        flat = np.full(len(records), self.mean)
        given = Prediction(mean=flat, spread=np.ones(len(records)))
        return {
            "y": TargetPrediction(given, flat > 0, flat, lower=flat - 1, upper=flat + 1),
        }


@dataclass
class Procedure:
    """Remembers what it was fitted to, and may be stopped."""

    stop_at: int = 99
    seen: list[list[str]] = field(default_factory=list)

    def __call__(
        self, some: Records, work: Path | None, report: Any
    ) -> tuple[PropertyModel, Mapping[str, tuple[str, ...]]]:
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(some.inputs["note"])
        if work is not None:
            work.mkdir(parents=True)
        if report is not None:
            report(1, 2, "ridge")
        mean = float(some.targets["y"].values.mean())
        return Fitted(mean), {"y": ("ridge", "forest")[: len(self.seen)]}


def test_what_fits_never_gets_the_records_that_it_predicts() -> None:
    procedure, whole = Procedure(), records()
    found = repeat_in_folds(procedure, whole, folds())
    for one, notes, (train, test) in zip(found, procedure.seen, folds(), strict=True):
        assert notes == [f"sample {i}" for i in train]
        np.testing.assert_array_equal(one.index, test)
        assert one.n_train == len(train)
        mean = one.answers["y"].prediction.mean
        assert mean is not None
        np.testing.assert_allclose(mean, train.mean())
    assert [one.chosen["y"] for one in found] == [("ridge",), *[("ridge", "forest")] * 2]


def test_answers_are_joined_in_the_order_of_the_folds() -> None:
    found = repeat_in_folds(Procedure(), records(), folds())
    answers = joined_answers(found, "y")
    expected = np.concatenate([np.full(len(test), train.mean()) for train, test in folds()])
    assert answers.lower is not None
    np.testing.assert_allclose(answers.lower, expected - 1)
    np.testing.assert_allclose(answers.distance, expected)
    assert answers.sets is None
    assert answers.token_counts is None


def test_a_stopped_repetition_goes_on_with_the_next_fold(tmp_path: Path) -> None:
    stopped, again = Procedure(stop_at=2), Procedure()
    given: dict[str, Any] = {"work": tmp_path, "fingerprint": "a"}
    with pytest.raises(KeyboardInterrupt):
        repeat_in_folds(stopped, records(), folds(), **given)
    found = repeat_in_folds(again, records(), folds(), **given)
    assert len(again.seen) == 1
    whole = repeat_in_folds(Procedure(), records(), folds())
    for one, other in zip(found[:2], whole[:2], strict=True):
        assert one.chosen == other.chosen
        np.testing.assert_array_equal(one.index, other.index)
        for part in ("lower", "upper", "in_domain", "distance"):
            np.testing.assert_array_equal(
                getattr(one.answers["y"], part), getattr(other.answers["y"], part)
            )
    assert not [one for one in tmp_path.iterdir() if one.is_dir()]  # their steps are not needed
    other_data = Procedure()
    repeat_in_folds(other_data, records(), folds(), work=tmp_path, fingerprint="b")
    assert len(other_data.seen) == 3


def test_progress_names_the_outer_fold() -> None:
    heard: list[tuple[int, int, str]] = []
    repeat_in_folds(Procedure(), records(), folds(), progress=lambda *given: heard.append(given))
    assert heard[0] == (1, 2, "outer fold 1 of 3: ridge")
    assert heard[-1] == (1, 1, "outer fold 3 of 3: predicting")


def test_full_fine_tuning_has_nothing_to_nest() -> None:
    with pytest.raises(InputError, match="the method 'full' chooses nothing") as caught:
        FitSettings(method="full", nested=True)
    assert "Leave --nested out, or choose --method auto or readout." in str(caught.value)


def test_too_few_rows_for_outer_folds_are_told_before_any_work() -> None:
    few, every = records(12), np.arange(12)
    check_rows(few, every, FitSettings())
    with pytest.raises(InputError) as caught:
        check_rows(few, every, FitSettings(nested=True))
    assert str(caught.value) == (
        "lab.csv, column 'y': too few rows for nested cross-validation: 9 measured rows are too "
        "few to calibrate 90% intervals, which takes 11. Leave --nested out, measure more, or use "
        "fewer folds."
    )
