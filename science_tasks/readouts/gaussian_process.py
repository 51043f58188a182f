"""Exact Gaussian processes on sums of kernels: the best readout on most small tables."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts.kernels import (
    Component,
    check_blocks,
    components_of,
    n_lengthscales,
    term_bases,
    term_diagonal,
    term_kernel,
    term_missing,
)
from kagaku.science_tasks.readouts.marginal_likelihood import factorise, invert, log_evidence
from kagaku.science_tasks.stored_blocks import blocks_from_state, blocks_to_state

ONE_THREAD_ROWS = 500
"""Rows up to which one thread maximises the likelihood: 200 rows took 0.6 s on one thread and 16 s
on two threads of a busy machine."""

CHUNK = 2_048
"""Records predicted at a time, so that memory does not grow with the table."""


@dataclass(frozen=True)
class GaussianProcessConfig:
    """Limits that keep the cubic cost of an exact Gaussian process within reach."""

    hyperparameter_rows: int = 800
    """Rows (divided by the square root of the number of classes) whose marginal likelihood is
    maximised; above it, a random subset of that size. The final fit still uses every row."""

    rows: int = 8_000
    """Most rows (divided by the square root of the number of classes) of the final fit; above it,
    a random subset. Use boosted trees where that loses too much."""

    steps: int = 30
    """Most L-BFGS steps."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        assert min(self.hyperparameter_rows, self.rows, self.steps) > 0


