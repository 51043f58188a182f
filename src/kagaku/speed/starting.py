"""How long a user waits for the first word, each time in a process of its own."""

import sys
from functools import partial
from pathlib import Path

from kagaku.speed.part import Measured, Wishes
from kagaku.speed.timing import Comparison, Target, run_child, take_turns

STARTS = {
    "kagaku --help": (("-m", "kagaku", "--help"), Target("< 0.5 s", 0.5, "value")),
    "import kagaku": (("-c", "import kagaku"), Target("< 0.3 s", 0.3, "value")),
}
"""By name, the words after `python`, and the aim."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure the start of both."""
    del folder
    seconds = take_turns(
        {name: partial(run_child, [sys.executable, *words]) for name, (words, _) in STARTS.items()},
        wishes.turns,
    )
    return Measured(
        tuple(
            Comparison(name, "s", seconds[name], better="lower", target=target)
            for name, (_, target) in STARTS.items()
        )
    )
