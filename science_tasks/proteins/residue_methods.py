"""Methods that label each residue from the residues around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import lightgbm
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression

from kagaku.data import infer_schema, parse_records
from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Target
from kagaku.data.table import table_from_frame
from kagaku.science_tasks.benchmark.cases import ITEM, PropertyCase
from kagaku.science_tasks.benchmark.task import Context, Method, Rows
from kagaku.science_tasks.proteins.residue_scales import SCALES, UNKNOWN, residue_codes

REACH = 8
"""Residues seen on each side, as Garnier, Osguthorpe and Robson saw them."""

OUTSIDE = UNKNOWN + 1
"""Code of what lies beyond either end."""

MOST_RESIDUES = 60_000
"""Most residues that logistic regression and trees learn from, drawn at random; their neighbours
repeat each other."""

CHUNK = 100_000
"""Residues predicted at a time."""

PSEUDOCOUNT, TINY = 5.0, 1e-6
"""Residues of the overall frequencies that are added to those of each class at each offset, and
what keeps a residue defined that was never seen there."""


def residue_case(
    sequences: Sequence[str],
    labels: Sequence[Float[np.ndarray, " _"]],
    classes: Sequence[str],
    rows: Rows,
    *,
    name: str,
    names: Sequence[str] | None = None,
) -> PropertyCase:
    """Return the case of sequences with a label for each residue.

    Args:
        sequences: One per protein.
        labels: Class of each residue; NaN where it is not known.
        classes: Names of the classes, by index.
        rows: The split.
        name: What the target is called.
        names: Of the proteins, where several splits ask for the same; a column of the answers.
    """
    table = table_from_frame(pd.DataFrame({"sequence": list(sequences)}), source=name)
    schema = infer_schema(table, targets=[], inputs=["sequence: protein"])
    records, bad = parse_records(table, schema, with_targets=False)
    assert not bad, "published sequences can be read"
    target = Target(name, name, "per-token", classes=tuple(classes), labels="sequence")
    values = np.empty(len(labels), dtype=object)
    values[:] = list(labels)
    records = replace(
        records,
        schema=replace(schema, targets=(target,)),
        targets={name: TargetValues(values, np.full(len(values), EXACT))},
    )
    extra = None if names is None else {ITEM: np.array(names, dtype=object)}
    return PropertyCase(records, rows, extra=extra).subset()


def sequences_of(case: PropertyCase, index: np.ndarray) -> list[str]:
    """Return the sequences of some records."""
    column = cast("Sequence[str]", case.records.inputs["sequence"])
    return [column[i] for i in index]


def labels_of(case: PropertyCase, index: np.ndarray) -> list[Int[np.ndarray, " _"]]:
    """Return the labels of some records; -1 where a residue has none."""
    values = case.records.targets[case.target.name].values
    return [np.nan_to_num(values[i], nan=-1).astype(np.int64) for i in index]


def windows(sequences: Sequence[str]) -> Int[np.ndarray, "residue place"]:
    """Return the codes of each residue's neighbours, all sequences one after the other."""
    edge = np.full(REACH, OUTSIDE)
    parts = []
    for one in sequences:
        codes = np.concatenate([edge, residue_codes(one), edge])
        parts.append(np.lib.stride_tricks.sliding_window_view(codes, 2 * REACH + 1))
    return np.concatenate(parts).astype(np.int8)


def _expanded(codes: Int[np.ndarray, "residue place"]) -> Float[np.ndarray, "residue feature"]:
    """Return one-hot residues and the scales of each place."""
    table = np.zeros((OUTSIDE + 1, OUTSIDE + 1 + SCALES.shape[1]), dtype=np.float32)
    table[:, : OUTSIDE + 1] = np.eye(OUTSIDE + 1)
    table[:UNKNOWN, OUTSIDE + 1 :] = SCALES
    rows: np.ndarray = table[codes]
    return rows.reshape(len(codes), -1)


