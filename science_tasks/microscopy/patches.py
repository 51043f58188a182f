"""Finding blood cells from the patch tokens of a base: what a patch shows, where its cell is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kagaku.modalities import pack
from kagaku.modalities.image import Image
from kagaku.models import Encoder
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.microscopy.boxes import keep_best
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

CORE = 0.55
"""Part of a box's width and height whose patches are said to show its cell. Cores of neighbours
seldom touch where boxes do."""

COMPONENTS, REACH = 32, 2
"""Principal components of a patch's embedding, and how many patches around it are looked at on each
side: with all 256 components and no neighbours, red cells had an average precision of .27 on
validation images, with these .49."""

BACKGROUND_PER_IMAGE = 120
"""Most patches of an image without a core that are learnt from; they are most of it."""


@dataclass(frozen=True)
class PatchGrid:
    """The patches of one image."""

    vectors: Float[np.ndarray, "patch feature"]
    """Embedding of each patch."""

    middles: Float[np.ndarray, "patch 2"]
    """Where the middle of each patch is in the image, (column, row) in pixels."""

    shape: tuple[int, int]
    """Patches down and across; patches stand row by row."""

    size: tuple[float, float]
    """Width and height of a patch, in pixels of the image."""


def patch_grid(encoder: Encoder, pixels: np.ndarray) -> PatchGrid:
    """Return the patches of an image, read by a frozen base."""
    tokens = Image().tokenize(pixels)
    with torch.inference_mode():
        packed = pack([{0: ("image", tokens)}]).to(encoder.column_embedding.weight.device)
        vectors = encoder(packed).float().cpu().numpy()
    places = tokens.positions[:, 1:].astype(np.int64)
    down, across = (int(one) + 1 for one in places.max(axis=0))
    side = Image().config.patch_size
    # The last patches are only partly filled: ids say how many rows and columns of them are there.
    rows = (down - 1) * side + int(tokens.ids[:, 1].min())
    columns = (across - 1) * side + int(tokens.ids[:, 2].min())
    size = (side * pixels.shape[1] / columns, side * pixels.shape[0] / rows)
    return PatchGrid(vectors, (places[:, ::-1] + 0.5) * size, (down, across), size)


@dataclass(frozen=True)
class Surroundings:
    """The principal components of a patch and of those around it."""

    mean: Float[np.ndarray, " feature"]
    """Of all patches that were learnt from."""

    axes: Float[np.ndarray, "feature component"]
    """Principal directions, each divided by the spread along it."""

    @classmethod
    def fit(cls, grids: Sequence[PatchGrid], seed: int) -> "Surroundings":
        """Learn the directions from some of the patches."""
        every = np.concatenate([one.vectors for one in grids])
        rows = np.random.default_rng(seed).permutation(len(every))[:20_000]
        mean = every[rows].mean(axis=0)
        _, spreads, directions = np.linalg.svd(every[rows] - mean, full_matrices=False)
        kept = min(COMPONENTS, int((spreads > 1e-6 * spreads[0]).sum()))
        scales = spreads[:kept] / np.sqrt(len(rows))
        return cls(mean, directions[:kept].T / scales)

    def __call__(self, grid: PatchGrid) -> Float[np.ndarray, "patch surrounding"]:
        """Return the features of every patch; beyond the edge stands the patch at the edge."""
        components = ((grid.vectors - self.mean) @ self.axes).reshape(*grid.shape, -1)
        wide = np.pad(components, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="edge")
        down, across = grid.shape
        shifted = [
            wide[i : i + down, j : j + across]
            for i in range(2 * REACH + 1)
            for j in range(2 * REACH + 1)
        ]
        return np.concatenate(shifted, axis=2).reshape(down * across, -1).astype(np.float32)


@dataclass(frozen=True)
class PatchDetector:
    """A classifier of patches, and a ridge per kind of cell for where its box is."""

    surroundings: Surroundings
    """Gives the features of a patch."""

    kinds: Pipeline | None
    """What a patch shows the core of: nothing (0), or the kind of cell from 1; None if no
    cell was ever shown."""

    edges: dict[str, Pipeline]
    """By kind, the distances from a patch's middle to the four edges of its cell."""

    def __call__(self, grid: PatchGrid) -> Found:
        """Return the cells of an image: where patches of one kind hang together there is one."""
        if self.kinds is None:
            return {}
        features = self.surroundings(grid)
        chances = np.zeros((len(features), len(CELLS) + 1))
        chances[:, self.kinds[-1].classes_] = self.kinds.predict_proba(features)
        return {
            name: self._of_kind(self.edges[name].predict(features), chances[:, number], grid)
            for number, name in enumerate(CELLS, start=1)
            if name in self.edges
        }

    def _of_kind(
        self,
        away: Float[np.ndarray, "patch 4"],
        chance: Float[np.ndarray, " patch"],
        grid: PatchGrid,
    ) -> Detection:
        boxes = np.hstack([grid.middles - away[:, :2], grid.middles + away[:, 2:]])
        found, scores = [], []
        for members in components(chance.reshape(grid.shape)):
            weights = chance[members]
            found.append(np.average(boxes[members], axis=0, weights=weights))
            scores.append(float(weights.max()))
        if not found:
            return Detection()
        limits = np.tile(np.array(grid.shape[::-1]) * grid.size, 2)
        clipped, sure = np.clip(np.array(found), 0, limits), np.array(scores)
        kept = keep_best(clipped, sure)
        return Detection(clipped[kept], sure[kept])


