"""A Gaussian process on a table of pairs: drugs in rows, proteins in columns, some cells measured.

Its covariance is a sum of products of a kernel of drugs and a kernel of proteins. A product with
all ones is what a drug does to every protein, one with the identity what it does to each of its
own. The covariance of all pairs is never built: times a vector, each product is two small matrix
products, so that conjugate gradients solve it for every measured cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse.linalg import LinearOperator, cg

TOLERANCE = 1e-4
"""Relative residual at which solving stops."""

MOST_STEPS = 400
"""Most conjugate gradient steps."""


@dataclass(frozen=True)
class Product:
    """One term: how alike two pairs are by one kernel of drugs and one of proteins."""

    name: str
    """What it is called."""

    drugs: Float[np.ndarray, "drug drug"]
    """Positive semidefinite, diagonal about 1."""

    proteins: Float[np.ndarray, "protein protein"]
    """The same of proteins."""


class PairSolver:
    """Posterior means of one table under changing variances, each solved from where the last ended.

    Args:
        products: Terms of the covariance.
        table: Measured values; what stands in cells that are not ``known`` is never read.
        known: Which cells are measured.
    """

    def __init__(
        self,
        products: Sequence[Product],
        table: Float[np.ndarray, "drug protein"],
        known: Bool[np.ndarray, "drug protein"],
    ) -> None:
        self.products, self.known = products, known
        self._mean = float(table[known].mean())
        self._scale = float(table[known].std()) or 1.0
        self._target = (table[known] - self._mean) / self._scale
        self._solved = np.zeros(len(self._target))

    def fill(
        self, weights: Sequence[float], noise: float, *, tolerance: float = TOLERANCE
    ) -> Float[np.ndarray, "drug protein"]:
        """Return the posterior mean of every cell.

        Args:
            weights: Variance of each term, in units of the measured values' variance.
            noise: Variance of a measurement, in the same unit.
            tolerance: Relative residual at which solving stops.
        """
        pairs = _joined(self.products, weights)

        def spread(cells: np.ndarray) -> np.ndarray:
            full = np.zeros(self.known.shape)
            full[self.known] = cells
            total = np.zeros_like(full)
            for drugs, proteins in pairs:
                total += drugs @ (full @ proteins)
            return total

        n_cells = len(self._target)
        operator = LinearOperator(
            (n_cells, n_cells),
            matvec=lambda cells: spread(cells)[self.known] + noise * cells,
            dtype=np.float64,
        )
        self._solved, _ = cg(
            operator, self._target, x0=self._solved, rtol=tolerance, maxiter=MOST_STEPS
        )
        filled: np.ndarray = self._mean + self._scale * spread(self._solved)
        return filled


def _joined(
    products: Sequence[Product], weights: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the weighted terms, those with one kernel of drugs as one."""
    sums: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for product, weight in zip(products, weights, strict=True):
        if weight > 0:
            _, before = sums.get(id(product.drugs), (None, 0.0))
            sums[id(product.drugs)] = product.drugs, before + weight * product.proteins
    return list(sums.values())


def profile_kernel(
    table: Float[np.ndarray, "row column"], known: Bool[np.ndarray, "row column"]
) -> Float[np.ndarray, "row row"]:
    """Return how alike rows are by what was measured of them, a Gaussian of their mean distance.

    Distances are over the columns known in both rows, so training cells alone speak. A row without
    any is like itself only. After van Laarhoven, Nabuurs and Marchiori (2011),
    https://doi.org/10.1093/bioinformatics/btr500, whose profiles are of zeros and ones.
    """
    filled = np.where(known, table - table[known].mean(), 0.0)
    there = known.astype(np.float64)
    squares = np.square(filled) @ there.T
    distances = squares + squares.T - 2 * filled @ filled.T
    shared = there @ there.T
    mean = np.where(shared > 0, distances / np.maximum(shared, 1), np.inf)
    off = mean[~np.eye(len(mean), dtype=bool)]
    finite = off[np.isfinite(off)]
    width = float(np.median(finite)) if len(finite) else 1.0
    kernel = np.exp(-np.maximum(mean, 0.0) / max(width, 1e-9))
    np.fill_diagonal(kernel, 1.0)
    return nearest_kernel(kernel)


def nearest_kernel(matrix: Float[np.ndarray, "row row"]) -> Float[np.ndarray, "row row"]:
    """Return a similarity without its negative eigenvalues, its diagonal 1 again."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    kept = (vectors * np.maximum(values, 0.0)) @ vectors.T
    size = np.sqrt(np.maximum(np.diag(kept), 1e-12))
    kernel: np.ndarray = kept / size[:, None] / size[None, :]
    return kernel
