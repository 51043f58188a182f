"""Numbers from compositions with the least absolute error: a blend chosen on training rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import lightgbm
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.ensemble import ExtraTreesRegressor

from kagaku.data import cross_validation_folds
from kagaku.data.records import TargetValues
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.methods import classical_blocks
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.conformal import Calibration
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.kernels import mean_kernel

CONFIDENCE = 0.9
"""How often intervals shall hold the truth."""

FOLDS = 5

MOST_KERNEL_ROWS = 6_000
"""Rows above which the kernel is left out: its cost grows with their cube."""

RIDGES = (0.03, 0.1, 0.3)
"""Noise variances of the standardised target that the kernel tries."""

LENGTHSCALE = 0.5
"""Of the kernel of dense features, whose standardised vectors are 1.4 apart on average."""

MOST_ROUNDS, PATIENCE = 3_000, 50
"""Most rounds of boosting, and how many without less error end it."""

LARGE = 10_000
"""Training rows from which on trees are larger, and two threads pay."""

Inside = Float[np.ndarray, "record column"]


@dataclass(frozen=True)
class Fold:
    """What a member learns from and what it predicts, as rows of all records."""

    train: np.ndarray
    """Rows to learn from."""

    held_out: np.ndarray
    """Training rows of this fold, which stop the boosting and choose the blend."""

    test: np.ndarray
    """Rows that are asked."""


@dataclass(frozen=True)
class Features:
    """Features of all records, and what was measured."""

    blocks: Sequence[FeatureBlock]
    """Statistics over the elements, and their shares."""

    values: Float[np.ndarray, " record"]
    """Measured values; those of test rows are never looked at."""

    seed: int
    """Fixes whatever is random."""

    def matrix(self) -> Float[np.ndarray, "record column"]:
        """Return all features side by side."""
        return np.concatenate([one.values for one in self.blocks], axis=1)


Member = Callable[[Features, Inside, Fold], tuple[np.ndarray, np.ndarray]]
"""Gives predictions of a fold's held-out rows and of the test rows."""


