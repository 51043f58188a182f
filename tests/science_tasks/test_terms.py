"""Regression on all terms of texts: what it learns, keeps, and where it is tried."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

import kagaku
from kagaku.data import Input, Records, Schema, Target
from kagaku.data.records import TargetValues
from kagaku.science_tasks.candidate_kinds import TermCandidate
from kagaku.science_tasks.candidates import LARGEST_TABLE, readout_candidates, within_reach
from kagaku.science_tasks.readouts import READOUTS, TermsReadout, term_ridge
from kagaku.science_tasks.readouts.term_ridge import best_penalty
from kagaku.science_tasks.readouts.terms import best_strength
from kagaku.science_tasks.term_counts import (
    HASHED,
    CountedLater,
    count_terms,
    frequent_terms,
    term_counts,
)

WORDS = ("glass", "steel", "polymer")
CLASSES = ("oxide", "metal", "plastic")
FILLER = ("the sample was heated", "we report a study of", "in this work", "results on", "at 300 K")


def texts_of(classes: np.ndarray, seed: int = 0) -> list[str | None]:
    """Return texts in which one rare word tells the class."""
    rng = np.random.default_rng(seed)
    return [f"{rng.choice(FILLER)} {WORDS[one]} {rng.choice(FILLER)}" for one in classes]


def records_of(
    classes: np.ndarray, texts: list[str | None], kind: Any = "multiclass", n: int = 3
) -> Records:
    target = Target("y", "y", kind, classes=CLASSES[:n])
    schema = Schema((Input("note", "note", "text"), Input("more", "more", "text")), (target,))
    values = TargetValues(classes.astype(float), np.zeros(len(classes), dtype=np.int64))
    inputs = {"note": texts, "more": [None, *["and more"] * (len(texts) - 1)]}
    return Records(schema, inputs, {"y": values}, np.arange(len(texts)) + 2, "lab.csv")


def fitted(records: Records, rows: np.ndarray) -> Any:
    target = records.schema.targets[0]
    (candidate,) = [
        one
        for one in readout_candidates(records, target, [], learned_inputs=(), seed=0)
        if isinstance(one, TermCandidate)
    ]
    assert candidate.name == "terms on texts"
    return candidate.fit(rows)


CODES = np.random.default_rng(1).integers(0, 3, 90)


def test_one_word_among_many_tells_the_class() -> None:
    records = records_of(CODES, texts_of(CODES))
    model = fitted(records, np.arange(60))
    given = model.predict(np.arange(60, 90)).probabilities
    assert given is not None
    assert given.shape == (30, 3)
    np.testing.assert_allclose(given.sum(1), 1.0)
    assert (given.argmax(1) == CODES[60:]).all()


def test_two_classes_and_several_labels_are_answered_too() -> None:
    binary = (CODES > 0).astype(int)
    two = fitted(records_of(binary, texts_of(CODES), "binary", 2), np.arange(60))
    given = two.predict(np.arange(60, 90)).probabilities
    assert (given.argmax(1) == binary[60:]).all()
    labels = np.stack([CODES > 0, CODES == 1], axis=1).astype(float)
    labels[3, 1] = np.nan
    several = fitted(records_of(labels, texts_of(CODES), "multilabel", 2), np.arange(60))
    given = several.predict(np.arange(60, 90)).probabilities
    assert ((given > 0.5) == (labels[60:] == 1)).all()


@pytest.mark.parametrize("classes", [np.zeros(20, dtype=int), np.arange(20) % 3 * (CODES[:20] > 0)])
def test_a_class_that_is_never_or_seldom_seen_keeps_a_place(classes: np.ndarray) -> None:
    classes[5] = 0
    records = records_of(classes, texts_of(classes))
    given = fitted(records, np.flatnonzero(classes < 2)).predict(np.arange(20)).probabilities
    assert given.shape == (20, 3)
    np.testing.assert_allclose(given.sum(1), 1.0)


def test_texts_without_a_known_word_get_an_answer() -> None:
    records = records_of(CODES, texts_of(CODES))
    model = fitted(records, np.arange(60))
    other = records_of(CODES[:2], [None, "zzz qqq"])
    given = model.readout.predict([term_counts(other)]).probabilities
    assert term_counts(other).present.tolist() == [False, True]
    np.testing.assert_allclose(given.sum(1), 1.0)


def test_many_classes_and_long_texts_are_left_out_with_the_reason() -> None:
    records = records_of(CODES, texts_of(CODES))
    found = readout_candidates(records, records.schema.targets[0], [], learned_inputs=(), seed=0)
    kept, _ = within_reach(found, 1_000, n_classes=3)
    assert any(isinstance(one, TermCandidate) for one in kept)
    _, skipped = within_reach(found, 1_000, n_classes=150)
    assert skipped["terms on texts"].startswith("not tried: 1,000 records with 150 classes are")
    with patch("kagaku.science_tasks.candidates.MOST_LETTERS", 100):
        _, skipped = within_reach(found, 10)
    assert "letters are more than 100" in skipped["terms on texts"]


def test_several_targets_share_one_count() -> None:
    records = records_of(CODES, texts_of(CODES))
    texts = CountedLater(records)
    assert texts.block is texts.block
    (candidate,) = [
        one
        for one in readout_candidates(
            records, records.schema.targets[0], [], learned_inputs=(), seed=0, texts=texts
        )
        if isinstance(one, TermCandidate)
    ]
    assert candidate.texts is texts


def test_a_class_too_rare_for_the_folds_does_not_stop_the_tuning() -> None:
    classes = np.concatenate([CODES[:40] % 2, [2]])
    counts = count_terms([one or "" for one in texts_of(classes)])
    for strengths in ((1e-6, 4.0), (4.0, 1e-6)):
        with patch("kagaku.science_tasks.readouts.terms.STRENGTHS", strengths):
            assert best_strength(counts, classes, 0) == 4.0


def test_no_texts_at_all_have_no_terms() -> None:
    assert count_terms([]).shape == (0, 2 * HASHED)


def test_a_stored_model_answers_as_the_fitted_one() -> None:
    records = records_of(CODES, texts_of(CODES))
    model = fitted(records, np.arange(60))
    again = READOUTS["terms"]()
    again.load_state(model.readout.state())
    block, rows = term_counts(records), np.array([4, 1])
    first, second = (one.predict([block]).probabilities for one in (model.readout, again))
    assert second is not None
    np.testing.assert_array_equal(second, first)
    subset = again.predict([block.subset(rows)]).probabilities
    assert subset is not None
    np.testing.assert_allclose(second[rows], subset)


def test_terms_of_a_single_text_are_left_out_and_the_most_frequent_stay() -> None:
    counts = count_terms(["red glass", "red steel", "red glass ware"])
    column = {word: int(count_terms([word]).indices[0]) for word in ("red", "glass", "ware")}
    kept = frequent_terms(counts, 1_000)
    assert {column["red"], column["glass"]} <= set(kept.tolist())
    assert column["ware"] not in kept
    words = frequent_terms(counts, 1)
    assert words[words < HASHED].tolist() == [column["red"]]


def test_it_is_tried_on_texts_only_and_not_on_huge_tables() -> None:
    def names(records: Records) -> list[str]:
        target = records.schema.targets[0]
        found = readout_candidates(records, target, [], learned_inputs=(), seed=0)
        kept, skipped = within_reach(found, LARGEST_TABLE["terms"] + 1)
        assert not any(isinstance(one, TermCandidate) for one in kept)
        assert all("not tried" in one for one in skipped.values())
        return [one.name for one in found]

    assert "terms on texts" in names(records_of(CODES, texts_of(CODES)))
    assert "terms on texts" in names(records_of(CODES, texts_of(CODES), "regression", 0))
    empty: dict[str, list[Any]] = {one: [None] * len(CODES) for one in ("note", "more")}
    wordless = replace(records_of(CODES, texts_of(CODES)), inputs=empty)
    assert "terms on texts" not in names(wordless)
    assert TermsReadout.kinds == {"regression", "binary", "multiclass", "multilabel"}


def test_a_run_that_chose_it_predicts_the_same_when_loaded(tmp_path: Path) -> None:
    codes = np.random.default_rng(2).integers(0, 3, 120)
    table = pd.DataFrame({"note": texts_of(codes), "kind": [CLASSES[one] for one in codes]})
    others = [f"kagaku.science_tasks.candidates.{one}_READOUTS" for one in ("CLASSICAL", "LEARNED")]
    with patch(others[0], ()), patch(others[1], ()):
        run = kagaku.finetune(table, target="kind", method="readout", output=tmp_path / "run")
    (model,) = run.model.targets
    assert [type(one.readout) for one in model.members] == [TermsReadout]
    before = run.predict(table)
    loaded = kagaku.Run.load(tmp_path / "run")
    pd.testing.assert_frame_equal(before, loaded.predict(table))
    nothing = pd.DataFrame({"note": ["", " "]})
    given = loaded.predict(nothing, skip_bad_rows=True)
    assert given.filter(like="kind").isna().all(axis=None)


NUMBERS = np.array([1.5, 7.0, 3.0])


def numbers_of(codes: np.ndarray, texts: list[str | None], noise: float = 0.1) -> Records:
    records = records_of(codes, texts, "regression", 0)
    drawn = NUMBERS[codes] + np.random.default_rng(5).normal(0, noise, len(codes))
    censoring = records.targets["y"].censoring
    return replace(records, targets={"y": TargetValues(drawn, censoring)})


def test_one_word_among_many_tells_a_number() -> None:
    texts = texts_of(CODES)
    model = fitted(numbers_of(CODES, texts), np.arange(60))
    given = model.predict(np.arange(60, 90))
    assert np.abs(given.mean - NUMBERS[CODES[60:]]).max() < 0.8
    assert 0.1 < given.spread[0] < 0.5
    blank = records_of(CODES, [None, *texts[1:]], "regression", 0)
    unknown = model.readout.predict([term_counts(blank).subset(np.array([0]))]).mean
    assert unknown[0] == pytest.approx(NUMBERS[CODES[:60]].mean(), abs=0.1)


def test_leaving_each_text_out_in_closed_form_is_leaving_it_out() -> None:
    records = numbers_of(CODES[:30], texts_of(CODES[:30]))
    rows = sparse.csr_matrix(count_terms([str(one) for one in records.inputs["note"]]))
    rows = rows[:, np.unique(rows.indices)].multiply(0.1).tocsr()
    values = records.targets["y"].values
    penalty, errors = best_penalty(rows, values - values.mean())
    for left_out in (0, 7):
        others = np.delete(np.arange(30), left_out)
        model = Ridge(alpha=penalty, fit_intercept=False, solver="cholesky")
        model.fit(rows[others].toarray(), (values - values.mean())[others])
        missed = values[left_out] - values.mean() - model.predict(rows[left_out].toarray())[0]
        assert errors[left_out] == pytest.approx(missed, rel=1e-3)


@pytest.mark.parametrize("tuning_rows", [2_000, 25])
def test_bounds_are_replaced_by_what_lies_beyond_them(
    tuning_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(term_ridge, "TUNING_ROWS", tuning_rows)
    records = numbers_of(CODES, texts_of(CODES))
    values, censoring = records.targets["y"].values.copy(), np.zeros(len(CODES), dtype=np.int64)
    bounded = np.flatnonzero(CODES == 1)[::2]  # of the largest, half are known to be above 4
    values[bounded], censoring[bounded] = 4.0, 1
    of_largest = np.flatnonzero(CODES == 1)
    means = []
    for marks in (censoring, np.zeros_like(censoring)):
        bounds = replace(records, targets={"y": TargetValues(values, marks)})
        means.append(fitted(bounds, np.arange(90)).predict(of_largest).mean.mean())
    assert means[0] > means[1] + 0.2


def test_a_stored_regression_answers_as_the_fitted_one() -> None:
    records = numbers_of(CODES, texts_of(CODES))
    model = fitted(records, np.arange(60))
    again = READOUTS["terms"]()
    again.load_state(model.readout.state())
    block = term_counts(records)
    first, second = (one.predict([block]) for one in (model.readout, again))
    np.testing.assert_array_equal(second.mean, first.mean)
    np.testing.assert_array_equal(second.spread, first.spread)
