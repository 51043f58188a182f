"""How far after the input a grid's target lies, in calendar time."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from kagaku.data.coordinates import add_months
from kagaku.errors import InputError

if TYPE_CHECKING:
    import cftime

_LEAD = re.compile(r"\+?\s*(?P<count>\d{1,6})\s*(?P<unit>[A-Za-z]+)")
_UNITS = {
    **dict.fromkeys(("step", "steps"), "step"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "hour"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("week", "weeks"), "week"),
    **dict.fromkeys(("month", "months", "mon"), "month"),
    **dict.fromkeys(("y", "yr", "year", "years"), "year"),
}


@dataclass(frozen=True)
class Lead:
    """A lead time."""

    count: int
    """How many units."""

    unit: str
    """step, hour, day, week, month or year."""


def parse_lead(text: str) -> Lead:
    """Return the lead that a text such as ``"3 months"`` or ``"6 h"`` names.

    Raises:
        InputError: It names none.

    Example:
        >>> parse_lead("3 months")
        Lead(count=3, unit='month')
    """
    match = _LEAD.fullmatch(text.strip())
    if match is None or match["unit"].lower() not in _UNITS or int(match["count"]) == 0:
        raise InputError(
            f"{text!r} is no lead time",
            fix="Write a count and a unit, such as '3 months', '6 hours' or '1 step'.",
        )
    return Lead(int(match["count"]), _UNITS[match["unit"].lower()])


def target_times(
    times: "tuple[cftime.datetime, ...]", lead: Lead | None
) -> Int[np.ndarray, " time"]:
    """Return, for each time, the index of the time that lies the lead later; -1 where none does.

    On a monthly axis (no month twice) months and years are counted by the calendar whatever the
    day of the stamp, since the middle of February is not the middle of January plus 31 days. On a
    finer axis the very day and hour must be there.
    """
    n_times = len(times)
    if lead is None:
        return np.arange(n_times)
    if lead.unit == "step":
        later = np.arange(n_times) + lead.count
        return np.where(later < n_times, later, -1)
    if lead.unit in ("month", "year"):
        return _months_later(times, lead.count * (12 if lead.unit == "year" else 1))
    hours = lead.count * {"hour": 1, "day": 24, "week": 168}[lead.unit]
    places = {_second(time): index for index, time in enumerate(times)}
    return np.array([places.get(_second(time + timedelta(hours=hours)), -1) for time in times])


def _months_later(times: "tuple[cftime.datetime, ...]", months: int) -> np.ndarray:
    counts = [time.year * 12 + time.month - 1 for time in times]
    if len(set(counts)) == len(counts):
        by_month = {count: index for index, count in enumerate(counts)}
        return np.array([by_month.get(count + months, -1) for count in counts])
    places = {_second(time): index for index, time in enumerate(times)}
    found = []
    for time in times:
        try:
            found.append(places.get(_second(add_months(time, months)), -1))
        except ValueError:  # the 31st of a month that has 30 days
            found.append(-1)
    return np.array(found)


def _second(time: "cftime.datetime") -> tuple[int, ...]:
    """Return a time to the second; axes stored as floats are off by microseconds."""
    rounded = time + timedelta(microseconds=500_000)
    return (
        rounded.year,
        rounded.month,
        rounded.day,
        rounded.hour,
        rounded.minute,
        rounded.second,
    )
