"""Units of columns: reading them, converting between them, and logarithms of them."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kagaku.data.numbers import NUMBER
from kagaku.data.unit_spellings import COMMON, SPELLINGS
from kagaku.data.unit_spellings import DIMENSIONLESS as DIMENSIONLESS  # for all who read units
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

if TYPE_CHECKING:
    from pint import UnitRegistry

Log = Literal["log10", "ln", "log2"]
LN_OF_BASE: dict[Log, float] = {"log10": float(np.log(10)), "ln": 1.0, "log2": float(np.log(2))}
"""Natural logarithm of each logarithm's base."""

_LOG = re.compile(r"(?P<sign>-?)\s*(?P<log>log10|ln|log2)\s*[(\[]\s*(?P<inner>.*?)\s*[)\]]")
_AMBIGUOUS_LOG = re.compile(r"-?\s*(log|lg|Log|LOG)\s*[(\[]")
# "m s-1" and "cm2" as the CF conventions write exponents: https://cfconventions.org
_EXPONENT = re.compile(r"(?<=[A-Za-z])([+-]?\d+)\b")
# A number raised to a power could take for ever; no unit needs one.
_NUMBER_TO_A_POWER = re.compile(r"[\d.)]\s*(\*\*|\^)\s*\(?\s*[+-]?\d*[\d.]{2,}|\d\s*(\*\*|\^)")
_SCALED = re.compile(r"[\d.](?!\s*/)")
_BRACKETED = re.compile(r"^(?P<name>.*\S)\s*\[(?P<unit>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\s*$")
_PARENTHESISED = re.compile(r"^(?P<name>.*\S)\s*\((?P<unit>[^()]*(?:\([^()]*\))?[^()]*)\)\s*$")
_PLAIN_LETTERS = frozenset({"K", "M", "g", "h", "s", "L", "m", "%"})
"""Units of one letter that are believed in round brackets; "chain (A)" names no amperes."""
_CARRIES_UNIT = re.compile(
    rf"\s*(?P<number>{NUMBER.pattern})\s*(?P<unit>(?:1/)?[^\s\d.,;±+-].*?)?\s*"
)
LONGEST_UNIT = 80
"""Longest text that is tried as a unit, in characters."""


@dataclass(frozen=True)
class Unit:
    """A unit that was understood: what pint makes of it, and a logarithm around it if any."""

    spelling: str
    """As the user wrote it."""

    pint_name: str
    """The unit inside the logarithm, as pint spells it."""

    dimension: str
    """Its dimension as pint spells it, such as ``"[length] / [time]"``."""

    log: Log | None = None
    """The logarithm taken of the number, if one is."""

    sign: int = 1
    """-1 where the logarithm's sign is flipped, as in pKa and pIC50; otherwise 1."""


@cache
def _registry() -> "UnitRegistry[Any]":
    """Return kagaku's own pint registry; the user's application registry stays as it is."""
    import pint

    registry: UnitRegistry[Any] = pint.UnitRegistry()
    # Without this pint reads pH as picohenry.
    registry.define("pH = [acidity]")
    registry.define("atom = count")
    registry.define("base_pair = count")
    registry.define("ppb = 1e-9")
    return registry


@cache
def parse_unit(text: str) -> Unit:
    """Return what a unit means.

    Args:
        text: A unit that pint knows, ``%``, ``pH``, ``dimensionless``, or one of these inside
            ``log10(...)``, ``ln(...)``, ``log2(...)``, with a minus before it or not.

    Raises:
        InputError: It is no unit; says the nearest one.

    Example:
        >>> parse_unit("-log10(mol/L)").sign
        -1
    """
    spelling = text.strip()
    if _AMBIGUOUS_LOG.match(spelling):
        raise InputError(
            f"the unit {spelling!r} does not say which logarithm it means",
            fix="Write log10(...), ln(...) or log2(...).",
        )
    if match := _LOG.fullmatch(spelling):
        inner = parse_unit(match["inner"])
        if inner.log is not None:
            raise InputError(
                f"the unit {spelling!r} is a logarithm of a logarithm",
                fix="Write one logarithm, such as log10(mol/L).",
            )
        if inner.pint_name.startswith(("degree_Celsius", "degree_Fahrenheit")):
            raise InputError(
                f"{spelling!r} takes the logarithm of a unit whose zero is arbitrary",
                fix="Use kelvin inside the logarithm.",
            )
        sign = -1 if match["sign"] else 1
        return Unit(spelling, inner.pint_name, inner.dimension, _log(match["log"]), sign)
    unit = _pint_unit(spelling)
    return Unit(spelling, str(unit), str(unit.dimensionality))


