"""Reading formulas of materials as laboratories write them: oxides, hydrates, alloys, ions.

What does not state a composition (a variable amount, a dopant without one) is an error that names
the symbol: no amount is ever guessed.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache

from kagaku.data.compositions import Composition
from kagaku.data.elements import INDEX, SYMBOLS
from kagaku.errors import InputError

MOST_CHARACTERS = 1_000
"""Longest formula that is read."""

DEEPEST = 20
"""Brackets within brackets."""

LARGEST_AMOUNT = 10**6
"""Largest number that is read in a formula."""

_TRANSLATED = str.maketrans(
    {
        **{chr(0x2080 + digit): str(digit) for digit in range(10)},
        **dict.fromkeys("\u00b7\u2022\u22c5\u2219\u2027\u30fb\u00d7*", "\u00b7"),
        "\u00bd": ".5",
        "\u00bc": ".25",
        "\u00be": ".75",
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"),
    }
)
_RAISED = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_RAISED_RUN = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b]+$")
_PHASE = re.compile("^(?:[\u03b1-\u03c9]|alpha|beta|gamma|delta|epsilon)['\u2032]?-(?=[A-Z])")
_STATE = re.compile(r"\((?:s|l|g|aq|cr)\)$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_CHARGE = re.compile(r"(?:\^\{?|\[|\()(\d*)([+-])(\d*)[\])}]?$")
_ION_OF_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d*)([+-])$")
# ".5H2O" behind a whole number is water of crystallisation, as in CuSO4.5H2O; "0.5H2O" and
# "1.5H2O" are amounts of hydrogen with a decimal point.
_WATER = re.compile(r"(?<=[A-Za-z)\]}2-9])\.(?=\d+(?:\.\d+)?(?:H2O|D2O)$)")
_DOT = re.compile(r"\.(?=[A-Z(\[{])")
_UNCLEAR_DOT = re.compile(r"(?<=[A-Za-z)\]}])\.(\d+)")
_PERCENT = re.compile(
    r"[\s,;]*[(\[]?\s*(?:(?P<mass>wt|w|weight|mass)|(?P<atoms>at|a|atom|atomic)"
    r"|(?P<moles>mol|mole))\.?\s*-?\s*%\s*[)\]]?$",
    re.IGNORECASE,
)
_ALLOY = re.compile(r"[A-Z][a-z]?(-\d+(\.\d+)?[A-Z][a-z]?)+")
_OPENING, _CLOSING = "([{", ")]}"

_STANDS_FOR = {
    "\u25a1": "a vacancy",
    "Va": "a vacancy",
    "Vac": "a vacancy",
    "M": "some metal",
    "Me": "some metal or a methyl group",
    "Ln": "some lanthanoid",
    "RE": "some rare earth",
    "R": "some rare earth or a group",
    "A": "some element",
    "X": "some element",
    "Et": "an ethyl group",
    "Ph": "a phenyl group",
    "MA": "methylammonium",
    "FA": "formamidinium",
}


def parse_formula(text: str) -> Composition:
    """Return the composition that a formula states.

    Read are nested brackets, decimal amounts, hydrates and adducts (``CuSO4\u00b75H2O``, with ``*``
    or a point for the dot), sub- and superscripts, charges (``Fe3+``, ``SO4^2-``), D and T,
    dopants with an amount per formula unit (``ZnO:Al0.02``), alloys and glasses in percent
    (``Fe-18Cr-8Ni (wt%)``, ``70SiO2-30Na2O (mol%)``). The prefix of a phase (``\u03b1-Fe2O3``) and
    the state (``(s)``, ``(aq)``) are no part of a composition and are left out.

    Raises:
        InputError: It is empty or states no composition; says which symbol.

    Example:
        >>> parse_formula("Ca(OH)2").formula
        'CaH2O2'
    """
    return _parse(text)


@lru_cache(maxsize=65_536)
def _parse(text: str) -> Composition:
    cleaned = " ".join(text.translate(_TRANSLATED).split())
    if not cleaned:
        raise InputError("the formula is empty", fix="Drop the row or fill it in.")
    if len(cleaned) > MOST_CHARACTERS:
        raise InputError(
            f"the formula has {len(cleaned)} characters, more than {MOST_CHARACTERS:,}",
            fix="Write its composition with one amount per element.",
        )
    if found := _PERCENT.search(cleaned):
        from kagaku.data.alloys import parse_percent

        kind = next(name for name, word in found.groupdict().items() if word)
        return parse_percent(cleaned[: found.start()].strip(), kind)
    cleaned = _STATE.sub("", _PHASE.sub("", cleaned)).strip()
    _check_points(cleaned, text)
    is_doped = ":" in cleaned
    body, charge = (cleaned, 0) if is_doped else _split_charge(_raised_charge(cleaned))
    body = _joined(unicodedata.normalize("NFKC", body))
    if _ALLOY.fullmatch(body):
        raise InputError(
            f"{_shown(text)} does not say what its numbers are shares of",
            fix="Write (wt%) or (at%) behind it.",
        )
    return Composition(_amounts(body, text), charge)


def elements_in_formula(text: str) -> int:
    """Return how many elements a formula has; 0 for what is no formula.

    Example:
        >>> elements_in_formula("SrTiO3"), elements_in_formula("stirred")
        (3, 0)
    """
    try:
        return len(_parse(text).amounts)
    except InputError:
        return 0


def amounts_of(part: str) -> dict[str, Fraction]:
    """Return the amounts of a formula without charge, phase or percent; as `parse_formula`."""
    return _amounts(_joined(part), part)


def _amounts(body: str, text: str) -> dict[str, Fraction]:
    host, *dopants = body.split(":")
    total: defaultdict[str, Fraction] = defaultdict(Fraction)
    for part in _DOT.sub("\u00b7", _WATER.sub("\u00b7", host)).split("\u00b7"):
        _add(total, _Reader(part, text).whole())
    for dopant in dopants:
        for one in dopant.split(","):
            _check_dopant(one, text)
            _add(total, _Reader(one, text).whole())
    return dict(total)


def _add(total: defaultdict[str, Fraction], more: Mapping[str, Fraction]) -> None:
    for symbol, amount in more.items():
        total[symbol] += amount


def _check_points(cleaned: str, text: str) -> None:
    if re.search(r"\d,\d", cleaned):
        raise InputError(
            f"{_shown(text)} has a comma between two digits",
            fix="Write decimals with a point, such as Li0.5CoO2.",
        )
    if found := _UNCLEAR_DOT.search(_WATER.sub("\u00b7", cleaned)):
        raise InputError(
            f"the point before {found.group(1)} in {_shown(text)} may part two formulas or be a "
            "decimal point",
            fix=f"Write 0.{found.group(1)} for an amount, or a raised dot between formulas.",
        )


def _check_dopant(dopant: str, text: str) -> None:
    if not re.search(r"\d", dopant) or "%" in dopant or re.search(r"\d[+-]$", dopant):
        raise InputError(
            f"{_shown(text)} does not say how much {dopant!r} there is per formula unit",
            fix="Write its amount, such as ZnO:Al0.02, or what it replaces, Zn0.98Al0.02O.",
        )


def _joined(body: str) -> str:
    """Return a formula without the spaces between its parts; two numbers stay apart."""
    return re.sub(r"\s+(?!\d)|(?<!\d)\s+", "", body)


def _raised_charge(text: str) -> str:
    """Return a text with a superscript charge at its end written behind ``^``."""
    found = _RAISED_RUN.search(text)
    return text if found is None else f"{text[: found.start()]}^{found.group().translate(_RAISED)}"


def _split_charge(text: str) -> tuple[str, int]:
    """Return (formula, charge) of a text that may end in a charge.

    Raises:
        InputError: The digit before the sign may be an amount or a charge, as in ``NH4+``.
    """
    if found := _CHARGE.search(text):
        size, sign, behind = found.groups()
        if not (size and behind):
            return text[: found.start()].rstrip(), _signed(sign, size or behind)
    if found := _ION_OF_ELEMENT.fullmatch(text):
        return found.group(1), _signed(found.group(3), found.group(2))
    if text[-1:] in "+-" and len(text) > 1:
        signs = len(text) - len(text.rstrip(text[-1]))
        body = text[:-signs]
        if signs > 1 or body[-1:].isalpha():
            return body, _signed(text[-1], str(signs))
        if bracket := re.search(r"\](\d*)$", body):
            return body[: bracket.start() + 1], _signed(text[-1], bracket.group(1))
        raise InputError(
            f"the digit before the sign of {_shown(text)} may be an amount or a charge",
            fix=f"Write {body}^{text[-1]} or {body[:-1]}^{body[-1]}{text[-1]}.",
        )
    return text, 0


def _signed(sign: str, size: str) -> int:
    return int(size or 1) * (1 if sign == "+" else -1)


class _Reader:
    """Reads one part of a formula from left to right.

    Args:
        part: Without spaces, dots between formulas, charges.
        text: The whole formula as the user wrote it, for messages.
    """

    def __init__(self, part: str, text: str) -> None:
        self.part, self.text, self.at = part, text, 0

    def whole(self) -> dict[str, Fraction]:
        """Return the amounts of the part, which may begin with a factor (``5H2O``)."""
        factor = self._number()
        found = self._group("", 0)
        if not found:
            raise InputError(f"{_shown(self.text)} names no element", fix="Correct it.")
        return {symbol: amount * factor for symbol, amount in found.items()}

    def _group(self, closing: str, depth: int) -> dict[str, Fraction]:
        found: defaultdict[str, Fraction] = defaultdict(Fraction)
        if depth > DEEPEST:
            raise InputError(f"{_shown(self.text)} has too many brackets", fix="Write it out.")
        while self.at < len(self.part):
            letter = self.part[self.at]
            if letter in _OPENING:
                self.at += 1
                inner = self._group(_CLOSING[_OPENING.index(letter)], depth + 1)
            elif letter == closing:
                self.at += 1
                return found
            else:
                inner = {self._symbol(): Fraction(1)}
            factor = self._number()
            _add(found, {symbol: amount * factor for symbol, amount in inner.items()})
        if closing:
            raise InputError(
                f"a bracket of {_shown(self.text)} is not closed", fix=f"Add the {closing!r}."
            )
        return found

    def _symbol(self) -> str:
        for size in (2, 1):
            symbol = self.part[self.at : self.at + size]
            if len(symbol) == size and symbol in INDEX:
                self.at += size
                return symbol
        raise self._unknown()

    def _number(self) -> Fraction:
        found = _NUMBER.match(self.part, self.at)
        if found is None:
            return Fraction(1)
        self.at = found.end()
        number = Fraction(found.group())
        if number > LARGEST_AMOUNT:
            raise InputError(
                f"the amount {found.group()} in {_shown(self.text)} is too large",
                fix="Write amounts per formula unit.",
            )
        if not number:
            raise InputError(
                f"an amount in {_shown(self.text)} is 0", fix="Leave out what is not there."
            )
        return number

    def _unknown(self) -> InputError:
        """Return the error about what stands here instead of an element."""
        rest, shown = self.part[self.at :], _shown(self.text)
        if rest[0] == "-" and self.at and re.match(r"-\d+(\.\d+)?($|[A-Z)\]}])", rest):
            number = _NUMBER.match(rest, 1)
            assert number is not None
            return InputError(
                f"{shown} has the negative amount or difference '-{number.group()}'",
                fix="Write each amount as one positive number.",
            )
        if rest[0] in "+-" and (variable := re.match(r"[+-][\d.]*([a-z\u03b1-\u03c9])", rest)):
            return _about_small_letter(variable.group(1), shown, self.text)
        if rest[0] in "+-/,;&":
            return InputError(
                f"{shown} has {rest[0]!r}, which leaves the amounts of its parts open",
                fix="Write one formula with an amount for each element, or percent with (wt%).",
            )
        if rest[0] in _CLOSING:
            return InputError(
                f"{shown} closes a bracket that was not opened", fix="Correct the brackets."
            )
        if rest[0].islower():
            return _about_small_letter(rest, shown, self.text)
        found = re.match(r"[A-Z][A-Za-z]?|.", rest)
        assert found is not None
        return _about_symbol(found.group(), shown, self.text)


def _about_small_letter(rest: str, shown: str, text: str) -> InputError:
    if text.islower():
        return InputError(
            f"{shown} has no capital letters, so it names no elements",
            fix="Write symbols with a capital, such as NaCl.",
        )
    symbol = rest[0]
    if symbol in "xyzmnuvwδ" or ord(symbol) > ord("z"):
        return InputError(
            f"the amount {symbol!r} in {shown} has no value, so the composition is not known",
            fix=f"Write the number that {symbol} stands for.",
        )
    return InputError(
        f"{shown} has {symbol!r}, which begins no element",
        fix="Write symbols with a capital, and names or phases into a column of their own.",
    )


def _about_symbol(symbol: str, shown: str, text: str) -> InputError:
    if len(text) > 2 and text.isupper() and text.isalpha():
        return InputError(
            f"there is no element {symbol[0]!r} in {shown}, which is all in capitals",
            fix="Write the second letter of a symbol small, such as NaCl.",
        )
    for name in (symbol, symbol[0]):
        if name in _STANDS_FOR and not symbol[len(name) :].islower():
            return InputError(
                f"{name!r} in {shown} stands for {_STANDS_FOR[name]}, which is no element",
                fix="Write out the elements that it stands for, and leave vacancies out.",
            )
    if not symbol[0].isalpha():
        return InputError(
            f"{shown} has {symbol!r}, which is no part of a formula",
            fix="Write element symbols and their amounts, such as Li1.2Mn0.8O2.",
        )
    close = get_close_matches(symbol, SYMBOLS, n=1, cutoff=0.5)
    advice = f"Did you mean {close[0]!r}?" if close else "Correct the symbol."
    return InputError(f"there is no element {symbol!r} in {shown}", fix=advice)


def _shown(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else text[: length - 3] + "...")
