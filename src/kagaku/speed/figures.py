"""The figure of speed against length."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kagaku.data.whole_files import written_whole
from kagaku.reporting.figures import BLUE, VERMILION, new_axes, styled
from kagaku.speed.timing import Comparison

PNG_FILE, SVG_FILE = "speed_lengths.png", "speed_lengths.svg"

SIZE = (6.0, 4.2)
"""Width and height in inches."""


def draw_lengths(lengths: Sequence[int], found: Sequence[Comparison], folder: Path) -> list[Path]:
    """Draw the figure into a folder and return the files."""
    figure = lengths_figure(lengths, found)
    written = []
    for name in (PNG_FILE, SVG_FILE):
        with written_whole(folder / name) as partial:
            figure.savefig(partial, format=name.rpartition(".")[2], dpi=150, facecolor="white")
        written.append(folder / name)
    plt.close(figure)
    return written


@styled
def lengths_figure(lengths: Sequence[int], found: Sequence[Comparison]) -> Figure:
    """Return residues per second against length; bars reach from the least to the most turn."""
    figure, axes = new_axes("length [residues]", "speed [residues per second]", SIZE)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for label, colour, values in (
        ("kagaku", BLUE, [one.ours for one in found]),
        ("transformers", VERMILION, [one.reference for one in found]),
    ):
        middle = np.array([np.median(one) for one in values])
        low, high = (np.array([pick(one) for one in values]) for pick in (min, max))
        axes.errorbar(
            lengths, middle, [middle - low, high - middle], color=colour, marker="o", label=label
        )
    axes.set_xticks(list(lengths))
    axes.minorticks_off()
    ends = [value for one in found for value in (*one.ours, *one.reference)]
    axes.set_yticks(_round_steps(min(ends), max(ends)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.legend()
    return figure


def _round_steps(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten, from the last below ``low`` to the first above."""
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 2)
    steps = [first * 10.0**power for power in powers for first in (1, 2, 5)]
    start = max(place for place, one in enumerate(steps) if one <= low)
    stop = min(place for place, one in enumerate(steps) if one >= high)
    return steps[start : stop + 1]