def _log(name: str) -> Log:
    return next(known for known in LN_OF_BASE if known == name)


def _pint_unit(spelling: str) -> Any:
    """Return the pint unit of a spelling without logarithm."""
    problem = f"{spelling[:LONGEST_UNIT]!r} is not a unit that kagaku knows"
    text = SPELLINGS.get(spelling, SPELLINGS.get(spelling.replace(" ", ""), spelling))
    if len(text) > LONGEST_UNIT or _SCALED.match(text) or _NUMBER_TO_A_POWER.search(text):
        raise InputError(problem, fix="Write a unit such as mol/L, degC or percent.")
    registry = _registry()
    failure: Exception | None = None
    for attempt in (text, _EXPONENT.sub(r"**\1", text)):
        try:
            return registry.Unit(attempt)
        except Exception as error:  # noqa: BLE001 (pint and tokenize raise a dozen kinds)
            failure = error
    unknown = getattr(failure, "unit_names", None)
    first = spelling if unknown is None else unknown if isinstance(unknown, str) else unknown[0]
    raise InputError(problem, fix=_nearest(str(first)))


def _nearest(word: str) -> str:
    """Return advice for a word that is no unit."""
    by_lower = {known.lower(): known for known in COMMON}
    if same := by_lower.get(word.lower()):
        return f"Did you mean {same!r}?"
    advice = did_you_mean(word, COMMON)
    if advice.startswith("Choose"):
        advice = did_you_mean(word, [name for name in dir(_registry()) if name.isidentifier()])
    if advice.startswith("Choose"):
        return "Write a unit such as mol/L, degC or percent, or dimensionless if there is none."
    return advice


def is_unit(text: str) -> bool:
    """Return whether ``text`` is a unit that `parse_unit` understands."""
    try:
        parse_unit(text)
    except InputError:
        return False
    return True


def same_unit(first: str, second: str) -> bool:
    """Return whether two spellings mean one and the same unit."""
    one, two = parse_unit(first), parse_unit(second)
    return (one.pint_name, one.log, one.sign) == (two.pint_name, two.log, two.sign)


def split_name(text: str) -> tuple[str, str | None]:
    """Return the name and the unit of a column's heading.

    Square brackets always hold the unit. Round brackets do where their content is a unit of more
    than one letter, or one of K, M, g, h, s, L, m, %.

    Example:
        >>> split_name("logS [log10(mol/L)]")
        ('logS', 'log10(mol/L)')
        >>> split_name("yield (%)")
        ('yield', '%')
        >>> split_name("chain (A)")
        ('chain (A)', None)
    """
    text = text.strip()
    if match := _BRACKETED.match(text):
        return match["name"], match["unit"].strip() or DIMENSIONLESS
    if match := _PARENTHESISED.match(text):
        unit = match["unit"].strip()
        if (len(unit) > 1 or unit in _PLAIN_LETTERS) and is_unit(unit):
            return match["name"], unit
    return text, None


def check_convertible(from_unit: str, to_unit: str) -> None:
    """Check that one unit can be converted to the other.

    Raises:
        InputError: One of them is no unit, or they measure different things.
    """
    one, two = parse_unit(from_unit), parse_unit(to_unit)
    if one.dimension != two.dimension:
        raise InputError(
            f"{from_unit!r} cannot be converted to {to_unit!r}: the one measures "
            f"{one.dimension}, the other {two.dimension}",
            fix="Give a unit of the same kind, or correct the column's unit.",
        )


