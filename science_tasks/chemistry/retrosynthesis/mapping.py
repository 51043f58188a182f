"""Which atom of the reactants became which atom of the product, found from the graphs alone.

Atoms are paired from where both sides agree most widely. The environment of an atom out to some
number of bonds is hashed, as in Morgan's algorithm (Morgan 1965,
https://doi.org/10.1021/c160017a018); the pair that agrees the farthest is taken first, and from
then on neighbours of pairs go before pairs elsewhere. Where nothing is left that agrees, neighbours
of the same element are paired: those are the atoms at which bonds were changed.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator

from rdkit import Chem

WIDEST = 8
"""Bonds that environments reach at most."""

FAR = 2
"""How far environments must agree for atoms to be paired that lie beside no other pair."""

WAYS = ((2, True), (0, True), (4, True), (2, False), (0, False))
"""How pairs are looked for, in the order in which it is tried: how many bonds less neighbours of
pairs may agree than the pair that is due elsewhere, and whether bonds to carbons that have several
other elements beside them are taken for the ones that were made."""

FEW = 1
"""Changed bonds that make a pairing good enough to try no other first."""


class Environments:
    """What stands around each atom of a molecule, as numbers that molecules share.

    Args:
        molecule: Any molecule; several components are fine.
    """

    def __init__(self, molecule: Chem.Mol) -> None:
        self.elements = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
        self.is_aromatic = [atom.GetIsAromatic() for atom in molecule.GetAtoms()]
        self.neighbours: list[list[tuple[int, int]]] = [[] for _ in self.elements]
        for bond in molecule.GetBonds():
            first, second = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            kind = int(bond.GetBondType())
            self.neighbours[first].append((second, kind))
            self.neighbours[second].append((first, kind))
        layer = [hash((element,)) for element in self.elements]
        self.layers = [layer]
        for _ in range(WIDEST):
            layer = [
                hash((own, *sorted((kind, layer[other]) for other, kind in beside)))
                for own, beside in zip(layer, self.neighbours, strict=True)
            ]
            self.layers.append(layer)

    def other_elements(self, atom: int) -> int:
        """Return how many other elements than carbon stand beside an atom."""
        return sum(self.elements[other] != 6 for other, _ in self.neighbours[atom])


def atom_maps(product: Chem.Mol, reactants: Chem.Mol) -> Iterator[list[int]]:
    """Yield, for each atom of the product, its atom in the reactants; the likeliest way first.

    Likeliest is the way in which fewest bonds change. Where one or none does, other ways are looked
    for only when they are asked for.

    Args:
        product: Its atoms all come from the reactants.
        reactants: All of them in one molecule.

    Yields:
        One atom of the reactants for each of the product, each once. Nothing where some are not
        found.
    """
    sides = Environments(product), Environments(reactants)
    found: list[list[int]] = []
    kept: list[tuple[int, int, list[int]]] = []
    for slack, reluctant in WAYS:
        pairs = _Pairing(*sides, slack, reluctant).made()
        if pairs is None or pairs in found:
            continue
        found.append(pairs)
        changed = _n_changed(*sides, pairs)
        if changed <= FEW:
            yield pairs
        else:
            kept.append((changed, len(kept), pairs))
    yield from (pairs for _, _, pairs in sorted(kept))


def _n_changed(product: Environments, reactants: Environments, pairs: list[int]) -> int:
    """Return how many bonds of the product are not in the reactants, or are of another type."""
    return sum(
        atom < other and (pairs[other], kind) not in reactants.neighbours[pairs[atom]]
        for atom, beside in enumerate(product.neighbours)
        for other, kind in beside
    )


class _Pairing:
    def __init__(
        self, product: Environments, reactants: Environments, slack: int, reluctant: bool
    ) -> None:
        self.product, self.reactants = product, reactants
        self.slack, self.reluctant = slack, reluctant
        self.of_product: dict[int, int] = {}
        self.of_reactants: dict[int, int] = {}
        self.waiting: list[tuple[int, int, int, int, int]] = []

    def made(self) -> list[int] | None:
        for width in range(WIDEST, -1, -1):
            for first, second in self._alike(width) if width >= FAR else ():
                if first not in self.of_product and second not in self.of_reactants:
                    self._take(first, second)
                    self._spread(least=max(1, width - self.slack))
        self._spread(least=0)
        while len(self.of_product) < len(self.product.elements):
            rest = next(self._left(), None)
            if rest is None:
                return None
            self._take(*rest)
            self._spread(least=0)
        return [self.of_product[atom] for atom in range(len(self.product.elements))]

    def _alike(self, width: int) -> Iterator[tuple[int, int]]:
        """Yield pairs whose environments agree, those first that agree with fewest others."""
        places: dict[int, list[int]] = defaultdict(list)
        for atom, number in enumerate(self.reactants.layers[width]):
            if atom not in self.of_reactants:
                places[number].append(atom)
        found = [
            (len(places[number]), atom, other)
            for atom, number in enumerate(self.product.layers[width])
            if atom not in self.of_product and number in places
            for other in places[number]
        ]
        yield from ((atom, other) for _, atom, other in sorted(found))

    def _left(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of what is left, of the same element, the most alike first."""
        for width in range(FAR, -1, -1):
            yield from self._alike(width)

    def _take(self, atom: int, other: int) -> None:
        self.of_product[atom], self.of_reactants[other] = other, atom
        for beside, kind in self.product.neighbours[atom]:
            if beside in self.of_product:
                continue
            for candidate, its_kind in self.reactants.neighbours[other]:
                if (
                    candidate not in self.of_reactants
                    and self.product.elements[beside] == self.reactants.elements[candidate]
                ):
                    # An ester or amide was closed at its acyl, an ether at its alkyl: where both
                    # sides offer an oxygen or nitrogen, the other side is asked first.
                    rank = 2 * self._agree(beside, candidate) + (kind == its_kind)
                    reluctance = 2 * self.reactants.other_elements(other)
                    reluctance -= self.reactants.is_aromatic[other]
                    reluctance *= 1 if self.reluctant else -1
                    heapq.heappush(self.waiting, (-rank, reluctance, beside, candidate, atom))

    def _agree(self, atom: int, other: int) -> int:
        """Return how many bonds out two atoms of one element agree."""
        width = 0
        while (
            width < WIDEST
            and self.product.layers[width + 1][atom] == self.reactants.layers[width + 1][other]
        ):
            width += 1
        return width

    def _spread(self, least: int) -> None:
        """Pair neighbours of pairs that agree at least so far; keep the others waiting."""
        later = []
        while self.waiting:
            entry = heapq.heappop(self.waiting)
            rank, _, atom, other, _ = entry
            if atom in self.of_product or other in self.of_reactants:
                continue
            if -rank // 2 < least:
                later.append(entry)
                continue
            self._take(atom, other)
        for entry in later:
            heapq.heappush(self.waiting, entry)
