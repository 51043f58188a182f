"""scoreboard.html: every task of a benchmark on one page, losses included."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kagaku.benchmarks.scoreboard_figures import draw_scores
from kagaku.benchmarks.tables import (
    PAIRED_COLUMNS,
    cell,
    heading,
    leak_sentences,
    mark,
    notes,
    paired_rows,
    sourced_rows,
)
from kagaku.data.whole_files import write_whole
from kagaku.reporting.figures import to_svg
from kagaku.reporting.tables import Table

PAGE_FILE = "scoreboard.html"

COSTS = "seconds in all", "MB of the process"
"""Headings of what a method took: wall time, and memory at most, the data and kagaku included."""

LEVELS = {"better": "good", "worse": "bad", "no different": "note"}
"""Colour of a verdict on the page."""


@dataclass(frozen=True)
class TaskSection:
    """What the page says about one task."""

    anchor: str
    """Its id on the page."""

    found: dict[str, Any]
    """Its scores."""

    level: str
    """Colour of the verdict."""

    label: str
    """The verdict in a few words."""

    verdicts: tuple[str, ...]
    """Each method that is no plain baseline against the best that is one."""

    notes: tuple[str, ...]
    """What keeps the rows of the table from being compared."""

    scores: Table
    """Methods and measures."""

    paired: Table
    """Differences from each plain baseline on the same items."""

    published: Table
    """Scores of others; no rows if there are none."""

    figure: Markup
    """The leading measure, drawn."""

    leaks: tuple[str, ...]
    """What the test parts share with what was learnt from."""


def write_scoreboard(stored: dict[str, Any], folder: Path) -> Path:
    """Write the page of a benchmark folder from its scores alone, and return its path.

    Args:
        stored: The content of ``scores.json``.
        folder: Where to write.
    """
    environment = Environment(
        loader=PackageLoader("kagaku", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tasks = sorted(stored["tasks"].values(), key=lambda one: (one["domain"], one["task"]))
    sections = [_section(one) for one in tasks]
    page = environment.get_template("scoreboard.html.jinja").render(
        sections=sections,
        overview=_overview(sections),
        counts=_counts(sections),
        machine=_machine(stored),
    )
    path = folder / PAGE_FILE
    write_whole(page, path)
    return path


def judged_method(found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the method that a task's verdict is about; None if it was not run or not compared."""
    compared = [one for one in found["methods"] if one["versus_baseline"]]
    compared = [one for one in compared if not one["is_baseline"]]
    if "judged" in found:  # older files do not tell
        compared = [one for one in compared if one["name"] == found["judged"]]
    return compared[-1] if compared else None


def _section(found: dict[str, Any]) -> TaskSection:
    measures = [
        one
        for one in found["measures"]
        if any(one["name"] in method["scores"] for method in found["methods"])
    ]
    first = judged_method(found)
    verdict = None if first is None else first["versus_baseline"]["verdict"]
    return TaskSection(
        anchor=f"task-{found['task']}",
        found=found,
        level="note" if verdict is None else LEVELS[verdict],
        label=_label(found, verdict),
        notes=tuple(notes(found)),
        verdicts=tuple(
            one["versus_baseline"]["sentence"]
            for one in found["methods"]
            if one["versus_baseline"] and not one["is_baseline"]
        ),
        scores=Table(
            ("method", *(heading(one) for one in measures), "reads the base", *COSTS),
            tuple(
                (
                    mark(method, found),
                    *(cell(method["scores"].get(one["name"])) for one in measures),
                    method["base"] or "no",
                    f"{method['seconds']:.1f}",
                    f"{method['peak_megabytes']:.0f}",
                )
                for method in found["methods"]
            ),
            frozenset(
                place
                for place, one in enumerate(found["methods"])
                if not (one["is_baseline"] or one.get("is_for_reference"))
            ),
            frozenset({0, len(measures) + 1}),
        ),
        paired=Table(
            tuple(PAIRED_COLUMNS),
            tuple(tuple(row) for row in paired_rows(found)),
            words=frozenset({0, 1, 4}),
        ),
        published=Table(
            ("model", "measure", "score", "where", "what to know before comparing"),
            tuple(tuple(row) for row in sourced_rows(found)),
            words=frozenset({0, 1, 3, 4}),
        ),
        figure=_figure(found, measures[0]) if measures else Markup(),
        leaks=tuple(leak_sentences(found)),
    )


def _label(found: dict[str, Any], verdict: str | None) -> str:
    if found["quick"] is not None:
        return "a quick look: these scores are comparable with nothing"
    if verdict is None:
        ran = {one["name"] for one in found["methods"]}
        judged = found.get("judged")
        if judged is None or judged in ran:
            return "nothing was compared with a plain baseline"
        return f"no verdict: it is about {judged}, which was not run"
    words = {
        "better": "better than the best plain baseline",
        "worse": "worse than the best plain baseline",
        "no different": "not clearly different from the best plain baseline",
    }[verdict]
    return f"{words}, not blind" if found.get("seen") else words


def _figure(found: dict[str, Any], measure: dict[str, Any]) -> Markup:
    description = f"{measure['name']} of every method on {found['task']}, with 95% intervals."
    svg = to_svg(draw_scores(found, measure), f"s-{found['task']}", description)
    return Markup(svg)


def _overview(sections: list[TaskSection]) -> Table:
    rows = []
    for one in sections:
        first, name = judged_method(one.found), one.found["best_baseline"]
        leading = one.found["measures"][0]["name"]
        scores = {method["name"]: method["scores"] for method in one.found["methods"]}
        rows.append(
            (
                one.found["domain"],
                one.found["task"],
                heading(one.found["measures"][0]),
                "-" if name is None else f"{name}: {cell(scores[name].get(leading))}",
                "-"
                if first is None
                else f"{first['name']}: {cell(scores[first['name']].get(leading))}",
                one.label,
            )
        )
    return Table(
        ("domain", "task", "measure", "best plain baseline", "judged", "verdict"),
        tuple(rows),
        words=frozenset(range(6)),
    )


def _counts(sections: list[TaskSection]) -> str:
    compared = [one for one in sections if judged_method(one.found) and not one.found["quick"]]
    if not compared:
        return "No task was run whole with a method that is no plain baseline yet."
    blind = [one for one in compared if not one.found.get("seen")]
    told = (
        f"Of {len(blind)} tasks, the judged method is better than the best plain baseline on "
        f"{_counted(blind)}. Which one is judged does not depend on what was run: auto, unless it "
        "takes long, else the last of the task's default methods, unless the task names one."
    )
    if len(blind) < len(compared):
        others = [one for one in compared if one.found.get("seen")]
        told += (
            f" Of {len(others)} more, scores of the test part were seen before the judged method "
            f"became what it is: better on {_counted(others)}."
        )
    return told


def _counted(sections: list[TaskSection]) -> str:
    better = sum(one.level == "good" for one in sections)
    worse = sum(one.level == "bad" for one in sections)
    same = len(sections) - better - worse
    return f"{better}, worse on {worse}, and not clearly different on {same}"


def _machine(stored: dict[str, Any]) -> str:
    machine = dict(stored.get("machine", {}))
    if n_bytes := machine.pop("memory_bytes", None):
        machine["memory"] = f"{n_bytes / 2**30:.0f} GiB"
    parts = [f"{name}: {value}" for name, value in machine.items() if value]
    parts += [f"{name} {value}" for name, value in stored.get("packages", {}).items() if value]
    return "; ".join(parts)