def convert(values: Any, from_unit: str, to_unit: str) -> np.ndarray:
    """Return ``values``, which are in ``from_unit``, in ``to_unit``; float64, any shape.

    Where only one of the two units is a logarithm, the logarithm is taken or undone; numbers that
    have none (zero, negative) become NaN.

    Raises:
        InputError: One of them is no unit, or they measure different things.

    Example:
        >>> convert([25.0], "degC", "K").tolist()
        [298.15]
        >>> convert([-1.0], "log10(mol/L)", "log10(mmol/L)").round(9).tolist()
        [2.0]
    """
    check_convertible(from_unit, to_unit)
    numbers = np.asarray(values, dtype=np.float64)
    one, two = parse_unit(from_unit), parse_unit(to_unit)
    if same_unit(from_unit, to_unit):
        return numbers.copy()
    scale, offset = _affine(one.pint_name, two.pint_name)
    if one.log is not None and two.log is not None:
        # Staying in logarithms keeps values whose antilogarithm would overflow.
        natural = one.sign * numbers * LN_OF_BASE[one.log] + np.log(scale)
        return np.asarray(two.sign * natural / LN_OF_BASE[two.log])
    if one.log is not None:
        with np.errstate(over="ignore"):
            numbers = np.exp(one.sign * numbers * LN_OF_BASE[one.log])
    converted = numbers * scale + offset
    if two.log is not None:
        positive = np.where(converted > 0, converted, np.nan)
        converted = two.sign * np.log(positive) / LN_OF_BASE[two.log]
    return np.asarray(converted, dtype=np.float64)


@cache
def _affine(from_name: str, to_name: str) -> tuple[float, float]:
    """Return (scale, offset): value in ``to_name`` = value in ``from_name`` * scale + offset."""
    registry = _registry()
    zero = float(registry.Quantity(0.0, from_name).to(to_name).magnitude)
    if zero == 0:
        return float(registry.Quantity(1.0, from_name).to(to_name).magnitude), 0.0
    thousand = float(registry.Quantity(1000.0, from_name).to(to_name).magnitude)
    # Fourteen digits, for the difference carries the rounding errors of both.
    return float(f"{(thousand - zero) / 1000:.14g}"), zero


def canonical_unit(unit: str) -> tuple[str, float, float]:
    """Return (base unit, scale, offset): value in base units = value * scale + offset.

    Units of one dimension share one base unit. For logarithms the base unit is the natural
    logarithm of the base unit inside.

    Raises:
        InputError: It is no unit.

    Example:
        >>> canonical_unit("degC")
        ('kelvin', 1.0, 273.15)
    """
    known = parse_unit(unit)
    base = _base_name(known.pint_name)
    if known.log is None:
        return (base, *_affine(known.pint_name, base))
    scale, _ = _affine(known.pint_name, base)
    return f"ln({base})", known.sign * LN_OF_BASE[known.log], float(np.log(scale))


@cache
def _base_name(pint_name: str) -> str:
    """Return the base unit, without radians and counts, which have no dimension."""
    registry = _registry()
    base = registry.Quantity(1.0, pint_name).to_base_units()
    kept = {
        name: power for name, power in base.unit_items() if not registry.Unit(name).dimensionless
    }
    return str(registry.Unit(registry.UnitsContainer(kept)))


def parse_quantity(cell: str, unit: str) -> float:
    """Return the number in a cell, which may carry its own unit, in ``unit``.

    Raises:
        InputError: There is no number, or its unit is unknown or of another kind.

    Example:
        >>> parse_quantity("25 °C", "K")
        298.15
    """
    match = _CARRIES_UNIT.fullmatch(cell.replace("\u2212", "-"))
    if match is None:
        raise InputError(f"{cell[:60]!r} is not a number", fix=f"Write a number in {unit}.")
    number = float(match["number"])
    if match["unit"] is None:
        return number
    return float(convert(number, match["unit"], unit))


def carried_unit(cell: Any) -> str | None:
    """Return the unit that a cell itself carries, as in ``"25 °C"``; None where it has none."""
    if not isinstance(cell, str) or (match := _CARRIES_UNIT.fullmatch(cell)) is None:
        return None
    unit = match["unit"]
    return unit if unit is not None and is_unit(unit) else None
