"""Methods for variants with measured fitness: what they have in common is the sites that vary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import Ridge

from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.proteins.global_epistasis import GlobalEpistasis, MutationFeatures
from kagaku.science_tasks.proteins.residue_scales import UNKNOWN
from kagaku.science_tasks.proteins.site_process import (
    Order,
    SiteProcess,
    SiteProcessConfig,
    Transform,
)
from kagaku.science_tasks.proteins.variants import Alignment, align_variants

Shift = Literal["none", "order", "level"]
"""How the test variants of a split differ from the training ones: not at all, by having more
mutations, or by lying higher."""

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Penalties of the global epistasis model that are tried."""

FEWEST_TO_CHOOSE = 60
"""Training variants below which nothing is chosen: all candidates are averaged."""

MEMBERS = 3
"""How many of the best candidates are averaged where there is a choice."""

HELD_OUT = 0.2
"""Share of the training variants that candidates are compared on, where the split does not shift
or shifts by level."""

MOST_TO_COMPARE = 2_500
"""Most variants that candidates learn from, or are compared on."""


@dataclass(frozen=True)
class FitnessCase(PropertyCase):
    """Variants of one protein, and how the split shifts."""

    shift: Shift = "none"
    """How test differs from training, which the split's description says before any answer."""


@dataclass(frozen=True)
class _Variants:
    """What the methods read of a case."""

    alignment: Alignment
    values: Float[np.ndarray, " variant"]
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]

    @property
    def n_changed(self) -> np.ndarray:
        """Sites of each variant that differ from the consensus."""
        count: np.ndarray = self.alignment.changed.sum(axis=1)
        return count


def _read(case: PropertyCase) -> _Variants:
    (column,) = [one.name for one in case.records.schema.inputs if one.modality == "protein"]
    values, train = case.measured.values.astype(np.float64), case.measured_rows()
    sequences = cast("Sequence[str]", case.records.inputs[column])
    return _Variants(align_variants(sequences, train), values, train, case.rows.test)


def ridge_onehot(case: PropertyCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a Method)
    """Answer with ridge regression (penalty 1) on which residue is at each variable site."""
    read = _read(case)
    matrix = _onehot(read.alignment.codes)
    model = Ridge(alpha=1.0).fit(matrix[read.train], read.values[read.train])
    return answers_of(case, Prediction(mean=model.predict(matrix[read.test])))


def _onehot(codes: Int[np.ndarray, "variant site"]) -> csr_matrix:
    n_variants, n_sites = codes.shape
    columns = (np.arange(n_sites) * (UNKNOWN + 1) + codes).ravel()
    rows = np.repeat(np.arange(n_variants), n_sites)
    return csr_matrix(
        (np.ones(len(rows)), (rows, columns)), shape=(n_variants, n_sites * (UNKNOWN + 1))
    )


def global_epistasis(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with a sum over mutations seen through a sigmoid; its penalty is chosen."""
    read = _read(case)
    features = MutationFeatures(read.alignment.consensus)(read.alignment.codes)
    learn, check = _mimicked(read, case, context.seed)
    scores = []
    for penalty in PENALTIES:
        model = GlobalEpistasis(penalty)
        model.fit(features[learn], read.values[learn])
        scores.append(_rank_correlation(read.values[check], model.predict(features[check])))
    best = PENALTIES[int(np.argmax(scores))]
    model = GlobalEpistasis(best)
    model.fit(features[read.train], read.values[read.train])
    frame = answers_of(case, Prediction(mean=model.predict(features[read.test])))
    frame.attrs["chosen"] = f"penalty {best:g}"
    return frame


@dataclass(frozen=True)
class SiteProcesses:
    """Gaussian processes on the sites: orders and transforms chosen as the split shifts.

    Candidates learn from one part of the training variants and are compared on another that is to
    it as the test part is to the training part: the variants with most mutations, or those that lie
    highest. Such a part may leave very little to learn from, so they are compared on a part drawn
    at random too, and both rank correlations count alike. The best ones are averaged by rank and
    given back the training values of those ranks.
    """

    orders: tuple[Order, ...] = (1, 2, 3)
    """Which orders are tried."""

    transforms: tuple[Transform, ...] = ("none", "log", "rank")
    """Which transforms are tried."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        read = _read(case)
        configs = [SiteProcessConfig(o, t) for o in self.orders for t in self.transforms]
        chosen = configs
        if len(read.train) >= FEWEST_TO_CHOOSE:
            scores = _compared(configs, read, _checks(read, case, context.seed), context)
            chosen = [configs[i] for i in np.argsort(scores)[::-1][:MEMBERS]]
        ranks = [
            rankdata(_predicted(one, read, read.train, read.test, context.seed)) for one in chosen
        ]
        given = _values_of_ranks(np.mean(ranks, axis=0), read.values[read.train])
        frame = answers_of(case, Prediction(mean=given))
        frame.attrs["chosen"] = ", ".join(f"order {one.order} {one.transform}" for one in chosen)
        return frame


Check = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]
"""Training variants to learn from, and others to compare on."""


