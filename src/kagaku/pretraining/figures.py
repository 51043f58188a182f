"""Loss curves of a pretraining: one panel per objective and modality, from the run's CSV files."""

from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError
from kagaku.models.pretraining.logs import LOSSES_FILE, VALID_FILE
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.reporting.figures import GRID, INK, styled
from kagaku.terminal import Terminal

Stroke = Literal["-", "--", ":"]

PNG_FILE, SVG_FILE = "losses.png", "losses.svg"

PANEL = (3.6, 2.6)
"""Width and height of a panel in inches."""

COLUMNS = 3
"""Panels side by side."""

# Okabe and Ito's palette without its yellow, which is faint on white: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")

STROKES: tuple[Stroke, ...] = ("-", "--", ":")
"""Kinds of line; the next one begins where the colours begin again."""


def draw_losses(folder: Path) -> list[Path]:
    """Draw the losses of the run in a folder so far; returns the files that were written.

    Nothing is drawn for a run that has logged nothing yet.
    """
    train, valid = (pd.read_csv(folder / name) for name in (LOSSES_FILE, VALID_FILE))
    if train.empty and valid.empty:
        return []
    figure = losses_figure(train, valid)
    written = []
    for name in (PNG_FILE, SVG_FILE):
        with written_whole(folder / name) as partial:
            figure.savefig(partial, format=name.rpartition(".")[2], dpi=150, facecolor="white")
        written.append(folder / name)
    plt.close(figure)
    return written


def show_plots(recipe: Path, output: Path | None, terminal: Terminal) -> None:
    """Draw the losses of a recipe's run so far, and say where.

    Raises:
        InputError: There is no run yet, or it has logged nothing.
    """
    folder = Path(load_pretrain_recipe(recipe, {"output": output}).output)
    if not (folder / LOSSES_FILE).is_file() or not (written := draw_losses(folder)):
        raise InputError(
            "there are no losses to draw yet",
            fix="Start the run first: the same command without --plots.",
            where=str(folder),
        )
    for path in written:
        terminal.say(f"Drew {path}")


@styled
def losses_figure(train: pd.DataFrame, valid: pd.DataFrame) -> Figure:
    """Return a figure with a panel per loss: training as thin lines, held-out as thick ones.

    Args:
        train: Rows of the losses file.
        valid: Rows of the held-out file.
    """
    names = sorted({*train["loss"], *valid["loss"]}, key=lambda name: (name == "total", name))
    sources = sorted({*train["source"], *valid["source"]})
    style = {name: _style(place) for place, name in enumerate(sources)}
    n_rows = -(-len(names) // COLUMNS)
    figure, axes = plt.subplots(
        n_rows,
        COLUMNS,
        figsize=(PANEL[0] * COLUMNS, PANEL[1] * n_rows + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for panel, name in zip(axes.flat, names, strict=False):
        for source in sources:
            _curve(panel, _of(train, name, source), *style[source], is_held_out=False)
            _curve(panel, _of(valid, name, source), *style[source], is_held_out=True)
        panel.set_title("weighted sum" if name == "total" else name)
        panel.set_xlabel("tokens seen [millions]")
        panel.grid(visible=True, color=GRID)
    for panel in list(axes.flat)[len(names) :]:
        panel.set_visible(False)
    handles = [
        Line2D([], [], color=style[name][0], linestyle=style[name][1], label=name)
        for name in sources
    ]
    handles.append(Line2D([], [], color=INK, alpha=0.4, linewidth=0.8, label="training"))
    handles.append(
        Line2D([], [], color=INK, linewidth=1.8, marker="o", markersize=3, label="held out")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _style(place: int) -> tuple[str, Stroke]:
    """Return colour and stroke of the source at a place."""
    return COLOURS[place % len(COLOURS)], STROKES[place // len(COLOURS) % len(STROKES)]


def _of(table: pd.DataFrame, loss: str, source: str) -> pd.DataFrame:
    return table[(table["loss"] == loss) & (table["source"] == source)]


def _curve(
    panel: Any, rows: pd.DataFrame, colour: str, stroke: Stroke, *, is_held_out: bool
) -> None:
    if rows.empty:
        return
    millions = rows["tokens"].to_numpy() / 1e6
    if is_held_out:
        panel.plot(millions, rows["value"], stroke, color=colour, lw=1.8, marker="o", ms=3)
    else:
        panel.plot(millions, rows["value"], stroke, color=colour, lw=0.8, alpha=0.5)
