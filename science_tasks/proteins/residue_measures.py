"""Measures of residues: counts of each class per protein, so that proteins are resampled whole."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kagaku.science_tasks.benchmark.column_measures import mean_of_f1
from kagaku.science_tasks.benchmark.measures import ASKED, HITS, Measure, Parts

RIGHT, GUESSED, WANTED = "right_", "guessed_", "wanted_"
"""Columns of answers, followed by the class: residues of it that were found, that were said to be
of it, and that are of it."""


def counted(
    truth: Sequence[Int[np.ndarray, " _"]],
    given: Sequence[Int[np.ndarray, " _"]],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Return one row of counts per protein.

    Args:
        truth: Class of each residue; negative where it is not known, which is not asked.
        given: The answered class of each residue.
        classes: Names of the classes, by index.
    """
    rows = []
    for true, guess in zip(truth, given, strict=True):
        asked = true >= 0
        hit = (true == guess) & asked
        row = {HITS: int(hit.sum()), ASKED: int(asked.sum())}
        for index, name in enumerate(classes):
            row[RIGHT + name] = int((hit & (true == index)).sum())
            row[GUESSED + name] = int((asked & (guess == index)).sum())
            row[WANTED + name] = int((true == index).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def flagged(
    truth: Sequence[Int[np.ndarray, "_ flag"]],
    given: Sequence[Int[np.ndarray, "_ flag"]],
    flags: Sequence[str],
) -> pd.DataFrame:
    """Return one row of counts per protein, for properties that a residue has or has not.

    Args:
        truth: 1 where a residue has the property.
        given: 1 where it was said to have it.
        flags: Names of the properties.
    """
    rows = []
    for true, guess in zip(truth, given, strict=True):
        row = {ASKED: len(true)}
        for index, name in enumerate(flags):
            row[RIGHT + name] = int((true[:, index] & guess[:, index]).sum())
            row[GUESSED + name] = int(guess[:, index].sum())
            row[WANTED + name] = int(true[:, index].sum())
        rows.append(row)
    return pd.DataFrame(rows)


def f1_of_class(name: str) -> Measure:
    """Return F1 of one class over the residues of all proteins."""

    def compute(answers: pd.DataFrame) -> float:
        total = float((answers[GUESSED + name] + answers[WANTED + name]).sum())
        return 2 * float(answers[RIGHT + name].sum()) / total if total else float("nan")

    return Measure(f"F1 {name}", compute, columns=_columns([name]), parts=_summed([name]))


def mcc_of_class(name: str) -> Measure:
    """Return Matthews' correlation of one class against all else, over all residues."""

    def compute(answers: pd.DataFrame) -> float:
        right, guessed, wanted, asked = (
            float(answers[one].sum())
            for one in (RIGHT + name, GUESSED + name, WANTED + name, ASKED)
        )
        spread = guessed * (asked - guessed) * wanted * (asked - wanted)
        if not spread:
            return float("nan")
        return (right * asked - guessed * wanted) / float(np.sqrt(spread))

    def total(sums: Float[np.ndarray, "part resample"]) -> Float[np.ndarray, " resample"]:
        right, guessed, wanted, asked = sums
        spread = guessed * (asked - guessed) * wanted * (asked - wanted)
        return np.asarray((right * asked - guessed * wanted) / np.sqrt(spread))

    columns = (*_columns([name]), ASKED)
    return Measure(f"MCC {name}", compute, columns=columns, parts=Parts(_table(columns), total))


def macro_f1_of(names: Sequence[str], title: str = "macro F1") -> Measure:
    """Return the mean of F1 over classes, those that nobody has or says left out."""
    parts = [f1_of_class(one) for one in names]

    def compute(answers: pd.DataFrame) -> float:
        values = np.array([one.of(answers) for one in parts])
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    return Measure(title, compute, columns=_columns(names), parts=_summed(names))


def mean_f1_of_proteins(name: str) -> Measure:
    """Return the mean over proteins of their own F1 of one class.

    Proteins where no residue has the class and none was said to have it are left out.
    """

    def compute(answers: pd.DataFrame) -> float:
        total = (answers[GUESSED + name] + answers[WANTED + name]).to_numpy(np.float64)
        there = total > 0
        if not there.any():
            return float("nan")
        return float((2 * answers[RIGHT + name].to_numpy(np.float64)[there] / total[there]).mean())

    def of_proteins(answers: pd.DataFrame) -> Float[np.ndarray, "protein two"]:
        right, guessed, wanted = _table(_columns([name]))(answers).T
        there = guessed + wanted > 0
        f1 = 2 * right / np.where(there, guessed + wanted, 1)
        return np.stack([f1, there.astype(np.float64)], axis=1)

    parts = Parts(of_proteins, lambda sums: sums[0] / sums[1])
    called = f"F1 {name}, mean of proteins"
    return Measure(called, compute, columns=_columns([name]), parts=parts)


def _summed(names: Sequence[str]) -> Parts:
    return Parts(_table(_columns(names)), mean_of_f1)


def _table(
    columns: Sequence[str],
) -> Callable[[pd.DataFrame], Float[np.ndarray, "protein column"]]:
    def of(answers: pd.DataFrame) -> Float[np.ndarray, "protein column"]:
        return np.asarray(answers[list(columns)].to_numpy(np.float64))

    return of


def _columns(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(prefix + one for one in names for prefix in (RIGHT, GUESSED, WANTED))


def best_threshold(
    truth: Int[np.ndarray, " residue"], chance: Float[np.ndarray, " residue"]
) -> float:
    """Return the border of a probability at which F1 is highest on labelled residues.

    Where binding is rare, half is a border that nothing crosses.
    """
    order = np.argsort(-chance, kind="stable")
    found = np.cumsum(truth[order])
    scores = 2 * found / (np.arange(1, len(order) + 1) + max(int(truth.sum()), 1))
    # Equal probabilities fall on one side together.
    ends = np.append(chance[order][1:] != chance[order][:-1], True)
    best = int(np.argmax(np.where(ends, scores, -1.0)))
    return float(chance[order][best])
