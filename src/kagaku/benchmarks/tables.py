"""The table of one task on the screen: methods, what others published, and what it means."""

from collections.abc import Iterator
from typing import Any

from kagaku.science_tasks.benchmark.measures import COVERAGE
from kagaku.terminal import Terminal

MOST_MEASURES = 3
"""Columns of scores that a terminal has room for."""

MOST_SPLITS = 4
"""Splits whose leaks are told one by one; of more the worst is told."""

PAIRED_COLUMNS = ["method", "baseline", "difference", "95%", "method is"]
"""Of the table of paired differences."""

MOST_PUBLISHED = 6
"""Published rows that are shown; all stand in the JSON and on the page."""

MOST_CHOICES = 4
"""Different choices of a method, over splits and seeds, that are told."""

FROM_MEMORY = "from memory, not checked"
"""What is said of a published score that was not compared with its source."""


def show_task(found: dict[str, Any], terminal: Terminal) -> None:
    """Print what was found about one task."""
    first, *others = measures_shown(found)
    title = f"{found['task']}: {found['question']}"
    if found["quick"] is not None:
        title += " (a quick look at a part of the data: comparable with nothing)"
    terminal.table(
        title,
        ["method", arrow(first), "95%", *(arrow(one) for one in others), "s in all", "MB"],
        [
            [
                named(method, found),
                mean(method["scores"].get(first["name"])),
                interval(method["scores"].get(first["name"])),
                *(mean(method["scores"].get(one["name"])) for one in others),
                f"{method['seconds']:.1f}",
                f"{method['peak_megabytes']:,.0f}",
            ]
            for method in found["methods"]
        ],
    )
    units = {one["unit"] for one in (first, *others)} - {None, "dimensionless"}
    if units:
        terminal.say(f"Errors are in {' and '.join(sorted(units))}.")
    for line in sentences(found):
        terminal.say(line)
    paired = paired_rows(found)
    if len({row[1] for row in paired}) > 1:
        terminal.table(f"Beside each plain baseline, {first['name']}", PAIRED_COLUMNS, paired)
    published = published_rows(found)
    if published:
        terminal.table(
            "published", ["model", "measure", "score", "note"], published[:MOST_PUBLISHED]
        )


