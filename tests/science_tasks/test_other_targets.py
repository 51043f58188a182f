"""Several targets of one table: candidates that read what is predicted of the others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data import Input, Records, Schema, Target
from kagaku.data.records import TargetValues
from kagaku.science_tasks import other_targets
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.other_targets import (
    MOST_TARGETS,
    NOBODY,
    FirstStages,
    StackedCandidate,
    shared_folds,
    stacked_candidates,
    why_not_stacked,
)
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts import READOUTS, LinearReadout
from kagaku.science_tasks.readouts.stacked import StackedReadout
from kagaku.science_tasks.spaced import spaced
from kagaku.science_tasks.storage import load_state, save_state

N = 150
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, 4)).astype(np.float32)
FOLDS = np.arange(N) % 5
HIDDEN = FEATURES[:, 0] + 0.1 * RNG.normal(size=N)


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values.astype(np.float64), np.zeros(len(values), dtype=np.int64))


TARGETS = (
    Target("a", "a", "regression", "K"),
    Target("b", "b", "regression", "K"),
    Target("c", "c", "binary", classes=("no", "yes")),
    Target("d", "d", "multiclass", classes=("x", "y", "z")),
)
VALUES = {
    "a": exact(HIDDEN**2),
    "b": exact(3 * HIDDEN + 300),
    "c": exact((HIDDEN > 0).astype(float)),
    "d": exact((np.arange(N) % 3).astype(float)),
}


def records(**changes: TargetValues) -> Records:
    schema = Schema((Input("x", "x", "quantity"),), TARGETS)
    values = {**VALUES, **changes}
    return Records(schema, {"x": [None] * N}, values, np.arange(N) + 2, "lab.csv")


def stages(some: Records) -> FirstStages:
    block = FeatureBlock("x:numbers", FEATURES, "rbf", np.ones(N, dtype=bool))
    return FirstStages(some, (block,), FOLDS, 0)


def candidate(
    some: Records, inner: str = "linear", target: Target = TARGETS[0]
) -> StackedCandidate:
    (one,) = [
        one
        for one in stacked_candidates(target, stages(some), ("linear", "gp"))
        if one.inner == inner
    ]
    return one


def mean_of(given: Prediction) -> np.ndarray:
    assert given.mean is not None
    return given.mean


def test_numbers_and_yes_or_no_tell_of_each_other_and_other_kinds_stay_out() -> None:
    found = stacked_candidates(TARGETS[0], stages(records()), ("linear", "forest", "gp"))
    assert [one.name for one in found] == [
        "linear on classical features + other targets",
        "gp on classical features + other targets",
    ]
    assert [one.name for one in found[0].others] == ["b", "c"]
    assert not stacked_candidates(TARGETS[3], stages(records()), ("linear",))


def test_a_lone_target_and_a_table_of_many_have_no_such_candidate() -> None:
    lone = replace(records(), schema=Schema((), TARGETS[:1]))
    assert not stacked_candidates(TARGETS[0], stages(lone), ("linear",))
    many = tuple(replace(TARGETS[0], name=f"t{i}") for i in range(MOST_TARGETS + 1))
    crowd = replace(records(), schema=Schema((), many))
    assert not stacked_candidates(many[0], stages(crowd), ("linear",))


def test_values_of_records_that_are_not_fitted_to_change_nothing() -> None:
    train, test = np.flatnonzero(FOLDS != 2), np.flatnonzero(FOLDS == 2)
    before = candidate(records()).fit(train).predict(test)
    wild = {}
    for name in ("a", "b"):
        values = VALUES[name].values.copy()
        values[test] = 1e3 * RNG.normal(size=len(test))
        wild[name] = exact(values)
    flipped = VALUES["c"].values.copy()
    flipped[test] = 1 - flipped[test]
    after = candidate(records(**wild, c=exact(flipped))).fit(train).predict(test)
    np.testing.assert_array_equal(mean_of(before), mean_of(after))


@pytest.mark.parametrize("fold", [0, 3])
def test_training_records_are_predicted_by_models_without_their_fold(fold: int) -> None:
    inside = np.flatnonzero(fold == FOLDS)
    shifted = VALUES["b"].values.copy()
    shifted[inside] += 1e3
    every = np.arange(N)
    before = stages(records()).of(TARGETS[1], every)
    after = stages(records(b=exact(shifted))).of(TARGETS[1], every)
    assert len(before) == len(after) == 2
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.out_of_fold[inside], other.out_of_fold[inside])
        assert (np.abs(one.out_of_fold - other.out_of_fold)[fold != FOLDS] > 1).mean() > 0.9


def test_gaps_of_another_target_are_predicted_and_too_few_values_leave_it_out() -> None:
    gaps = VALUES["b"].values.copy()
    gaps[::3] = np.nan
    found = stages(records(b=exact(gaps))).of(TARGETS[1], np.arange(N))
    assert [type(one.readout) for one in found] == [READOUTS["linear"], READOUTS["trees"]]
    assert all(np.isfinite(one.out_of_fold).all() for one in found)
    gaps[15:] = np.nan
    some = records(b=exact(gaps))
    assert stages(some).of(TARGETS[1], np.arange(N)) == []
    assert np.isfinite(
        mean_of(candidate(some).fit(np.arange(100)).predict(np.arange(100, N)))
    ).all()


def test_many_rows_are_predicted_by_a_linear_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # Numbers and yes-or-no of TARGETS are three, so that each has two others.
    assert len(stages(records()).of(TARGETS[1], np.arange(N))) == 2
    monkeypatch.setattr(other_targets, "MOST_WORK", N * 4 - 1)
    for some in (np.arange(N), np.arange(N // 2)):  # in a fold as in the end
        (found,) = stages(records()).of(TARGETS[1], some)
        assert isinstance(found.readout, READOUTS["linear"])


def test_of_many_helpers_some_that_are_spread_evenly_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert spaced(3, 4).tolist() == [0, 1, 2]
    assert spaced(3, -2).tolist() == []
    learnt = []
    fit = LinearReadout.fit

    def noted(self: LinearReadout, blocks: Any, *rest: Any, **how: Any) -> None:
        learnt.append(len(blocks[0].present))
        fit(self, blocks, *rest, **how)

    monkeypatch.setattr(LinearReadout, "fit", noted)
    monkeypatch.setattr(other_targets, "MOST_LEARNT", 90)
    stages(records()).of(TARGETS[1], np.arange(60), np.arange(60, N))
    assert max(learnt) == 90


def test_values_in_one_fold_only_leave_the_target_out() -> None:
    alone = np.where(FOLDS == 0, VALUES["b"].values, np.nan)
    assert stages(records(b=exact(alone))).of(TARGETS[1], np.arange(N)) == []


def test_first_stages_are_fitted_once_for_all_candidates() -> None:
    shared = stages(records())
    assert shared.of(TARGETS[1], np.arange(100)) is shared.of(TARGETS[1], np.arange(100))
    assert shared.of(TARGETS[1], np.arange(90)) is not shared.of(TARGETS[1], np.arange(100))


def test_another_target_that_is_easier_to_learn_helps() -> None:
    # What decides is a product that few records cannot teach, but the other target is it, almost.
    rng = np.random.default_rng(1)
    values = rng.normal(size=(N, 40)).astype(np.float32)
    signal = values[:, :8].sum(axis=1)
    scarce = signal + rng.normal(0, 6, N)
    plenty = signal + rng.normal(0, 0.1, N)
    some = records(a=exact(scarce), b=exact(plenty), c=exact(rng.integers(0, 2, N).astype(float)))
    block = FeatureBlock("x:numbers", values, "rbf", np.ones(N, dtype=bool))
    shared = FirstStages(some, (block,), FOLDS, 0)
    (stacked,) = stacked_candidates(TARGETS[0], shared, ("linear",))
    train, test = np.arange(100), np.arange(100, N)
    alone = READOUTS["linear"]()
    alone.fit([block.subset(train)], some.targets["a"].subset(train), "regression", 0, seed=0)
    errors = [
        np.sqrt(np.square(mean_of(given) - signal[test]).mean())
        for given in (stacked.fit(train).predict(test), alone.predict([block.subset(test)]))
    ]
    assert errors[0] < 0.95 * errors[1]


@pytest.mark.parametrize("inner", ["linear", "gp"])
@pytest.mark.parametrize("target", [TARGETS[0], TARGETS[2]], ids=["number", "yes or no"])
def test_a_stored_readout_predicts_the_same_bits(
    inner: str, target: Target, tmp_path: Path
) -> None:
    fitted = candidate(records(), inner, target).fit(np.arange(120))
    save_state(fitted.readout.state(), tmp_path / "one.safetensors")
    loaded = READOUTS[StackedReadout.name]()
    loaded.load_state(load_state(tmp_path / "one.safetensors"))
    blocks = [block.subset(np.arange(120, N)) for block in fitted.blocks]
    before, after = fitted.readout.predict(blocks), loaded.predict(blocks)
    for part in ("mean", "spread", "probabilities"):
        if getattr(before, part) is not None:
            np.testing.assert_array_equal(getattr(before, part), getattr(after, part))
    assert len(mean_or_yes(after)) == 30


def mean_or_yes(given: Prediction) -> np.ndarray:
    if given.mean is not None:
        return given.mean
    assert given.probabilities is not None
    return given.probabilities[:, 1]


def test_no_new_records_give_no_predictions() -> None:
    assert len(mean_of(candidate(records()).fit(np.arange(100)).predict(np.arange(0)))) == 0


def sparse(rng: np.random.Generator) -> tuple[Records, np.ndarray, FeatureBlock]:
    """Return a table in which each record has one of two related targets, and what both follow."""
    values = rng.normal(size=(N, 20)).astype(np.float32)
    signal = values[:, :8].sum(axis=1)
    has_first = np.arange(N) % 3 == 0
    some = records(
        a=exact(np.where(has_first, signal + rng.normal(0, 3, N), np.nan)),
        b=exact(np.where(has_first, np.nan, signal + rng.normal(0, 0.1, N))),
        c=exact(np.full(N, np.nan)),
    )
    return some, signal, FeatureBlock("x:numbers", values, "rbf", np.ones(N, dtype=bool))


def test_records_without_the_target_teach_what_the_others_are() -> None:
    some, signal, block = sparse(np.random.default_rng(2))
    measured = np.flatnonzero(some.targets["a"].present())
    train, test = measured[:35], measured[35:]
    lacking = np.setdiff1d(np.arange(N), measured)
    errors = []
    for helpers in (lacking, NOBODY):
        shared = FirstStages(some, (block,), FOLDS, 0)
        (one,) = stacked_candidates(TARGETS[0], shared, ("linear",), helpers)
        missed = mean_of(one.fit(train).predict(test)) - signal[test]
        errors.append(np.sqrt(np.square(missed).mean()))
    assert errors[0] < 0.9 * errors[1]


def test_helpers_of_a_fold_that_is_held_out_change_nothing() -> None:
    some, _, block = sparse(np.random.default_rng(3))
    measured = np.flatnonzero(some.targets["a"].present())
    train = measured[FOLDS[measured] != 2]
    lacking = np.setdiff1d(np.arange(N), measured)
    given = []
    for shift in (0.0, 1e3):
        values = some.targets["b"].values.copy()
        values[FOLDS == 2] += shift
        shifted = replace(some, targets={**some.targets, "b": exact(values)})
        shared = FirstStages(shifted, (block,), FOLDS, 0)
        (one,) = stacked_candidates(TARGETS[0], shared, ("linear",), lacking)
        given.append(mean_of(one.fit(train).predict(np.arange(N))))
    np.testing.assert_array_equal(given[0], given[1])


def test_helpers_are_predicted_by_nothing_that_saw_their_fold() -> None:
    some, _, block = sparse(np.random.default_rng(4))
    measured = np.flatnonzero(some.targets["a"].present())
    lacking = np.setdiff1d(np.arange(N), measured)
    given = []
    for shift in (0.0, 1e3):
        values = some.targets["b"].values.copy()
        values[FOLDS == 1] += shift
        shifted = replace(some, targets={**some.targets, "b": exact(values)})
        found = FirstStages(shifted, (block,), FOLDS, 0).of(TARGETS[1], measured, lacking)
        assert len(found[0].out_of_fold) == len(measured)
        given.append(found[0].out_of_fold)
    same = FOLDS[measured] == 1
    np.testing.assert_array_equal(given[0][same], given[1][same])
    assert (np.abs(given[0] - given[1])[~same] > 1).all()


def test_a_target_takes_the_folds_of_all_records_unless_they_are_few_or_uneven() -> None:
    folds = np.array([0, 1, 2, 0, 1, 2, -1, -1])
    found = shared_folds(np.array([0, 1, 2, 3, 4]), folds)
    assert found is not None
    assert [test.tolist() for _, test in found] == [[0, 3], [1, 4], [2]]
    assert [train.tolist() for train, _ in found] == [[1, 2, 4], [0, 2, 3], [0, 1, 3, 4]]
    assert shared_folds(np.array([0, 1, 3, 4]), folds) is None  # two folds
    assert shared_folds(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 2])) is not None
    assert shared_folds(np.arange(5), np.array([0, 0, 0, 1, 2])) is None  # most in one


def test_a_table_of_many_targets_says_why_they_do_not_help() -> None:
    many = tuple(replace(TARGETS[0], name=f"t{i}") for i in range(MOST_TARGETS + 1))
    crowd = stages(replace(records(), schema=Schema((), many)))
    assert why_not_stacked(many[0], crowd) == {
        "linear on classical features + other targets": "not tried: 9 related targets are more "
        "than 8"
    }
    assert why_not_stacked(TARGETS[0], stages(records())) == {}
