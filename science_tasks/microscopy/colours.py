"""Finding blood cells by their colour: thresholds, and a disk that is moved over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage, signal

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.microscopy.boxes import (
    NO_BOXES,
    Boxes,
    keep_best,
    mean_average_precision,
    overlaps,
)
from kagaku.science_tasks.microscopy.smears import (
    CELLS,
    Detection,
    Found,
    Smear,
    SmearCase,
    counted,
    fitted_counters,
    smear_answers,
)

REDUCED = 2
"""Pixels that are averaged along each side before anything is looked for."""

TUNING_IMAGES = 40
"""Most training images on which thresholds are compared."""

RING = 1.3
"""Outer radius of the ring of background around a disk, as a multiple of the disk's."""

LEAST_ANSWER = 0.05
"""What a place must answer to a disk, of 1, to count at all."""

Plane = Float[np.ndarray, "row column"]


@dataclass(frozen=True)
class ColourDetector:
    """Finds stained nuclei and platelets by being bluer than red, red cells by being darker.

    Red cells that touch or overlap are told apart by a matched filter: a disk of a cell's size with
    a ring of background. Sizes are learnt from training boxes; thresholds are those with the best
    mean average precision on training images. (On the validation part, boxes from a watershed of
    the distance to the background reached .38 on red cells where the filter reached .60.)
    """

    bluer: float = 0.08
    """How much more blue than red a stained pixel is; channels are 0 to 1."""

    disk: float = 0.97
    """Diameter of the disk, as a part of a red cell's usual side."""

    darker: float = 0.0
    """Added to Otsu's threshold of the green channel, below which a pixel belongs to a cell."""

    sizes: Mapping[str, float] = field(default_factory=lambda: {"RBC": 103.0, "Platelets": 40.0})
    """Usual side of a box, in pixels."""

    halo: float = 4.0
    """How far a platelet's box reaches beyond what is stained, in pixels."""

    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """How far a white cell reaches beyond its nucleus on each side, in pixels."""

    def __call__(self, smear: Smear) -> Found:
        """Return the cells of a photograph."""
        image = reduced(smear.pixels, REDUCED)
        stained, sizes, strengths = self._stained(image)
        least = 2 * (self.sizes["Platelets"] / REDUCED) ** 2
        white = self._white(stained, sizes >= least, image.shape[:2])
        small = self._platelets(stained, sizes, strengths, least, white.boxes)
        red = self._red(image, white.boxes, np.isin(stained, np.flatnonzero(sizes < least) + 1))
        return {"RBC": red, "WBC": white, "Platelets": small}

    def _stained(
        self, image: Float[np.ndarray, "row column 3"]
    ) -> tuple[
        Int[np.ndarray, "row column"], Float[np.ndarray, " object"], Float[np.ndarray, " object"]
    ]:
        """Return the number of the stained object at each pixel (0: none), areas, and blueness."""
        blue = ndimage.gaussian_filter(image[:, :, 2] - image[:, :, 0], 1.0)
        mask = ndimage.binary_closing(blue > self.bluer, iterations=3)
        marked, count = ndimage.label(ndimage.binary_fill_holes(mask))
        numbers = np.arange(1, count + 1)
        areas = ndimage.sum_labels(np.ones_like(blue), marked, numbers)
        return marked, areas, ndimage.sum_labels(blue, marked, numbers) / areas

    def _white(
        self, stained: Int[np.ndarray, "row column"], is_large: np.ndarray, shape: tuple[int, int]
    ) -> Detection:
        """Return white cells: large stained objects, lobes of one nucleus taken together."""
        large = np.isin(stained, np.flatnonzero(is_large) + 1)
        lobes = ndimage.binary_dilation(large, iterations=8)
        marked, _ = ndimage.label(lobes)
        boxes, scores = [], []
        for number, place in enumerate(ndimage.find_objects(np.where(large, marked, 0)), start=1):
            if place is None:
                continue
            area = float((large & (marked == number)).sum())
            boxes.append(_grown(place, self.margins, shape))
            scores.append(area)
        return _detection(boxes, scores)

    def _platelets(
        self,
        stained: Int[np.ndarray, "row column"],
        sizes: Float[np.ndarray, " object"],
        strengths: Float[np.ndarray, " object"],
        least: float,
        white: Boxes,
    ) -> Detection:
        """Return platelets: small stained objects outside of white cells."""
        boxes, scores = [], []
        usual = 0.6 * (self.sizes["Platelets"] / REDUCED) ** 2
        for place, area, blue in zip(ndimage.find_objects(stained), sizes, strengths, strict=True):
            if place is None or not 0.15 * usual < area < least:
                continue
            box = _grown(place, (self.halo,) * 4, stained.shape)
            if len(white) and _inside(np.array([box]), white)[0] > 0.5:
                continue
            boxes.append(box)
            scores.append(float(np.log(blue) - abs(np.log(area / usual))))
        return _detection(boxes, scores)

    def _red(
        self,
        image: Float[np.ndarray, "row column 3"],
        white: Boxes,
        is_platelet: Bool[np.ndarray, "row column"],
    ) -> Detection:
        """Return red cells: dark objects, parted where they touch."""
        green = ndimage.gaussian_filter(image[:, :, 1], 1.0)
        mask = ndimage.binary_fill_holes(green < otsu(green) + self.darker)
        for left, top, right, bottom in (white / REDUCED).round().astype(int):
            mask[top:bottom, left:right] = False
        mask &= ~ndimage.binary_dilation(is_platelet, iterations=3)
        side = self.sizes["RBC"] / REDUCED
        middles, scores = matched_disks(mask, self.disk * side / 2)
        boxes = np.hstack([middles[:, ::-1] - side / 2, middles[:, ::-1] + side / 2])
        limits = np.array([*mask.shape[::-1], *mask.shape[::-1]], dtype=np.float64)
        boxes = np.clip(boxes, 0, limits) * REDUCED
        kept = keep_best(boxes, scores)
        return Detection(boxes[kept], scores[kept])


