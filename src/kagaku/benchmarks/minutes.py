"""How long benchmark methods take: from finished folders, and from a table made of such folders."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from kagaku.benchmarks.stored import read_cells, stored_scores, write_cells
from kagaku.science_tasks.benchmark.results import Quick, load_facts

TABLE = Path(str(files("kagaku.science_tasks.benchmark") / "minutes.tsv"))
"""The shipped table; ``scripts/benchmark_minutes.py`` writes it."""


@dataclass(frozen=True)
class Minutes:
    """How long one method took for one task, all its splits with one seed."""

    task: str
    """Name of the task."""

    method: str
    """Name of the method."""

    base: str
    """Name of the weights that it used; empty if it used none."""

    n_splits: int
    """Splits that were run."""

    minutes: float
    """Wall time of all of them, without reading the data and without scoring."""

    machine: str
    """Where it was measured."""


COLUMNS = tuple(one.name for one in fields(Minutes))


def minutes_of_folder(folder: Path, quick: Quick | None = None) -> list[Minutes]:
    """Return what the finished tasks of a benchmark's folder took; seeds are averaged.

    A method that lacks a split which others of the task have was stopped, and is left out.

    Args:
        folder: What ``kagaku benchmark`` wrote.
        quick: Which cut of the cases is asked about; None for the whole.

    Raises:
        InputError: The folder holds no benchmark.
    """
    scores = stored_scores(folder)
    seconds: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(dict)
    for one in sorted(folder.glob("*/*/*.json")):
        facts = load_facts(one)
        if facts is not None and facts["quick"] == quick and facts["task"] in scores["tasks"]:
            key = (facts["task"], facts["method"], facts["base_name"] or "")
            seconds[key].setdefault(facts["split"], []).append(facts["seconds"])
    splits: dict[str, set[str]] = defaultdict(set)
    for (task, _, _), of_splits in seconds.items():
        splits[task] |= set(of_splits)
    note = _machine_note(scores.get("machine", {}))
    return [
        Minutes(*key, len(of_splits), _minutes(of_splits.values()), note)
        for key, of_splits in sorted(seconds.items())
        if set(of_splits) == splits[key[0]]
    ]


def _minutes(seconds: Iterable[Sequence[float]]) -> float:
    """Return the minutes of one seed: the sum over splits of the mean over seeds."""
    return round(sum(sum(one) / len(one) for one in seconds) / 60, 3)


def _machine_note(machine: dict[str, Any]) -> str:
    n_cores = machine.get("cores")
    parts = [] if n_cores is None else [f"{n_cores} core" + ("" if n_cores == 1 else "s")]
    parts += [str(machine.get("cpu") or "unknown processor"), *machine.get("gpus", ())]
    return " ".join(", ".join(parts).split())


def read_minutes(path: Path = TABLE) -> list[Minutes]:
    """Return the rows of a table of minutes.

    Raises:
        InputError: The file is none.
    """
    return [
        Minutes(task, method, base, int(n_splits), float(minutes), machine)
        for task, method, base, n_splits, minutes, machine in read_cells(path, COLUMNS, "minutes")
    ]


def write_minutes(rows: Iterable[Minutes], path: Path = TABLE) -> None:
    """Write a table of minutes, in order of task, method and base."""
    cells = (list(map(str, astuple(one))) for one in sorted(rows, key=_key))
    write_cells(cells, COLUMNS, path)


def newest(old: Iterable[Minutes], new: Iterable[Minutes]) -> list[Minutes]:
    """Return old rows with new ones in their place, unless these are of fewer splits."""
    found = {_key(one): one for one in old}
    for one in new:
        kept = found.get(_key(one))
        if kept is None or kept.n_splits <= one.n_splits:
            found[_key(one)] = one
    return sorted(found.values(), key=_key)


def _key(one: Minutes) -> tuple[str, str, str]:
    return one.task, one.method, one.base


def known_minutes(
    folders: Sequence[Path], base: str, quick: Quick | None
) -> dict[tuple[str, str], Minutes]:
    """Return by task and method what is known, the first folder's word before the others'.

    The shipped table is asked last, and only about whole cases.

    Args:
        folders: Folders of benchmarks.
        base: What the base is called, or its folder; times with other weights do not count.
        quick: Which cut of the cases is asked about; None for the whole.

    Raises:
        InputError: A folder holds no benchmark.
    """
    sources = [minutes_of_folder(one, quick) for one in folders]
    sources += [] if quick is not None else [read_minutes(TABLE)]
    names = {"", base, Path(base).name}
    return {
        (one.task, one.method): one
        for source in reversed(sources)
        for one in source
        if one.base in names
    }
