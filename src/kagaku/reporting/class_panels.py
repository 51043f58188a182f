"""Panels for predicted classes and labels: which are mixed up, and are probabilities honest."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kagaku.data.schema import Target
from kagaku.reporting import class_figures, figures
from kagaku.reporting.panel import Panel, make_panel, promised_coverage
from kagaku.reporting.results import Results

MOST_CURVES = 6
"""Above this many classes, the curves of only the commonest are drawn."""


def class_rows(results: Results, target: Target) -> pd.DataFrame:
    """Return ``measured`` and ``predicted`` classes as text, by row number, where measured."""
    frame = pd.DataFrame(
        {
            "measured": results.texts(target, "_measured"),
            "predicted": results.texts(target),
        }
    )
    frame.index = pd.Index(results.predictions["row"])
    return frame[results.measured(target)]


def class_panels(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the panels of a binary or multiclass target: one class per row."""
    rows = class_rows(results, target)
    if rows.empty:
        return
    classes = list(target.classes)
    present = results.measured(target)
    probabilities = {
        name: results.numbers(target, f"_p_{name}")[present]
        for name in classes
        if f"{target.name}_p_{name}" in results.predictions.columns
    }
    measured = rows["measured"].to_numpy(dtype=object)
    yield make_panel(
        target,
        "confusion",
        "Confusion matrix",
        _confusion(rows, classes),
        "Counts of held-out rows, and their share of the rows measured as that class. Off the "
        "diagonal are the mistakes.",
        wide=len(classes) > 8,
    )
    if len(probabilities) == len(classes):
        yield from _probability_panels(target, probabilities, measured)
    promised = promised_coverage(results, target)
    sets = results.texts(target, "_set")[present]
    held = [real in chosen.split("|") for real, chosen in zip(measured, sets, strict=True)]
    yield from _set_panels(results, target, measured, np.array(held), promised)


def label_panels(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the panels of a multilabel target: each label is a yes-or-no question."""
    present = results.measured(target)
    real = [set(cell.split(";")) for cell in results.texts(target, "_measured")]
    guess = [set(cell.split(";")) for cell in results.texts(target)]
    rows = np.flatnonzero(present)
    if not len(rows):
        return
    found: dict[str, tuple[int, int]] = {}
    for name in target.classes:
        carriers = [row for row in rows if name in real[row]]
        if carriers:
            found[name] = (sum(name in guess[row] for row in carriers), len(carriers))
    common = dict(sorted(found.items(), key=lambda one: -one[1][1])[: class_figures.MOST_CLASSES])
    if common:
        yield make_panel(
            target,
            "recall",
            "Labels that were found",
            class_figures.share_per_class(common, "share of the rows with this label found"),
            "Of the rows that carry a label (their number in brackets), the share for which it was "
            "predicted; bars are 95% intervals.",
        )
    names = [one for one in target.classes if f"{target.name}_p_{one}" in results.predictions]
    if not names:
        return
    given = {name: results.numbers(target, f"_p_{name}")[present] for name in names}
    carried = {name: np.array([name in real[row] for row in rows]) for name in names}
    yield make_panel(
        target,
        "reliability",
        "Reliability of the probabilities",
        class_figures.reliability(
            np.concatenate(list(given.values())),
            np.concatenate(list(carried.values())),
            "of a label",
        ),
        "All labels together. On the diagonal, of ten labels given 70%, seven are so.",
    )
    mixed = sorted((one for one in names if 0 < carried[one].sum() < len(rows)), key=names.index)
    mixed = sorted(mixed, key=lambda one: -int(carried[one].sum()))[:MOST_CURVES]
    if mixed:
        yield make_panel(
            target,
            "roc",
            "Receiver operating characteristic",
            class_figures.roc({name: (given[name], carried[name]) for name in mixed}),
            "True against false positives over all thresholds, for the commonest labels.",
        )


def token_panels(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the panels of a per-token target, whose rows are strings of one letter per token."""
    rows = class_rows(results, target)
    same = rows[rows["measured"].str.len() == rows["predicted"].str.len()]
    letters = pd.DataFrame(
        {
            "measured": list("".join(same["measured"])),
            "predicted": list("".join(same["predicted"])),
        }
    )
    letters = letters[letters["measured"].isin(target.classes)]
    if letters.empty:
        return
    yield make_panel(
        target,
        "confusion",
        "Confusion matrix",
        _confusion(letters, list(target.classes)),
        "Counts of tokens in the held-out rows, and their share of the tokens measured as that "
        "class.",
        wide=len(target.classes) > 8,
    )


def _confusion(rows: pd.DataFrame, classes: list[str]) -> Figure:
    """Return the confusion matrix of a frame of measured and predicted classes."""
    return class_figures.confusion(rows["measured"].tolist(), rows["predicted"].tolist(), classes)


def _probability_panels(
    target: Target, probabilities: dict[str, np.ndarray], measured: np.ndarray
) -> Iterator[Panel]:
    """Yield reliability and ROC of a binary or multiclass target."""
    classes = list(probabilities)
    matrix = np.stack([probabilities[name] for name in classes], axis=1)
    if target.kind == "binary":
        what, given, happened = f"of {classes[-1]}", matrix[:, -1], measured == classes[-1]
        curves = {classes[-1]: (given, happened)}
    else:
        top = matrix.argmax(axis=1)
        given = matrix[np.arange(len(matrix)), top]
        what, happened = "of the predicted class", np.array(classes)[top] == measured
        common = sorted(classes, key=lambda name: -int((measured == name).sum()))[:MOST_CURVES]
        curves = {
            name: (probabilities[name], measured == name) for name in classes if name in common
        }
    yield make_panel(
        target,
        "reliability",
        "Reliability of the probabilities",
        class_figures.reliability(given, happened.astype(bool), what),
        "On the diagonal, of ten rows given 70%, seven are so. Below it the model is too sure. "
        "Strip: where the probabilities lie.",
    )
    curves = {
        name: (given, happened.astype(bool))
        for name, (given, happened) in curves.items()
        if 0 < happened.sum() < len(happened)
    }
    if curves:
        yield make_panel(
            target,
            "roc",
            "Receiver operating characteristic",
            class_figures.roc(curves),
            "True against false positives over all thresholds; the dashed diagonal is chance."
            + ("" if target.kind == "binary" else " Each class against the rest."),
        )


def _set_panels(
    results: Results, target: Target, measured: np.ndarray, held: np.ndarray, promised: float
) -> Iterator[Panel]:
    """Yield how often prediction sets hold the measured class, by class and by distance."""
    hits = {
        name: (int(held[measured == name].sum()), int((measured == name).sum()))
        for name in target.classes
        if (measured == name).any()
    }
    hits = dict(sorted(hits.items(), key=lambda one: -one[1][1])[: class_figures.MOST_CLASSES])
    yield make_panel(
        target,
        "sets",
        "Coverage of the prediction sets",
        class_figures.share_per_class(hits, "share of sets that hold the measured class", promised),
        "Dashed: promised over all rows together. A class far to the left is often missed; its "
        "count is in brackets.",
    )
    present = results.measured(target)
    distance = results.numbers(target, "_distance")[present]
    if np.isfinite(distance).all():
        yield make_panel(
            target,
            "coverage-distance",
            "Coverage by distance to training",
            figures.coverage_by(distance, held, promised, "distance to the nearest training rows"),
            "Whether the sets still hold far from the training rows. A fall to the right means: "
            "do not trust them there.",
        )
