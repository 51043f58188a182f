"""Scores of many resamples at once are those of each resample scored by itself."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.science_tasks.benchmark import draws as drawing
from kagaku.science_tasks.benchmark.column_measures import macro_f1_of_counts
from kagaku.science_tasks.benchmark.draws import Draws
from kagaku.science_tasks.benchmark.measures import (
    Measure,
    binary,
    multiclass,
    multilabel,
    regression,
)
from kagaku.science_tasks.materials.matbench import BALANCED
from kagaku.science_tasks.proteins import residue_measures
from kagaku.science_tasks.proteins.proteingym import ABOVE
from kagaku.science_tasks.tasks import TASKS

Make = Callable[[np.random.Generator, int], pd.DataFrame]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BOOTSTRAPS", 8)


def tied(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return chances of few or many different values."""
    return np.asarray(np.round(rng.random(shape), int(rng.integers(1, 6))))


def classes(rng: np.random.Generator, n: int, n_classes: int = 2) -> pd.DataFrame:
    # Rare classes, so that many resamples have one class only.
    weights = rng.dirichlet(np.full(n_classes, 0.3))
    given = tied(rng, n, n_classes)
    columns = {f"p_{i}": one for i, one in enumerate(given.T)}
    return pd.DataFrame({"truth": rng.choice(n_classes, n, p=weights).astype(float), **columns})


def several(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return classes(rng, n, 4)


def labels(rng: np.random.Generator, n: int) -> pd.DataFrame:
    truth = (rng.random((n, 5)) < rng.random(5)).astype(float)
    truth[rng.random((n, 5)) < rng.choice([0.0, 0.3, 0.9])] = np.nan
    columns = {f"t_{i}": one for i, one in enumerate(truth.T)}
    return pd.DataFrame({**columns, **{f"p_{i}": one for i, one in enumerate(tied(rng, n, 5).T)}})


def numbers(rng: np.random.Generator, n: int) -> pd.DataFrame:
    truth, given = tied(rng, 2, n)
    truth[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"truth": truth, "given": given, ABOVE: truth > 0.7})


def pairs(rng: np.random.Generator, n: int) -> pd.DataFrame:
    truth = np.where(rng.random(n) < 0.6, 5.0, tied(rng, n))
    return pd.DataFrame({"truth": truth, "given": tied(rng, n)})


def counts(rng: np.random.Generator, n: int) -> pd.DataFrame:
    found: dict[str, np.ndarray] = {"asked": np.full(n, 9)}
    for kind in ("a", "b"):
        hits = rng.integers(0, 3, n) * (rng.random(n) < 0.5)
        more, missed = rng.integers(0, 3, (2, n)) * (rng.random((2, n)) < 0.4)
        for names, column in (
            (("hits_", "right_"), hits),
            (("guessed_",), hits + more),
            (("wanted_",), hits + missed),
        ):
            found |= {name + kind: column for name in names}
    return pd.DataFrame(found)


def cases() -> Sequence[tuple[Measure, Make]]:
    """Return every measure that is resampled fast, with a maker of answers to it."""
    (area,) = (one for one in TASKS["proteingym"].measures if one.name == "ROC-AUC")
    order = [one for one in TASKS["davis"].measures if one.name in {"CI", "MSE"}]
    return (
        *((one, classes) for one in binary(("ROC-AUC", "average precision", "MCC", "accuracy"))),
        (BALANCED, classes),
        *((one, several) for one in multiclass(("macro F1", "MCC", "accuracy", "log loss"))),
        *((one, labels) for one in multilabel(("macro ROC-AUC", "macro F1", "log loss"))),
        *((one, numbers) for one in (*regression(("Spearman", "RMSE"), "K"), area)),
        *((one, pairs) for one in order),
        (macro_f1_of_counts(("a", "b")), counts),
        (residue_measures.f1_of_class("a"), counts),
        (residue_measures.mcc_of_class("a"), counts),
        (residue_measures.macro_f1_of(("a", "b"), "macro F1 of residues"), counts),
        (residue_measures.mean_f1_of_proteins("a"), counts),
    )


def check_same(measure: Measure, answers: pd.DataFrame, group: str | None, seed: int) -> np.ndarray:
    draws = Draws.of(answers, group, np.random.default_rng(seed))
    fast = draws.scores(measure, answers)
    np.testing.assert_allclose(fast, draws.scores_one_by_one(measure, answers), atol=1e-12)
    return fast


@pytest.mark.parametrize(("measure", "make"), cases(), ids=lambda one: getattr(one, "name", ""))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), n_groups=st.integers(0, 7))
def test_all_resamples_at_once_are_each_by_itself(
    measure: Measure, make: Make, seed: int, n: int, n_groups: int
) -> None:
    assert measure.parts is not None or measure.ranked is not None
    rng = np.random.default_rng(seed)
    answers = make(rng, n)
    if n_groups:
        answers["group"] = rng.integers(0, n_groups, n)
    check_same(measure, answers, "group" if n_groups else None, seed)


@pytest.mark.parametrize("name", ["ROC-AUC", "average precision"])
def test_resamples_of_one_class_have_no_score(name: str) -> None:
    (measure,) = binary((name,))
    answers = pd.DataFrame({"truth": [1.0, 0, 0, 0], "p_0": 0.5, "p_1": [0.4, 0.4, 0.6, 0.1]})
    found = check_same(measure, answers, None, 0)
    assert 0 < np.isnan(found).sum() < len(found)


def test_labels_of_one_class_are_left_out_of_the_mean() -> None:
    (measure,) = multilabel(("macro ROC-AUC",))
    rng = np.random.default_rng(0)
    answers = labels(rng, 60)
    answers["t_1"], answers["t_2"] = 1.0, np.nan
    both = check_same(measure, answers, None, 0)
    without = answers.drop(columns=["t_1", "t_2", "p_1", "p_2"])
    np.testing.assert_allclose(both, check_same(measure, without, None, 0))


def test_a_ranked_measure_looks_at_some_items_only() -> None:
    answers = numbers(np.random.default_rng(0), 60)
    answers["cliff"] = np.arange(60) % 3 == 0
    (spearman,) = regression(("Spearman",), None)
    check_same(spearman.where("on cliffs", lambda one: one["cliff"]), answers, None, 0)
    nowhere = spearman.where("nowhere", lambda one: ~one["cliff"] & one["cliff"])
    assert np.isnan(check_same(nowhere, answers, None, 0)).all()


def test_chunks_of_resamples_are_all_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    (measure,) = multilabel(("macro ROC-AUC",))
    answers = labels(np.random.default_rng(1), 40)
    draws = Draws.of(answers, None, np.random.default_rng(1))
    whole = draws.scores(measure, answers)
    monkeypatch.setattr(drawing, "CELLS", 5 * 40)
    np.testing.assert_array_equal(draws.scores(measure, answers), whole)


def test_every_order_and_label_measure_of_the_tasks_is_resampled_fast() -> None:
    names = {"ROC-AUC", "average precision", "MCC", "Spearman", "CI"}
    names |= {"macro ROC-AUC", "macro F1"}
    for task in TASKS.values():
        for one in task.measures:
            if one.name in names:
                assert one.parts is not None or one.ranked is not None, (task.name, one.name)
