"""What `kagaku pretrain` shows while it runs: a bar on a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kagaku.models.pretraining.keeper import Report
from kagaku.models.pretraining.training import Watcher
from kagaku.terminal import Terminal

TOLD_WAITING = 0.1
"""Share of the time from which waiting for data is told: more workers would help."""

LOG_SECONDS = 60.0
"""Between two lines where there is no terminal."""


def described(report: Report) -> str:
    """Return one line about a step.

    Example:
        >>> described(Report(5, 10, 3.21, 12345.6, 0.45, 0.01, 7500.0))
        'loss 3.210, 12,346 tokens/s, 45% of peak, 2 h 5 min left'
    """
    parts = [f"loss {report.loss:.3f}", f"{report.tokens_per_second:,.0f} tokens/s"]
    if report.peak_share == report.peak_share:
        parts.append(f"{report.peak_share:.0%} of peak")
    if report.waiting_share >= TOLD_WAITING:
        parts.append(f"{report.waiting_share:.0%} of the time waiting for data")
    minutes = round(report.seconds_left / 60)
    hours = f"{minutes // 60} h " if minutes >= 60 else ""
    return ", ".join([*parts, f"{hours}{minutes % 60} min left"])


@contextmanager
def watching(terminal: Terminal) -> Iterator[Watcher]:
    """Give what is told of each step, and shows it."""
    if sys.stderr.isatty() and not terminal.quiet:
        with terminal.progress("Pretraining") as move:

            def draw(report: Report) -> None:
                if report.note:
                    terminal.say(report.note)
                move(report.step, report.max_steps, described(report))

            yield Watcher(draw, terminal.say)
        return
    last = -LOG_SECONDS

    def write(report: Report) -> None:
        nonlocal last
        if report.note:
            terminal.say(report.note)
        now = time.monotonic()
        if now - last >= LOG_SECONDS or report.step == report.max_steps:
            last = now
            terminal.say(f"step {report.step:,} of {report.max_steps:,}: {described(report)}")

    yield Watcher(write, terminal.say)
