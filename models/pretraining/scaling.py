"""The scaling law: held-out loss as a function of parameters and training tokens.

L(N, D) = E + A / N^alpha + B / D^beta, Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556,
fitted as they do: the Huber loss of the difference of logarithms, L-BFGS from a grid of starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize, nnls

from kagaku.errors import InputError

Values = Float[ndarray, " run"]

N_CONSTANTS = 5
"""E, A, alpha, B and beta."""

MIN_RUNS = N_CONSTANTS + 1
"""Fewest runs to fit: with as many runs as constants, any losses would be met exactly."""

MIN_LEVELS = 3
"""Fewest different numbers of parameters, and of tokens: E, A and alpha are three unknowns."""

# Of the same paper, section 3.3: where the Huber loss turns from squares to absolute values.
HUBER_DELTA = 1e-3

EXPONENT_BOUNDS = (0.02, 2.0)
"""What alpha and beta are searched in; an answer at an end is not an answer."""

GRID = (0.05, 0.15, 0.3, 0.5, 0.8, 1.3)
"""Starting values of alpha and of beta."""

N_STARTS = 4
"""Grid points, the best ones, from which L-BFGS goes on."""

SMALLEST_SHARE = 1e-5
"""A term of the law is at least this share of the losses, so that its logarithm exists."""

FIRST_DELTA = 0.03
"""The Huber loss first has this bend: near to absolute values, L-BFGS stops at kinks far off."""


@dataclass(frozen=True)
class ScalingLaw:
    """Loss as a function of parameters N and tokens D: E + A / N^alpha + B / D^beta."""

    irreducible: float
    """E, in units of the loss: what is left with endless parameters and tokens."""

    a: float
    """A, in units of the loss: the share of too few parameters, at N = 1."""

    alpha: float
    """Exponent of the parameters, dimensionless."""

    b: float
    """B, in units of the loss: the share of too few tokens, at D = 1."""

    beta: float
    """Exponent of the tokens, dimensionless."""

    def loss(self, parameters: float, tokens: float) -> float:
        """Return the loss of one run.

        Example:
            >>> ScalingLaw(1.0, 10.0, 0.5, 100.0, 1.0).loss(100.0, 1_000.0)
            2.1
        """
        return float(
            self.irreducible + self.a * parameters**-self.alpha + self.b * tokens**-self.beta
        )

    def losses(self, parameters: Values, tokens: Values) -> Values:
        """Return the loss of each run."""
        found: Values = (
            self.irreducible + self.a * parameters**-self.alpha + self.b * tokens**-self.beta
        )
        return found

    def optimal_tokens(self, parameters: float) -> float:
        """Return the tokens for which a network of this size is the best use of its computing.

        With computing proportional to N D, the loss is lowest where one per cent more of either
        gains the same: alpha A / N^alpha = beta B / D^beta.

        Example:
            >>> round(ScalingLaw(1.0, 10.0, 0.5, 100.0, 1.0).optimal_tokens(100.0), 6)
            200.0
        """
        gain = self.alpha * self.a * parameters**-self.alpha
        return float((self.beta * self.b / gain) ** (1 / self.beta))

    @property
    def compute_exponent(self) -> float:
        """Exponent with which the loss above E falls with computing, if N and D grow together.

        Example:
            >>> ScalingLaw(1.0, 10.0, 0.5, 100.0, 0.5).compute_exponent
            0.25
        """
        return self.alpha * self.beta / (self.alpha + self.beta)

    @property
    def size_exponent(self) -> float:
        """Exponent with which the best number of parameters grows with computing."""
        return self.beta / (self.alpha + self.beta)


@dataclass(frozen=True)
class RunEnds:
    """Where some runs ended: the points of a fit.

    Only ends count: in the middle of a run with a falling learning rate, the loss is higher than at
    the end of a run of that length.
    """

    parameters: Values
    """N of each run."""

    tokens: Values
    """D of each run: tokens seen in training."""

    losses: Values
    """Held-out loss of each run."""

    def __post_init__(self) -> None:
        """Check that these can be fitted."""
        problem = shortage(self.parameters.tolist(), self.tokens.tolist())
        if problem:
            raise InputError(problem, fix="Add runs of other sizes and lengths to the ladder.")
        if not (np.isfinite(self.losses).all() and (self.losses > 0).all()):
            raise InputError(
                "a law can only be fitted to positive losses, got "
                f"{[float(f'{one:.4g}') for one in self.losses]}",
                fix="Leave out the run that diverged, or lower its learning rate.",
            )

    def __len__(self) -> int:
        return len(self.losses)


def shortage(parameters: Sequence[float], tokens: Sequence[float]) -> str:
    """Return what is missing for a fit of runs of these sizes and lengths; empty if nothing."""
    if len(parameters) < MIN_RUNS:
        return (
            f"{len(parameters)} runs are too few to fit {N_CONSTANTS} constants, which takes "
            + (f"at least {MIN_RUNS}")
        )
    for levels, word in ((parameters, "sizes"), (tokens, "lengths")):
        if len(set(levels)) < MIN_LEVELS:
            return (
                f"runs of {len(set(levels))} different {word} cannot tell how the loss goes on, "
                f"which takes at least {MIN_LEVELS}"
            )
    return ""


def fit_law(runs: RunEnds, *, delta: float = HUBER_DELTA) -> ScalingLaw:
    """Return the law that fits some runs best.

    Args:
        runs: Where they ended.
        delta: Difference of logarithms at which the Huber loss bends.
    """
    search = LawSearch(runs, delta)
    weights = np.ones(len(runs))
    return search.law(search.best(weights, search.starts(weights)[:N_STARTS]))


class LawSearch:
    """The search for the constants of some runs, in coordinates in which it is well conditioned.

    The coordinates are log E, log A', alpha, log B', beta, where A' and B' belong to parameters and
    tokens divided by their geometric means.

    Args:
        runs: Where they ended.
        delta: Where the Huber loss bends.
    """

    def __init__(self, runs: RunEnds, delta: float) -> None:
        self.runs, self.delta = runs, delta
        size, length = np.log(runs.parameters), np.log(runs.tokens)
        self.centre = float(size.mean()), float(length.mean())
        self.size, self.length = size - self.centre[0], length - self.centre[1]
        self.target = np.log(runs.losses)

    @cached_property
    def bounds(self) -> list[tuple[float, float]]:
        """Lowest and highest value of each coordinate."""
        lowest, highest = float(self.target.min()), float(self.target.max())
        term = (lowest + np.log(SMALLEST_SHARE), highest + 1.0)
        return [(term[0], lowest), term, EXPONENT_BOUNDS, term, EXPONENT_BOUNDS]

    def starts(self, weights: Values) -> list[ndarray]:
        """Return coordinates to start from, best first.

        One for each pair of exponents of the grid; with these fixed the law is linear in E, A' and
        B', which are its non-negative least squares of relative errors.
        """
        share = np.sqrt(weights) / self.runs.losses
        found = []
        for alpha, beta in product(GRID, GRID):
            columns = np.stack(
                [np.ones(len(self.runs)), np.exp(-alpha * self.size), np.exp(-beta * self.length)],
                axis=1,
            )
            terms, _ = nnls(columns * share[:, None], share * self.runs.losses)
            e, a, b = np.log(np.maximum(terms, 1e-3 * self.runs.losses.min()))
            start = np.array([e, a, alpha, b, beta])
            lower, upper = np.transpose(self.bounds)
            start = start.clip(lower, upper)
            found.append((self.objective(start, weights, self.delta)[0], start))
        return [start for _, start in sorted(found, key=lambda pair: pair[0])]

    def best(self, weights: Values, starts: Sequence[ndarray]) -> ndarray:
        """Return the coordinates of the lowest objective that any of the starts leads to."""
        ends = []
        for start in starts:
            at = start
            for delta in (max(FIRST_DELTA, self.delta), self.delta):
                result = minimize(
                    self.objective,
                    at,
                    args=(weights, delta),
                    jac=True,
                    method="L-BFGS-B",
                    bounds=self.bounds,
                    # Far below the defaults, at which L-BFGS is known to stop too early here:
                    # Besiroglu et al. 2024, https://arxiv.org/abs/2404.10102.
                    options={"ftol": 1e-12, "gtol": 1e-9, "maxiter": 500},
                )
                at = result.x
            ends.append((float(result.fun), at))
        return min(ends, key=lambda pair: pair[0])[1]

    def objective(self, at: ndarray, weights: Values, delta: float) -> tuple[float, ndarray]:
        """Return the weighted Huber loss over its bend, and its gradient.

        Over the bend, since the optimiser's tolerances are absolute, and shall not depend on it.
        """
        e, a, alpha, b, beta = at
        terms = np.exp([np.full(len(self.size), e), a - alpha * self.size, b - beta * self.length])
        total = terms.sum(axis=0)
        share = terms / total
        error = np.log(total) - self.target
        inside = np.abs(error) <= delta
        cost = np.where(inside, 0.5 * error**2 / delta, np.abs(error) - 0.5 * delta)
        slope = weights * np.clip(error / delta, -1.0, 1.0)
        by_term = share @ slope
        gradient = np.array(
            [
                by_term[0],
                by_term[1],
                -float((share[1] * self.size) @ slope),
                by_term[2],
                -float((share[2] * self.length) @ slope),
            ]
        )
        return float((weights * cost).sum() / delta), gradient / delta

    def law(self, at: ndarray) -> ScalingLaw:
        """Return the law of some coordinates."""
        e, a, alpha, b, beta = (float(one) for one in at)
        return ScalingLaw(
            irreducible=float(np.exp(e)),
            a=float(np.exp(a + alpha * self.centre[0])),
            alpha=alpha,
            b=float(np.exp(b + beta * self.centre[1])),
            beta=beta,
        )