def measures_shown(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the measures that a terminal has room for: the first with scores, and coverage."""
    scored = [
        one
        for one in found["measures"]
        if any(one["name"] in method["scores"] for method in found["methods"])
    ]
    if scored[-1]["name"] == COVERAGE.name:
        return [*scored[: MOST_MEASURES - 1], scored[-1]]
    return scored[:MOST_MEASURES]


def arrow(measure: dict[str, Any]) -> str:
    """Return a measure's name, with the way that is better."""
    if measure["name"] == COVERAGE.name:
        return str(measure["name"])
    if measure.get("ideal") is not None:
        return f"{measure['name']} ({measure['ideal']:g} is best)"
    return f"{measure['name']} {'↓' if measure['smaller_is_better'] else '↑'}"


def heading(measure: dict[str, Any]) -> str:
    """Return a measure's name with its unit and the way that is better."""
    if measure["unit"] in (None, "dimensionless"):
        return arrow(measure)
    return f"{arrow(measure)} [{measure['unit']}]"


def mark(method: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a method's name, with a word behind it for baselines and what is shown beside."""
    name = named(method, found)
    if method.get("is_for_reference"):  # older files do not tell
        return f"{name}, for reference"
    return f"{name}, baseline" if method["is_baseline"] else name


def named(method: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a method's name, and how many splits it answered if others answered more."""
    if not lacks_splits(method, found):
        return str(method["name"])
    return f"{method['name']} ({len(method['splits'])} of {len(found['splits'])} splits)"


def lacks_splits(method: dict[str, Any], found: dict[str, Any]) -> bool:
    """Return whether other methods answered splits that this one did not."""
    splits = method.get("splits", found["splits"])  # older files do not tell
    return len(splits) < len(found["splits"])


def mean(score: dict[str, Any] | None) -> str:
    """Return a score such as ``"0.553"``; a dash where there is none."""
    return "-" if score is None or score["mean"] is None else f"{score['mean']:.3f}"


def interval(score: dict[str, Any] | None) -> str:
    """Return the ends of a score's 95% interval, such as ``"0.512 to 0.590"``."""
    if score is None or score["low"] is None:
        return "-"
    return f"{score['low']:.3f} to {score['high']:.3f}"


def cell(score: dict[str, Any] | None) -> str:
    """Return a score with its 95% interval, such as ``"0.553 (0.512 to 0.590)"``."""
    known = interval(score)
    return mean(score) if known == "-" else f"{mean(score)} ({known})"


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the scores mean, in words."""
    plain = [one["name"] for one in found["methods"] if one["is_baseline"]]
    if plain:
        yield f"Plain baselines: {', '.join(plain)}."
    for method in found["methods"]:
        versus = method["versus_baseline"]
        if versus is not None and not method["is_baseline"]:
            yield versus["sentence"]
    yield from notes(found)
    yield from leak_sentences(found)
    for trap in found["traps"]:
        yield f"Beware: {trap}"


def notes(found: dict[str, Any]) -> Iterator[str]:
    """Yield what methods chose, and what to know before comparing rows or believing a verdict."""
    if found.get("seen"):  # older files do not tell
        yield f"Not blind: {found['seen']}"
    for method in found["methods"]:
        if chosen := method["chosen"]:
            more = len(chosen) - MOST_CHOICES
            others = f"; and {more} more" if more > 0 else ""
            yield (f"{method['name']} answered with: {'; '.join(chosen[:MOST_CHOICES])}{others}.")
    lacking = [one["name"] for one in found["methods"] if lacks_splits(one, found)]
    if lacking:
        yield (
            f"{', '.join(lacking)} did not answer all splits that others did: a mean over other "
            "splits is not to be compared with theirs; paired differences are over shared ones."
        )
    scored = {name for method in found["methods"] for name in method["scores"]}
    leading = found["measures"][0]["name"]
    for one in found["measures"]:
        if one.get("needs") and one["name"] not in scored:
            compared = (
                ", and by nothing else are methods compared" if one["name"] == leading else ""
            )
            yield (
                f"{one['name']} was not measured{compared}: install it with "
                f"pip install '{one['needs']}', and answer in another folder."
            )
    codes = {code for one in found["methods"] for code in one.get("made_by", ()) if code}
    if len(codes) > 1:
        yield (
            f"These answers were given by {len(codes)} states of kagaku's code, which may answer "
            "otherwise."
        )


def leak_sentences(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the test parts share with what was learnt from."""
    leaks = found["leaks"]
    notes = {one["note"] for one in leaks.values()} - {""}
    if len(leaks) > MOST_SPLITS:
        worst = {
            name: max((one[name] for one in leaks.values() if one[name] is not None), default=None)
            for name in ("within", "within_near", "corpus", "corpus_near")
        }
        yield f"{len(leaks)} splits, the worst of each: {_leak_words(worst)}."
    else:
        for split, leak in leaks.items():
            yield f"{split}: {_leak_words(leak)}."
    yield from sorted(notes)
    for method in found["methods"]:
        kept = method["without_matches"]
        if kept and "scores" in kept:  # older files have it otherwise
            yield _without_words(method["name"], kept, len(found["splits"]))


def _without_words(name: str, kept: dict[str, Any], n_splits: int) -> str:
    scores = ", ".join(
        f"{measure} {value:.3f}" for measure, value in kept["scores"].items() if value is not None
    )
    on = "" if kept["n_splits"] == n_splits else f" ({kept['n_splits']} of {n_splits} splits)"
    told = f"{name} without the matches{on}: {scores}."
    if (versus := kept["versus_baseline"]) is not None:
        told += f" There {versus['sentence']}"
    return told


def _leak_words(leak: dict[str, Any]) -> str:
    parts = ["not compared with a training part"]
    if leak["within"] is not None:
        parts = [f"{leak['within']:.1%} of the test items stand in its training part"]
        if leak["within_near"] > leak["within"]:
            parts.append(f"{leak['within_near']:.1%} with near-duplicates")
    if leak["corpus"] is not None:
        parts.append(f"{leak['corpus']:.1%} were in the base's pretraining corpus")
        if leak["corpus_near"] > leak["corpus"]:
            parts.append(f"{leak['corpus_near']:.1%} with near-duplicates")
    return ", ".join(parts)


def paired_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return how each method that is no plain baseline differs from each that is."""
    return [
        [
            method["name"],
            baseline,
            f"{versus['difference']:+.3f}",
            "-" if versus["low"] is None else f"{versus['low']:+.3f} to {versus['high']:+.3f}",
            versus["verdict"],
        ]
        for method in found["methods"]
        if not method["is_baseline"]
        for baseline, versus in method["versus_baselines"].items()
    ]


def published_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table of published scores: model, measure, score, and either doubts or source."""
    return [[*scored, "; ".join(doubts) or source] for scored, source, doubts in _published(found)]


def sourced_rows(found: dict[str, Any]) -> list[list[str]]:
    """Return the table of published scores with a column for the source and one for doubts."""
    return [
        [*scored, source, "; ".join(doubts) or "-"] for scored, source, doubts in _published(found)
    ]


def _published(found: dict[str, Any]) -> Iterator[tuple[list[str], str, list[str]]]:
    """Yield of each published score its cells, its source and what speaks against comparing."""
    for one in found["published"]:
        measure = one["measure"] + (f", {one['split']}" if one["split"] else "")
        doubts = [f"not comparable: {one['differs']}"] if one["differs"] else []
        if is_from_memory(one):
            doubts.append(FROM_MEMORY)
        yield [one["model"], measure, f"{one['value']:.3f}"], one["source"], doubts


def is_from_memory(published: dict[str, Any]) -> bool:
    """Return whether a published score was not compared with its source."""
    return not published.get("checked", True)  # older files do not tell
