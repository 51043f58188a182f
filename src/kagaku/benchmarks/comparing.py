"""`kagaku compare`: two benchmarks, or two runs, on the same test items, with paired intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.data.schema import Target
from kagaku.errors import InputError
from kagaku.reporting.results import read_results
from kagaku.science_tasks.benchmark.measures import (
    CHANCE,
    GIVEN,
    TRUTH,
    Measure,
    binary,
    multiclass,
    regression,
)
from kagaku.science_tasks.benchmark.results import Result, load_results
from kagaku.science_tasks.benchmark.summary import Paired, compare_runs, runs_of
from kagaku.science_tasks.tasks import TASKS
from kagaku.terminal import Terminal

ROW = "row"
"""The column of a run's predictions that tells which row of the table each is of."""


def compare(
    first: Path,
    second: Path,
    *,
    method: str | None = None,
    other: str | None = None,
    terminal: Terminal | None = None,
) -> dict[str, list[Paired]]:
    """Print and return how two folders differ, by task or target.

    Args:
        first: A benchmark folder, or a run folder.
        second: Another of its kind; the same benchmark, if two methods are compared.
        method: A method of the first benchmark; None compares each method with itself.
        other: A method of the second benchmark; None takes ``method``.
        terminal: Where to tell.

    Raises:
        InputError: A folder holds no answers, or the two share no test items.
    """
    terminal = terminal or Terminal()
    are_runs = [(one / "metrics.json").is_file() for one in (first, second)]
    if all(are_runs):
        found = _compare_fine_tunings(first, second)
    elif any(are_runs):
        raise InputError(
            "one is a run and the other a benchmark",
            fix="Name two of a kind.",
            where=f"{first}, {second}",
        )
    else:
        found = _compare_benchmarks(first, second, method, other)
    if not found:
        raise InputError(
            "the two share no answers to the same items",
            fix="Use the same data, splits and seeds in both.",
            where=f"{first}, {second}",
        )
    for name, differences in found.items():
        for paired in differences:
            terminal.say(f"{name}: {paired.sentence()}")
    return found


def _compare_benchmarks(
    first: Path, second: Path, method: str | None, other: str | None
) -> dict[str, list[Paired]]:
    ours, theirs = _results(first), _results(second)
    found: dict[str, list[Paired]] = {}
    for name in sorted({one.task for one in ours} & {one.task for one in theirs} & set(TASKS)):
        task = TASKS[name]
        mine = [one for one in ours if one.task == name]
        others = [one for one in theirs if one.task == name]
        _check_both_whole(name, mine, others, f"{first}, {second}")
        for one in _methods(mine, method):
            against = other or one
            paired = compare_runs(
                task.leading,
                runs_of(mine, one),
                runs_of(others, against),
                (f"{one} ({first.name})", f"{against} ({second.name})"),
                group=task.group,
            )
            if paired is not None:
                found.setdefault(name, []).append(paired)
    return found


def _check_both_whole(
    name: str, ours: Sequence[Result], theirs: Sequence[Result], where: str
) -> None:
    """Refuse a quick look beside a whole benchmark: they learnt from different items."""
    sizes = {one.quick for one in ours}, {one.quick for one in theirs}
    if sizes[0] != sizes[1]:
        is_whole = None in sizes[0] | sizes[1]
        other = "all of it" if is_whole else "one of another size"
        raise InputError(
            f"one has a quick look at {name} and the other {other}",
            fix="Run both with --quick, or both without.",
            where=where,
        )


def _results(folder: Path) -> list[Result]:
    results = load_results(folder) if folder.is_dir() else []
    if not results:
        raise InputError(
            "the folder holds no answers of a benchmark",
            fix="Name a folder that `kagaku benchmark` or `kagaku finetune` wrote.",
            where=str(folder),
        )
    return results


def _methods(results: Sequence[Result], wanted: str | None) -> list[str]:
    there = list(dict.fromkeys(one.method for one in results))
    return [one for one in there if wanted is None or one == wanted]


def _compare_fine_tunings(first: Path, second: Path) -> dict[str, list[Paired]]:
    """Compare two runs on the held-out rows that both have, where the same was measured."""
    ours, theirs = read_results(first), read_results(second)
    known = {one.name: one for one in theirs.targets()}
    found = {}
    for target in ours.targets():
        if known.get(target.name) is None or known[target.name].kind != target.kind:
            continue
        measure = _leading(target)
        if measure is None:
            continue
        frames = [_answers(one.predictions, target) for one in (ours, theirs)]
        shared = frames[0].index.intersection(frames[1].index)
        mine, others = (one.loc[shared] for one in frames)
        same = (mine[TRUTH] == others[TRUTH]).to_numpy()
        paired = compare_runs(
            measure,
            {("rows", 0): mine[same]},
            {("rows", 0): others[same]},
            (first.name, second.name),
        )
        if paired is not None:
            found[f"{target.name}, {int(same.sum())} rows"] = [paired]
    return found


def _leading(target: Target) -> Measure | None:
    """Return what a target's runs are compared by; None for kinds that no rows tell."""
    if target.kind == "regression":
        return regression(("RMSE",), target.unit)[0]
    if target.kind == "binary":
        return binary(("ROC-AUC",))[0]
    return multiclass(("accuracy",))[0] if target.kind == "multiclass" else None


def _answers(predictions: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return a run's held-out predictions as answers, by row of the table."""
    measured = predictions[f"{target.name}_measured"]
    if target.kind == "regression":
        exact = predictions[f"{target.name}_censoring"] == 0
        columns = {TRUTH: measured.where(exact), GIVEN: predictions[target.name]}
    else:
        numbers = {one: number for number, one in enumerate(target.classes)}
        columns = {TRUTH: measured.astype("string").map(numbers).astype(np.float64)}
        columns |= {
            f"{CHANCE}{number}": predictions[f"{target.name}_p_{one}"]
            for one, number in numbers.items()
        }
    return pd.DataFrame(columns).set_index(predictions[ROW].to_numpy()).dropna()
