"""`kagaku benchmark`: official questions, every method on the same items, and a scoreboard."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kagaku.bases import open_base, weights_folder
from kagaku.benchmarks.estimating import tell_of_slow
from kagaku.benchmarks.leaks import fingerprints, kept_leaks
from kagaku.benchmarks.request import (
    BenchmarkRequest,
    chosen_tasks,
    planned,
    tell_of_long,
    whole_families,
)
from kagaku.benchmarks.scoreboard import write_scoreboard
from kagaku.benchmarks.scores import task_scores
from kagaku.benchmarks.stored import SCORES_FILE, stored_scores
from kagaku.benchmarks.tables import show_task
from kagaku.data.catalogue import Source
from kagaku.data.whole_files import write_json
from kagaku.datasets import source as dataset_source
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.outputs import check_job_folder
from kagaku.provenance import code_fingerprint, machine, package_versions
from kagaku.public_models import public_folder
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.families import Family
from kagaku.science_tasks.benchmark.leaks import Leaks
from kagaku.science_tasks.benchmark.results import Result, load_results
from kagaku.science_tasks.benchmark.running import Cases, Plan, check_kept, run_task
from kagaku.science_tasks.benchmark.task import Task, no_heads
from kagaku.terminal import Terminal


def benchmark(
    request: BenchmarkRequest,
    output: Path,
    *,
    terminal: Terminal | None = None,
    source: Source | None = None,
) -> dict[str, Any]:
    """Run what is asked and return the scores of all tasks in the folder, by task.

    Args:
        request: What to run.
        output: Keeps every answer; the same call goes on after any stop.
        terminal: Where to tell what happens.
        source: Gives catalogued files; None takes the user's folder, cache or the network.

    Raises:
        InputError: A task, method or split is unknown, or a file cannot be had.
    """
    terminal = terminal or Terminal()
    tasks, plan = chosen_tasks(request), planned(request)
    tell_of_long(plan, tasks, terminal)
    tell_of_slow(request, plan, tasks, terminal)
    check_job_folder(output, mark=SCORES_FILE, what="benchmark")
    source = source or dataset_source()
    base = BaseUse(
        lambda: open_base(request.base),
        no_heads
        if public_folder(request.base) is not None
        else lambda: load_pretrained(weights_folder(request.base)),
    )
    plan = replace(plan, made_by=code_fingerprint())
    for task in tasks:
        check_kept(task, plan, base, output)
    trained_on = fingerprints(request.base)
    output.mkdir(parents=True, exist_ok=True)
    if not (output / SCORES_FILE).exists():
        write_json({"tasks": {}}, output / SCORES_FILE)
    try:
        _run(tasks, plan, source, base, output, request, terminal, trained_on)
    except BaseException:
        with suppress(Exception):  # what stopped the run is told, whatever else goes wrong
            _show_page(output, terminal)
        raise
    return _show_page(output, terminal)


def _show_page(output: Path, terminal: Terminal) -> dict[str, Any]:
    """Write the scoreboard of the finished tasks, if there are any, and return their scores."""
    stored = stored_scores(output)
    if stored["tasks"]:
        page = write_scoreboard(stored, output)
        terminal.say("The scoreboard:")
        terminal.command(str(page))
    return dict(stored["tasks"])


def _run(
    tasks: Sequence[Task],
    plan: Plan,
    source: Source,
    base: BaseUse,
    output: Path,
    request: BenchmarkRequest,
    terminal: Terminal,
    trained_on: tuple[Any, str],
) -> None:
    """Run the tasks one after the other, and keep and show the scores of each at once."""
    audited: dict[str, dict[str, Leaks]] = {}
    skipped = None if request.methods else terminal.say
    for task in tasks:
        cases = Cases(task, source, plan.quick)
        with terminal.progress("benchmark") as progress:
            for _ in run_task(task, source, base, plan, output, progress, skipped, cases):
                pass
            progress(0, 1, f"{task.name}: looking for leaks")
            leaks = kept_leaks(cases, plan, output, *trained_on)
        audited[task.name] = leaks
        results = _results(task, plan, leaks, output, base)
        _tell_of_other_code(task, results, plan, terminal)
        found = task_scores(task, results, leaks, task.all_published(source))
        _keep(found, output)
        show_task(found, terminal)
    for family in whole_families(tasks):
        found = _family_scores(family, tasks, plan, audited, output, base)
        _keep(found, output)
        show_task(found, terminal)


def _results(
    task: Task, plan: Plan, leaks: Mapping[str, Leaks], output: Path, base: BaseUse
) -> list[Result]:
    """Return a task's kept results that belong to a plan, those of other weights left out."""
    return [
        one
        for one in load_results(output, task.name)
        if one.quick == plan.quick
        and one.split in leaks
        and (one.base is None or one.base == base.fingerprint)
    ]


def _tell_of_other_code(
    task: Task, results: Sequence[Result], plan: Plan, terminal: Terminal
) -> None:
    """Say which kept answers another state of the code gave: it might answer otherwise now."""
    if old := {one.method for one in results if one.made_by != plan.made_by}:
        terminal.say(
            f"{task.name}: the answers of {', '.join(sorted(old))} were kept from another version "
            "of kagaku's code. For answers of this one, name another --output."
        )


def _family_scores(
    family: Family,
    tasks: Sequence[Task],
    plan: Plan,
    audited: Mapping[str, Mapping[str, Leaks]],
    output: Path,
    base: BaseUse,
) -> dict[str, Any]:
    """Return the scores of several tasks as one."""
    by_name = {one.name: one for one in tasks}
    results = [
        one
        for name in family.members.values()
        for one in _results(by_name[name], plan, audited[name], output, base)
    ]
    leaks = {split: next(iter(audited[name].values())) for split, name in family.members.items()}
    return task_scores(family.whole, family.gathered(results), leaks)


def _keep(found: dict[str, Any], output: Path) -> None:
    """Write the scores of one task beside those of the others."""
    stored = stored_scores(output)
    stored["tasks"][found["task"]] = found
    stored["machine"] = dict(machine())
    stored["packages"] = package_versions(("kagaku", "torch", "numpy", "scikit-learn", "rdkit"))
    write_json(stored, output / SCORES_FILE)
