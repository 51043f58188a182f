"""`kagaku benchmark`: official questions, every method on the same items, and a scoreboard."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kagaku.bases import DEFAULT, open_base, weights_folder
from kagaku.benchmarks.leaks import fingerprints, kept_leaks
from kagaku.benchmarks.minutes import Minutes, known_minutes
from kagaku.benchmarks.scoreboard import write_scoreboard
from kagaku.benchmarks.scores import task_scores
from kagaku.benchmarks.stored import SCORES_FILE
from kagaku.benchmarks.tables import show_task
from kagaku.data.catalogue import DOMAINS, Source
from kagaku.data.whole_files import write_json
from kagaku.datasets import source as dataset_source
from kagaku.errors import InputError
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.outputs import check_job_folder
from kagaku.provenance import code_fingerprint, machine, package_versions
from kagaku.public_models import public_folder
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.families import FAMILIES, Family
from kagaku.science_tasks.benchmark.leaks import Leaks
from kagaku.science_tasks.benchmark.results import Quick, Result, load_results
from kagaku.science_tasks.benchmark.running import Cases, Plan, check_kept, run_task
from kagaku.science_tasks.benchmark.task import Task, no_heads
from kagaku.science_tasks.tasks import TASKS
from kagaku.terminal import Terminal

LONG_MINUTES = 20
"""Methods with which a task takes longer than this are left out unless they are wanted."""

SPEED = "speed"
"""What stands beside tasks and domains, and is none: see `kagaku.speed`."""


@dataclass(frozen=True)
class BenchmarkRequest:
    """What a user asks of `kagaku benchmark`."""

    names: tuple[str, ...]
    """Tasks, domains, or families such as ``"moleculeace"``; ``"all"`` is every task."""

    methods: tuple[str, ...] = ()
    """Empty takes each task's usual ones."""

    splits: tuple[str, ...] = ()
    """Empty takes all."""

    n_seeds: int = 1
    """Seeds 0, 1, ... are run."""

    base: str | None = None
    """The weights that learned methods start from."""

    is_quick: bool = False
    """Cuts every case, to see that all works."""

    with_long: bool = False
    """Runs also default methods with which a task takes more than 20 minutes; a quick run does."""


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
    _tell_of_long(plan, tasks, terminal)
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
    stored: dict[str, Any] = json.loads((output / SCORES_FILE).read_text(encoding="utf-8"))
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
    for family in FAMILIES.values():
        if set(family.members.values()) <= set(audited):
            found = _family_scores(family, plan, audited, output, base)
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
    plan: Plan,
    audited: Mapping[str, Mapping[str, Leaks]],
    output: Path,
    base: BaseUse,
) -> dict[str, Any]:
    """Return the scores of several tasks as one."""
    results = [
        one
        for name in family.members.values()
        for one in _results(TASKS[name], plan, audited[name], output, base)
    ]
    leaks = {split: next(iter(audited[name].values())) for split, name in family.members.items()}
    return task_scores(family.whole, family.gathered(results), leaks)


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
    _tell_of_long(plan, tasks, terminal)
    for task in tasks:
        methods = plan.methods_of(task)
        measured = [known[task.name, one] for one in methods if (task.name, one) in known]
        lacking = [one for one in methods if (task.name, one) not in known]
        total = sum((_asked(one, request) for one in measured), start=0.0)
        found[task.name] = None if lacking else total
        places = "; ".join(sorted({one.machine for one in measured}))
        told = f"{total:.1f}" if measured else "not measured"
        if measured and lacking:
            told = f"over {told}: {', '.join(lacking)} not measured"
        rows.append([task.name, ", ".join(methods), told, places])
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


def _asked(one: Minutes, request: BenchmarkRequest) -> float:
    """Return the minutes of the seeds and splits of a request.

    Splits are taken to be alike, though the first one embeds for all.
    """
    share = len(request.splits) / one.n_splits if request.splits else 1.0
    return one.minutes * request.n_seeds * share


def planned(request: BenchmarkRequest) -> Plan:
    """Return what is to be run of each task."""
    return Plan(
        request.methods,
        request.splits,
        tuple(range(request.n_seeds)),
        Quick() if request.is_quick else None,
        request.with_long,
    )


def _tell_of_long(plan: Plan, tasks: Sequence[Task], terminal: Terminal) -> None:
    """Say which methods are left out for the time that they take."""
    if plan.methods or plan.takes_long:
        return
    tasks_of: dict[str, list[str]] = {}
    for task in tasks:
        if task.long:
            tasks_of.setdefault(", ".join(task.long), []).append(task.name)
    for methods, names in tasks_of.items():
        terminal.say(
            f"Leaving out {methods} of {', '.join(names)}: expected to take over {LONG_MINUTES} "
            "minutes. Add --long for all, or name some with --method."
        )


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


def asks_for_speed(
    names: Sequence[str], of_speed: Mapping[str, object], of_tasks: Mapping[str, object]
) -> bool:
    """Return whether the speed benchmark is asked for, and not tasks.

    Args:
        names: What is asked for.
        of_speed: By flag, what only speed takes; None was not given.
        of_tasks: By flag, what only tasks take; None was not given.

    Raises:
        InputError: Both are asked for, or flags of the one are given to the other.
    """
    is_speed = SPEED in names
    if is_speed and len(set(names)) > 1:
        raise InputError(
            f"{SPEED!r} cannot be measured together with tasks",
            fix=f"Run 'kagaku benchmark {SPEED}' by itself, on an idle machine.",
        )
    wrong = [
        flag for flag, given in (of_tasks if is_speed else of_speed).items() if given is not None
    ]
    if wrong:
        what = f"{SPEED!r} takes no" if is_speed else f"only {SPEED!r} takes"
        raise InputError(f"{what} {', '.join(wrong)}", fix="Leave it out.")
    return is_speed


def list_tasks(terminal: Terminal | None = None) -> None:
    """Print every task with its question."""
    terminal = terminal or Terminal()
    for domain in DOMAINS:
        tasks = [one for one in TASKS.values() if one.domain == domain]
        if tasks:
            terminal.table(
                domain,
                ["task", "question", f"over {LONG_MINUTES} minutes"],
                [[one.name, one.question, ", ".join(one.long)] for one in tasks],
            )
    terminal.say(f"{SPEED}: how fast, and in how much memory, beside other programs.")


def chosen_tasks(request: BenchmarkRequest) -> list[Task]:
    """Return the tasks of a request, each once.

    Raises:
        InputError: A name is neither a task's nor a domain's.
    """
    found: list[Task] = []
    for name in request.names:
        found += [one for one in _named(name) if one not in found]
    return found


def _named(name: str) -> list[Task]:
    """Return the tasks that a word stands for: all, a family's, a domain's, or the one itself."""
    if name == "all":
        return list(TASKS.values())
    if name in FAMILIES:
        return [TASKS[one] for one in FAMILIES[name].members.values()]
    return TASKS.chosen(name)


def _keep(found: dict[str, Any], output: Path) -> None:
    """Write the scores of one task beside those of the others."""
    path = output / SCORES_FILE
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["tasks"][found["task"]] = found
    stored["machine"] = dict(machine())
    stored["packages"] = package_versions(("kagaku", "torch", "numpy", "scikit-learn", "rdkit"))
    write_json(stored, path)
