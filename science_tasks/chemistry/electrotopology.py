"""Electrotopological states: how rich in electrons each atom is, given its neighbours."""

from typing import Any

import numpy as np
from jaxtyping import Float
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

# Edges between the bins of E-state that surface area is summed over: RDKit's EState_VSA bins,
# rdkit/Chem/EState/EState_VSA.py.
_EDGES = np.array([-0.390, 0.290, 0.717, 1.165, 1.540, 1.807, 2.05, 4.69, 9.17, 15.0])

ESTATE_NAMES = (
    "MaxEStateIndex",
    "MinEStateIndex",
    "MeanEStateIndex",
    *(f"EState_VSA{i}" for i in range(1, len(_EDGES) + 2)),
)
"""Names of what `estate_features` returns, in order."""

_NUMBERS = np.arange(119)
_TABLE = Chem.GetPeriodicTable()
_OUTER_ELECTRONS = np.array([_TABLE.GetNOuterElecs(int(number)) for number in _NUMBERS])
_PERIOD = np.searchsorted([2, 10, 18, 36, 54, 86], _NUMBERS) + 1
"""Period of each element: the principal quantum number of its valence shell."""


def estate_indices(molecule: Any) -> Float[np.ndarray, " atom"]:
    """Return the electrotopological state of each heavy atom, dimensionless.

    The intrinsic state I = ((2/N)^2 (Zv - h) + 1) / d, with N the principal quantum number, Zv
    the valence electrons, h the hydrogens and d the heavy neighbours, is perturbed by every other
    atom: S_i = I_i + sum_j (I_i - I_j) / r_ij^2, with r_ij the atoms on the shortest path. An atom
    without neighbours has I = 0, as in RDKit. Source: Hall, Mohney and Kier (1991),
    https://doi.org/10.1021/ci00001a012
    """
    counts = np.array(
        [
            (atom.GetAtomicNum(), atom.GetDegree(), atom.GetTotalNumHs())
            for atom in molecule.GetAtoms()
        ]
    )
    numbers, neighbours, hydrogens = counts.T
    valence = _OUTER_ELECTRONS[numbers] - hydrogens
    state = (4.0 / _PERIOD[numbers] ** 2 * valence + 1.0) / np.maximum(neighbours, 1)
    intrinsic = np.where((neighbours > 0) & (numbers > 1), state, 0.0)
    # Atoms of another component are at distance 1e8: they contribute nothing.
    paths = Chem.GetDistanceMatrix(molecule) + 1.0
    differences = intrinsic[:, None] - intrinsic[None, :]
    indices: np.ndarray = intrinsic + (differences / paths**2).sum(axis=1)
    return indices


def estate_features(molecule: Any) -> list[float]:
    """Return the largest, smallest and mean E-state, and the surface area (A^2) by E-state bin."""
    indices = estate_indices(molecule)
    areas = np.array(list(rdMolDescriptors._CalcLabuteASAContribs(molecule)[0]))
    bins = np.searchsorted(_EDGES, indices, side="right")
    area_by_bin = np.bincount(bins, weights=areas, minlength=len(_EDGES) + 1)
    return [indices.max(), indices.min(), indices.mean(), *area_by_bin]