def components(
    chance: Float[np.ndarray, "row column"], least: float = 0.05
) -> list[Int[np.ndarray, " patch"]]:
    """Return the connected patches of each object: those around a peak, down to half of it.

    Args:
        chance: That a patch shows an object.
        least: Peaks below this are none.
    """
    smooth = ndimage.gaussian_filter(chance, 0.6)
    is_peak = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > least)
    found = []
    for row, column in np.argwhere(is_peak):
        marked, _ = ndimage.label(smooth >= 0.5 * smooth[row, column])
        window = np.zeros(chance.shape, dtype=bool)
        window[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = True
        found.append(np.flatnonzero((marked == marked[row, column]) & window))
    return found


def patch_targets(
    grid: PatchGrid, smear: Smear
) -> tuple[Int[np.ndarray, " patch"], Float[np.ndarray, "patch 4"]]:
    """Return what each patch shows (0 nothing, -1 the rim of a cell), and the way to its edges.

    Patches in the core of a box show its cell; if cores overlap, the one whose middle is nearest.
    Patches in a box but not in its core are neither taught as the cell nor as background.
    """
    kinds = np.zeros(len(grid.middles), dtype=np.int64)
    away = np.zeros((len(grid.middles), 4))
    nearest = np.full(len(grid.middles), np.inf)
    for number, name in enumerate(CELLS, start=1):
        for box in smear.boxes[name]:
            middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
            off = np.abs(grid.middles - middle) / np.maximum(half, grid.size)
            far = np.hypot(*off.T)
            kinds[(far < 1) & (kinds == 0)] = -1
            # A cell smaller than a patch still has the patch that holds its middle.
            own = (far < CORE) | (np.abs(grid.middles - middle) <= np.array(grid.size) / 2).all(1)
            own &= far < nearest
            nearest[own], kinds[own] = far[own], number
            away[own] = np.hstack([grid.middles[own] - box[:2], box[2:] - grid.middles[own]])
    return kinds, away


def fitted_patches(grids: Sequence[PatchGrid], smears: Sequence[Smear], seed: int) -> PatchDetector:
    """Return a detector fitted to photographs with boxes."""
    rng = np.random.default_rng(seed)
    surroundings = Surroundings.fit(grids, seed)
    features, kinds, away = [], [], []
    for grid, smear in zip(grids, smears, strict=True):
        shown, edges = patch_targets(grid, smear)
        empty = rng.permutation(np.flatnonzero(shown == 0))[:BACKGROUND_PER_IMAGE]
        rows = np.concatenate([empty, np.flatnonzero(shown > 0)])
        features.append(surroundings(grid)[rows])
        kinds.append(shown[rows])
        away.append(edges[rows])
    x, shown, edges = np.concatenate(features), np.concatenate(kinds), np.concatenate(away)
    if not shown.any():
        return PatchDetector(surroundings, None, {})
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    ridges = {
        name: make_pipeline(StandardScaler(), Ridge(100.0)).fit(x[shown == n], edges[shown == n])
        for n, name in enumerate(CELLS, start=1)
        if (shown == n).any()
    }
    return PatchDetector(surroundings, classifier.fit(x, shown), ridges)


def patches(case: SmearCase, context: Context) -> pd.DataFrame:
    """Answer with a head on the patch tokens of the frozen base."""
    encoder = context.own_encoder()
    total = case.n_train + case.n_test
    grids: list[PatchGrid] = []
    for one in (*case.train, *case.test):
        grids.append(patch_grid(encoder, one.pixels))
        if context.report is not None:
            context.report(len(grids), total, "embedding")
    known, asked = grids[: case.n_train], grids[case.n_train :]
    detector = fitted_patches(known, case.train, context.seed)
    found = [detector(one) for one in asked]
    counters = fitted_counters(case.train, [detector(one) for one in known])
    return smear_answers(case, found, counted(found, counters))