class Propensities:
    """How much each residue, at each distance, speaks for each class; and the classes' shares.

    The evidence of the neighbours is summed as if they were independent. Source: Garnier,
    Osguthorpe and Robson (1978), https://doi.org/10.1016/0022-2836(78)90297-8
    """

    def fit(self, codes: Int[np.ndarray, "residue place"], labels: np.ndarray, n: int) -> None:
        """Count.

        Args:
            codes: Neighbours of each labelled residue.
            labels: Its class.
            n: How many classes there are.
        """
        counts = np.zeros((n, codes.shape[1], OUTSIDE + 1))
        for place in range(codes.shape[1]):
            np.add.at(counts[:, place], (labels, codes[:, place]), 1.0)
        overall = (counts.sum(axis=0) + TINY) / (len(labels) + TINY * (OUTSIDE + 1))
        totals = counts.sum(axis=2, keepdims=True)
        share = (counts + PSEUDOCOUNT * overall) / (totals + PSEUDOCOUNT)
        self._evidence = np.log(share / overall)
        self._prior = np.log((np.bincount(labels, minlength=n) + 1) / (len(labels) + n))

    def chances(self, codes: Int[np.ndarray, "residue place"]) -> np.ndarray:
        """Return class probabilities (residue, class)."""
        total = np.tile(self._prior, (len(codes), 1))
        for place in range(codes.shape[1]):
            total += self._evidence[:, place][:, codes[:, place]].T
        total = np.exp(total - total.max(axis=1, keepdims=True))
        chances: np.ndarray = total / total.sum(axis=1, keepdims=True)
        return chances


class _Shares:
    """The same for every residue."""

    def fit(self, codes: np.ndarray, labels: np.ndarray, n: int) -> None:  # noqa: ARG002
        self._share = np.bincount(labels, minlength=n) / len(labels)

    def chances(self, codes: np.ndarray) -> np.ndarray:
        return np.tile(self._share, (len(codes), 1))


class _Logistic:
    """Logistic regression on the window."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, codes: np.ndarray, labels: np.ndarray, n: int) -> None:
        rows = _drawn(labels, self._seed)
        self._n = n
        self._model = LogisticRegression(C=0.1, max_iter=60, tol=1e-3)
        self._model.fit(_expanded(codes[rows])[:, :], labels[rows])

    def chances(self, codes: np.ndarray) -> np.ndarray:
        return _spread(self._model, codes, self._n)


class _Trees:
    """Gradient-boosted trees on the window and its scales."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, codes: np.ndarray, labels: np.ndarray, n: int) -> None:
        rows = _drawn(labels, self._seed)
        self._n = n
        self._model = lightgbm.LGBMClassifier(
            n_estimators=150,
            learning_rate=0.1,
            num_leaves=31,
            min_child_samples=20,
            colsample_bytree=0.3,
            subsample=0.8,
            subsample_freq=1,
            max_bin=63,
            random_state=self._seed,
            n_jobs=2,
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
        )
        self._model.fit(_expanded(codes[rows]), labels[rows])

    def chances(self, codes: np.ndarray) -> np.ndarray:
        return _spread(self._model, codes, self._n)


def _drawn(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return some rows, drawn evenly: a rare class keeps its share."""
    rng = np.random.default_rng(seed)
    if len(labels) <= MOST_RESIDUES:
        return np.arange(len(labels))
    return np.sort(rng.choice(len(labels), MOST_RESIDUES, replace=False))


def _spread(model: Any, codes: np.ndarray, n: int) -> np.ndarray:
    """Return the model's probabilities with a column for every class."""
    chances = np.zeros((len(codes), n))
    for begin in range(0, len(codes), CHUNK):
        part = _expanded(codes[begin : begin + CHUNK])
        chances[begin : begin + CHUNK, model.classes_] = np.asarray(model.predict_proba(part))
    return chances


Answer = Callable[[PropertyCase, "Model", Context], pd.DataFrame]
"""Turns a model of single residues into answers."""

Model = Any
"""Has ``fit(codes, labels, n)`` and ``chances(codes)``."""


@dataclass(frozen=True)
class Windowed:
    """A method that fits a model of single residues on windows around them."""

    make: Callable[[int], Model]
    """Gives a fresh model from a seed."""

    answer: Answer
    """Turns it into answers."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return self.answer(case, self.make(context.seed), context)


def window_methods(answer: Answer) -> dict[str, Method]:
    """Return the methods on windows, cheapest first, for questions with such an answer."""
    return {
        "constant": Windowed(lambda _: _Shares(), answer),
        "propensities": Windowed(lambda _: Propensities(), answer),
        "window-logistic": Windowed(_Logistic, answer),
        "window-trees": Windowed(_Trees, answer),
    }
