"""Activity cliffs: molecules that are nearly the same, and whose measured values are far apart.

Alike are two molecules by any of three views, each from 0 to 1, as van Tilborg, Alenicheva and
Grisoni (2022) have it, https://doi.org/10.1021/acs.jcim.2c01073: the groups of their atoms, the
groups of their skeletons (all atoms carbon, all bonds single), and their spelling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

from kagaku.errors import InputError

LEAST_LIKENESS = 0.9
"""From here on two molecules are nearly the same, by any view."""

TENFOLD = 1.0
"""Difference of decadic logarithms above which potencies are far apart."""

MOST_MOLECULES = 10_000
"""Of more, pairs are not looked for: they grow with the square."""

View = Literal["the same molecule", "atoms", "skeleton", "spelling"]
"""By what two molecules are nearly the same; the first that holds."""

VIEWS: tuple[View, ...] = get_args(View)

_N_BITS = 1024
_CHUNK = 512


MOST_KEPT = 1_000
"""Of more pairs the steepest are kept; all are counted."""


@dataclass(frozen=True)
class CliffPairs:
    """Pairs of molecules that stand on both sides of a cliff, the steepest first."""

    first: Int[np.ndarray, " pair"]
    """Index of the molecule that comes first."""

    second: Int[np.ndarray, " pair"]
    """Index of the other one."""

    difference: Float[np.ndarray, " pair"]
    """How far apart their values are, in the values' unit."""

    view: tuple[View, ...]
    """By what they are nearly the same."""

    n_pairs: int
    """How many pairs there are, those that are not kept included."""

    on_cliff: Bool[np.ndarray, " molecule"]
    """Which molecules stand in any of them."""


def cliff_pairs(
    molecules: Sequence[str], values: Float[np.ndarray, " molecule"], step: float = TENFOLD
) -> CliffPairs:
    """Return the pairs of molecules that are nearly the same and whose values are far apart.

    Args:
        molecules: SMILES that RDKit reads, canonical ones, so that spellings can be compared.
        values: What was measured, in any unit.
        step: Values that differ by more are far apart; of decadic logarithms 1 is tenfold.

    Raises:
        InputError: There are more molecules than `MOST_MOLECULES`, or not as many values.

    Example:
        >>> pairs = cliff_pairs(["Cc1ccccc1", "Fc1ccccc1", "CCO"], np.array([5.0, 7.5, 9.0]))
        >>> list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.view))
        [(0, 1, 'skeleton')]
    """
    if len(molecules) > MOST_MOLECULES:
        raise InputError(
            f"activity cliffs among {len(molecules):,} molecules are not looked for",
            fix=f"Give at most {MOST_MOLECULES:,}.",
        )
    if len(molecules) != len(values):
        raise InputError(
            f"{len(molecules)} molecules have {len(values)} values", fix="Give one for each."
        )
    spelt = list(molecules)
    atoms, skeletons = _groups(spelt)
    # A hair more, so that 6.2 and 5.2, which are no more than 1 apart, are not by their rounding.
    limit = step * (1 + 1e-9)
    on_cliff, n_pairs = np.zeros(len(spelt), dtype=bool), 0
    kept = np.zeros((0, 3), dtype=np.int64)
    for start in range(0, len(spelt), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(spelt)))
        view = _views(rows, spelt, atoms, skeletons)
        steep = np.abs(values[rows, None] - values[None, :]) > limit
        steep[rows[:, None] >= np.arange(len(spelt))[None, :]] = False
        one, other = np.nonzero(steep & (view < len(VIEWS)))
        on_cliff[rows[one]] = True
        on_cliff[other] = True
        n_pairs += len(one)
        found = np.stack([rows[one], other, view[one, other]], axis=1).astype(np.int64)
        kept = _steepest(np.concatenate([kept, found]), values)
    return CliffPairs(
        first=kept[:, 0],
        second=kept[:, 1],
        difference=np.abs(values[kept[:, 0]] - values[kept[:, 1]]).astype(np.float64),
        view=tuple(VIEWS[one] for one in kept[:, 2]),
        n_pairs=n_pairs,
        on_cliff=on_cliff,
    )


def _steepest(
    pairs: Int[np.ndarray, "pair 3"], values: Float[np.ndarray, " molecule"]
) -> Int[np.ndarray, "kept 3"]:
    """Return the steepest of some pairs, and their views, the steepest first."""
    difference = np.abs(values[pairs[:, 0]] - values[pairs[:, 1]])
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -difference))
    return pairs[order[:MOST_KEPT]]


def _views(
    rows: Int[np.ndarray, " row"],
    spelt: list[str],
    atoms: Float[np.ndarray, "molecule bit"],
    skeletons: Float[np.ndarray, "molecule bit"],
) -> Int[np.ndarray, "row molecule"]:
    """Return the index of the first view by which molecules are alike; too high where none is."""
    view = np.full((len(rows), len(spelt)), len(VIEWS), dtype=np.int8)
    alike = cdist(
        [spelt[row] for row in rows],
        spelt,
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=LEAST_LIKENESS,
        dtype=np.float64,
    )
    # From the view that counts least to the one that counts most.
    view[alike >= LEAST_LIKENESS] = 3
    view[_tanimoto(skeletons[rows], skeletons) >= LEAST_LIKENESS] = 2
    view[_tanimoto(atoms[rows], atoms) >= LEAST_LIKENESS] = 1
    view[alike == 1] = 0
    return view


@cache
def _generator() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=_N_BITS)


def _groups(
    molecules: Sequence[str],
) -> tuple[Float[np.ndarray, "molecule bit"], Float[np.ndarray, "molecule bit"]]:
    """Return which groups the molecules have, and which their skeletons have, 0 or 1."""
    atoms, skeletons = (np.zeros((len(molecules), _N_BITS), dtype=np.float32) for _ in range(2))
    with rdBase.BlockLogs():
        for row, smiles in enumerate(molecules):
            molecule = Chem.MolFromSmiles(smiles)
            atoms[row] = _generator().GetFingerprintAsNumPy(molecule)
            skeletons[row] = _generator().GetFingerprintAsNumPy(_skeleton(molecule))
    return atoms, skeletons


def _skeleton(molecule: Chem.Mol) -> Chem.Mol:
    """Return a molecule with carbon atoms and single bonds alone; itself where that fails."""
    try:
        made: Chem.Mol = MurckoScaffold.MakeScaffoldGeneric(molecule)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError):  # a carbon with more neighbours than it can have
        return molecule
    return made


def _tanimoto(
    left: Float[np.ndarray, "left bit"], right: Float[np.ndarray, "right bit"]
) -> Float[np.ndarray, "left right"]:
    """Return the Tanimoto similarity of groups that are there or not; 0 where there are none."""
    shared = left @ right.T
    union = left.sum(axis=1)[:, None] + right.sum(axis=1)[None, :] - shared
    alike: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return alike
