"""Where in a molecule known edits can be done, and what stands around there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from rdkit import Chem

from kagaku.modalities.smiles import split_smiles
from kagaku.science_tasks.chemistry.cuts import read
from kagaku.science_tasks.chemistry.retrosynthesis.edits import MOST_ATOMS, Pattern
from kagaku.science_tasks.chemistry.retrosynthesis.mapping import Environments

RADII = (0, 1, 2, 3)
"""How far the environments of an atom reach that a network is shown."""

BUCKETS = 1 << 15
"""Into how many numbers environments are hashed, for each radius; all fit into 16 bits."""

MOST_MATCHES = 1_000
"""Matches of one pattern that are looked at in a molecule."""


@dataclass(frozen=True)
class Sites:
    """All places in one molecule at which something known can be done."""

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

    def surroundings(self, atoms: Sequence[int]) -> int:
        """Return a number for what is bonded to some atoms, the same in every molecule."""
        beside = self.environments[list(atoms), RADII.index(1)]
        return hash(tuple(int(number) for number in beside))


class SiteFinder:
    """Looks for known patterns in molecules.

    Args:
        patterns: What to look for; sites refer to them by number.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self.number = {pattern: number for number, pattern in enumerate(self.patterns)}
        self._queries = [pattern.query() for pattern in self.patterns]

    def find(self, smiles: str) -> Sites:
        """Return the sites in a molecule; of those that symmetry makes equal, the first.

        Args:
            smiles: Canonical.
        """
        given = _Given(smiles)
        numbers, places = [], []
        for number, query in enumerate(self._queries):
            for match in given.distinct(query):
                numbers.append(number)
                places.append((*match, *(-1,) * (MOST_ATOMS - len(match))))
        around = Environments(given.molecule)
        hashed = [[number % BUCKETS for number in around.layers[radius]] for radius in RADII]
        return Sites(
            np.array(hashed, dtype=np.int16).reshape(len(RADII), -1).T,
            atom_tokens(smiles),
            np.array(numbers, dtype=np.int32),
            np.array(places, dtype=np.int16).reshape(-1, MOST_ATOMS),
        )

    def place(self, smiles: str, sites: Sites, pattern: Pattern, atoms: Sequence[int]) -> int:
        """Return which of a molecule's sites some atoms are, up to symmetry; -1 for none."""
        given = _Given(smiles)
        for site in np.flatnonzero(sites.patterns == self.number.get(pattern, -1)):
            if given.are_alike(sites.atoms_of(int(site)), atoms):
                return int(site)
        return -1


class _Given:
    """A molecule, and which of its tuples of atoms symmetry makes equal.

    Args:
        smiles: Canonical.
    """

    def __init__(self, smiles: str) -> None:
        molecule = read(smiles)
        assert molecule is not None, smiles
        self.molecule = molecule
        self._ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
        self._marked: dict[tuple[int, ...], str] = {}

    def distinct(self, query: Chem.Mol) -> Iterator[tuple[int, ...]]:
        """Yield the matches of a query, of those that are alike the first."""
        seen: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for match in self.molecule.GetSubstructMatches(
            query, uniquify=False, maxMatches=MOST_MATCHES
        ):
            before = seen.setdefault(tuple(self._ranks[atom] for atom in match), [])
            if not any(self.are_alike(one, match) for one in before):
                before.append(match)
                yield match

    def are_alike(self, one: Sequence[int], other: Sequence[int]) -> bool:
        """Return whether a symmetry of the molecule carries some atoms to others, in order."""
        if tuple(one) == tuple(other):
            return True
        if [self._ranks[atom] for atom in one] != [self._ranks[atom] for atom in other]:
            return False
        # One atom's rank says it all; several may stand to each other in another way.
        return len(one) == 1 or self._with_marks(one) == self._with_marks(other)

    def _with_marks(self, atoms: Sequence[int]) -> str:
        """Return the SMILES of the molecule with some atoms numbered."""
        key = tuple(atoms)
        if key not in self._marked:
            for number, atom in enumerate(key, start=1):
                self.molecule.GetAtomWithIdx(atom).SetAtomMapNum(number)
            self._marked[key] = str(Chem.MolToSmiles(self.molecule))
            for atom in key:
                self.molecule.GetAtomWithIdx(atom).SetAtomMapNum(0)
        return self._marked[key]


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
