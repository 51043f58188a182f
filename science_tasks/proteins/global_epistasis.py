"""Mutations add up on a scale of their own, and what is measured bends with it.

A protein tolerates some loss of stability and then fails at once, so effects that are additive in
free energy look as if mutations interacted. The model is one hidden number per variant, a sum over
its mutations, seen through a sigmoid. Source: Otwinowski, McCandlish and Plotkin (2018),
https://doi.org/10.1073/pnas.1804015115
"""

from dataclasses import dataclass

import numpy as np
from Bio.Align import substitution_matrices
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit

from kagaku.science_tasks.proteins.residue_scales import SCALES, STANDARD, UNKNOWN

STEPS = 300
"""Most L-BFGS steps."""

SITE_WEIGHT, SCALE_WEIGHT = 0.5, 0.5
"""How strongly a mutation is judged by its site, and by what its residues are like, relative to
what was seen of the mutation itself."""

# Henikoff and Henikoff (1992), https://doi.org/10.1073/pnas.89.22.10915, from Biopython.
BLOSUM = np.array(
    [[substitution_matrices.load("BLOSUM62")[a][b] for b in STANDARD] for a in STANDARD]
)
"""Float (20, 20): log odds of substitutions in related proteins, half bits."""


def substitution_table() -> Float[np.ndarray, "before after feature"]:
    """Return what is known of each substitution before anything is measured.

    BLOSUM62, the change of each physico-chemical scale, its size, and whether the new residue is
    proline, glycine or a stop (any unknown residue). Nothing changes on the diagonal.
    """
    n_scales = SCALES.shape[1]
    table = np.zeros((UNKNOWN + 1, UNKNOWN + 1, 2 * n_scales + 4))
    own = np.diag(BLOSUM)
    table[:UNKNOWN, :UNKNOWN, 0] = (BLOSUM - own[:, None]) / 4
    change = SCALES[None, :, :] - SCALES[:, None, :]
    table[:UNKNOWN, :UNKNOWN, 1 : 1 + n_scales] = change
    table[:UNKNOWN, :UNKNOWN, 1 + n_scales : 1 + 2 * n_scales] = np.abs(change)
    for feature, residue in enumerate("PG", start=1 + 2 * n_scales):
        table[:, STANDARD.index(residue), feature] = 1.0
    table[:, UNKNOWN, -1] = 2.0
    table[np.arange(UNKNOWN + 1), np.arange(UNKNOWN + 1)] = 0.0
    return table


@dataclass
class MutationFeatures:
    """Sparse features of variants: which mutations they have, at which sites, of what kind."""

    consensus: Int[np.ndarray, " site"]
    """Residue of each site before mutation."""

    def __call__(self, codes: Int[np.ndarray, "variant site"]) -> csr_matrix:
        """Return one row per variant.

        Args:
            codes: Residue at each site.
        """
        n_variants, n_sites = codes.shape
        rows, sites = np.nonzero(codes != self.consensus)
        after = codes[rows, sites]
        ones = np.ones(len(rows))
        which = csr_matrix(
            (ones, (rows, sites * (UNKNOWN + 1) + after)),
            shape=(n_variants, n_sites * (UNKNOWN + 1)),
        )
        where = csr_matrix((SITE_WEIGHT * ones, (rows, sites)), shape=(n_variants, n_sites))
        kinds = substitution_table()[self.consensus[sites], after]
        summed = np.zeros((n_variants, kinds.shape[1]))
        np.add.at(summed, rows, SCALE_WEIGHT * kinds)
        counted = SCALE_WEIGHT * (codes != self.consensus).sum(axis=1, keepdims=True)
        return csr_matrix(hstack([which, where, csr_matrix(summed), csr_matrix(counted)]))


class GlobalEpistasis:
    """A sum over mutations, seen through a sigmoid.

    Args:
        penalty: Of the squared effects, in units of the variance of a measurement.
    """

    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def fit(self, features: csr_matrix, values: Float[np.ndarray, " variant"]) -> None:
        """Minimise the squared error plus the penalty.

        Args:
            features: From `MutationFeatures`.
            values: Measured values, any unit.
        """
        self._mean, self._std = float(values.mean()), float(values.std()) or 1.0
        scaled = (values - self._mean) / self._std
        low, high = np.quantile(scaled, [0.02, 0.98])
        # Height, floor and offset of the sigmoid come first, then the effects.
        start = np.concatenate(
            [[np.log(max(high - low, 0.1)), low, 1.0], np.zeros(features.shape[1])]
        )

        transposed = features.T.tocsr()

        def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
            effects = point[3:]
            bent = expit(point[2] + features @ effects)
            height = np.exp(point[0])
            error = point[1] + height * bent - scaled
            slope = error * height * bent * (1 - bent)
            gradient = np.concatenate(
                [
                    [(error * height * bent).sum(), error.sum(), slope.sum()],
                    transposed @ slope + self.penalty * effects,
                ]
            )
            return 0.5 * float(error @ error + self.penalty * effects @ effects), gradient

        bounds = [(-3.0, 3.0), (-10.0, 10.0), (-6.0, 6.0), *[(None, None)] * features.shape[1]]
        found = minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
        )
        self._point = found.x

    def hidden(self, features: csr_matrix) -> Float[np.ndarray, " variant"]:
        """Return the sum over mutations, on the hidden scale (dimensionless)."""
        total: np.ndarray = self._point[2] + features @ self._point[3:]
        return total

    def predict(self, features: csr_matrix) -> Float[np.ndarray, " variant"]:
        """Return predictions in the unit of the values."""
        scaled = self._point[1] + np.exp(self._point[0]) * expit(self.hidden(features))
        given: np.ndarray = self._mean + self._std * scaled
        return given
