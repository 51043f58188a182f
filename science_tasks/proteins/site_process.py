"""A Gaussian process on variants of one protein: each site alone, pairs of sites, all together.

Two residues at a site are alike as far as they are the same one, and as far as their
physico-chemical scales say, so that a mutation never seen is judged by those that are like it. What
a variant does is a sum of what its sites do alone (order 1), of what pairs of sites do beyond that
(order 2), and of what only the whole combination does (a product over all sites).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.stats import norm, rankdata
from torch import Tensor

from kagaku.science_tasks.proteins.residue_scales import SCALES, UNKNOWN
from kagaku.science_tasks.readouts.marginal_likelihood import factorise, log_evidence

Order = Literal[1, 2, 3]
"""Sites alone; pairs too; the whole combination too."""

Transform = Literal["none", "log", "rank"]
"""What the values go through first: nothing, a logarithm that makes factors sums, or the normal
scores of their ranks. Spearman is the same before and after."""

FIT_ROWS = 500
"""Most variants whose marginal likelihood is maximised."""

ROWS = 6_000
"""Most variants of the final fit; above it, a random subset."""

STEPS = 40
"""Most L-BFGS steps."""

CHUNK = 1_000
"""Variants predicted at a time."""

# An unknown residue, or a stop, is far from all others on every scale.
_TABLE = torch.from_numpy(np.vstack([SCALES, np.full((1, SCALES.shape[1]), 4.0)]))
_DISTANCE = torch.cdist(_TABLE, _TABLE).square() / SCALES.shape[1]
_SAME = torch.eye(UNKNOWN + 1, dtype=torch.float64)


@dataclass(frozen=True)
class SiteProcessConfig:
    """What the process may be made of."""

    order: Order = 2
    """The highest order of interaction."""

    transform: Transform = "none"
    """What values go through first."""


class SiteProcess:
    """A Gaussian process on variants.

    Args:
        config: Orders and transform.
    """

    def __init__(self, config: SiteProcessConfig) -> None:
        self.config = config

    def fit(
        self,
        codes: Int[np.ndarray, "variant site"],
        values: Float[np.ndarray, " variant"],
        *,
        seed: int,
    ) -> None:
        """Maximise the marginal likelihood and factorise.

        Args:
            codes: Residue at each site, as in `residue_codes`.
            values: Measured values, any unit.
            seed: Chooses the subset on larger sets.
        """
        order = np.random.default_rng(seed).permutation(len(values))
        kept, few = np.sort(order[:ROWS]), np.sort(order[:FIT_ROWS])
        changed = transformed(values, self.config.transform)
        self._mean, self._std = float(changed.mean()), float(changed.std()) or 1.0
        scaled = torch.from_numpy((changed - self._mean) / self._std)
        self.n_sites = codes.shape[1]
        self._theta = self._maximise(torch.from_numpy(codes[few]), scaled[few])
        self._codes = torch.from_numpy(codes[kept])
        theta = torch.from_numpy(self._theta)
        matrix = self._matrix(theta, self._codes, self._codes)
        noise = theta[-1].exp() * torch.eye(len(kept), dtype=torch.float64)
        factor = factorise(matrix + noise)
        self._weights = torch.cholesky_solve(scaled[kept][:, None], factor)[:, 0]

    def predict(self, codes: Int[np.ndarray, "variant site"]) -> Float[np.ndarray, " variant"]:
        """Return the mean, in the transformed unit."""
        theta = torch.from_numpy(self._theta)
        parts = [
            self._matrix(theta, part, self._codes) @ self._weights
            for part in torch.split(torch.from_numpy(codes), CHUNK)
        ]
        scaled: np.ndarray = torch.cat([*parts, torch.zeros(0, dtype=torch.float64)]).numpy()
        return self._mean + self._std * scaled

    def _matrix(
        self, theta: Tensor, left: Int[Tensor, "left site"], right: Int[Tensor, "right site"]
    ) -> Float[Tensor, "left right"]:
        """Return the covariance of all pairs of variants."""
        share, length, pairs, whole = theta[0].sigmoid(), theta[1].exp(), theta[2], theta[3]
        table = share * _SAME + (1 - share) * torch.exp(-0.5 * _DISTANCE / length.square())
        weights = theta[4:-1].exp()
        zeros = torch.zeros(len(left), len(right), dtype=torch.float64)
        total, squares, product = zeros, zeros, zeros + 1
        for site in range(self.n_sites):
            alike = table[left[:, site]][:, right[:, site]]
            term = weights[site % len(weights)] * alike
            total = total + term
            if self.config.order > 1:
                squares = squares + term.square()
            if self.config.order > 2:
                product = product * alike
        covariance = total
        if self.config.order > 1:
            scale = weights.sum() * (self.n_sites / len(weights))
            covariance = covariance + pairs.exp() * (total.square() - squares) / (2 * scale)
        if self.config.order > 2:
            covariance = covariance + whole.exp() * product
        return covariance

    def _maximise(
        self, codes: Int[Tensor, "variant site"], values: Float[Tensor, " variant"]
    ) -> Float[np.ndarray, " parameter"]:
        centre, width = self._prior()

        def negative(point: np.ndarray) -> tuple[float, np.ndarray]:
            theta = torch.from_numpy(point).requires_grad_()
            matrix = self._matrix(theta, codes, codes)
            noise = theta[-1].exp() * torch.eye(len(values), dtype=torch.float64)
            loss = 0.5 * ((theta - centre) / width).square().sum()
            loss = loss - log_evidence((matrix + noise)[None], values[None])
            loss.backward()  # type: ignore[no-untyped-call]
            assert theta.grad is not None
            return float(loss.detach()), theta.grad.numpy()

        bounds = [(float(m - 6), float(m + 6)) for m in centre]
        found = minimize(
            negative,
            centre.numpy(),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": STEPS, "ftol": 1e-6},
        )
        best: np.ndarray = np.asarray(found.x, dtype=np.float64)
        return best

    def _prior(self) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of the normal priors of all parameters.

        In order: identity's share (logit), lengthscale, pairs, whole, one weight per site (one for
        all where there are many), noise; all but the first are logarithms.
        """
        n_weights = self.n_sites if self.n_sites <= FEW_SITES else 1
        own = -np.log(n_weights if n_weights > 1 else self.n_sites)
        centre = [-1.0, 0.0, 0.0, -1.0, *[own] * n_weights, np.log(0.1)]
        width = [1.5, 0.7, 1.5, 1.5, *[1.0] * n_weights, 1.5]
        return torch.tensor(centre, dtype=torch.float64), torch.tensor(width, dtype=torch.float64)


FEW_SITES = 12
"""Sites up to which each has a weight of its own."""


def transformed(values: Float[np.ndarray, " variant"], how: Transform) -> np.ndarray:
    """Return values after a rising transform.

    The logarithm has a floor of a twentieth of the upper quartile: below that an assay mostly
    measures its noise. Values below 0 are first shifted to 0.
    """
    if how == "rank":
        ranked: np.ndarray = norm.ppf((rankdata(values) - 0.5) / len(values))
        return ranked
    if how == "log":
        raised = values - min(float(values.min()), 0.0)
        floor = max(0.05 * float(np.quantile(raised, 0.75)), 1e-9)
        logs: np.ndarray = np.log(raised + floor)
        return logs
    return values.astype(np.float64)
