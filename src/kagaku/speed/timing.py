"""Contenders take turns, so that a busy machine slows all of them alike; what comes of it."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kagaku.errors import InputError

Contender = Callable[[], object]
"""Does its whole work once."""

Better = Literal["higher", "lower"]
"""Which values are the good ones."""

LAST_LINES = 5
"""Of a failed child process's output, shown in the error."""


@dataclass(frozen=True)
class Target:
    """What a figure is held against."""

    text: str
    """As people read it, such as ``">= 3x"``."""

    limit: float
    """The number in it."""

    on: Literal["ratio", "value"] = "ratio"
    """Whether it is about ours over the reference, or about our own value, in its unit."""


@dataclass(frozen=True)
class Comparison:
    """One figure, turn by turn, with that of the reference where there is one."""

    name: str
    """What is measured."""

    unit: str
    """Of the values."""

    ours: tuple[float, ...]
    """One value per turn."""

    reference: tuple[float, ...] = ()
    """The reference's in the same turns; empty where there is none."""

    reference_name: str = ""
    """What the reference is."""

    better: Better = "higher"
    """Which values are good."""

    target: Target | None = None
    """What is aimed at; None for a figure that only informs."""

    def __post_init__(self) -> None:
        assert self.ours, "nothing was measured"
        assert len(self.reference) in {0, len(self.ours)}, "a turn is missing"

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times better ours is, turn by turn; empty without a reference."""
        pairs = zip(self.ours, self.reference, strict=False)
        if self.better == "higher":
            return tuple(own / other for own, other in pairs)
        return tuple(other / own for own, other in pairs)

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the target; None where there is no target."""
        if self.target is None:
            return None
        if self.target.on == "ratio":
            return statistics.median(self.ratios) >= self.target.limit
        own = statistics.median(self.ours)
        return own >= self.target.limit if self.better == "higher" else own <= self.target.limit

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, with what follows from the values."""
        return {
            **asdict(self),
            "ratio": spread(self.ratios) if self.ratios else None,
            "is_met": self.is_met,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Comparison":
        """Return what `to_json` wrote."""
        target = stored["target"]
        return cls(
            name=stored["name"],
            unit=stored["unit"],
            ours=tuple(stored["ours"]),
            reference=tuple(stored["reference"]),
            reference_name=stored["reference_name"],
            better=stored["better"],
            target=None if target is None else Target(**target),
        )


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and most.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        {'median': 2.0, 'least': 1.0, 'most': 3.0}
    """
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def take_turns(
    contenders: Mapping[str, Contender],
    turns: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, tuple[float, ...]]:
    """Return each contender's seconds, turn by turn: A B C, A B C, after one round that is free.

    Args:
        contenders: By name.
        turns: How often each is timed.
        clock: Gives seconds.
    """
    for work in contenders.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, work in contenders.items():
            start = clock()
            work()
            found[name].append(clock() - start)
    return {name: tuple(values) for name, values in found.items()}


def rates(amount: int, seconds: Sequence[float]) -> tuple[float, ...]:
    """Return an amount of work per second of each turn."""
    return tuple(amount / one for one in seconds)


def run_child(words: Sequence[str | Path]) -> float:
    """Run a command to its end and return its seconds.

    Raises:
        InputError: It failed; the message ends with the last lines of what it wrote.
    """
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [str(one) for one in words], check=False, capture_output=True, text=True
        )
    except OSError as error:
        raise InputError(
            f"{str(words[0])!r} cannot be started ({error.strerror})", fix="Check the path."
        ) from None
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:])
        raise InputError(
            f"{Path(words[0]).name} failed with exit code {done.returncode}: {last}",
            fix="Run it by itself to see all that it says.",
        )
    return seconds


def run_python(code: str, *arguments: str | Path, told: Path) -> dict[str, Any]:
    """Run code in a Python of its own, which writes JSON into the file ``told``; return that.

    Memory has to be asked of the process itself: what the system says of a child counts in what
    the process that started it held.
    """
    run_child([sys.executable, "-c", code, *arguments, told])
    answer: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    return answer
