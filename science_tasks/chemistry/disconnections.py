"""The plain way to plan a synthesis: disconnect a bond, and put on what was there in known cases.

From each known reaction the one bond is found at which its product was joined, or the one group
that was changed, with what the reactants had in place of it. No atom numbers are needed: a product
is cut at every single bond outside rings, and its pieces are looked for in the reactants. For a new
product every bond is scored by how often bonds with such surroundings were the ones that were made.
That is retrosynthesis by templates (Segler and Waller 2017,
https://doi.org/10.1002/chem.201605499) in its simplest form. Reactions that make or change several
bonds at once, such as ring closures, are beyond it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from rdkit import Chem

from kagaku.science_tasks.chemistry.cuts import (
    DUMMY,
    HYDROGEN,
    RADII,
    cuts_of,
    environments,
    joined,
    pieces_of,
    read,
    without_hydrogen,
)

LARGEST_GROUP = 12
"""Heavy atoms of the largest group that is put on or changed."""

SURVEYED = 3_000
"""Products whose every bond is looked at, to know how often surroundings occur at all."""

COARSE_WEIGHT = 0.1
"""What the narrower surroundings count beside the wider ones."""

BUILT = 40
"""Best candidates that are put together for a product."""

Key = tuple[object, ...]


@dataclass(frozen=True)
class Disconnection:
    """One way to take a product apart."""

    pieces: tuple[str, ...]
    """The product's own: both sides of a bond, or the one that stays when a group is changed."""

    off: str
    """The group that is taken off; empty where a bond is disconnected."""

    on: tuple[str, ...]
    """What each piece has in its reactant."""

    def keys(self) -> list[Key]:
        """Return what it is known by, for each width of its surroundings."""
        return [(*site, *self.on) for site in sites(self.pieces, self.off)]

    def reactants(self) -> str | None:
        """Return the canonical SMILES of the reactants; None where one is no molecule."""
        made = [joined(piece, group) for piece, group in zip(self.pieces, self.on, strict=True)]
        whole = None if None in made else read(".".join(one for one in made if one))
        return None if whole is None else str(Chem.MolToSmiles(whole))


def sites(pieces: tuple[str, ...], off: str) -> list[Key]:
    """Return the surroundings of a cut, for each of `RADII`."""
    around = [environments(piece) for piece in pieces]
    return [(off, *(one[width] for one in around)) for width in range(len(RADII))]


@dataclass
class Disconnector:
    """Knows which bonds were made in known reactions, and with what."""

    made: Counter[Key] = field(default_factory=Counter)
    """How often each disconnection was right."""

    groups: dict[Key, set[tuple[str, ...]]] = field(default_factory=dict)
    """By surroundings, what was put on."""

    seen: Counter[Key] = field(default_factory=Counter)
    """About how often surroundings occur in the products."""

    n_explained: int = 0
    """Known reactions in which a disconnection was found."""

    @classmethod
    def learnt(
        cls, products: Sequence[str], reactants: Sequence[str], seed: int = 0
    ) -> "Disconnector":
        """Return what known reactions tell.

        Args:
            products: Canonical SMILES.
            reactants: Canonical SMILES of each product's reactants, joined by dots.
            seed: Fixes which products are surveyed.
        """
        own = cls()
        for product, before in zip(products, reactants, strict=True):
            found = explained(product, before)
            if found is not None:
                own._take(found)
        chosen = np.random.default_rng(seed).permutation(len(products))[:SURVEYED]
        weight = len(products) / max(1, len(chosen))
        survey: Counter[Key] = Counter()
        for number in chosen:
            for pieces, off in possible(products[number]):
                survey.update(sites(pieces, off))
        for site, count in survey.items():
            own.seen[site] = max(own.seen[site], round(weight * count))
        return own

    def _take(self, found: Disconnection) -> None:
        self.n_explained += 1
        for site, key in zip(sites(found.pieces, found.off), found.keys(), strict=True):
            self.made[key] += 1
            self.seen[site] += 1
            self.groups.setdefault(site, set()).add(found.on)

    def propose(self, product: str, most: int) -> list[str]:
        """Return the likeliest reactants of a product, canonical and distinct, the best first."""
        scored: dict[Disconnection, float] = {}
        for pieces, off in possible(product):
            for width, site in enumerate(sites(pieces, off)):
                weight = 1.0 if width == 0 else COARSE_WEIGHT
                for on in self.groups.get(site, ()):
                    one = Disconnection(pieces, off, on)
                    share = self.made[(*site, *on)] / (1 + self.seen[site])
                    scored[one] = scored.get(one, 0.0) + weight * share
        best = sorted(scored, key=lambda one: (-scored[one], one.pieces, one.on))[:BUILT]
        made = (one.reactants() for one in best)
        return list(dict.fromkeys(one for one in made if one is not None and one != product))[:most]


