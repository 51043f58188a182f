"""Boxes around objects: how far they overlap, which to keep, and how good they are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from kagaku.science_tasks.benchmark.measures import Measure

Boxes = Float[np.ndarray, "_ 4"]
"""Left, top, right and bottom edge in pixels; right and bottom are behind the last pixel."""

Scores = Float[np.ndarray, " _"]
"""How sure each box is."""

NO_BOXES = np.zeros((0, 4))

ENOUGH = 0.5
"""Overlap from which a box counts as found. Everingham et al. (2010),
https://doi.org/10.1007/s11263-009-0275-4"""


def overlaps(first: Boxes, second: Boxes) -> Float[np.ndarray, "_ _"]:
    """Return the area that two boxes share, as a part of what they cover together.

    Example:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])).round(3).tolist()
        [[0.333]]
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    both = areas(first)[:, None] + areas(second)[None, :] - shared
    parts: np.ndarray = np.where(both > 0, shared / np.where(both > 0, both, 1), 0.0)
    return parts


def areas(boxes: Boxes) -> Float[np.ndarray, " _"]:
    """Return the area of each box, in squared pixels; 0 for one without width or height."""
    found: np.ndarray = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return found


def keep_best(boxes: Boxes, scores: Scores, most: float = 0.4) -> Int[np.ndarray, " _"]:
    """Return the indices of boxes, best first, without those that overlap a better one too far."""
    order = np.argsort(-scores, kind="stable")
    table = overlaps(boxes, boxes)
    kept: list[int] = []
    for one in order:
        if not kept or table[one, kept].max() <= most:
            kept.append(int(one))
    return np.array(kept, dtype=np.int64)


def found_boxes(
    boxes: Boxes, scores: Scores, truth: Boxes, enough: float = ENOUGH
) -> Bool[np.ndarray, " _"]:
    """Return which boxes of one class in one image are right, as Pascal VOC says.

    The best box comes first. A box is right if the true one that it overlaps most is overlapped
    enough and was not claimed by a better box; a second one is wrong. Since claims are within one
    image, ranking all images together later changes nothing. Overlaps are of areas, where VOC's own
    program counts one pixel more on each side.

    Source: Everingham et al. (2010), section 4.4, https://doi.org/10.1007/s11263-009-0275-4

    Args:
        boxes: What was given.
        scores: How sure each is.
        truth: The true boxes.
        enough: Least overlap.
    """
    right = np.zeros(len(boxes), dtype=bool)
    if not len(truth):
        return right
    table, claimed = overlaps(boxes, truth), np.zeros(len(truth), dtype=bool)
    for one in np.argsort(-scores, kind="stable"):
        best = int(table[one].argmax())
        if table[one, best] >= enough and not claimed[best]:
            right[one] = claimed[best] = True
    return right


def average_precision(
    scores: Float[np.ndarray, " box"], right: Bool[np.ndarray, " box"], wanted: int
) -> float:
    """Return the area under precision over recall, precision made falling (VOC's, all points).

    At each recall that is reached counts the best precision at this or any higher recall.

    Args:
        scores: Of the boxes of one class in all images.
        right: Which of them are right.
        wanted: How many true boxes there are; without any the answer is NaN.
    """
    if not wanted:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = hits / wanted
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * falling).sum())


def detection_row(name: str, boxes: Boxes, scores: Scores, truth: Boxes) -> dict[str, object]:
    """Return what measures need of one class in one image: scores, which are right, how many."""
    return {
        f"scores_{name}": np.asarray(scores, dtype=np.float64).tolist(),
        f"right_{name}": found_boxes(boxes, np.asarray(scores), truth).tolist(),
        f"wanted_{name}": len(truth),
    }


def _precision_of(name: str, answers: pd.DataFrame) -> float:
    def joined(column: str, kind: type) -> np.ndarray:
        lists: Sequence[Sequence[float]] = answers[column].tolist()
        return np.concatenate([np.asarray(one, dtype=kind) for one in lists])

    return average_precision(
        joined(f"scores_{name}", float),
        joined(f"right_{name}", bool),
        int(answers[f"wanted_{name}"].sum()),
    )


def mean_average_precision(names: Sequence[str], called: str = "mAP@0.5") -> Measure:
    """Return the mean over classes of the average precision; rows are images.

    Classes that no image has are left out.
    """

    def compute(answers: pd.DataFrame) -> float:
        values = np.array([_precision_of(one, answers) for one in names])
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    columns = tuple(f"{c}_{one}" for one in names for c in ("scores", "right", "wanted"))
    return Measure(called, compute, columns=columns)