@dataclass(frozen=True)
class Boosted:
    """Gradient-boosted trees, stopped when the absolute error of the held-out rows grows."""

    objective: str
    """``"regression"`` follows the mean, ``"regression_l1"`` the median: where half of the
    materials are metals, the two are far apart."""

    def __call__(
        self, features: Features, matrix: Inside, fold: Fold
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict a fold."""
        n_rows = len(fold.train)
        parameters = {
            "objective": self.objective,
            "metric": "l1",
            "learning_rate": 0.06,
            "num_leaves": 31 if n_rows < LARGE else 127,
            "min_data_in_leaf": 5 if n_rows < LARGE else 10,
            "feature_fraction": 0.2,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "max_bin": 63,
            "seed": features.seed,
            "num_threads": 1 if n_rows < LARGE else 2,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
        }
        learnt, held_out = (
            lightgbm.Dataset(matrix[rows], features.values[rows], params=parameters)
            for rows in (fold.train, fold.held_out)
        )
        model = lightgbm.train(
            parameters,
            learnt,
            num_boost_round=MOST_ROUNDS,
            valid_sets=[held_out.set_reference(learnt)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        inside, outside = (model.predict(matrix[rows]) for rows in (fold.held_out, fold.test))
        return np.asarray(inside), np.asarray(outside)


def forest(features: Features, matrix: Inside, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Predict a fold by extremely randomised trees.

    Source: Geurts et al. 2006, https://doi.org/10.1007/s10994-006-6226-1
    """
    model = ExtraTreesRegressor(
        100, max_features=0.2, min_samples_leaf=2, n_jobs=1, random_state=features.seed
    )
    model.fit(matrix[fold.train], features.values[fold.train])
    return model.predict(matrix[fold.held_out]), model.predict(matrix[fold.test])


def kernel(features: Features, matrix: Inside, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Predict a fold by kernel ridge regression on shared elements and on likeness."""
    del matrix
    values = features.values[fold.train]
    mean, scale = values.mean(), max(float(values.std()), 1e-12)
    learnt = [one.subset(fold.train) for one in features.blocks]
    own = mean_kernel(learnt, learnt, LENGTHSCALE)
    others = np.concatenate([fold.held_out, fold.test])
    across = mean_kernel([one.subset(others) for one in features.blocks], learnt, LENGTHSCALE)
    # The ridge is that of the best leave-one-out error within the training rows of the fold.
    best, weights = np.inf, np.zeros(len(values))
    for ridge in RIDGES:
        inverse = _inverse(own, ridge)
        found = inverse @ ((values - mean) / scale)
        if (error := float(np.abs(found / inverse.diagonal()).mean())) < best:
            best, weights = error, found
    given = across @ weights * scale + mean
    return given[: len(fold.held_out)], given[len(fold.held_out) :]


def _inverse(matrix: np.ndarray, ridge: float) -> Float[np.ndarray, "record record"]:
    ridged = torch.from_numpy(matrix) + ridge * torch.eye(len(matrix), dtype=torch.float64)
    inverse: np.ndarray = torch.cholesky_inverse(torch.linalg.cholesky(ridged)).numpy()
    return inverse


MEMBERS: dict[str, Member] = {
    "trees of the mean": Boosted("regression"),
    "trees of the median": Boosted("regression_l1"),
    "random trees": forest,
    "kernel": kernel,
}


@dataclass(frozen=True)
class LeastError:
    """The equal-weight blend of those members that have the least absolute error out of fold.

    Each member is fitted in five folds of the training rows, and its answer is the mean of the
    five. Out-of-fold errors choose the blend and give its conformal intervals.
    """

    members: Sequence[str] = tuple(MEMBERS)
    """Names of what may be blended."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        measured, learnt = case.measured, case.measured_rows()
        features = Features(
            classical_blocks(case), measured.values.astype(np.float64), context.seed
        )
        folds = cross_validation_folds(
            case.records, learnt, FOLDS, context.seed, kind=case.keeps_apart
        )
        names = [one for one in self.members if one != "kernel" or len(learnt) <= MOST_KERNEL_ROWS]
        held_out, test = self._all(features, learnt, folds, case.rows.test, names, context)
        order = np.concatenate(folds)
        chosen = least_error(held_out, features.values[order])
        mean = np.mean([test[one] for one in chosen], axis=0)
        lower, upper = _intervals(
            np.mean([held_out[one] for one in chosen], axis=0), measured.subset(order), mean
        )
        frame = answers_of(
            case, Prediction(mean=mean, spread=np.ones_like(mean)), lower=lower, upper=upper
        )
        frame.attrs["chosen"] = " + ".join(chosen)
        return frame

    def _all(
        self,
        features: Features,
        learnt: np.ndarray,
        folds: Sequence[np.ndarray],
        asked: np.ndarray,
        names: Sequence[str],
        context: Context,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return out-of-fold predictions, fold after fold, and mean predictions of test rows."""
        matrix = features.matrix()
        held_out: dict[str, list[np.ndarray]] = {name: [] for name in names}
        test = {name: np.zeros(len(asked)) for name in names}
        for number, rows in enumerate(folds):
            fold = Fold(np.setdiff1d(learnt, rows), rows, asked)
            for name in names:
                if context.report is not None:
                    context.report(number, len(folds), f"{name}, fold {number + 1}")
                inside, outside = MEMBERS[name](features, matrix, fold)
                held_out[name].append(inside)
                test[name] += outside / len(folds)
        return {name: np.concatenate(parts) for name, parts in held_out.items()}, test


def least_error(
    given: dict[str, Float[np.ndarray, " record"]], truth: Float[np.ndarray, " record"]
) -> tuple[str, ...]:
    """Return the names whose mean has the least absolute error.

    Example:
        >>> truth = np.array([1.0, 2.0])
        >>> given = {"low": truth - 1, "high": truth + 1, "off": truth + 4}
        >>> least_error(given, truth)
        ('low', 'high')
    """
    sets = [some for size in range(1, len(given) + 1) for some in combinations(given, size)]
    errors = [np.abs(np.mean([given[one] for one in some], axis=0) - truth).mean() for some in sets]
    return sets[int(np.argmin(errors))]


def _intervals(
    held_out: np.ndarray, measured: TargetValues, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    calibration = Calibration().fit(
        Prediction(mean=held_out, spread=np.ones_like(held_out)), measured, "regression", CONFIDENCE
    )
    return calibration.interval(Prediction(mean=mean, spread=np.ones_like(mean)))
