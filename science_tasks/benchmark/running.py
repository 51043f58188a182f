"""Running methods on cases: each answer is kept, so that a stopped benchmark goes on."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.measuring import Stopwatch, Watch
from kagaku.science_tasks.benchmark.results import (
    Quick,
    Result,
    load_facts,
    load_result,
    save_result,
)
from kagaku.science_tasks.benchmark.task import Case, Context, Task
from kagaku.science_tasks.embedding_memory import EmbeddingMemory


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    methods: tuple[str, ...] = ()
    """Names of methods; empty takes each task's usual ones."""

    splits: tuple[str, ...] = ()
    """Names of splits; empty takes all."""

    seeds: tuple[int, ...] = (0,)
    """Each fixes whatever is random in a method."""

    quick: Quick | None = None
    """Cuts the cases."""

    with_long: bool = False
    """Whether default methods that take long are usual ones too."""

    made_by: str = ""
    """Fingerprint of the code that answers."""

    @property
    def takes_long(self) -> bool:
        """Whether methods that take long are among the usual ones: of cut cases they are."""
        return self.with_long or self.quick is not None

    def methods_of(self, task: Task) -> tuple[str, ...]:
        """Return the methods of a task that are to be run.

        Raises:
            InputError: The task has none of a name.
        """
        for one in self.methods:
            task.method(one)
        return self.methods or task.usual(with_long=self.takes_long)


class Cases:
    """The cases of one task, loaded when first needed."""

    def __init__(self, task: Task, source: Source, quick: Quick | None) -> None:
        self.task, self.source, self.quick = task, source, quick
        self._loaded: Mapping[str, Case] | None = None

    def names(self, wanted: Sequence[str]) -> list[str]:
        """Return the splits to run.

        Raises:
            InputError: A wanted one is not there.
        """
        there = list(self.all())
        for one in wanted:
            if one not in there:
                raise InputError(
                    f"the task {self.task.name!r} has no split {one!r}",
                    fix=f"Choose from {there}.",
                )
        return [one for one in there if not wanted or one in wanted]

    def all(self) -> Mapping[str, Case]:
        """Return all cases, cut if the plan is quick."""
        if self._loaded is None:
            loaded = self.task.load(self.source)
            self._loaded = loaded if self.quick is None else _CutCases(loaded, self.quick)
        return self._loaded


class _CutCases(Mapping[str, Case]):
    """Cases that are cut when they are asked for: a task may have seventeen, and one be run."""

    def __init__(self, cases: Mapping[str, Case], quick: Quick) -> None:
        self._cases, self._quick = cases, quick
        self._cut: dict[str, Case] = {}

    def __getitem__(self, name: str) -> Case:
        if name not in self._cut:
            case = self._cases[name]
            self._cut[name] = case.cut(self._quick.n_train, self._quick.n_test, seed=0)
        return self._cut[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)


def run_task(
    task: Task,
    source: Source,
    base: BaseUse,
    plan: Plan,
    folder: Path,
    report: Callable[[int, int, str], None] | None = None,
    skipped: Callable[[str], None] | None = None,
    cases: Cases | None = None,
) -> Iterator[Result]:
    """Yield the result of every method, split and seed of the plan; kept ones at once.

    Args:
        task: The question.
        source: Gives catalogued files.
        base: Gives the weights.
        plan: What to run.
        folder: Where results are kept, in a folder per task and method.
        report: Called with (done, total, what).
        skipped: Told of each method that cannot answer, such as one that needs heads which the
            base has not; None lets it raise.
        cases: Those of the task, where the caller needs them too; None loads them here.

    Raises:
        InputError: A method or split is unknown, a file cannot be had, a method cannot answer, or
            the folder has answers of another base, or of another quick look than the plan's.
    """
    methods = plan.methods_of(task)
    cases = cases or Cases(task, source, plan.quick)
    cells = [
        (method, split, seed)
        for method in methods
        for split in cases.names(plan.splits)
        for seed in plan.seeds
    ]
    check_kept(task, plan, base, folder)
    memory, last = EmbeddingMemory(), methods[0]
    for number, (method, split, seed) in enumerate(cells):
        # Each method embeds for itself, most of it with its first split, so that its seconds over
        # all splits are its own.
        if method != last:
            memory, last = EmbeddingMemory(), method
        tell = report and partial(
            _tell, report, (number, len(cells)), f"{task.name}: {method}, {split}, seed {seed}"
        )
        if tell is not None:
            tell()
        path = folder / task.name / method / f"{split}-seed{seed}.json"
        kept = load_result(path)
        if kept is None:
            case = cases.all()[split]
            try:
                cell = (method, split, seed)
                kept = _run_cell(task, case, cell, base, plan, path, tell, memory)
            except InputError as error:
                if skipped is None:
                    raise
                skipped(f"{task.name}: {method} was left out: {error}")
                continue
        yield kept
    if report is not None:
        report(len(cells), len(cells), task.name)


