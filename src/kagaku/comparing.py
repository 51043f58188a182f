"""`kagaku compare`: two benchmark folders on the same test items, with paired intervals."""

from pathlib import Path

from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.running import Result, load_results
from kagaku.science_tasks.benchmark.summary import Paired, compare_runs, runs_of
from kagaku.science_tasks.tasks import TASKS
from kagaku.terminal import Terminal


def compare(
    first: Path,
    second: Path,
    *,
    method: str | None = None,
    other: str | None = None,
    terminal: Terminal | None = None,
) -> list[tuple[str, Paired]]:
    """Print and return how two benchmarks differ, by task and leading measure.

    Args:
        first: A benchmark folder.
        second: Another, or the same one if two methods are compared.
        method: A method of the first folder; None compares each method with itself.
        other: A method of the second folder; None takes ``method``.
        terminal: Where to tell.

    Raises:
        InputError: A folder holds no answers, or the two share no task, split and seed.
    """
    terminal = terminal or Terminal()
    ours, theirs = _results(first), _results(second)
    found = []
    for name in sorted({one.task for one in ours} & {one.task for one in theirs}):
        if name not in TASKS:
            continue
        task = TASKS[name]
        mine = [one for one in ours if one.task == name]
        others = [one for one in theirs if one.task == name]
        for one in _methods(mine, method):
            against = other or one
            labels = (f"{one} ({first.name})", f"{against} ({second.name})")
            paired = compare_runs(
                task, task.leading, runs_of(mine, one), runs_of(others, against), labels
            )
            if paired is not None:
                found.append((name, paired))
    if not found:
        raise InputError(
            "the two share no answers to the same items",
            fix="Run the same tasks, splits and seeds in both.",
            where=f"{first}, {second}",
        )
    for name, paired in found:
        terminal.say(f"{name}: {paired.sentence(TASKS[name].leading.unit)}")
    return found


def _results(folder: Path) -> list[Result]:
    results = load_results(folder) if folder.is_dir() else []
    if not results:
        raise InputError(
            "the folder holds no benchmark answers",
            fix="Name a folder that `kagaku benchmark` wrote.",
            where=str(folder),
        )
    return results


def _methods(results: list[Result], wanted: str | None) -> list[str]:
    there = list(dict.fromkeys(one.method for one in results))
    return [one for one in there if wanted is None or one == wanted]
