"""Support vector machines on the same kernels as the Gaussian process."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.svm import SVC, SVR

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.censoring import resolve_bounds
from kagaku.science_tasks.class_labels import join_problems, label_problems, prior
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.kernels import check_blocks, mean_kernel
from kagaku.science_tasks.readouts.readout import READOUTS, Readout
from kagaku.science_tasks.stored_blocks import blocks_from_state, blocks_to_state

PENALTIES = (1.0, 4.0, 16.0)
"""Costs of an error that are tried in inner folds."""

EPSILON = 0.05
"""Errors of the standardised target below this cost nothing."""

TUNING_ROWS, FOLDS, FEWEST_ROWS, CHUNK = 1_000, 3, 10, 2_048


@READOUTS.register("svm")
class SupportVectorReadout(Readout):
    """Support vector regression and classification on the mean of all blocks' kernels.

    For records of several inputs, half of it is the joint kernel.

    The penalty comes from three inner folds. Their held-out errors give the spread, as a variance
    that grows with the dissimilarity to the nearest support vector; for classes, held-out scores
    are mapped to probabilities by a logistic curve (Platt scaling), one class against the rest.
    """

    name: ClassVar[str] = "svm"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit; see `Readout.fit`."""
        self.kind, self.is_joint = kind, True
        kernel = mean_kernel(blocks, blocks, is_joint=True)
        if kind == "regression":
            self.problems = [_fit_regression(kernel, target, seed)]
        else:
            self.problems = []
            for rows, classes, count in label_problems(target.values, kind, n_classes):
                machines = _fit_classes(kernel[np.ix_(rows, rows)], classes, count, seed)
                self.problems.append(_widen(machines, rows, len(kernel)))
        used = np.zeros(len(kernel), dtype=bool)
        for problem in self.problems:
            used |= (problem["weights"] != 0).any(axis=0)
        if not used.any():
            used[:1] = True
        self.blocks = [block.subset(np.flatnonzero(used)) for block in blocks]
        for problem in self.problems:
            problem["weights"] = problem["weights"][:, used]

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        check_blocks(self.blocks, blocks)
        n_records = len(blocks[0].present)
        starts = range(0, max(n_records, 1), CHUNK)
        ranges = [np.arange(i, min(i + CHUNK, n_records)) for i in starts]
        kernels = [
            mean_kernel([b.subset(one) for b in blocks], self.blocks, is_joint=self.is_joint)
            for one in ranges
        ]
        if self.kind == "regression":
            problem = self.problems[0]
            scores = np.concatenate([_scores(kernel, problem)[:, 0] for kernel in kernels])
            novelty = np.concatenate([1 - kernel.max(axis=1) for kernel in kernels])
            floor, slope = problem["variance"]
            return Prediction(
                mean=problem["mean"] + problem["scale"] * scores,
                spread=problem["scale"] * np.sqrt(floor + slope * np.maximum(novelty, 0)),
            )
        tables = [
            np.concatenate([_probabilities(_scores(kernel, one), one) for kernel in kernels])
            for one in self.problems
        ]
        return Prediction(probabilities=join_problems(tables, self.kind))

    def state(self) -> dict[str, Any]:
        """Return the support vectors and their weights."""
        return {
            "kind": self.kind,
            "joint": self.is_joint,
            "problems": self.problems,
            "blocks": blocks_to_state(self.blocks),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind, self.problems = state["kind"], list(state["problems"])
        # Machines of before there was a joint kernel answer as they did.
        self.is_joint = state.get("joint", False)
        self.blocks = blocks_from_state(state["blocks"])


def _fit_regression(kernel: np.ndarray, target: TargetValues, seed: int) -> dict[str, Any]:
    measured = target.values.astype(np.float64)
    mean, scale = float(measured.mean()), float(measured.std())
    scale = scale if scale > 1e-12 else 1.0
    scaled, n_rows = (measured - mean) / scale, len(measured)
    if n_rows < FEWEST_ROWS:
        empty = {"weights": np.zeros((1, n_rows)), "intercepts": np.zeros(1)}
        return {**empty, "mean": mean, "scale": scale, "variance": [1.0, 0.0]}
    penalty = _best_penalty(kernel, scaled, seed)

    def out_of_sample(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        held_out, _ = _held_out(kernel, values, penalty, seed)
        error = max(float(np.sqrt(np.square(held_out - values).mean())), 1e-6)
        return held_out, np.full(n_rows, error)

    values = resolve_bounds(scaled, target.censoring, out_of_sample)
    held_out, novelty = _held_out(kernel, values, penalty, seed)
    machine = SVR(kernel="precomputed", C=penalty, epsilon=EPSILON).fit(kernel, values)
    return {
        "weights": _dense(machine, n_rows)[None],
        "intercepts": np.asarray(machine.intercept_, dtype=np.float64),
        "mean": mean,
        "scale": scale,
        "variance": _variance_model(np.square(held_out - values), novelty),
    }


def _variance_model(squares: np.ndarray, novelty: np.ndarray) -> list[float]:
    """Return floor and slope of the error variance against the dissimilarity, both at least 0."""
    # The floor starts at a tenth of the mean, so that no spread is 0.
    least = max(0.1 * float(squares.mean()), 1e-12)
    table = np.stack([np.ones_like(novelty), np.maximum(novelty, 0)], axis=1)
    (floor, slope), _ = nnls(table, np.maximum(squares - least, 0))
    return [least + float(floor), float(slope)]


def _held_out(
    kernel: np.ndarray, values: np.ndarray, penalty: float, seed: int
) -> tuple[Float[np.ndarray, " record"], Float[np.ndarray, " record"]]:
    """Return held-out predictions, and the dissimilarity to the nearest record fitted."""
    predicted, novelty = np.zeros(len(values)), np.zeros(len(values))
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(kernel):
        machine = SVR(kernel="precomputed", C=penalty, epsilon=EPSILON)
        machine.fit(kernel[np.ix_(train, train)], values[train])
        cross = kernel[np.ix_(test, train)]
        predicted[test], novelty[test] = machine.predict(cross), 1 - cross.max(axis=1)
    return predicted, novelty


def _best_penalty(kernel: np.ndarray, scaled: np.ndarray, seed: int) -> float:
    rows = np.random.default_rng(seed).permutation(len(scaled))[:TUNING_ROWS]
    few, values = kernel[np.ix_(rows, rows)], scaled[rows]

    def loss(penalty: float) -> float:
        return float(np.square(_held_out(few, values, penalty, seed)[0] - values).mean())

    return min(PENALTIES, key=loss)


def _fit_classes(
    kernel: np.ndarray, classes: np.ndarray, n_classes: int, seed: int
) -> dict[str, Any]:
    """Return one machine per class against the rest (for two classes, one for the second)."""
    machines = range(1, 2) if n_classes == 2 else range(n_classes)
    parts = [_fit_one_class(kernel, (classes == one).astype(np.int64), seed) for one in machines]
    weights, intercepts, slopes, shifts = zip(*parts, strict=True)
    return {
        "weights": np.stack(weights),
        "intercepts": np.array(intercepts),
        "slopes": np.array(slopes),
        "shifts": np.array(shifts),
        "n_classes": n_classes,
    }


def _fit_one_class(
    kernel: np.ndarray, is_class: np.ndarray, seed: int
) -> tuple[np.ndarray, float, float, float]:
    """Return weights, intercept, and slope and shift of the logistic curve of one machine."""
    smallest = int(np.bincount(is_class, minlength=2).min())
    if smallest < FOLDS:
        share = prior(is_class, 2)[1]
        return np.zeros(len(is_class)), 0.0, 1.0, float(np.log(share / (1 - share)))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    folds = list(splits.split(kernel, is_class))
    best = (np.inf, PENALTIES[0], 1.0, 0.0)
    for penalty in PENALTIES:
        scores = np.zeros(len(is_class))
        for train, test in folds:
            machine = SVC(kernel="precomputed", C=penalty)
            machine.fit(kernel[np.ix_(train, train)], is_class[train])
            scores[test] = machine.decision_function(kernel[np.ix_(test, train)])
        curve = LogisticRegression(C=10.0).fit(scores[:, None], is_class)
        chance = np.clip(curve.predict_proba(scores[:, None]), 1e-12, 1)
        loss = -float(np.log(chance[np.arange(len(is_class)), is_class]).mean())
        best = min(best, (loss, penalty, float(curve.coef_[0, 0]), float(curve.intercept_[0])))
    machine = SVC(kernel="precomputed", C=best[1]).fit(kernel, is_class)
    return _dense(machine, len(is_class)), float(machine.intercept_[0]), best[2], best[3]


def _dense(machine: SVC | SVR, n_rows: int) -> Float[np.ndarray, " record"]:
    weights = np.zeros(n_rows)
    weights[machine.support_] = np.asarray(machine.dual_coef_)[0]
    return weights


def _widen(problem: dict[str, Any], rows: np.ndarray, n_rows: int) -> dict[str, Any]:
    """Return the problem with a weight for every training record, 0 for those without a label."""
    weights = np.zeros((len(problem["weights"]), n_rows))
    weights[:, rows] = problem["weights"]
    return {**problem, "weights": weights}


def _scores(kernel: np.ndarray, problem: Mapping[str, Any]) -> Float[np.ndarray, "record machine"]:
    scores: np.ndarray = kernel @ problem["weights"].T + problem["intercepts"]
    return scores


def _probabilities(
    scores: np.ndarray, problem: Mapping[str, Any]
) -> Float[np.ndarray, "record choice"]:
    chances = expit(scores * problem["slopes"] + problem["shifts"])
    if problem["n_classes"] == 2:
        return np.concatenate([1 - chances, chances], axis=1)
    table: np.ndarray = chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-12)
    return table
