"""How long a benchmark would take, from measured minutes: `--estimate`, and a word before a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kagaku.bases import DEFAULT
from kagaku.benchmarks.minutes import Minutes, known_minutes
from kagaku.benchmarks.request import (
    LONG_MINUTES,
    BenchmarkRequest,
    chosen_tasks,
    planned,
    tell_of_long,
)
from kagaku.science_tasks.benchmark.running import Plan
from kagaku.science_tasks.benchmark.task import Task
from kagaku.terminal import Terminal


def estimate(
    request: BenchmarkRequest,
    folders: Sequence[Path] = (),
    *,
    terminal: Terminal | None = None,
) -> dict[str, float | None]:
    """Print and return how long a request would take, from measured minutes; runs nothing.

    Args:
        request: What would be run.
        folders: Benchmarks that have been run, the nearest to this one first; after them the
            shipped table is asked.
        terminal: Where to print.

    Returns:
        By task, minutes; None where a method was never measured.

    Raises:
        InputError: A task or method is unknown, or a folder holds no benchmark.
    """
    terminal = terminal or Terminal()
    tasks, plan = chosen_tasks(request), planned(request)
    known = known_minutes(folders, request.base or DEFAULT, plan.quick)
    found: dict[str, float | None] = {}
    rows = []
    tell_of_long(plan, tasks, terminal)
    for task in tasks:
        one = _expected(task, plan, request, known)
        found[task.name] = None if one.lacking else one.minutes
        told = f"{one.minutes:.1f}" if one.places else "not measured"
        if one.places and one.lacking:
            told = f"over {told}: {', '.join(one.lacking)} not measured"
        rows.append([task.name, ", ".join(plan.methods_of(task)), told, one.places])
    columns = ["task", "methods", "minutes", "measured on"]
    machines = {row[-1] for row in rows} - {""}
    if len(machines) < 2:  # told once, it leaves room for the methods
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    seeds = "one seed" if request.n_seeds == 1 else f"{request.n_seeds} seeds"
    terminal.table(f"minutes, {', '.join(request.splits) or 'all splits'}, {seeds}", columns, rows)
    if len(machines) == 1:
        terminal.say(f"Measured on {machines.pop()}.")
    _tell_total(found, terminal)
    return found


def tell_of_slow(
    request: BenchmarkRequest, plan: Plan, tasks: Sequence[Task], terminal: Terminal
) -> None:
    """Say which tasks will take longer than `LONG_MINUTES`, and of which nobody knows."""
    known = known_minutes((), request.base or DEFAULT, plan.quick)
    expected = {task.name: _expected(task, plan, request, known) for task in tasks}
    for name, one in expected.items():
        if one.minutes > LONG_MINUTES:
            terminal.say(
                f"{name} is expected to take {one.minutes:.0f} minutes or more (measured on "
                f"{one.places}). Stopped, the same command goes on."
            )
    untimed = [
        f"{', '.join(one.lacking)} of {name}" for name, one in expected.items() if one.lacking
    ]
    if untimed and plan.quick is None:
        terminal.say(f"How long these take was not measured yet: {'; '.join(untimed)}.")


@dataclass(frozen=True)
class _Expectation:
    """How long one task would take."""

    minutes: float
    """Of the methods that were measured."""

    lacking: list[str]
    """Methods that were not."""

    places: str
    """Where it was measured; empty if nothing was."""


def _expected(
    task: Task,
    plan: Plan,
    request: BenchmarkRequest,
    known: Mapping[tuple[str, str], Minutes],
) -> _Expectation:
    methods = plan.methods_of(task)
    measured = [known[task.name, one] for one in methods if (task.name, one) in known]
    return _Expectation(
        sum((_asked(one, request) for one in measured), start=0.0),
        [one for one in methods if (task.name, one) not in known],
        "; ".join(sorted({one.machine for one in measured})),
    )


def _asked(one: Minutes, request: BenchmarkRequest) -> float:
    """Return the minutes of the seeds and splits of a request.

    Splits are taken to be alike, though the first one embeds for all.
    """
    share = len(request.splits) / one.n_splits if request.splits else 1.0
    return one.minutes * request.n_seeds * share


def _tell_total(found: Mapping[str, float | None], terminal: Terminal) -> None:
    known = [one for one in found.values() if one is not None]
    lacking = len(found) - len(known)
    if known:
        terminal.say(f"Together {sum(known):.1f} minutes, reading and scoring not counted.")
    if lacking:
        terminal.say(
            f"{lacking} of {len(found)} tasks were not measured, or not all of their methods: name "
            "a benchmark folder that has them (--timed FOLDER)."
        )