def _checks(read: _Variants, case: PropertyCase, seed: int) -> list[Check]:
    """Return the comparisons that choose: as the split shifts, and at random."""
    held = _at_random(read, seed)
    checks = [(read.train[~held], read.train[held])]
    if isinstance(case, FitnessCase) and case.shift != "none":
        checks.append(_mimicked(read, case, seed))
    return [(_thinned(learn, seed), _thinned(check, seed)) for learn, check in checks]


def _compared(
    configs: Sequence[SiteProcessConfig],
    read: _Variants,
    checks: Sequence[Check],
    context: Context,
) -> list[float]:
    """Return the mean rank correlation of each candidate over the comparisons."""
    scores = []
    for number, config in enumerate(configs):
        each = [
            _rank_correlation(
                read.values[check], _predicted(config, read, learn, check, context.seed)
            )
            for learn, check in checks
        ]
        scores.append(float(np.mean(each)))
        _tell(context, number + 1, len(configs))
    return scores


def _predicted(
    config: SiteProcessConfig, read: _Variants, learn: np.ndarray, asked: np.ndarray, seed: int
) -> np.ndarray:
    process = SiteProcess(config)
    process.fit(read.alignment.codes[learn], read.values[learn], seed=seed)
    return process.predict(read.alignment.codes[asked])


def _values_of_ranks(ranks: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return the measured quantile at each rank, so that answers are in the target's unit."""
    share = rankdata(ranks) / (len(ranks) + 1)
    # A little slope keeps ranks apart where many variants measure the same.
    values: np.ndarray = np.quantile(measured, share) + 1e-9 * share * (measured.std() or 1.0)
    return values


def _mimicked(
    read: _Variants, case: PropertyCase, seed: int
) -> tuple[Int[np.ndarray, " learn"], Int[np.ndarray, " check"]]:
    """Return which training variants to learn from and which to compare on.

    The second are to the first what the test part is to the training part.
    """
    shift = case.shift if isinstance(case, FitnessCase) else "none"
    by: dict[Shift, Callable[[], np.ndarray]] = {
        "order": lambda: _most_mutated(read),
        "level": lambda: _highest(read),
        "none": lambda: _at_random(read, seed),
    }
    check = by[shift]()
    if not check.any() or check.all():
        check = _at_random(read, seed)
    return read.train[~check], read.train[check]


def _most_mutated(read: _Variants) -> np.ndarray:
    counts = read.n_changed[read.train]
    return np.asarray(counts == counts.max())


def _highest(read: _Variants) -> np.ndarray:
    values = read.values[read.train]
    return np.asarray(values > np.quantile(values, 1 - HELD_OUT))


def _at_random(read: _Variants, seed: int) -> np.ndarray:
    n_train = len(read.train)
    check = np.zeros(n_train, dtype=bool)
    order = np.random.default_rng(seed).permutation(n_train)
    check[order[: max(1, round(HELD_OUT * n_train))]] = True
    return check


def _thinned(rows: np.ndarray, seed: int) -> np.ndarray:
    if len(rows) <= MOST_TO_COMPARE:
        return rows
    chosen = np.random.default_rng(seed).choice(rows, MOST_TO_COMPARE, replace=False)
    return np.sort(chosen)


def _rank_correlation(truth: np.ndarray, given: np.ndarray) -> float:
    if len(truth) < 2 or np.ptp(truth) == 0 or np.ptp(given) == 0:
        return -1.0
    return float(spearmanr(truth, given).statistic)


def _tell(context: Context, done: int, total: int) -> None:
    if context.report is not None:
        context.report(done, total, "comparing processes")
