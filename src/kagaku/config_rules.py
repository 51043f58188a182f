"""Rules that one value of a configuration must follow; each names the setting and the limit."""

import math
from collections.abc import Callable
from typing import Any

from kagaku.errors import InputError
from kagaku.registry import did_you_mean

Rule = Callable[[str, Any], Any]
"""Takes a setting's name and value; returns the value in its declared type or raises InputError."""


def text() -> Rule:
    """Return the rule of a name or path: one line of text that is not empty."""

    def check(name: str, value: Any) -> str:
        if isinstance(value, bool):
            raise InputError(
                f"{name} must be text, got {str(value).lower()}",
                fix="Put it in quotes: YAML reads bare yes, no, on and off as true and false.",
            )
        if not isinstance(value, str):
            raise InputError(
                f"{name} must be text, got {value!r}", fix=f"Write it in quotes: '{value}'."
            )
        if not value.strip():
            raise InputError(f"{name} is empty", fix="Fill it in, or leave the line out.")
        if "\0" in value or "\n" in value.strip():
            raise InputError(f"{name} must be one line of text, got {value!r}", fix="Correct it.")
        return value.strip()

    return check


def texts() -> Rule:
    """Return the rule of a list of names; one name is a list of one."""
    one = text()

    def check(name: str, value: Any) -> tuple[str, ...]:
        given = value if isinstance(value, (list, tuple)) else [value]
        if not given:
            raise InputError(f"{name} is an empty list", fix="Name at least one column.")
        if strange := [part for part in given if isinstance(part, dict)]:
            (key, kind) = next(iter(strange[0].items()), ("column", "binary"))
            raise InputError(
                f"{name} must be a list of names, got {strange[0]!r}",
                fix=f"Put a name with a colon in quotes: '{key}: {kind}'.",
            )
        names = tuple(one(name, part) for part in given)
        if twice := sorted({part for part in names if names.count(part) > 1}):
            raise InputError(f"{name} names {twice} more than once", fix="Name each one once.")
        return names

    return check


def choice(*names: str) -> Rule:
    """Return the rule of a word out of a fixed list."""

    def check(name: str, value: Any) -> str:
        if value not in names or not isinstance(value, str):
            raise InputError(
                f"{name} cannot be {value!r}",
                fix=did_you_mean(value, names) if isinstance(value, str) else _choose(names),
            )
        return value

    return check


def number(low: float, high: float) -> Rule:
    """Return the rule of a real number within limits, both included."""

    def check(name: str, value: Any) -> float:
        if isinstance(value, str):
            value = _parsed(value)  # YAML 1.1 takes 1e-3, without a dot, for text
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(
                f"{name} must be a number, got {value!r}", fix=f"Use {low:g} to {high:g}."
            )
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(
                f"{name} must lie between {low:g} and {high:g}, got {value:g}",
                fix="Choose a value in that range.",
            )
        return float(value)

    return check


def integer(low: int, high: int) -> Rule:
    """Return the rule of a whole number within limits, both included."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(
                f"{name} must be a whole number, got {value!r}", fix=f"Use {low:,} to {high:,}."
            )
        if not low <= value <= high:
            raise InputError(
                f"{name} must lie between {low:,} and {high:,}, got {value:,}",
                fix="Choose a value in that range.",
            )
        return value

    return check


def boolean() -> Rule:
    """Return the rule of a yes-or-no setting."""

    def check(name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, got {value!r}", fix="Correct it.")
        return value

    return check


def optional(rule: Rule) -> Rule:
    """Return the rule that also lets a setting be empty."""

    def check(name: str, value: Any) -> Any:
        return None if value is None else rule(name, value)

    return check


def _choose(names: tuple[str, ...]) -> str:
    return f"Choose from {sorted(names)}."


def _parsed(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
