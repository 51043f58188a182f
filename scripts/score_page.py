"""Write docs/scores.tsv and docs/scores.md: what finished benchmarks found.

    python scripts/score_page.py [FOLDER...]

Each folder was written by ``kagaku benchmark`` without ``--quick``; its tasks replace those of the
same names in the table, all methods of a task together. Without a folder the page is made anew.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from kagaku.benchmarks.score_rows import ScoreRow, merged, read_rows, rows_of_folder, write_rows
from kagaku.data.catalogue import DOMAINS
from kagaku.science_tasks.benchmark.families import FAMILIES
from kagaku.science_tasks.benchmark.task import Published, Task
from kagaku.science_tasks.tasks import TASKS

DOCS = Path(__file__).parents[1] / "docs"

HEAD = """# Scores

Made by `scripts/score_page.py` from folders that `kagaku benchmark` wrote; the numbers are in
[scores.tsv](scores.tsv). Whole official test parts. Brackets hold the 95% interval over resampled
test items; differences are from the best plain baseline of the task, on the same items in pairs.
*Held* is the share of test items within their intervals or sets, which promise 90%. Bold is the
method that the verdict is about, whatever was run; *not blind* stands where scores of the test part
were known before that method became what it is, and *base* names the weights that a method read. Of
published scores the best one that belongs to all that was asked stands here (* where data or split
differ), and the scoreboard of a run has the others, with their sources and what differs there
([benchmarks](benchmarks.md)). What is said of single figures, and what was aimed at, stands in
[results](results.md).
"""


COLUMNS = "| task | method | base | score | less the best baseline's | held | published |"


def page(rows: list[ScoreRow]) -> str:
    """Return the whole page."""
    known: dict[str, Task] = dict(TASKS) | {one.whole.name: one.whole for one in FAMILIES.values()}
    rows = with_roles(rows, known)
    parts = [HEAD, f"\n{_counts(rows, known)}\n"]
    for domain in DOMAINS:
        names = [name for name, task in known.items() if task.domain == domain]
        lines = [
            line
            for name in names
            if any(one.task == name for one in rows)
            for line in _of_task(known[name], [one for one in rows if one.task == name])
        ]
        if lines:
            parts.append(
                f"\n## {domain.capitalize()}\n\n{COLUMNS}\n|---|---|---|---|---|---|---|\n"
                + "\n".join(lines)
                + "\n"
            )
    return "".join(parts)


def with_roles(rows: list[ScoreRow], known: dict[str, Task]) -> list[ScoreRow]:
    """Return rows with the roles that tasks give now: which method is judged may have changed."""
    return [
        one
        if one.role in ("baseline", "reference")
        else replace(one, role="judged" if one.method == known[one.task].judged else "")
        for one in rows
    ]


def _counts(rows: list[ScoreRow], known: dict[str, Task]) -> str:
    judged = [one for one in rows if one.role == "judged" and one.verdict]
    blind = [one for one in judged if not known[one.task].seen]
    others = [one for one in judged if known[one.task].seen]
    measured = {one.task for one in rows} & set(TASKS)
    return (
        f"{len(measured)} of {len(TASKS)} tasks were measured. On {len(blind)} of {len(known)}, "
        "families included, the judged method was measured blind: it is better than the best plain "
        f"baseline on {_numbers(blind)}. On {len(others)} it was not blind: better on "
        f"{_numbers(others)}."
    )


def _numbers(judged: list[ScoreRow]) -> str:
    number = {
        word: [one for one in judged if one.verdict == word]
        for word in ("better", "worse", "no different")
    }
    with_base = sum(bool(one.base) for one in number["better"])
    return (
        f"{len(number['better'])} ({with_base} of them with pretrained weights), worse on "
        f"{len(number['worse'])}, and no different on {len(number['no different'])}"
    )


def _of_task(task: Task, rows: list[ScoreRow]) -> list[str]:
    """Return the lines of one task: the best baseline, then all that are none."""
    best = next((one.other for one in rows if one.other), None)
    shown = [one for one in rows if one.role != "baseline" or one.method == best]
    shown = shown or rows[-1:]
    unit = "" if task.leading.unit in (None, "dimensionless") else f", {task.leading.unit}"
    splits = max((one.splits.split(",") for one in rows), key=len)
    most = len(splits)
    counts = f"{most} splits" if most > 1 else ""
    if max(one.n_seeds for one in rows) > 1:
        counts += f"{', ' if counts else ''}{max(one.n_seeds for one in rows)} seeds"
    first = f"`{task.name}`, {task.leading.name}{unit}" + (f"; {counts}" if counts else "")
    others = "; ".join(
        f"{one.model} {_number(one.value)}{'*' if one.differs else ''}"
        + ("" if one.checked else ", from memory")
        for one in _published(task, splits)
    )
    lines = []
    for place, one in enumerate(shown):
        name = f"**`{one.method}`**" if one.role == "judged" else f"`{one.method}`"
        if one.role in ("baseline", "reference"):
            name += f", {one.role}"
        if (n_splits := len(one.splits.split(","))) < most:
            name += f", {n_splits} of {most} splits"
        told = _difference(one)
        if told and one.role == "judged" and task.seen:
            told += ", not blind"
        held = "" if one.coverage is None else f"{one.coverage:.1%}"
        lines.append(
            f"| {first if place == 0 else ''} | {name} | {one.base} | {_score(one)} | {told} "
            f"| {held} | {others if place == 0 else ''} |"
        )
    return lines


def _published(task: Task, splits: list[str]) -> list[Published]:
    """Return the best published score that belongs to all splits that were answered, if any."""
    sign = 1 if task.leading.smaller_is_better else -1
    fitting = [
        one
        for one in task.published
        if one.measure == task.leading.name and (one.split is None or [one.split] == splits)
    ]
    return sorted(fitting, key=lambda one: sign * one.value)[:1]


def _score(one: ScoreRow) -> str:
    if one.score is None:
        return "-"
    if one.low is None or one.high is None:
        return _number(one.score)
    return f"{_number(one.score)} ({_number(one.low)} to {_number(one.high)})"


def _difference(one: ScoreRow) -> str:
    if one.difference is None or one.role == "baseline":
        return ""
    if one.difference_low is None or one.difference_high is None:
        return f"{one.difference:+.3g}"
    between = f"{one.difference_low:+.3g} to {one.difference_high:+.3g}"
    return f"{one.verdict}: {one.difference:+.3g} ({between})"


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:,.0f}"


def main() -> None:
    """Update the table and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where table and page stand")
    arguments = parser.parse_args()
    table = arguments.docs / "scores.tsv"
    rows = read_rows(table) if table.is_file() else []
    for folder in arguments.folders:
        rows = merged(rows, rows_of_folder(folder))
    write_rows(rows, table)
    rows = read_rows(table)  # with as many digits as later pages will find
    (arguments.docs / "scores.md").write_text(page(rows), encoding="utf-8")
    print(f"{len(rows)} rows of {len({one.task for one in rows})} tasks in {table}")


if __name__ == "__main__":
    main()
