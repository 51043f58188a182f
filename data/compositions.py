"""Compositions of materials: exact amounts of elements, and the one way in which they are written.

A composition is what a formula says: how many atoms of each element there are per atom of the
others. Formulas of one composition (``Fe4O6`` and ``Fe2O3``, ``Ba0.5Sr0.5TiO3`` and ``BaSrTi2O6``)
are the same material to all that follows, so they have one canonical form. Amounts are fractions
of whole numbers, so that this does not hang on rounding.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from kagaku.data.elements import INDEX, element_property
from kagaku.errors import InputError

LARGEST_WHOLE = 100
"""Below this the canonical form has whole amounts; above it decimals, the largest from 1 to 10."""

DECIMALS = 6
"""Of an amount in a canonical form with decimals; what is less beside the largest is refused."""


@dataclass(frozen=True)
class Composition:
    """Elements and their amounts, as a formula gives them."""

    amounts: Mapping[str, Fraction]
    """By symbol, atoms per formula unit; positive. D and T stand for themselves."""

    charge: int = 0
    """Elementary charges per formula unit."""

    @cached_property
    def formula(self) -> str:
        """The canonical form: lowest whole amounts, the least electronegative element first.

        Where an amount would be `LARGEST_WHOLE` or more, as in most solid solutions, decimals are
        written instead. Ions keep their formula unit, and their charge stands behind ``^``.

        Example:
            >>> Composition({"O": Fraction(6), "Fe": Fraction(4)}).formula
            'Fe2O3'
        """
        scaled = dict(self.amounts) if self.charge else _canonical(self.amounts)
        parts = [symbol + _written(scaled[symbol]) for symbol in sorted(scaled, key=_rank)]
        return "".join(parts) + _written_charge(self.charge)

    @cached_property
    def fractions(self) -> dict[str, float]:
        """By symbol, the share of the atoms; from the commonest element to the rarest.

        Example:
            >>> Composition({"H": Fraction(2), "O": Fraction(2)}).fractions
            {'H': 0.5, 'O': 0.5}
        """
        total = sum(self.amounts.values())
        order = sorted(self.amounts, key=lambda symbol: (-self.amounts[symbol], INDEX[symbol]))
        return {symbol: float(self.amounts[symbol] / total) for symbol in order}

    @property
    def system(self) -> str:
        """The chemical system: the elements in alphabetical order.

        Example:
            >>> Composition({"O": Fraction(3), "Fe": Fraction(2)}).system
            'Fe-O'
        """
        return "-".join(sorted(self.amounts))

    @property
    def charge_per_atom(self) -> float:
        """Elementary charges per atom."""
        return self.charge / float(sum(self.amounts.values()))

    @property
    def mass(self) -> float:
        """Mass of a formula unit, Da."""
        masses = element_property("atomic_mass")
        return sum(float(n) * float(masses[INDEX[one]]) for one, n in self.amounts.items())


def _rank(symbol: str) -> tuple[float, int]:
    """Return where an element stands in a formula: by electronegativity, the noble gases last."""
    electronegativity = float(element_property("electronegativity")[INDEX[symbol]])
    known = not math.isnan(electronegativity)
    is_noble = element_property("group")[INDEX[symbol]] == 18
    # The others without a value are radioactive metals and lanthanoids, which are electropositive.
    return (electronegativity if known else 9.0 if is_noble else 1.2, INDEX[symbol])


def _canonical(amounts: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return the amounts in lowest terms, or as decimals if one of them is large."""
    lowest = _lowest_terms(amounts)
    while (largest := max(lowest.values())) >= 10 ** (DECIMALS + 1):
        rounded = {
            symbol: Fraction(round(amount * 10**DECIMALS / _power_of_ten(largest)))
            for symbol, amount in lowest.items()
        }
        if traces := [symbol for symbol, amount in rounded.items() if not amount]:
            raise InputError(
                f"there is less than a millionth of {traces[0]} in the formula",
                fix="Leave the traces out.",
            )
        if rounded == lowest:
            break
        lowest = _lowest_terms(rounded)
    if largest < LARGEST_WHOLE:
        return lowest
    return {symbol: amount / _power_of_ten(largest) for symbol, amount in lowest.items()}


def _lowest_terms(amounts: Mapping[str, Fraction]) -> dict[str, Fraction]:
    common = math.lcm(*(amount.denominator for amount in amounts.values()))
    whole = {symbol: int(amount * common) for symbol, amount in amounts.items()}
    divisor = math.gcd(*whole.values())
    return {symbol: Fraction(amount // divisor) for symbol, amount in whole.items()}


def _power_of_ten(number: Fraction) -> int:
    """Return the largest power of ten that is no larger than a whole number."""
    return int(10 ** (len(str(int(number))) - 1))


def _written(amount: Fraction) -> str:
    """Return an amount as a formula has it; one is not written."""
    if amount == 1:
        return ""
    if amount.denominator == 1:
        return str(amount.numerator)
    return f"{float(amount):.{DECIMALS + 6}f}".rstrip("0").rstrip(".")


def _written_charge(charge: int) -> str:
    if not charge:
        return ""
    size = "" if abs(charge) == 1 else str(abs(charge))
    return f"^{size}{'+' if charge > 0 else '-'}"