@contextmanager
def _threads_for(n_rows: int) -> Iterator[None]:
    """Use one thread for small matrices, where threads mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if n_rows <= ONE_THREAD_ROWS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class GaussianProcess:
    """Zero-mean Gaussian processes that share one sum of kernels, one per output.

    The prior of an output is a sum over kernel terms of scale * kernel, plus noise. Scales,
    lengthscales and noise maximise the marginal likelihood, with weak log-normal priors that only
    matter when there are a handful of rows.
    """

    def __init__(self, config: GaussianProcessConfig | None = None) -> None:
        self.config = config or GaussianProcessConfig()

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        targets: Float[np.ndarray, "output record"],
        noise: Float[np.ndarray, "output record"],
        *,
        seed: int,
    ) -> None:
        """Find the hyperparameters and factorise.

        Args:
            blocks: Features of the records.
            targets: Centred and scaled to about unit variance.
            noise: Known noise variance of each target, in the same scale; 0 where unknown.
            seed: Chooses the subset of rows on larger tables.
        """
        n_rows = targets.shape[1]
        order = np.random.default_rng(seed).permutation(n_rows)
        most = int(self.config.rows / np.sqrt(len(targets)))
        kept = np.sort(order[:most]) if n_rows > most else np.arange(n_rows)
        few = np.sort(order[: int(self.config.hyperparameter_rows / np.sqrt(len(targets)))])
        self.components = components_of(blocks)
        self.hyperparameters = self._maximise(
            [block.subset(few) for block in blocks], targets[:, few], noise[:, few]
        )
        self.rows = kept
        self.blocks = [block.subset(kept) for block in blocks]
        self.condition(targets[:, kept], noise[:, kept])

    def condition(
        self,
        targets: Float[np.ndarray, "output record"],
        noise: Float[np.ndarray, "output record"],
    ) -> None:
        """Condition on the given targets of the kept rows, at the present hyperparameters."""
        self.targets, self.noise = targets.astype(np.float64), noise.astype(np.float64)
        scales, lengthscales, extra = self._unpack(
            torch.from_numpy(self.hyperparameters), self.blocks
        )
        diagonal = torch.zeros(len(self.blocks[0].present), dtype=torch.float64)
        matrix = torch.zeros(len(diagonal), len(diagonal), dtype=torch.float64)
        for term, scale, lengths in zip(self.components, scales, lengthscales, strict=True):
            bases = term_bases(term, self.blocks, self.blocks)
            matrix += scale * term_kernel(term, bases, lengths)
            diagonal += scale * term_missing(term, self.blocks)
        noises = torch.from_numpy(self.noise) + extra + diagonal
        self._factor = torch.stack([factorise(matrix + torch.diag(one)) for one in noises])
        columns = torch.from_numpy(self.targets)[..., None]
        self._weights = torch.cholesky_solve(columns, self._factor)[..., 0]

    def leave_one_out(
        self,
    ) -> tuple[Float[np.ndarray, "output record"], Float[np.ndarray, "output record"]]:
        """Return mean and variance for each kept row, had it not been measured.

        Source: Rasmussen and Williams (2006), equation 5.12,
        http://gaussianprocess.org/gpml/chapters/RW5.pdf
        """
        precision = invert(self._factor).diagonal(dim1=-2, dim2=-1)
        mean = torch.from_numpy(self.targets) - self._weights / precision
        return mean.numpy(), (1 / precision).numpy()

    def predict(
        self, blocks: Sequence[FeatureBlock]
    ) -> tuple[Float[np.ndarray, "output record"], Float[np.ndarray, "output record"]]:
        """Return mean and variance, noise included, of each output for new records."""
        check_blocks(self.blocks, blocks)
        n_records = len(blocks[0].present)
        parts = [
            self._predict_chunk([b.subset(np.arange(i, min(i + CHUNK, n_records))) for b in blocks])
            for i in range(0, n_records, CHUNK)
        ]
        if not parts:
            return np.zeros((len(self.targets), 0)), np.zeros((len(self.targets), 0))
        means, variances = zip(*parts, strict=True)
        return np.concatenate(means, axis=1), np.concatenate(variances, axis=1)

    def _predict_chunk(self, blocks: Sequence[FeatureBlock]) -> tuple[np.ndarray, np.ndarray]:
        scales, lengthscales, extra = self._unpack(
            torch.from_numpy(self.hyperparameters), self.blocks
        )
        cross = torch.zeros(
            len(self.blocks[0].present), len(blocks[0].present), dtype=torch.float64
        )
        prior = torch.zeros(len(blocks[0].present), dtype=torch.float64) + extra
        for term, scale, lengths in zip(self.components, scales, lengthscales, strict=True):
            cross += scale * term_kernel(term, term_bases(term, self.blocks, blocks), lengths)
            prior += scale * term_diagonal(term, blocks)
        mean = self._weights @ cross
        explained = torch.stack(
            [
                torch.linalg.solve_triangular(factor, cross, upper=False).square().sum(0)
                for factor in self._factor
            ]
        )
        # Rounding can push the variance below the noise, which is its floor.
        variance = torch.maximum(prior - explained, extra.expand_as(explained).clamp_min(1e-9))
        return mean.numpy(), variance.numpy()

    def state(self) -> dict[str, Any]:
        """Return hyperparameters and training rows; the factor is computed again on loading."""
        return {
            "components": [[term.block, term.form] for term in self.components],
            "hyperparameters": self.hyperparameters,
            "blocks": blocks_to_state(self.blocks),
            "targets": self.targets,
            "noise": self.noise,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.components = tuple(Component(block, form) for block, form in state["components"])
        self.hyperparameters = state["hyperparameters"]
        self.blocks = blocks_from_state(state["blocks"])
        self.rows = np.arange(len(self.blocks[0].present))
        self.condition(state["targets"], state["noise"])

    def _unpack(
        self, theta: Tensor, blocks: Sequence[FeatureBlock]
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return scale and lengthscales of each term, and the noise."""
        n_terms = len(self.components)
        counts = [n_lengthscales(term, blocks) for term in self.components]
        lengthscales = list(torch.split(theta[n_terms:-1].exp(), counts))
        return list(theta[:n_terms].exp()), lengthscales, theta[-1].exp()

    def _maximise(
        self, blocks: Sequence[FeatureBlock], targets: np.ndarray, noise: np.ndarray
    ) -> Float[np.ndarray, " hyperparameter"]:
        centre, width = self._prior(blocks)
        bases = [list(term_bases(term, blocks, blocks)) for term in self.components]
        lonely = [term_missing(term, blocks) for term in self.components]
        measured, known = torch.from_numpy(targets).double(), torch.from_numpy(noise).double()

        def negative_log_posterior(values: np.ndarray) -> tuple[float, np.ndarray]:
            theta = torch.from_numpy(values).requires_grad_()
            scales, lengthscales, extra = self._unpack(theta, blocks)
            matrix = torch.zeros_like(bases[0][0])
            diagonal = known + extra
            for i, term in enumerate(self.components):
                matrix = matrix + scales[i] * term_kernel(term, bases[i], lengthscales[i])
                diagonal = diagonal + scales[i] * lonely[i]
            fit = log_evidence(matrix + torch.diag_embed(diagonal), measured)
            loss = (0.5 * ((theta - centre) / width).square()).sum() - fit
            loss.backward()  # type: ignore[no-untyped-call]
            assert theta.grad is not None
            return float(loss.detach()), theta.grad.numpy()

        bounds = [(float(m - 9), float(m + 9)) for m in centre]
        with _threads_for(targets.shape[1]):
            found = minimize(
                negative_log_posterior,
                centre.numpy(),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": self.config.steps, "ftol": 1e-6},
            )
        best: np.ndarray = np.asarray(found.x, dtype=np.float64)
        return best

    def _prior(self, blocks: Sequence[FeatureBlock]) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the log-normal priors of the hyperparameters."""
        share = 1.0 / max(len(blocks), 1)
        scales = [
            np.log(0.1 * share if term.form == "linear" else share) for term in self.components
        ]
        lengths = [0.0] * sum(n_lengthscales(term, blocks) for term in self.components)
        centre = torch.tensor([*scales, *lengths, np.log(0.1)], dtype=torch.float64)
        width = torch.tensor(
            [*[2.0] * len(scales), *[1.0] * len(lengths), 2.0], dtype=torch.float64
        )
        return centre, width
