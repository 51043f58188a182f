"""The known reactions behind a proposal: the same change, done to a product as alike as can be."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rdkit.DataStructs import ExplicitBitVect

from kagaku.science_tasks.chemistry.fingerprints import fingerprints, likeness
from kagaku.science_tasks.chemistry.retrosynthesis.planner import Known

KEPT = 256
"""Changes whose known products' fingerprints stay in memory."""


@dataclass(frozen=True)
class Precedent:
    """A known reaction in which the same was done."""

    product: str
    """Canonical SMILES."""

    reactants: str
    """Canonical SMILES, joined by dots."""

    likeness: float
    """Tanimoto similarity of its product to the one asked about, on circular fingerprints of
    radius 2; 0 to 1."""

    n_known: int
    """Known reactions in which this was done to atoms with the same neighbours; if there is none,
    to any atoms."""

    is_same_place: bool
    """Whether the atoms have the same neighbours."""


class Precedents:
    """Finds, for what was done to a product, the known reaction most like it.

    Args:
        products: Canonical SMILES.
        reactants: Canonical SMILES of each product's reactants, joined by dots.
        known: What each reaction did; None where that is not known.
    """

    def __init__(
        self, products: Sequence[str], reactants: Sequence[str], known: Sequence[Known | None]
    ) -> None:
        self.products, self.reactants, self.known = tuple(products), tuple(reactants), tuple(known)
        self._rows: dict[Hashable, list[int]] = {}
        for row, one in enumerate(known):
            if one is not None:
                self._rows.setdefault(one, []).append(row)
                self._rows.setdefault(one.edit, []).append(row)
        self._prints = lru_cache(maxsize=KEPT)(self._fingerprints)

    def nearest(self, product: str, done: Known) -> Precedent:
        """Return the known reaction that did the same to the product most like this one.

        Args:
            product: SMILES.
            done: What is done to it, with an edit that is known.
        """
        is_same_place = done in self._rows
        key: Hashable = done if is_same_place else done.edit
        (own,) = fingerprints([product])
        alike = likeness(own, self._prints(key))
        best = int(alike.argmax())
        row = self._rows[key][best]
        return Precedent(
            self.products[row],
            self.reactants[row],
            float(alike[best]),
            len(self._rows[key]),
            is_same_place,
        )

    def _fingerprints(self, key: Hashable) -> list[ExplicitBitVect]:
        return fingerprints([self.products[row] for row in self._rows[key]])