def possible(product: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every bond of a product with its two pieces, and every group with what would stay."""
    molecule = read(product)
    if molecule is None:
        return
    for cut in cuts_of(molecule):
        pieces = pieces_of(molecule, cut)
        if pieces is None:
            continue
        # Both ways, as what stands around the first and the second piece is told apart.
        yield pieces, ""
        yield (pieces[1], pieces[0]), ""
        for stays, off in (pieces, (pieces[1], pieces[0])):
            if _size(off) <= LARGEST_GROUP:
                yield (stays,), off
    for piece in without_hydrogen(molecule):
        yield (piece,), HYDROGEN


def explained(product: str, reactants: str) -> Disconnection | None:
    """Return the disconnection of a known reaction with the smallest groups; None if none fits."""
    parts = reactants.split(".")
    if len(parts) == 2:
        return _bond_made(product, (parts[0], parts[1]))
    return _group_changed(product, reactants) if len(parts) == 1 else None


def _bond_made(product: str, reactants: tuple[str, str]) -> Disconnection | None:
    whole, parts = read(product), [read(one) for one in reactants]
    if whole is None or parts[0] is None or parts[1] is None:
        return None
    first, second = parts[0], parts[1]
    spare = first.GetNumAtoms() + second.GetNumAtoms() - whole.GetNumAtoms()
    if not 0 <= spare <= 2 * LARGEST_GROUP:
        return None
    groups = [_groups(one, min(spare, LARGEST_GROUP)) for one in (first, second)]
    best: tuple[int, Disconnection] | None = None
    for cut in cuts_of(whole):
        sizes = {cut.sizes[0], cut.sizes[1]}
        if not any(0 <= first.GetNumAtoms() - size <= spare for size in sizes):
            continue
        pieces = pieces_of(whole, cut)
        for own in () if pieces is None else (pieces, (pieces[1], pieces[0])):
            on = [
                _group_of(piece, smiles, known)
                for piece, smiles, known in zip(own, reactants, groups, strict=True)
            ]
            if on[0] is not None and on[1] is not None:
                size = _size(on[0]) + _size(on[1])
                if best is None or size < best[0]:
                    best = size, Disconnection(own, "", (on[0], on[1]))
    return None if best is None else best[1]


def _group_changed(product: str, reactant: str) -> Disconnection | None:
    after, before = read(product), read(reactant)
    if after is None or before is None:
        return None
    on, off = _groups(before, LARGEST_GROUP), _groups(after, LARGEST_GROUP)
    best: tuple[int, Disconnection] | None = None
    for stays in {*on, *off}:
        put = on.get(stays) or _hydrogen_if(stays, reactant)
        taken = off.get(stays) or _hydrogen_if(stays, product)
        if put is not None and taken is not None and put != taken:
            size = _size(put) + _size(taken)
            if best is None or size < best[0]:
                best = size, Disconnection((stays,), taken, (put,))
    return None if best is None else best[1]


def _groups(molecule: Chem.Mol, largest: int) -> dict[str, str]:
    """Return, by the piece that stays, each group of a molecule that is not too large."""
    found: dict[str, str] = {}
    for cut in cuts_of(molecule):
        if min(cut.sizes) > largest:
            continue
        pieces = pieces_of(molecule, cut)
        ways = () if pieces is None else (pieces, (pieces[1], pieces[0]))
        found |= {stays: group for stays, group in ways if _size(group) <= largest}
    return found


def _group_of(piece: str, reactant: str, groups: dict[str, str]) -> str | None:
    return groups.get(piece) or _hydrogen_if(piece, reactant)


def _hydrogen_if(piece: str, smiles: str) -> str | None:
    # Sizes first, since putting pieces together takes most of the time.
    is_same = _size(piece) == _size(smiles) and joined(piece, HYDROGEN) == smiles
    return HYDROGEN if is_same else None


def _size(piece: str) -> int:
    """Return about how many heavy atoms a piece has: letters but those of hydrogens."""
    bare = piece.replace(DUMMY, "").replace("Cl", "X").replace("Br", "X").replace("Si", "X")
    return sum(letter.isalpha() and letter != "H" for letter in bare)
