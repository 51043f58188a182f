"""One figure of a report with its caption, ready to stand in a page."""

import hashlib
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from kagaku.data.schema import Target
from kagaku.reporting.figures import to_svg
from kagaku.reporting.results import Results


@dataclass(frozen=True)
class Panel:
    """One figure of the report."""

    title: str
    """What the figure shows, in a few words."""

    svg: Markup
    """The figure itself."""

    caption: str
    """How to read it, and what would be good or bad."""

    wide: bool = False
    """Whether it needs the width of two."""


def make_panel(
    target: Target, key: str, title: str, figure: Figure, caption: str, *, wide: bool = False
) -> Panel:
    """Return a panel whose element ids are unique to its target and ``key``."""
    digest = hashlib.blake2b(target.name.encode(), digest_size=4).hexdigest()
    prefix = f"t{digest}-{key}"  # names of columns may hold anything, ids may not
    svg = to_svg(figure, prefix, f"{title} of {target.name}. {caption}")
    return Panel(title, Markup(svg), caption, wide)  # matplotlib escapes its texts


def promised_coverage(results: Results, target: Target) -> float:
    """Return the coverage that a target's intervals or sets promise, 0 to 1."""
    coverage = results.metrics["targets"][target.name].get("coverage") or {}
    return float(coverage.get("confidence") or results.metrics.get("confidence") or 0.9)
