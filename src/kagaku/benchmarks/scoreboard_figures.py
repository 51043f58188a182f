"""The picture of one task: each method's score with its interval, and what others published."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kagaku.benchmarks.tables import is_from_memory
from kagaku.reporting.figures import BLUE, GREEN, INK, VERMILION, styled

MOST_PUBLISHED = 8
"""Published scores that are drawn; more would be a crowd."""


@styled
def draw_scores(found: dict[str, Any], measure: dict[str, Any]) -> Figure:
    """Return the scores of one measure as dots with 95% intervals, one line per method.

    Plain baselines are vermilion, other methods blue, those shown for reference hollow; published
    scores are green diamonds, hollow where data or split differ and thin where they were not
    compared with their source.

    Args:
        found: What `task_scores` gave.
        measure: One of its measures.
    """
    scored = [
        (method, method["scores"][measure["name"]])
        for method in found["methods"]
        if measure["name"] in method["scores"]
    ]
    published = [
        one
        for one in found["published"]
        if one["measure"] == measure["name"] and one["split"] is None
    ][:MOST_PUBLISHED]
    labels = [method["name"] for method, _ in scored] + [one["model"] for one in published]
    figure = Figure(figsize=(6.4, 0.55 + 0.32 * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    for place, (method, score) in enumerate(scored):
        colour = VERMILION if method["is_baseline"] else BLUE
        if score["low"] is not None:
            axes.plot([score["low"], score["high"]], [place, place], color=colour, linewidth=2)
        face = "none" if method.get("is_for_reference") else colour
        axes.plot(score["mean"], place, "o", color=colour, markerfacecolor=face, markersize=6)
    for place, one in enumerate(published, start=len(scored)):
        face, shape = "none" if one["differs"] else GREEN, "d" if is_from_memory(one) else "D"
        axes.plot(
            one["value"], place, shape, markersize=6, markeredgecolor=GREEN, markerfacecolor=face
        )
    axes.set_yticks(np.arange(len(labels)), [_short(one) for one in labels])
    axes.invert_yaxis()
    axes.set_xlabel(_axis(measure))
    axes.grid(visible=True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.label.set_color(INK)
    return figure


def _short(label: str, most: int = 34) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"


def _axis(measure: dict[str, Any]) -> str:
    unit = f" [{measure['unit']}]" if measure["unit"] not in (None, "dimensionless") else ""
    if measure.get("ideal") is not None:
        return f"{measure['name']}{unit}, {measure['ideal']:g} is best"
    better = "lower" if measure["smaller_is_better"] else "higher"
    return f"{measure['name']}{unit}, {better} is better"
