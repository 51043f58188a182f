"""report.html: one self-contained page that says what a run found, how sure it is, and why."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from kagaku.data.schema import Target
from kagaku.data.whole_files import write_whole
from kagaku.reporting.cliffs import CliffSection, cliff_section
from kagaku.reporting.panel import Panel
from kagaku.reporting.panels import target_panels
from kagaku.reporting.results import Results, read_results
from kagaku.reporting.tables import (
    Table,
    candidate_table,
    duration,
    nested_folds_table,
    nested_scores_table,
    package_line,
    provenance_table,
    schema_table,
    score_table,
    summary,
)
from kagaku.reporting.verdict import (
    Note,
    baseline_sentence,
    count,
    coverage_sentence,
    number,
    run_notes,
    score_sentence,
    sentence,
    target_notes,
    verdict_label,
    verdict_level,
)
from kagaku.reporting.worst_tables import worst_table


@dataclass(frozen=True)
class TargetSection:
    """What the report says about one target."""

    anchor: str
    """The section's id on the page."""

    target: Target
    """The target itself."""

    level: str
    """Colour of the verdict."""

    label: str
    """The verdict in a few words."""

    sentences: tuple[str, ...]
    """The verdict in full: score, baseline, coverage."""

    notes: tuple[Note, ...]
    """What the reader must know, the gravest first."""

    scores: Table
    """Metrics on held-out rows, beside each baseline."""

    panels: tuple[Panel, ...]
    """Figures."""

    candidates: Table
    """What was compared by cross-validation."""

    chosen_reason: str
    """Why the chosen method was chosen, and what the choosing costs."""

    nested: str
    """What nested cross-validation found; empty where there was none."""

    nested_scores: Table
    """Its metrics."""

    nested_folds: Table
    """What each of its folds chose."""

    worst: Table
    """The worst predictions."""

    cliffs: CliffSection | None
    """Near twins whose values are far apart; None where none were looked for, or found."""


def write_report(folder: Path | str) -> Path:
    """Write report.html into a run folder, from its other files alone.

    Returns:
        The page's path.

    Raises:
        InputError: The folder is no run folder, or a file in it is damaged or newer.
    """
    results = read_results(folder)
    page = render(results)
    path = results.folder / "report.html"
    write_whole(page, path)
    return path


def render(results: Results) -> str:
    """Return the page as HTML; everything from the user's files is escaped."""
    environment = Environment(
        loader=PackageLoader("kagaku", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    split = results.metrics.get("split") or {}
    return environment.get_template("report.html.jinja").render(
        title=", ".join(one.name for one in results.targets()) or "run",
        facts=_facts(results),
        notes=run_notes(results.schema, results.metrics),
        sections=[
            _section(results, target, f"target-{place}")
            for place, target in enumerate(results.targets(), start=1)
        ],
        summary=summary(results),
        columns=schema_table(results.schema),
        split=split,
        split_reason=sentence(split.get("reason")),
        split_rows=f"{count(int(split.get('n_train') or 0), 'row')} to learn from, "
        f"{count(int(split.get('n_test') or 0), 'row')} held out",
        provenance=provenance_table(results.provenance),
        packages=package_line(results.provenance),
        recipe=results.recipe,
    )


def _facts(results: Results) -> list[tuple[str, str]]:
    """Return the few facts under the title."""
    metrics = results.metrics
    files = results.provenance.get("files") or []
    more = ", ..." if len(results.schema.inputs) > 4 else ""
    facts = [
        ("from", ", ".join(one.name for one in results.schema.inputs[:4]) + more),
        ("data", ", ".join(str(one.get("name")) for one in files)),
        ("rows", number(metrics.get("n_rows"))),
        ("method", str(metrics.get("method") or "")),
        ("split", str((metrics.get("split") or {}).get("kind") or "")),
        ("took", duration(metrics.get("seconds"))),
        ("date", str(results.provenance.get("started") or "")[:10]),
    ]
    return [(name, value) for name, value in facts if value]


def _section(results: Results, target: Target, anchor: str) -> TargetSection:
    found = results.metrics["targets"][target.name]
    parts = (score_sentence, baseline_sentence, coverage_sentence)
    return TargetSection(
        anchor=anchor,
        target=target,
        level=verdict_level(found),
        label=verdict_label(found),
        sentences=tuple(part(target, found) for part in parts),
        notes=tuple(target_notes(target, found)),
        scores=score_table(target, found),
        panels=tuple(target_panels(results, target)),
        candidates=candidate_table(target, found),
        chosen_reason=" ".join(
            filter(
                None,
                [
                    sentence(found.get("chosen_reason")),
                    str((found.get("choosing") or {}).get("sentence") or ""),
                ],
            )
        ),
        nested=str((found.get("nested") or {}).get("sentence") or ""),
        nested_scores=nested_scores_table(target, found),
        nested_folds=nested_folds_table(target, found),
        worst=worst_table(results, target),
        cliffs=cliff_section(target, found),
    )
