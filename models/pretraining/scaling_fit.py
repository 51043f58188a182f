"""A scaling law with intervals, and with what the runs cannot tell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import norm as normal
from scipy.stats import t as student

from kagaku.models.pretraining.scaling import (
    EXPONENT_BOUNDS,
    HUBER_DELTA,
    N_CONSTANTS,
    N_STARTS,
    SMALLEST_SHARE,
    LawSearch,
    RunEnds,
    ScalingLaw,
)

MOST_SPREAD = 10.0
"""A quantity whose interval spans a larger ratio than this is not identified."""

SMALLEST_EXPONENT_SPREAD = 4.0
"""The same for an exponent: 0.1 to 0.4 is no answer."""

SMALLEST_CONCENTRATION = 0.1
"""Of the Dirichlet distribution of weights: below, nearly all weight falls on one run."""

FEW_FREE = 5
"""With fewer runs beyond the constants, the intervals themselves are rough."""

DRAW_STARTS = 1
"""Grid points from which each resample's search starts, beside the best fit to all runs; two gave
the same intervals on the ladder of docs/scaling.md."""

FAR_FROM_BOUND = 7.0
"""Nats by which the E of these is above the least that is searched: a hundredth of the losses."""

MIN_FRONTIER = 5
"""Fewest runs on the frontier for a slope with an interval."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    """The figure."""

    low: float
    """Lower end of the interval."""

    high: float
    """Upper end."""

    @property
    def spread(self) -> float:
        """Ratio of the ends of a positive figure's interval."""
        return self.high / self.low if self.low > 0 else float("inf")

    def holds(self, value: float) -> bool:
        """Tell whether a value lies in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class LawFit:
    """The law of some runs, with laws of resampled ones."""

    runs: RunEnds
    """What was fitted."""

    law: ScalingLaw
    """The best fit."""

    draws: tuple[ScalingLaw, ...]
    """Fits to the runs with random weights."""

    scatter: Float[ndarray, " draw"]
    """Differences of logarithms between a run and the law, one for each draw."""

    confidence: float
    """How often an interval shall hold the truth."""

    def estimate(self, figure: Callable[[ScalingLaw], float]) -> Estimate:
        """Return something that follows from the law, with its interval."""
        return _estimate(figure(self.law), [figure(one) for one in self.draws], self.confidence)

    def predict(self, parameters: float, tokens: float) -> Estimate:
        """Return the loss that a new run of this size and length shall have.

        The interval holds the law's uncertainty and the scatter of single runs around it.
        """
        logs = [np.log(one.loss(parameters, tokens)) for one in self.draws]
        drawn = np.exp(np.array(logs) + self.scatter)
        return _estimate(self.law.loss(parameters, tokens), drawn, self.confidence)

    def optimal_tokens(self, parameters: float) -> Estimate:
        """Return the tokens for which this size is the best use of computing."""
        return self.estimate(lambda law: law.optimal_tokens(parameters))

    @property
    def residual(self) -> float:
        """Typical difference of logarithms between runs and law, freedom of the fit allowed for."""
        differences = np.log(self.runs.losses) - np.log(
            self.law.losses(self.runs.parameters, self.runs.tokens)
        )
        return float(np.sqrt((differences**2).sum() / (len(self.runs) - N_CONSTANTS)))

    def doubts(self) -> tuple[str, ...]:
        """Return what the runs do not tell, one sentence each; empty if all is identified."""
        free = len(self.runs) - N_CONSTANTS
        few = f"only {free} runs more than constants: the intervals themselves are rough"
        widening = _widening(len(self.runs), N_CONSTANTS, self.confidence)
        is_narrow = _concentration(len(self.runs), widening) < SMALLEST_CONCENTRATION
        narrow = "the runs are too few for weights that vary enough: the intervals are too narrow"
        return (
            *self.size_doubts(),
            *self.floor_doubts(),
            *([few] if free < FEW_FREE else []),
            *([narrow] if is_narrow else []),
        )

    def size_doubts(self) -> tuple[str, ...]:
        """Return the doubts about how the loss goes with parameters and with tokens."""
        law, runs = self.law, self.runs
        found = []
        for word, exponent, term in (
            ("parameters", Exponent("alpha"), law.a * runs.parameters**-law.alpha),
            ("tokens", Exponent("beta"), law.b * runs.tokens**-law.beta),
        ):
            change = float((term.max() - term.min()) / runs.losses.mean())
            estimate = self.estimate(exponent)
            if change < 2 * self.residual:
                found.append(
                    f"the loss changes with {word} by {change:.2%}, less than twice the scatter "
                    f"of {self.residual:.2%}: {exponent.name} is not identified"
                )
            elif at := _bound(exponent(law)):
                found.append(
                    f"{exponent.name} lies on its {at} bound {exponent(law):g}: the runs do not "
                    "identify it"
                )
            elif estimate.spread > SMALLEST_EXPONENT_SPREAD:
                found.append(
                    f"{exponent.name} is only known to lie between {estimate.low:.3g} and "
                    f"{estimate.high:.3g}: the runs do not identify it"
                )
        return tuple(found)

    @property
    def is_floor_zero(self) -> bool:
        """Whether the irreducible loss of the best fit lies on the least value searched."""
        return self.law.irreducible < 2 * SMALLEST_SHARE * float(self.runs.losses.min())

    def floor_doubts(self) -> tuple[str, ...]:
        """Return the doubt about the irreducible loss."""
        floor = self.estimate(lambda law: law.irreducible)
        if floor.low > 0.01 * float(self.runs.losses.min()):
            return ()
        return (
            f"the irreducible loss E is not told from 0 (interval {floor.low:.3g} to "
            f"{floor.high:.3g}): predictions far beyond the ladder rest on it",
        )


@dataclass(frozen=True)
class Exponent:
    """Reads one exponent of a law."""

    name: str
    """``"alpha"`` or ``"beta"``."""

    def __call__(self, law: ScalingLaw) -> float:
        """Return the exponent."""
        return law.alpha if self.name == "alpha" else law.beta


def fit_with_intervals(
    runs: RunEnds,
    *,
    resamples: int = 200,
    confidence: float = 0.9,
    delta: float = HUBER_DELTA,
    seed: int = 0,
) -> LawFit:
    """Return the law of some runs with intervals by bootstrap over the runs.

    The weights of a resample are continuous (Rubin 1981, https://doi.org/10.1214/aos/1176345338):
    leaving whole runs out, as the common bootstrap does, would leave many resamples of a short
    ladder without a law. They vary more than there, since a fit of five constants to a few runs
    hides part of the scatter; by how much more is what Student's t says for the runs beyond the
    constants.

    Args:
        runs: Where they ended.
        resamples: Fits to runs with random weights.
        confidence: How often an interval shall hold the truth.
        delta: Where the Huber loss bends, as a difference of logarithms.
        seed: Fixes the weights.
    """
    search = LawSearch(runs, delta)
    equal = np.ones(len(runs))
    grid = search.starts(equal)
    best = search.best(equal, grid[:N_STARTS])
    law = search.law(best)
    rng = np.random.default_rng(seed)
    widening = _widening(len(runs), N_CONSTANTS, confidence)
    # From a best fit whose E is on its bound no draw could leave it: the slope in log E is nothing
    # there. So each also starts from where E is well off it.
    floored = [one for one in grid if one[0] > search.bounds[0][0] + FAR_FROM_BOUND]
    starts = [best, *floored[:DRAW_STARTS]]
    draws = [
        search.law(search.best(_weights(len(runs), widening, rng), starts))
        for _ in range(resamples)
    ]
    residuals = np.log(runs.losses) - np.log(law.losses(runs.parameters, runs.tokens))
    scatter = rng.choice(residuals * widening, resamples)
    return LawFit(runs, law, tuple(draws), scatter, confidence)


def frontier(compute: Float[ndarray, " run"], losses: Float[ndarray, " run"]) -> list[int]:
    """Return the runs that no run with as little or less computing beats, cheapest first."""
    found: list[int] = []
    for index in np.lexsort((losses, compute)).tolist():
        if not found or losses[index] < losses[found[-1]]:
            found.append(index)
    return found


def compute_slope(
    compute: Float[ndarray, " run"],
    losses: Float[ndarray, " run"],
    *,
    resamples: int = 200,
    confidence: float = 0.9,
    seed: int = 0,
) -> Estimate | None:
    """Return the exponent of the loss against computing over the frontier: L = K C^-gamma.

    Unlike `ScalingLaw.compute_exponent` this is of the whole loss, E included, so it is smaller and
    falls as the ladder grows. None for fewer than `MIN_FRONTIER` runs on the frontier.

    Args:
        compute: Floating-point operations of each run.
        losses: Held-out loss of each run.
        resamples: Fits to runs with random weights.
        confidence: How often the interval shall hold the truth.
        seed: Fixes the weights.
    """
    chosen = frontier(compute, losses)
    if len(chosen) < MIN_FRONTIER:
        return None
    x, y = np.log(compute[chosen]), np.log(losses[chosen])

    def slope(weights: Float[ndarray, " run"]) -> float:
        return -float(np.polyfit(x, y, 1, w=np.sqrt(weights))[0])

    rng = np.random.default_rng(seed)
    widening = _widening(len(chosen), 2, confidence)
    drawn = [slope(_weights(len(chosen), widening, rng)) for _ in range(resamples)]
    return _estimate(slope(np.ones(len(chosen))), drawn, confidence)


def _widening(n_runs: int, n_constants: int, confidence: float) -> float:
    """Return by how much residuals of a fit must be stretched to stand for a new run's."""
    freedom = n_runs - n_constants
    tail = (1 + confidence) / 2
    return float(np.sqrt(n_runs / freedom) * student.ppf(tail, freedom) / normal.ppf(tail))


def _weights(n_runs: int, widening: float, rng: np.random.Generator) -> Float[ndarray, " run"]:
    """Return random weights of mean 1 whose variance is ``widening`` squared."""
    concentration = max(_concentration(n_runs, widening), SMALLEST_CONCENTRATION)
    # Never quite 0, so that even the luckiest resample has a law.
    drawn: Float[ndarray, " run"] = rng.dirichlet(np.full(n_runs, concentration)) * n_runs + 1e-6
    return drawn


def _concentration(n_runs: int, widening: float) -> float:
    """Return the concentration whose weights have the wanted variance; 0 or less if none has.

    n times a Dirichlet share has the variance (n - 1) / (n c + 1).
    """
    return float(((n_runs - 1) / widening**2 - 1) / n_runs)


def _bound(exponent: float) -> str:
    low, high = EXPONENT_BOUNDS
    return "lower" if exponent < 1.01 * low else "upper" if exponent > 0.99 * high else ""


def _estimate(
    value: float, drawn: list[float] | Float[ndarray, " draw"], confidence: float
) -> Estimate:
    """Return a figure with the quantiles of its draws, widened to hold the figure itself."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.asarray(drawn, dtype=np.float64), [tail, 1 - tail])
    return Estimate(float(value), min(float(low), value), max(float(high), value))
