"""Figures of a report: one restrained style, colour-blind safe, at home on light and dark pages."""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

Params = ParamSpec("Params")
Values = Float[np.ndarray, " row"]
Flags = Bool[np.ndarray, " row"]

# Blue, vermilion and bluish green of the Okabe-Ito palette, which people with any of the common
# colour-vision deficiencies can tell apart. Source: https://jfly.uni-koeln.de/color/
BLUE, VERMILION, GREEN = "#0072b2", "#d55e00", "#009e73"
INK, GRID = "#1f2a37", "#c9d1d9"
PAGE_COLOURS = {
    INK: "currentColor",
    GRID: "var(--rule)",
    BLUE: "var(--blue)",
    VERMILION: "var(--vermilion)",
    GREEN: "var(--green)",
}
"""What each colour becomes in an SVG, so that the page's style decides for light and dark."""

SIZE = (4.4, 3.7)
"""Width and height of one figure in inches, small enough to be read unshrunk on a phone."""

MANY_POINTS = 1_500
"""Above this, points are drawn as pixels instead of shapes, to keep the page small."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.unicode_minus": True,
    "figure.dpi": 96,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a column's name is a dollar sign
    "text.usetex": False,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


def styled(draw: Callable[Params, Figure]) -> Callable[Params, Figure]:
    """Return the drawing function under `STYLE`, whatever the user's own matplotlib settings."""

    @wraps(draw)
    def under_style(*args: Params.args, **kwargs: Params.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return under_style


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Return a figure as an SVG element to stand inside a page.

    Args:
        figure: What to draw.
        name: Prefix of the element's ids, unique on the page; letters, digits and dashes.
        description: What the figure shows, for readers who cannot see it.
    """
    stream = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has fonts for scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure.savefig(
            stream,
            format="svg",
            dpi=200,
            metadata={"Date": None, "Creator": None, "Title": description},
        )
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid=")', rf"\g<1>{name}-", svg)
    svg = re.sub(r"(url\(#|xlink:href=\"#)", rf"\g<1>{name}-", svg)
    for drawn, shown in PAGE_COLOURS.items():
        svg = svg.replace(drawn, shown)
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL).replace(
        "<svg ", '<svg role="img" ', 1
    )


def new_axes(x_label: str, y_label: str, size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of labelled axes and a quiet grid."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    return figure, axes


def with_unit(name: str, unit: str) -> str:
    """Return an axis label such as ``"logS [log10(mol/L)]"``."""
    return f"{name} [{unit}]" if unit else name


@styled
def parity(
    measured: Values,
    predicted: Values,
    lower: Values,
    upper: Values,
    in_domain: Flags,
    censoring: Int[np.ndarray, " row"],
    unit: str,
) -> Figure:
    """Return predicted against measured values, with intervals; a perfect model is the diagonal."""
    figure, axes = new_axes(with_unit("measured", unit), with_unit("predicted", unit))
    many = len(measured) > MANY_POINTS
    axes.vlines(
        measured,
        lower,
        upper,
        color=BLUE,
        linewidth=0.8,
        alpha=0.08 if many else 0.25,
        rasterized=many,
    )
    groups: list[tuple[Flags, str, str, str]] = [
        (in_domain & (censoring == 0), "o", BLUE, "in domain"),
        (~in_domain & (censoring == 0), "^", VERMILION, "out of domain"),
        (censoring < 0, "<", GREEN, "measured: below"),
        (censoring > 0, ">", GREEN, "measured: above"),
    ]
    for chosen, marker, colour, label in groups:
        if chosen.any():
            axes.scatter(
                measured[chosen],
                predicted[chosen],
                s=(9 if many else 16) * (1 if marker == "o" else 1.8),
                marker=marker,
                color=colour,
                alpha=(0.35 if many else 0.75) if marker == "o" else 0.95,
                linewidths=0,
                rasterized=many,
                label=f"{label} ({chosen.sum():,})",
            )
    shown = np.concatenate([measured, predicted])
    shown = shown[np.isfinite(shown)]
    margin = 0.05 * (np.ptp(shown) or 1.0)
    limits = (float(shown.min() - margin), float(shown.max() + margin))
    axes.plot(limits, limits, color=INK, linewidth=0.9)
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    axes.legend(loc="upper left", handletextpad=0.1, borderaxespad=0.2)
    return figure


@styled
def interval_scale(error: Values, half_width: Values, confidence: float) -> Figure:
    """Return the share of rows that intervals k times as wide would hold, over k.

    A calibrated interval passes through (1, confidence).
    """
    figure, axes = new_axes("intervals made wider or narrower by a factor", "share of rows inside")
    ratio = np.abs(error) / np.maximum(half_width, np.finfo(float).tiny)
    factors = np.linspace(0, 2.5, 126)
    shares = (ratio[None, :] <= factors[:, None]).mean(axis=1)
    inside = float((ratio <= 1).mean())
    axes.plot(factors, shares, color=BLUE, linewidth=1.8)
    axes.axhline(confidence, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot([1], [inside], marker="o", color=VERMILION, markersize=6, linestyle="none")
    axes.annotate(f"as given: {inside:.0%}", (1.06, max(inside - 0.09, 0.02)))
    axes.annotate(f"promised: {confidence:.0%}", (2.48, confidence - 0.05), ha="right")
    axes.set_xlim(0, 2.5)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter("{x:.0%}")
    return figure


@styled
def coverage_by(values: Values, covered: Flags, confidence: float, x_label: str) -> Figure:
    """Return measured coverage in up to five equal groups of rows, ordered by ``values``."""
    figure, axes = new_axes(x_label, "coverage of the intervals or sets")
    groups = equal_groups(values, 5)
    for group in groups:
        share, low, high = share_interval(int(covered[group].sum()), len(group))
        middle = float(np.median(values[group]))
        axes.plot([middle, middle], [low, high], color=BLUE, linewidth=1.4)
        axes.plot([middle], [share], marker="o", color=BLUE, markersize=6)
    promised = f"promised: {confidence:.0%}"
    axes.axhline(confidence, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label=promised)
    axes.margins(x=0.08)
    axes.set_ylim(max(min(0.5, axes.get_ylim()[0]) - 0.08, 0), 1.02)
    axes.legend(loc="lower right")
    axes.yaxis.set_major_formatter("{x:.0%}")
    return figure


@styled
def error_by_distance(distance: Values, error: Values, in_domain: Flags, unit: str) -> Figure:
    """Return the size of each row's error over its distance to the training rows."""
    figure, axes = new_axes(
        "distance to the nearest training rows", with_unit("absolute error", unit)
    )
    size = np.abs(error)
    many = len(size) > MANY_POINTS
    for chosen, marker, colour in ((in_domain, "o", BLUE), (~in_domain, "^", VERMILION)):
        axes.scatter(
            distance[chosen],
            size[chosen],
            s=(9 if many else 14) * (1 if marker == "o" else 1.8),
            marker=marker,
            color=colour,
            alpha=(0.25 if many else 0.5) if marker == "o" else 0.9,
            linewidths=0,
            rasterized=many,
        )
    groups = equal_groups(distance, 6)
    middles = [float(np.median(distance[group])) for group in groups]
    means = [float(size[group].mean()) for group in groups]
    axes.plot(middles, means, color=INK, marker="o", markersize=4, linewidth=1.4, label="mean")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return figure


@styled
def residuals(error: Values, unit: str) -> Figure:
    """Return how predicted minus measured values are spread."""
    figure, axes = new_axes(with_unit("predicted minus measured", unit), "rows")
    axes.hist(error, bins=histogram_bins(error), color=BLUE, alpha=0.75, edgecolor="none")
    mean = float(error.mean())
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.axvline(mean, color=VERMILION, linewidth=1.4, label=f"mean {mean:+.2g}")
    axes.legend(loc="upper right")
    return figure


@styled
def scores(rows: Sequence[tuple[str, Mapping[str, Any]]], x_label: str) -> Figure:
    """Return scores with their intervals, one line per method; the first is the model itself.

    Args:
        rows: Name and score (``value``, ``lower``, ``upper``) of each method.
        x_label: The metric with its unit.
    """
    figure, axes = new_axes(x_label, "", (SIZE[0], float(np.clip(0.42 * len(rows) + 1.1, 2, 6))))
    for place, (_, score) in enumerate(rows):
        colour = BLUE if place == 0 else INK
        if score.get("lower") is not None and score.get("upper") is not None:
            axes.plot([score["lower"], score["upper"]], [place, place], color=colour, linewidth=1.6)
        axes.plot([score["value"]], [place], marker="o", color=colour, markersize=6)
    axes.axvline(rows[0][1]["value"], color=BLUE, linewidth=0.8, linestyle=(0, (4, 3)))
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name, _ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure


def equal_groups(values: Values, most: int) -> list[Int[np.ndarray, " member"]]:
    """Return row indices in up to ``most`` groups of equal size, in order of ``values``.

    Groups have at least ten rows, so small tables get fewer of them.
    """
    order = np.argsort(values, kind="stable")
    n_groups = int(np.clip(len(values) // 10, 1, most))
    return [part for part in np.array_split(order, n_groups) if len(part)]


def share_interval(hits: int, total: int) -> tuple[float, float, float]:
    """Return a share and its 95% Wilson interval; (0, 0, 1) where there is nothing."""
    if not total:
        return 0.0, 0.0, 1.0
    span = binomtest(hits, total).proportion_ci(confidence_level=0.95, method="wilson")
    return hits / total, float(span.low), float(span.high)


def histogram_bins(values: Values) -> Sequence[float]:
    """Return bin edges: as many as the Freedman-Diaconis rule asks for, 10 to 60."""
    edges = np.histogram_bin_edges(values, bins="fd") if len(values) > 1 else np.zeros(0)
    n_bins = int(np.clip(len(edges) - 1, 10, 60))
    found: list[float] = np.histogram_bin_edges(values, bins=n_bins).tolist()
    return found
