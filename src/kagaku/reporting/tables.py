"""The tables of a report, as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kagaku.data.schema import Schema, Target
from kagaku.reporting.figures import with_unit
from kagaku.reporting.results import Results, is_number
from kagaku.reporting.verdict import (
    count,
    interval,
    metric_unit,
    number,
    percent,
    verdict_label,
)

MOST_METRICS = 8
"""How many metrics a score table shows, the deciding one first."""


@dataclass(frozen=True)
class Table:
    """A table of the report, as text."""

    columns: tuple[str, ...]
    """Headings."""

    rows: tuple[tuple[str, ...], ...]
    """Cells, one tuple per row."""

    marked: frozenset[int] = frozenset()
    """Rows that stand out: the chosen method, or the model among baselines."""

    words: frozenset[int] = frozenset({0})
    """Columns that hold words rather than numbers."""


def summary(results: Results) -> Table:
    """Return one line per target."""
    rows = []
    for target in results.targets():
        found = results.metrics["targets"][target.name]
        metric = str(found.get("metric") or "")
        coverage = found.get("coverage") or {}
        rows.append(
            (
                target.name,
                f"{metric} "
                + interval((found.get("test") or {}).get(metric), metric_unit(metric, target)),
                verdict_label(found),
                f"{percent(coverage.get('measured'))} of {percent(coverage.get('confidence'))}",
                number(found.get("n_test")),
            )
        )
    columns = ("target", "score on held-out rows", "verdict", "coverage", "held out")
    return Table(columns, tuple(rows), words=frozenset({0, 2}))


def score_table(target: Target, found: Mapping[str, Any]) -> Table:
    """Return the model's metrics on held-out rows above those of each baseline."""
    own = found.get("test") or {}
    others = [(str(one.get("name")), one.get("test") or {}) for one in found.get("baselines") or []]
    first = str(found.get("metric"))
    metrics = sorted(own, key=lambda name: name != first)[:MOST_METRICS]
    headings = [
        f"{name} [{unit}]" if (unit := metric_unit(name, target)) else name for name in metrics
    ]
    chosen = str(found.get("chosen") or "model")
    if chosen.startswith("the mean of "):
        chosen = "blend"  # its parts stand in the table of candidates
    rows = [(f"this model ({chosen})", own), *others]
    return Table(
        ("method", *headings),
        tuple((name, *(interval(scores.get(one)) for one in metrics)) for name, scores in rows),
        marked=frozenset({0}),
    )


def candidate_table(target: Target, found: Mapping[str, Any]) -> Table:
    """Return the methods that were compared by cross-validation on training rows."""
    metric = str(found.get("selection_metric") or found.get("metric") or "score")
    unit = metric_unit(metric, target)
    rows, marked = [], set()
    for place, one in enumerate(found.get("candidates") or []):
        error = one.get("standard_error")
        score = number(one.get("score"), error if is_number(error) else None)
        spread = number(error, error) if is_number(error) and is_number(one.get("score")) else ""
        rows.append(
            (
                str(one.get("name")),
                f"{score} ± {spread}" if spread else score,
                duration(one.get("seconds")),
                "; ".join(filter(None, ["chosen" * bool(one.get("chosen")), one.get("note")])),
            )
        )
        if one.get("chosen"):
            marked.add(place)
    if choosing := found.get("choosing"):
        error, folds = choosing.get("standard_error"), choosing.get("folds") or []
        rows.append(
            (
                "the choosing included",
                f"{number(choosing.get('score'), error)} ± {number(error, error)}",
                "",
                f"{choosing.get('n_alike')} of {count(len(folds), 'fold')} chose the same",
            )
        )
    heading = f"{with_unit(metric, unit)} ± SE"
    return Table(
        ("method", heading, "time", "note"),
        tuple(rows),
        marked=frozenset(marked),
        words=frozenset({0, 3}),
    )


def nested_scores_table(target: Target, found: Mapping[str, Any]) -> Table:
    """Return the metrics of nested cross-validation, each with its spread over folds."""
    rows = []
    for name, score in ((found.get("nested") or {}).get("scores") or {}).items():
        error = score.get("standard_error")
        unit = metric_unit(name, target)
        rows.append((with_unit(name, unit), interval(score), number(error, error)))
    return Table(("metric", "value", "SE over folds"), tuple(rows))


def nested_folds_table(target: Target, found: Mapping[str, Any]) -> Table:
    """Return what each outer fold chose, and how that predicted the fold."""
    nested = found.get("nested") or {}
    metric = str(nested.get("selection_metric"))
    rows = [
        (
            str(place),
            str(one.get("chosen")),
            number(one.get("n_train")),
            number(one.get("n_test")),
            number(one.get("score"), nested.get("standard_error")),
            duration(one.get("seconds")),
        )
        for place, one in enumerate(nested.get("folds") or [], start=1)
    ]
    heading = with_unit(metric, metric_unit(metric, target))
    columns = ("fold", "chosen", "learnt from", "predicted", heading, "time")
    return Table(columns, tuple(rows), words=frozenset({0, 1}))


def schema_table(schema: Schema) -> Table:
    """Return what each column was taken for, and why."""
    rows = [
        (one.column, "input", one.modality, one.unit or "", one.reason) for one in schema.inputs
    ]
    rows += [(one.column, "target", one.kind, one.unit or "", one.reason) for one in schema.targets]
    rows += [(one.column, "ignored", "", "", one.reason) for one in schema.ignored]
    return Table(
        ("column", "role", "read as", "unit", "because"), tuple(rows), words=frozenset(range(5))
    )


def provenance_table(provenance: Mapping[str, Any]) -> Table:
    """Return the data files with checksums, the machine and the time."""
    rows = [
        (
            str(one.get("name")),
            f"{int(one.get('bytes') or 0):,} bytes, sha256 {one.get('sha256')}",
        )
        for one in provenance.get("files") or []
    ]
    machine = provenance.get("machine") or {}
    if machine:
        memory = float(machine.get("memory_bytes") or 0) / 2**30
        gpus = ", ".join(map(str, machine.get("gpus") or [])) or "no GPU"
        rows.append(
            (
                "machine",
                f"{machine.get('cpu')}, {machine.get('cores')} cores, {memory:.0f} GiB, {gpus}",
            )
        )
    if provenance.get("platform"):
        rows.append(
            ("software", f"Python {provenance.get('python')}, {provenance.get('platform')}")
        )
    if provenance.get("started"):
        rows.append(("run", f"{provenance['started']}, {duration(provenance.get('seconds'))}"))
    return Table(("what", "value"), tuple(rows), words=frozenset({0, 1}))


def package_line(provenance: Mapping[str, Any]) -> str:
    """Return the packages that were installed, with their versions."""
    packages = provenance.get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def duration(seconds: object) -> str:
    """Return a time span such as ``"41 s"``, ``"3 min 20 s"`` or ``"2 h 05 min"``."""
    if not is_number(seconds):
        return ""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
