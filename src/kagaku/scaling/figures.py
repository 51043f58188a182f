"""The figure of a ladder: held-out loss against computing, with the law."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kagaku.data.whole_files import written_whole
from kagaku.reporting.figures import BLUE, GRID, INK, VERMILION, new_axes, styled
from kagaku.scaling.ladder import TOTAL, RunEnd
from kagaku.scaling.results import Scaling

PNG_FILE = "scaling.png"

SIZE = (6.0, 4.2)
"""Width and height in inches."""

POINTS = 120
"""Of each curve."""

BEYOND = 3.0
"""How far curves reach beyond the measured computing, as a factor."""


def draw_scaling(found: Scaling, folder: Path) -> Path:
    """Draw the figure of a ladder into a folder and return the file."""
    figure = scaling_figure(found)
    with written_whole(folder / PNG_FILE) as partial:
        figure.savefig(partial, format="png", dpi=150, facecolor="white")
    plt.close(figure)
    return folder / PNG_FILE


@styled
def scaling_figure(found: Scaling) -> Figure:
    """Return loss against computing on logarithmic axes.

    A curve for each size shows the law as its runs get longer; the dashed one is the lowest loss
    that the law gives for so much computing at any size. The law drawn is the one that has not seen
    the run left out.
    """
    figure, axes = new_axes(
        "computing [floating-point operations]", "held-out loss, weighted sum", SIZE
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        axis_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    runs = sorted(found.runs, key=lambda one: one.sizes.backbone)
    sizes = list(dict.fromkeys(one.sizes.backbone for one in runs))
    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.85, len(sizes)))
    for size, colour in zip(sizes, colours, strict=True):
        members = [one for one in runs if one.sizes.backbone == size]
        shown = [one for one in members if one.name != found.left_out.name]
        compute = [one.flops for one in shown]
        losses = [one.losses[TOTAL] for one in shown]
        axes.scatter(compute, losses, color=colour, s=22, zorder=3, label=_millions(size))
        _size_curve(axes, found, members, colour)
    _best_curve(axes, found, runs)
    _left_out(axes, found)
    axes.legend(title="backbone", fontsize=7.5, title_fontsize=8)
    axes.tick_params(which="both", labelsize=8)
    axes.grid(visible=True, which="minor", color=GRID, linewidth=0.3)
    return figure


def _size_curve(
    axes: Axes, found: Scaling, members: list[RunEnd], colour: Float[np.ndarray, " channel"]
) -> None:
    tokens = [one.tokens for one in members]
    reached = np.geomspace(min(tokens) / BEYOND, max(tokens) * BEYOND, POINTS)
    parameters = np.full(POINTS, members[0].sizes.counted(found.recipe.parameters))
    losses = found.left_out.fit.law.losses(parameters, reached)
    axes.plot(members[0].flops_per_token * reached, losses, color=colour, linewidth=0.9)


def _best_curve(axes: Axes, found: Scaling, runs: list[RunEnd]) -> None:
    """Draw the lowest loss of any size between the smallest and the largest."""
    known = {one.sizes.counted(found.recipe.parameters): one.flops_per_token for one in runs}
    sizes = np.array(sorted(known), dtype=np.float64)
    per_token = np.array([known[float(one)] for one in sizes])
    many = np.geomspace(sizes[0], sizes[-1], POINTS)
    # Attention makes the cost of a token more than 6 N, so it is read between the measured sizes.
    cost = np.exp(np.interp(np.log(many), np.log(sizes), np.log(per_token)))
    flops = [one.flops for one in runs]
    compute = np.geomspace(min(flops) / BEYOND, max(flops) * BEYOND, POINTS)
    law = found.left_out.fit.law
    best = [law.losses(many, one / cost).min() for one in compute]
    axes.plot(compute, best, color=INK, linewidth=1.2, linestyle="--", label="best size")


def _left_out(axes: Axes, found: Scaling) -> None:
    """Mark the run that the law has not seen, and what the law said of it."""
    one = found.left_out
    (run,) = (run for run in found.runs if run.name == one.name)
    below, above = one.predicted.value - one.predicted.low, one.predicted.high - one.predicted.value
    axes.errorbar(
        [run.flops],
        [one.predicted.value],
        yerr=[[below], [above]],
        color=BLUE,
        fmt="_",
        markersize=9,
        capsize=3,
        zorder=4,
        label="left out, predicted",
    )
    axes.scatter(
        [run.flops],
        [one.measured],
        color=VERMILION,
        marker="*",
        s=70,
        zorder=5,
        label="left out, measured",
    )


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.2g} million"
