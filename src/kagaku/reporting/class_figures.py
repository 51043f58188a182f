"""Figures for predicted classes: which are mixed up, and whether probabilities can be believed."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from sklearn.metrics import auc, roc_curve

from kagaku.reporting.figures import (
    BLUE,
    GREEN,
    INK,
    SIZE,
    VERMILION,
    equal_groups,
    new_axes,
    share_interval,
    styled,
)

MOST_CLASSES = 15
"""A confusion matrix of more classes than this shows the commonest and sums up the others."""

_LINES = ("solid", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


@styled
def confusion(measured: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> Figure:
    """Return counts of measured against predicted classes, shaded by the share of each row."""
    names, rows, columns = _commonest(measured, predicted, classes)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.5 * len(names) + 1.8, SIZE[1], 8.5))
    figure, axes = new_axes("predicted", "measured", (max(SIZE[0], side + 0.6), side))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.imshow(np.ones_like(shares), cmap=_blue_only(), alpha=0.04 + 0.9 * shares, vmin=0, vmax=1)
    small = len(names) > 8
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column] or not small:
            label = f"{counts[row, column]:,}"
            axes.text(
                column,
                row,
                label if small else f"{label}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                fontsize=7.5 if small else 9.5,
                color="white" if shares[row, column] > 0.55 else INK,
            )
    short = [name if len(name) <= 18 else f"{name[:17]}…" for name in names]
    turned = max(map(len, short)) * len(short) > 36
    axes.set_xticks(range(len(names)), short, rotation=90 if turned else 0)
    axes.set_yticks(range(len(names)), short)
    axes.tick_params(length=0)
    return figure


@styled
def reliability(
    probability: Float[np.ndarray, " case"], happened: Bool[np.ndarray, " case"], what: str
) -> Figure:
    """Return how often something happened, over the probability that it was given.

    Calibrated probabilities lie on the diagonal; bars are 95% intervals, the strip below shows
    where the probabilities lie.
    """
    figure, axes = new_axes(f"predicted probability {what}", "measured share")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9)
    points = []
    for group in equal_groups(probability, 10):
        share, low, high = share_interval(int(happened[group].sum()), len(group))
        middle = float(probability[group].mean())
        axes.plot([middle, middle], [low, high], color=BLUE, linewidth=1.3)
        points.append((middle, share))
    axes.plot(*zip(*points, strict=True), color=BLUE, marker="o", markersize=5, linewidth=1)
    counts, edges = np.histogram(probability, bins=25, range=(0, 1))
    axes.bar(
        edges[:-1],
        0.16 * counts / max(counts.max(), 1),
        width=np.diff(edges) * 0.9,
        align="edge",
        color=GREEN,
        alpha=0.45,
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    return figure


@styled
def roc(
    curves: Mapping[str, tuple[Float[np.ndarray, " case"], Bool[np.ndarray, " case"]]],
) -> Figure:
    """Return receiver operating characteristics, each class against the rest.

    Args:
        curves: By class, the probability it was given and whether it was measured; classes that
            were always or never measured must be left out.
    """
    figure, axes = new_axes("false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    for index, (name, (probability, happened)) in enumerate(curves.items()):
        false_rate, true_rate, _ = roc_curve(happened, probability)
        short = name if len(name) <= 20 else f"{name[:19]}…"
        axes.plot(
            false_rate,
            true_rate,
            color=(BLUE, VERMILION, GREEN)[index % 3],
            linestyle=_LINES[index // 3 % len(_LINES)],
            linewidth=1.6,
            label=f"{short} (area {auc(false_rate, true_rate):.2f})",
        )
    axes.set_aspect("equal")
    axes.legend(loc="lower right", borderaxespad=0.3)
    return figure


@styled
def share_per_class(
    hits: Mapping[str, tuple[int, int]], x_label: str, promised: float | None = None
) -> Figure:
    """Return a share with its 95% interval for each class.

    Args:
        hits: By class, how many cases of how many.
        x_label: What the share is.
        promised: A line to compare with, if there is one.
    """
    size = (SIZE[0], float(np.clip(0.32 * len(hits) + 1.2, 2.2, 8)))
    figure, axes = new_axes(x_label, "", size)
    labels = []
    for place, (name, (n_hits, total)) in enumerate(hits.items()):
        share, low, high = share_interval(n_hits, total)
        axes.plot([low, high], [place, place], color=BLUE, linewidth=1.4)
        axes.plot([share], [place], marker="o", color=BLUE, markersize=6)
        labels.append(f"{name if len(name) <= 18 else f'{name[:17]}…'} ({total:,})")
    if promised is not None:
        axes.axvline(promised, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter("{x:.0%}")
    return figure


def _commonest(
    measured: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> tuple[list[str], Int[np.ndarray, " row"], Int[np.ndarray, " row"]]:
    """Return class names with rare ones summed up as one, and each row's two indices into them."""
    names = list(classes)
    if len(names) > MOST_CLASSES:
        common = sorted(names, key=lambda name: -list(measured).count(name))[: MOST_CLASSES - 1]
        names = [name for name in names if name in common] + ["(all others)"]
    index = {name: place for place, name in enumerate(names)}
    last = len(names) - 1
    return (
        names,
        np.array([index.get(name, last) for name in measured], dtype=np.int64),
        np.array([index.get(name, last) for name in predicted], dtype=np.int64),
    )


def _blue_only() -> ListedColormap:
    return ListedColormap([BLUE])
