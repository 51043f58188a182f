"""Whether settings hold words that are known and numbers that make sense."""

from collections.abc import Collection, Mapping
from typing import Any

from kagaku.errors import InputError
from kagaku.registry import did_you_mean


def check_words(settings: object, choices: Mapping[str, Collection[str]], what: str = "") -> None:
    """Check that each named setting is one of its words.

    Args:
        settings: Whose attributes are looked at.
        choices: By name, the words.
        what: What stands before a name in the message, such as ``"optimiser "``.

    Raises:
        InputError: One is not.
    """
    for name, known in choices.items():
        if (value := getattr(settings, name)) not in known:
            raise InputError(
                f"{what}{name} cannot be {value!r}", fix=did_you_mean(value, tuple(known))
            )


def check_limits(settings: object, limits: Mapping[str, tuple[Any, Any]]) -> None:
    """Check that each named setting lies within its limits, or is None.

    Args:
        settings: Whose attributes are looked at.
        limits: By name, the lowest and the highest value, whole numbers or not.

    Raises:
        InputError: One does not.
    """
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise InputError(
                f"{name} must lie between {low:g} and {high:g}, got {value:g}",
                fix="Choose a value in that range.",
            )
