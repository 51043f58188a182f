"""Numbers as laboratories write them: missing, censored, with comma or point."""

import math
import numbers
import re
from typing import Any

from kagaku.data.records import ABOVE, BELOW, EXACT
from kagaku.errors import InputError

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|Inf|INF)(?:inity)?")
"""A number in plain or scientific notation."""

MISSING_NUMBERS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--"})
"""What stands for a missing number, in lower case. In columns of text, molecules and proteins only
an empty cell is missing: "NA" is a fine peptide."""

MISSING_LABELS = frozenset({"", "na", "n/a", "#n/a", "nan", "null"})
"""What stands for a missing class label, in lower case; "none" and "-" may be classes."""

_CENSORING = re.compile(r"(?P<sign><=|>=|<|>|≤|≥)\s*(?P<rest>.*)", re.DOTALL)
_COMMA_NUMBER = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d+,\d+")


def is_missing_number(cell: Any) -> bool:
    """Return whether a cell of a numeric column holds no number on purpose."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING_NUMBERS
    return isinstance(cell, numbers.Real) and math.isnan(cell)


def is_missing_label(cell: Any) -> bool:
    """Return whether a cell of a column of class labels is empty."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING_LABELS
    return isinstance(cell, numbers.Real) and math.isnan(cell)


def split_censoring(cell: Any) -> tuple[Any, int]:
    """Return the cell without its ``<`` or ``>``, and what that sign said.

    Example:
        >>> split_censoring("> 100")
        ('100', 1)
    """
    if isinstance(cell, str) and (match := _CENSORING.fullmatch(cell.strip())):
        return match["rest"].strip(), BELOW if match["sign"] in {"<", "<=", "≤"} else ABOVE
    return cell, EXACT


def parse_number(cell: Any) -> float:
    """Return the number in a cell that has no unit of its own.

    Raises:
        InputError: It is no finite number; says how to write it.

    Example:
        >>> parse_number(" -1.5e-3 ")
        -0.0015
    """
    if isinstance(cell, numbers.Real):
        number = float(cell)
    else:
        text = str(cell).strip().replace("\u2212", "-")
        if not NUMBER.fullmatch(text):
            raise InputError(f"{shorten(text)!r} is not a number", fix=_advice(text))
        number = float(text)
    if not math.isfinite(number):
        raise InputError(
            f"{cell!r} is not a finite number", fix="Correct it, or leave the cell empty."
        )
    return number


def is_number(cell: Any) -> bool:
    """Return whether a cell holds a finite number, censored or not, without a unit."""
    try:
        parse_number(split_censoring(cell)[0])
    except InputError:
        return False
    return True


def shorten(text: str, length: int = 60) -> str:
    """Return ``text`` cut to a readable length."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _advice(text: str) -> str:
    """Return how to write what looks almost like a number."""
    if _COMMA_NUMBER.fullmatch(text):
        if text.count(",") == 1 and "." not in text:
            return f"Write a decimal point: {text.replace(',', '.')}."
        return f"Leave out the thousands separators: {text.replace(',', '')}."
    if "±" in text or "+/-" in text:
        return "Keep the value only; put its error into a column of its own."
    return "Write a plain number, or leave the cell empty if nothing was measured."
