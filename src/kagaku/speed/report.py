"""The table of the speed benchmark, on screen and in Markdown."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kagaku.errors import InputError
from kagaku.marked_page import Marks
from kagaku.scaling.report import Table
from kagaku.speed.part import Measured, NotRun
from kagaku.speed.timing import Comparison, spread

MARKS = Marks("<!-- measured speed: begin -->", "<!-- measured speed: end -->")
"""Around the part of a page that the command writes."""

COLUMNS = ["part", "what", "ours", "reference", "times better [least to most]", "target", "result"]

ELSEWHERE = (
    NotRun("fresh machine to first prediction", "measured by hand with `make demo`", "< 6 minutes"),
    NotRun("two processes beside one", "compared by the tests marked slow", "equal losses"),
)
"""What no part of this command measures."""


def table(found: Mapping[str, Measured]) -> Table:
    """Return the table of all parts; ``--only PART`` measures the rows of one."""
    rows = [
        [name, *comparison_row(one)] for name, part in found.items() for one in part.comparisons
    ]
    missing = [(name, one) for name, part in found.items() for one in part.not_run]
    rows += [
        [name, one.name, "", "", "", one.target, f"not run: {one.why}"]
        for name, one in (*missing, *(("", one) for one in ELSEWHERE))
    ]
    return Table("Speed and memory", COLUMNS, rows)


def comparison_row(one: Comparison) -> list[str]:
    """Return the cells of one figure; it is met if the median meets the target."""
    reference = ""
    if one.reference:
        reference = f"{_value(one.reference, one.unit)} ({one.reference_name})"
    ratio = ""
    if one.ratios:
        told = spread(one.ratios)
        ratio = f"{told['median']:.2f} [{told['least']:.2f} to {told['most']:.2f}]"
    result = {True: "met by the median", False: "missed", None: ""}[one.is_met]
    target = "" if one.target is None else one.target.text
    return [one.name, _value(one.ours, one.unit), reference, ratio, target, result]


def body(found: Mapping[str, Measured], machine: Mapping[str, Any]) -> str:
    """Return the table in Markdown, under the machine that it was measured on."""
    parts = ", ".join(f"{name} {value}" for name, value in machine.items() if value)
    return f"Measured on: {parts}.\n\n{table(found).markdown()}"


def check_page(page: Path, names: Collection[str], *, measured: Mapping[str, int | None]) -> None:
    """Refuse to write a page of which figures would go: a page is written as a whole.

    Args:
        page: Has the marks.
        names: The parts that there are; rows of others are of an older command.
        measured: By part, how many figures of it the table to be written has; None where that is
            not known yet.

    Raises:
        InputError: The page has figures of further parts, or more of one.
    """
    rows = [line.strip("| ").split(" | ") for line in MARKS.read(page).splitlines()]
    there = Counter(row[0] for row in rows if not row[-1].startswith("not run"))
    counts = {name: measured.get(name, 0) for name in names}
    if lost := [name for name, n in counts.items() if n is not None and there[name] > n]:
        raise InputError(
            f"the page has figures of {', '.join(lost)}, which are not measured here and would go",
            fix="Measure them too (without --only, with --long, --corpus and what else they need), "
            "or leave out --page and copy the rows from the folder's table.",
            where=str(page),
        )


def _value(values: tuple[float, ...], unit: str) -> str:
    told = spread(values)
    return f"{told['median']:,.4g} {unit} [{told['least']:,.4g} to {told['most']:,.4g}]"
