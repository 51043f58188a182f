"""What a user asks of `kagaku benchmark`: which tasks, methods, splits, seeds and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kagaku.data.catalogue import DOMAINS
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.families import FAMILIES, Family
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan
from kagaku.science_tasks.benchmark.task import Task
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


def whole_families(tasks: Sequence[Task]) -> list[Family]:
    """Return the families whose members are all among some tasks."""
    names = {one.name for one in tasks}
    return [one for one in FAMILIES.values() if names >= set(one.members.values())]


def planned(request: BenchmarkRequest) -> Plan:
    """Return what is to be run of each task."""
    return Plan(
        request.methods,
        request.splits,
        tuple(range(request.n_seeds)),
        Quick() if request.is_quick else None,
        request.with_long,
    )


def tell_of_long(plan: Plan, tasks: Sequence[Task], terminal: Terminal) -> None:
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
