"""Where in a product known edits can be done, and what stands around there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from rdkit import Chem

from kagaku.modalities.smiles import split_smiles
from kagaku.science_tasks.chemistry.retrosynthesis.edits import MOST_ATOMS, Pattern
from kagaku.science_tasks.chemistry.retrosynthesis.mapping import Environments

RADII = (0, 1, 2, 3)
"""How far the environments of an atom reach that a network is shown."""

BUCKETS = 1 << 15
"""Into how many numbers environments are hashed, for each radius."""

MOST_MATCHES = 256
"""Matches of one pattern that are looked at in a product."""


@dataclass(frozen=True)
class Sites:
    """All places in one product at which something known can be done."""

    environments: Int[np.ndarray, "atom radius"]
    """Hashed surroundings of each atom, below `BUCKETS`."""

    tokens: Int[np.ndarray, " atom"]
    """Where each atom stands among the tokens of its SMILES."""

    patterns: Int[np.ndarray, " site"]
    """Number of the pattern that fits."""

    atoms: Int[np.ndarray, "site named"]
    """Atoms of the site in the pattern's order; -1 behind the last."""

    def atoms_of(self, site: int) -> tuple[int, ...]:
        """Return the atoms of one site."""
        return tuple(int(atom) for atom in self.atoms[site] if atom >= 0)


class SiteFinder:
    """Looks for known patterns in products.

    Args:
        patterns: What to look for; sites refer to them by number.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self.number = {pattern: number for number, pattern in enumerate(self.patterns)}
        self._queries = [pattern.query() for pattern in self.patterns]

    def find(self, smiles: str) -> Sites:
        """Return the sites in a product; of those that symmetry makes equal, the first.

        Args:
            smiles: Canonical.
        """
        molecule = Chem.MolFromSmiles(smiles)
        ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
        numbers, places = [], []
        for number, query in enumerate(self._queries):
            seen = set()
            for match in molecule.GetSubstructMatches(
                query, uniquify=False, maxMatches=MOST_MATCHES
            ):
                alike = tuple(ranks[atom] for atom in match)
                if alike not in seen:
                    seen.add(alike)
                    numbers.append(number)
                    places.append((*match, *(-1,) * (MOST_ATOMS - len(match))))
        around = Environments(molecule)
        hashed = [[number % BUCKETS for number in around.layers[radius]] for radius in RADII]
        return Sites(
            np.array(hashed, dtype=np.int64).reshape(len(RADII), -1).T,
            atom_tokens(smiles),
            np.array(numbers, dtype=np.int64),
            np.array(places, dtype=np.int64).reshape(-1, MOST_ATOMS),
        )

    def place(self, smiles: str, sites: Sites, pattern: Pattern, atoms: Sequence[int]) -> int:
        """Return which of a product's sites some atoms are, up to symmetry; -1 for none."""
        molecule = Chem.MolFromSmiles(smiles)
        ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
        wanted = [ranks[atom] for atom in atoms]
        for site in np.flatnonzero(sites.patterns == self.number.get(pattern, -1)):
            if [ranks[atom] for atom in sites.atoms_of(int(site))] == wanted:
                return int(site)
        return -1


def atom_tokens(smiles: str) -> Int[np.ndarray, " atom"]:
    """Return where each atom's element stands among the tokens of a SMILES.

    Example:
        >>> atom_tokens("C[C@H](F)Cl").tolist()
        [0, 2, 7, 9]
    """
    places, in_bracket, is_due = [], False, True
    for place, part in enumerate(split_smiles(smiles)):
        if part in "[]":
            in_bracket, is_due = part == "[", True
        elif (part.isalpha() or part == "*") and (not in_bracket or is_due):
            places.append(place)
            is_due = False
    return np.array(places, dtype=np.int64)