def _tell(
    report: Callable[[int, int, str], None],
    cells: tuple[int, int],
    label: str,
    done: int = 0,
    total: int = 0,
    what: str = "",
) -> None:
    """Tell which of the cells is being answered, and how far that is."""
    report(*cells, f"{label}; {what}, {done:,} of {total:,}" if total else label)


def check_kept(task: Task, plan: Plan, base: BaseUse, folder: Path) -> None:
    """Check that a folder's answers of a task can stand beside those of a plan.

    Raises:
        InputError: They are of another base, or of another quick look than the plan's, or one of
            both is of the whole. They may have taken hours, so nothing is written over them.
    """
    for path in sorted((folder / task.name).glob("*/*.json")):
        kept = load_facts(path)
        if kept is None:
            continue
        if kept["quick"] != plan.quick:
            there, asked = (_extent(one) for one in (kept["quick"], plan.quick))
            raise InputError(
                f"the folder has {there} of {task.name}, and {asked} cannot stand beside it",
                fix="Choose another --output.",
                where=str(folder),
            )
        if kept["base"] is not None and kept["base"] != base.fingerprint:
            same = " with other weights" if kept["base_name"] == base.name else ""
            raise InputError(
                f"the folder has answers of the base {kept['base_name']}{same} to {task.name}, "
                f"and those of {base.name} cannot stand beside them",
                fix="Choose another --output.",
                where=str(path),
            )


def _extent(quick: Quick | None) -> str:
    if quick is None:
        return "all of it"
    return f"a quick look of {quick.n_train:,} items to learn from and {quick.n_test:,} to answer"


def _run_cell(
    task: Task,
    case: Case,
    cell: tuple[str, str, int],
    base: BaseUse,
    plan: Plan,
    path: Path,
    tell: Callable[[int, int, str], None] | None,
    memory: EmbeddingMemory,
) -> Result:
    method, split, seed = cell
    # What another state of the code has begun is not gone on with, but begun anew.
    every = path.with_suffix(".work")
    work = every / (plan.made_by[:16] or "any")
    base.is_used = False
    stopwatch = Stopwatch(path.with_suffix(".seconds"), f"{plan.made_by} {plan.quick}")
    with Watch(stopwatch) as watch:
        context = Context(base, seed, work, tell, base.pretrained, memory)
        answers = task.method(method)(case, context)
    seconds = stopwatch.seconds
    assert len(answers) == case.n_test, f"{task.name}, {method}: an answer per item"
    result = Result(
        task=task.name,
        method=method,
        split=split,
        seed=seed,
        n_train=case.n_train,
        n_test=case.n_test,
        n_dropped=getattr(case, "n_dropped", 0),
        seconds=round(seconds, 2),
        peak_megabytes=round(watch.most_bytes / 1e6),
        base=base.fingerprint if base.is_used else None,
        base_name=base.name if base.is_used else None,
        chosen=str(answers.attrs.get("chosen", "")),
        quick=plan.quick,
        answers=answers.reset_index(drop=True),
        made_by=plan.made_by,
    )
    save_result(result, path)
    shutil.rmtree(every, ignore_errors=True)
    stopwatch.forget()
    return result