def reduced(pixels: UInt8[np.ndarray, "row column 3"], factor: int) -> Float[np.ndarray, "_ _ 3"]:
    """Return an image averaged over squares, channels 0 to 1; a rest at the edge is cut off."""
    rows, columns = (one // factor for one in pixels.shape[:2])
    whole = pixels[: rows * factor, : columns * factor].astype(np.float64)
    means: np.ndarray = whole.reshape(rows, factor, columns, factor, 3).mean(axis=(1, 3)) / 255
    return means


def otsu(values: Plane) -> float:
    """Return the threshold that parts values into the two groups that differ most.

    Otsu (1979), https://doi.org/10.1109/TSMC.1979.4310076
    """
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * np.square(sums / below - (sums[-1] - sums) / above)
    if not np.isfinite(between).any():
        return float(values.min())  # one value only: nothing is below it
    # Any threshold in the gap between two groups is as good: the middle of them.
    best = np.flatnonzero(between >= np.nanmax(between) * (1 - 1e-9))
    return float(edges[1:][best].mean())


def matched_disks(
    mask: Bool[np.ndarray, "row column"], radius: float
) -> tuple[Float[np.ndarray, "place 2"], Float[np.ndarray, " place"]]:
    """Return the middles (row, column) of places that look like a filled disk, and how much so.

    The answer at a place is the part of a disk that is filled minus the part of a ring around it.

    Args:
        mask: Where something is.
        radius: Of the disk, in pixels.
    """
    reach = int(np.ceil(RING * radius))
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    far = np.hypot(down, across)
    disk, ring = far <= radius, (far > radius) & (far <= RING * radius)
    kernel = disk / disk.sum() - ring / ring.sum()
    padded = np.pad(mask.astype(np.float64), reach, mode="edge")
    answer = signal.fftconvolve(padded, kernel, mode="valid")
    is_peak = (answer == ndimage.maximum_filter(answer, 9)) & (answer > LEAST_ANSWER)
    return np.argwhere(is_peak).astype(np.float64), answer[is_peak]


def _grown(place: Sequence[slice], margins: Sequence[float], shape: tuple[int, ...]) -> list[float]:
    """Return a box in whole pixels from slices of the reduced image, with margins, in the image."""
    (rows, columns), (height, width) = place, shape[:2]
    left, top, right, bottom = margins
    return [
        max(0.0, columns.start * REDUCED - left),
        max(0.0, rows.start * REDUCED - top),
        min(float(width * REDUCED), columns.stop * REDUCED + right),
        min(float(height * REDUCED), rows.stop * REDUCED + bottom),
    ]


def _inside(boxes: Boxes, others: Boxes) -> Float[np.ndarray, " _"]:
    """Return the largest part of each box that lies in one of the others."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    parts: np.ndarray = (shared / own[:, None]).max(axis=1)
    return parts


def _detection(boxes: Sequence[Sequence[float]], scores: Sequence[float]) -> Detection:
    if not boxes:
        return Detection()
    return Detection(np.array(boxes, dtype=np.float64), np.array(scores, dtype=np.float64))


def colours(case: SmearCase, context: Context) -> pd.DataFrame:
    """Answer with what colour and size tell."""
    detector = fitted_detector(case.train, context.seed)
    known = [detector(one) for one in case.train]
    found = [detector(one) for one in case.test]
    return smear_answers(case, found, counted(found, fitted_counters(case.train, known)))


def fitted_detector(smears: Sequence[Smear], seed: int) -> ColourDetector:
    """Return the detector with sizes and thresholds learnt from photographs with boxes."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(smears))[:TUNING_IMAGES]
    few = [smears[i] for i in chosen]
    start = ColourDetector(sizes=_usual_sizes(smears))
    best = _best(few, [replace(start, bluer=one) for one in (0.02, 0.05, 0.08, 0.12)])
    best = replace(best, margins=_margins(best, few))
    best = _best(few, [replace(best, halo=one) for one in (0.0, 4.0, 8.0)])
    best = _best(few, [replace(best, disk=one) for one in (0.87, 0.97, 1.07)])
    return _best(few, [replace(best, darker=one) for one in (-0.03, 0.0, 0.03)])


def _usual_sizes(smears: Sequence[Smear]) -> dict[str, float]:
    found = dict(ColourDetector().sizes)
    for name in CELLS:
        boxes = np.concatenate([NO_BOXES, *(one.boxes[name] for one in smears)])
        if len(boxes):
            found[name] = float(np.median(boxes[:, 2:] - boxes[:, :2]))
    return found


def _best(smears: Sequence[Smear], tried: Sequence[ColourDetector]) -> ColourDetector:
    measure, case = mean_average_precision(CELLS), SmearCase((), tuple(smears))
    zero = [dict.fromkeys(CELLS, 0.0)] * len(smears)
    scores = [measure.of(smear_answers(case, [one(s) for s in smears], zero)) for one in tried]
    return tried[int(np.nanargmax(scores))] if np.isfinite(scores).any() else tried[0]


def _margins(
    detector: ColourDetector, smears: Sequence[Smear]
) -> tuple[float, float, float, float]:
    """Return the median distance from the edge of a nucleus to that of its cell, each side."""
    gaps: list[np.ndarray] = []
    for smear in smears:
        found, truth = detector(smear)["WBC"].boxes, smear.boxes["WBC"]
        if len(found) and len(truth):
            table = overlaps(found, truth)
            there = np.flatnonzero(table.max(axis=1) > 0.2)
            gaps += [(truth[table[i].argmax()] - found[i]) * (-1, -1, 1, 1) for i in there]
    if not gaps:
        return (0.0, 0.0, 0.0, 0.0)
    left, top, right, bottom = np.median(gaps, axis=0).tolist()
    return (left, top, right, bottom)
