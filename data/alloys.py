"""Compositions in percent: alloys by weight or atoms, glasses by moles."""

import re
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from kagaku.data.compositions import Composition
from kagaku.data.formulas import amounts_of
from kagaku.errors import InputError

TOLERANCE = Fraction(2)
"""Percent by which the parts of an alloy may miss 100 without a part that makes up the balance."""

DIGITS = 6
"""Decimals of a percent of atoms that was computed from percent by weight."""


def parse_percent(text: str, kind: str) -> Composition:
    """Return the composition of parts in percent; the amounts are percent of atoms.

    The parts stand apart by ``-`` or by spaces and commas, each with its number before it; one part
    without a number makes up the balance to 100.

    Args:
        text: Such as ``Fe-18Cr-8Ni``.
        kind: What it is percent of: ``mass``, ``atoms``, or ``moles`` of formula units.

    Raises:
        InputError: The percent do not add up, a part is no element, or a number is missing.

    Example:
        >>> parse_percent("Fe-50Ni", "atoms").formula
        'FeNi'
    """
    shares = _shares(text)
    by_formula = {part: amounts_of(part) for part in shares}
    total: defaultdict[str, Fraction] = defaultdict(Fraction)
    for part, share in shares.items():
        amounts = by_formula[part]
        if kind == "atoms" and len(amounts) > 1:
            raise InputError(
                f"{part!r} in {text!r} is a compound, which has no percent of atoms",
                fix="Write (mol%) for percent of formula units.",
            )
        units = share / Fraction(Composition(amounts).mass) if kind == "mass" else share
        for symbol, amount in amounts.items():
            total[symbol] += units * amount
    amounts = _rounded(total) if kind == "mass" else total
    if traces := [symbol for symbol, amount in amounts.items() if not amount]:
        raise InputError(f"{text!r} has hardly any {traces[0]}", fix="Leave the traces out.")
    return Composition(dict(amounts))


def _rounded(total: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return amounts as percent of atoms with `DIGITS` decimals: masses are no exact numbers."""
    whole = sum(total.values())
    return {one: Fraction(round(amount / whole * 100, DIGITS)) for one, amount in total.items()}


def _shares(text: str) -> dict[str, Fraction]:
    """Return the percent of each part."""
    shares: dict[str, Fraction] = {}
    balance: list[str] = []
    for part in re.split(r"\s*[-,;]\s*|\s+", text):
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)?(\D.*)", part)
        if found is None:
            raise InputError(
                f"{text!r} has a part {part!r} that names no element",
                fix="Write it as Fe-18Cr-8Ni (wt%).",
            )
        number, formula = found.groups()
        if formula in shares or formula in balance:
            raise InputError(f"{formula!r} stands twice in {text!r}", fix="Name it once.")
        if number is None:
            balance.append(formula)
        else:
            shares[formula] = Fraction(number)
    return _balanced(shares, balance, text)


def _balanced(shares: dict[str, Fraction], balance: list[str], text: str) -> dict[str, Fraction]:
    told = sum(shares.values(), Fraction(0))
    if len(balance) > 1:
        raise InputError(
            f"{text!r} has no number for {balance[0]!r} and {balance[1]!r}",
            fix="Leave the number out for one part only, which makes up the balance.",
        )
    if balance and told < 100:
        shares[balance[0]] = 100 - told
    elif balance or abs(told - 100) > TOLERANCE:
        raise InputError(
            f"the parts of {text!r} add up to {float(told):g}%, not to 100%",
            fix="Correct the numbers, or leave that of the main part out.",
        )
    return {part: share for part, share in shares.items() if share}
