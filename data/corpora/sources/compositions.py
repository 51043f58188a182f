"""Compositions drawn by rule: salts whose charges cancel, and alloys."""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.elements import SYMBOLS, oxidation_states

N_SAMPLES = 40_000
"""Compositions that are drawn; each by its own number, so the first ones never change."""

MOST_ATOMS = 40
"""Of a formula unit; what would need more is drawn again."""

SHARE_ALLOYS = 0.15

ANIONS = {
    ("O", -2): 0.45, ("S", -2): 0.11, ("F", -1): 0.09, ("Cl", -1): 0.09, ("Se", -2): 0.06,
    ("N", -3): 0.06, ("Br", -1): 0.04, ("I", -1): 0.04, ("P", -3): 0.03, ("Te", -2): 0.02,
    ("H", -1): 0.01,
}  # fmt: skip
"""How often each anion is drawn, oxides being the commonest minerals and ceramics."""

LIGHTEST_UNSTABLE = 84
"""Atomic number from which all isotopes decay: polonium."""

NEVER = frozenset({"He", "Ne", "Ar", "Kr", "Xe", "Tc", "Pm"})
"""Noble gases, and lighter elements without a stable isotope."""


@SOURCES.register("balanced-compositions")
class BalancedCompositions(Source):
    """Inorganic formulas: of cations and anions whose main oxidation states cancel, and alloys.

    Most of them are no known compound. What can be learnt from them is which elements replace each
    other and how charges balance, which real compounds obey as well: Davies et al. 2016,
    https://doi.org/10.1016/j.chempr.2016.09.010, count compositions in this way.
    """

    packages: ClassVar[tuple[Package, ...]] = ()
    inputs: ClassVar[Mapping[str, str]] = {"material": "material"}
    licence: ClassVar[str] = "drawn by kagaku, Apache-2.0"
    origin: ClassVar[str] = "drawn by kagaku"
    version: ClassVar[str] = "1"
    n_about: ClassVar[int] = N_SAMPLES

    def read(self) -> Iterator[RawSample]:
        """Yield the formulas."""
        for number in range(N_SAMPLES):
            yield RawSample(str(number), {"material": drawn_formula(number)})


def drawn_formula(number: int) -> str:
    """Return the formula of a number.

    Example:
        >>> drawn_formula(0)
        'BZnI5'
    """
    rng = np.random.default_rng([number, 0])
    while True:
        amounts = _alloy(rng) if rng.random() < SHARE_ALLOYS else _salt(rng)
        if amounts and sum(amounts.values()) <= MOST_ATOMS:
            return "".join(f"{one}{count if count > 1 else ''}" for one, count in amounts.items())


def metals() -> dict[str, tuple[int, ...]]:
    """Return the positive oxidation states of each element that is drawn as a cation."""
    states = zip(SYMBOLS[: LIGHTEST_UNSTABLE - 1], oxidation_states(), strict=False)
    positive = {symbol: tuple(one for one in several if one > 0) for symbol, several in states}
    anions = {symbol for symbol, _ in ANIONS}
    return {
        symbol: several
        for symbol, several in positive.items()
        if several and symbol not in NEVER and symbol not in anions
    }


_METALS = metals()


def _alloy(rng: np.random.Generator) -> dict[str, int]:
    """Return two to five metals in small whole amounts."""
    chosen = rng.choice(list(_METALS), int(rng.integers(2, 6)), replace=False)
    return {str(one): int(rng.integers(1, 7)) for one in sorted(chosen)}


def _salt(rng: np.random.Generator) -> dict[str, int]:
    """Return one to four cations and one or two anions in amounts whose charges cancel."""
    n_cations = int(rng.choice([1, 2, 3, 4], p=[0.2, 0.4, 0.3, 0.1]))
    cations = [str(one) for one in sorted(rng.choice(list(_METALS), n_cations, replace=False))]
    amounts = {one: int(rng.integers(1, 4)) for one in cations}
    charge = sum(count * int(rng.choice(_METALS[one])) for one, count in amounts.items())
    anions = list(ANIONS)
    order = rng.choice(len(anions), 2, replace=False, p=list(ANIONS.values()))
    (first, one_charge), (second, other_charge) = (anions[int(place)] for place in order)
    extra = int(rng.integers(1, 3)) if rng.random() < 0.2 else 0
    left = charge + extra * other_charge
    if left <= 0:
        return {}
    times = -one_charge // math.gcd(left, -one_charge)
    whole = {one: times * count for one, count in amounts.items()}
    if extra:
        whole[second] = times * extra
    whole[first] = times * left // -one_charge
    divisor = math.gcd(*whole.values())
    return {one: count // divisor for one, count in whole.items()}
