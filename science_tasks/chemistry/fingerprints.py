"""Circular fingerprints of radius 2 (ECFP4), and how alike molecules are by them."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import ExplicitBitVect

N_BITS = 2048
"""Length of folded fingerprints, unless another is asked for."""


@cache
def _generator(n_bits: int) -> rdFingerprintGenerator.FingerprintGenerator64:
    # Rogers and Hahn 2010, https://doi.org/10.1021/ci100050t.
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=n_bits)


def fingerprints(molecules: Sequence[str], n_bits: int = N_BITS) -> list[ExplicitBitVect]:
    """Return which groups each molecule has.

    Args:
        molecules: SMILES that RDKit reads.
        n_bits: Length of each.
    """
    with rdBase.BlockLogs():
        read = [Chem.MolFromSmiles(one) for one in molecules]
    return [_generator(n_bits).GetFingerprint(one) for one in read]


def group_counts(
    molecules: Sequence[str], n_bits: int = N_BITS
) -> Float[np.ndarray, "molecule bit"]:
    """Return how often each group occurs in each molecule; as `fingerprints`."""
    with rdBase.BlockLogs():
        read = [Chem.MolFromSmiles(one) for one in molecules]
    counts = np.zeros((len(read), n_bits), dtype=np.float32)
    for row, molecule in enumerate(read):
        counts[row] = _generator(n_bits).GetCountFingerprintAsNumPy(molecule)
    return counts


def likeness(
    one: ExplicitBitVect, others: Sequence[ExplicitBitVect]
) -> Float[np.ndarray, " other"]:
    """Return the Tanimoto similarity of a molecule to others, 0 to 1."""
    return np.array(DataStructs.BulkTanimotoSimilarity(one, others), dtype=np.float64)
