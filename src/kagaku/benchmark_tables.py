"""The table of one task on the screen: methods, what others published, and what it means."""

from collections.abc import Iterator
from typing import Any

from kagaku.terminal import Terminal

MOST_MEASURES = 4
"""Columns of scores that a terminal has room for."""

MOST_PUBLISHED = 6
"""Published rows that are shown; all stand in the JSON and on the page."""


def show_task(found: dict[str, Any], terminal: Terminal) -> None:
    """Print what was found about one task."""
    measures = [
        one
        for one in found["measures"]
        if any(one["name"] in method["scores"] for method in found["methods"])
    ][:MOST_MEASURES]
    title = f"{found['task']}: {found['question']}"
    if found["quick"] is not None:
        title += "  (a quick look at a part of the data: comparable with nothing)"
    terminal.table(
        title,
        ["method", *(heading(one) for one in measures), "s", "MB"],
        [
            [
                mark(method),
                *(cell(method["scores"].get(one["name"])) for one in measures),
                f"{method['seconds']:.1f}",
                f"{method['peak_megabytes']:.0f}",
            ]
            for method in found["methods"]
        ],
    )
    for line in sentences(found):
        terminal.say(line)
    published = published_rows(found)
    if published:
        terminal.table(
            "published",
            ["model", "measure", "score", "note"],
            published[:MOST_PUBLISHED],
        )


def heading(measure: dict[str, Any]) -> str:
    """Return a column's heading, with the way that is better."""
    unit = f" [{measure['unit']}]" if measure["unit"] not in (None, "dimensionless") else ""
    if measure["name"] == "coverage":
        return "coverage (aim 0.90)"
    return f"{measure['name']}{unit} {'↓' if measure['smaller_is_better'] else '↑'}"


def mark(method: dict[str, Any]) -> str:
    """Return a method's name, with a word behind it for plain baselines."""
    return f"{method['name']} (plain)" if method["is_baseline"] else str(method["name"])


def cell(score: dict[str, Any] | None) -> str:
    """Return a score with its 95% interval, such as ``"0.553 (0.51 to 0.59)"``."""
    if score is None or score["mean"] is None:
        return "-"
    if score["low"] is None:
        return f"{score['mean']:.3f}"
    return f"{score['mean']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the scores mean, in words."""
    for method in found["methods"]:
        versus = method["versus_baseline"]
        if versus is not None and not method["is_baseline"]:
            yield versus["sentence"]
    yield from leak_sentences(found)
    for trap in found["traps"]:
        yield f"Beware: {trap}"


def leak_sentences(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the test parts share with what was learnt from."""
    notes = set()
    for split, leak in found["leaks"].items():
        parts = [f"{leak['within']:.1%} of the test items stand in its training part"]
        if leak["within_near"] > leak["within"]:
            parts.append(f"{leak['within_near']:.1%} with near-duplicates")
        if leak["corpus"] is not None:
            parts.append(f"{leak['corpus']:.1%} were in the base's pretraining corpus")
            if leak["corpus_near"] > leak["corpus"]:
                parts.append(f"{leak['corpus_near']:.1%} with near-duplicates")
        yield f"{split}: {', '.join(parts)}."
        notes |= {leak["note"]} - {""}
    yield from sorted(notes)
    for method in found["methods"]:
        kept = method["without_matches"]
        if kept and not method["is_baseline"]:
            scores = ", ".join(
                f"{name} {value:.3f}" for name, value in kept.items() if value is not None
            )
            yield f"{method['name']} without the matches: {scores}."


def published_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table of published scores."""
    return [
        [
            one["model"],
            one["measure"] + (f", {one['split']}" if one["split"] else ""),
            f"{one['value']:.3f}",
            f"not comparable: {one['differs']}" if one["differs"] else one["source"],
        ]
        for one in found["published"]
    ]
