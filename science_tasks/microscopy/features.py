"""What image analysis computes from a picture: intensity, texture, objects and a thumbnail."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from kagaku.modalities.image import ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.modalities.image_pixels import unit_range
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.microscopy.texture import (
    N_ORIENTATIONS,
    edge_directions,
    local_patterns,
    objects,
    scale_energies,
)
from kagaku.science_tasks.standardise import RobustScale

MAX_SIDE = 256
"""Larger images are averaged down by the whole factor that brings the longer side nearest to this:
one image then costs at most about a tenth of a second."""

MAX_CHANNELS = 16
"""Channels whose intensities are described one by one."""

THUMBNAIL = 16
"""Side of the thumbnail that the principal components are taken of, in pixels."""

N_COMPONENTS = 32
"""Most principal components of the thumbnails."""

_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_N_BINS = 16


@FEATURIZERS.register("image")
class ImageFeatures(Featurizer[Path | np.ndarray]):
    """Four blocks: `intensity`, `texture`, `objects` and `thumbnail`.

    `intensity`: mean, spread and quantiles per channel, and the histogram of the grey image.
    `texture`: edge directions, local binary patterns and detail by scale. `objects`: counts and
    sizes after Otsu's threshold, for counting tasks. `thumbnail`: principal components of the image
    reduced to 16 x 16. An image of another number of channels than most training images is
    described by its grey version in every channel.
    """

    modality: ClassVar[str] = "image"

    def __init__(self) -> None:
        self._n_channels = 0
        self._scales: dict[str, RobustScale] = {}
        self._thumbnails: dict[str, np.ndarray] = {}

    def fit(self, values: Sequence[Path | np.ndarray | None]) -> None:
        """Learn the usual number of channels, the spreads and the components.

        Raises:
            InputError: A file cannot be read as an image.
        """
        known = [value for value in values if value is not None]
        self._n_channels, self._scales, self._thumbnails = 0, {}, {}
        if not known:
            return
        # Measured for all channels at once: reading is the expensive part.
        measured = [_measure(value) for value in known]
        counts = Counter(one["channels"].shape[0] for one in measured)
        self._n_channels = max(counts, key=lambda n: (counts[n], n))
        for kind, rows in self._rows(measured).items():
            if kind == "thumbnail":
                self._thumbnails = _learn_components(rows)
            else:
                self._scales[kind] = RobustScale()
                self._scales[kind].fit(rows)

    def transform(
        self, name: str, values: Sequence[Path | np.ndarray | None]
    ) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had an image.

        Raises:
            InputError: A file cannot be read as an image.
        """
        if self._n_channels == 0:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        # One record stands in where all are missing, so that the widths are known.
        measured = [_measure(value) for value in values if value is not None]
        rows = self._rows(measured or [_measure(np.zeros((1, 1, 1)))])
        features = {kind: scale(rows[kind]) for kind, scale in self._scales.items()}
        features["thumbnail"] = _project(rows["thumbnail"], self._thumbnails)
        return [
            FeatureBlock(
                f"{name}:{kind}", spread_rows(block[: len(measured)], present), "rbf", present
            )
            for kind, block in features.items()
            if block.shape[1]
        ]

    def _rows(self, measured: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        intensities = [self._intensity(one) for one in measured]
        return {
            "intensity": np.stack(intensities),
            "texture": np.stack([one["texture"] for one in measured]),
            "objects": np.stack([one["objects"] for one in measured]),
            "thumbnail": np.stack([one["thumbnail"] for one in measured]),
        }

    def _intensity(self, one: Mapping[str, np.ndarray]) -> np.ndarray:
        channels = one["channels"]
        if len(channels) != self._n_channels:
            channels = np.repeat(one["grey"][None, :], self._n_channels, axis=0)
        return np.concatenate([channels[:MAX_CHANNELS].ravel(), one["histogram"]])

    def state(self) -> dict[str, Any]:
        """Return the number of channels, the spreads and the components."""
        return {
            "n_channels": self._n_channels,
            "scales": {kind: scale.state() for kind, scale in self._scales.items()},
            "thumbnails": self._thumbnails,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._n_channels = int(state["n_channels"])
        self._scales = {}
        for kind, stored in state["scales"].items():
            self._scales[kind] = RobustScale()
            self._scales[kind].load_state(stored)
        self._thumbnails = dict(state["thumbnails"])


def _measure(value: Path | np.ndarray) -> dict[str, np.ndarray]:
    """Return everything that is measured on one image, before any scaling."""
    pixels = _shrink(_pixels(value))
    grey = pixels.mean(axis=2)
    channels = pixels.reshape(-1, pixels.shape[2]).T
    return {
        "channels": np.stack([_statistics(channel) for channel in channels]),
        "grey": _statistics(grey.ravel()),
        "histogram": np.sqrt(np.histogram(grey, bins=_N_BINS, range=(0.0, 1.0))[0] / grey.size),
        "texture": np.concatenate(
            [edge_directions(grey), local_patterns(grey), scale_energies(grey)]
        ),
        "objects": objects(pixels),
        "thumbnail": _thumbnail(grey).ravel(),
    }


def image_summary(value: Path | np.ndarray) -> Float[np.ndarray, " number"]:
    """Return grey level, its spread, quantiles and histogram, and texture, before any scaling.

    Raises:
        InputError: The file cannot be read as an image.
    """
    grey = _shrink(_pixels(value)).mean(axis=2)
    histogram = np.sqrt(np.histogram(grey, bins=_N_BINS, range=(0.0, 1.0))[0] / grey.size)
    directions = edge_directions(grey).reshape(-1, N_ORIENTATIONS)
    texture = [local_patterns(grey), scale_energies(grey), directions.mean(axis=0)]
    return np.concatenate([_statistics(grey.ravel()), histogram, *texture, directions.std(axis=1)])


def _pixels(value: Path | np.ndarray) -> Float[np.ndarray, "row column channel"]:
    """Return an image as float64, integers scaled to 0..1; an array may lack the channel axis."""
    if isinstance(value, np.ndarray):
        stored = value if value.ndim == 3 else value[:, :, None]
    else:
        stored = read_image(value, ImageConfig().max_pixels)
    return unit_range(stored).transpose(1, 2, 0).astype(np.float64)


def _statistics(values: Float[np.ndarray, " pixel"]) -> np.ndarray:
    return np.array([values.mean(), values.std(), *np.quantile(values, _QUANTILES)])


def _shrink(pixels: Float[np.ndarray, "row column channel"]) -> np.ndarray:
    """Return the image averaged over squares of whole pixels, if it is large."""
    factor = max(1, round(max(pixels.shape[:2]) / MAX_SIDE))
    if factor == 1:
        return pixels
    # A side shorter than the factor stays one row: such strips are left as they are.
    down, across = (min(factor, length) for length in pixels.shape[:2])
    rows, columns = pixels.shape[0] // down * down, pixels.shape[1] // across * across
    blocks = pixels[:rows, :columns].reshape(rows // down, down, columns // across, across, -1)
    shrunk: np.ndarray = blocks.mean(axis=(1, 3))
    return shrunk


def _thumbnail(grey: Float[np.ndarray, "row column"]) -> np.ndarray:
    """Return the image at 16 x 16, blurred first where that is smaller, so nothing aliases."""
    zoom = [THUMBNAIL / length for length in grey.shape]
    blur = [max(0.0, 0.5 * (1 / factor - 1)) for factor in zoom]
    smooth = ndimage.gaussian_filter(grey, blur, mode="nearest")
    positions = [(np.arange(THUMBNAIL) + 0.5) / factor - 0.5 for factor in zoom]
    grid = np.meshgrid(*positions, indexing="ij")
    thumbnail: np.ndarray = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest")
    return thumbnail


def _learn_components(thumbnails: Float[np.ndarray, "record pixel"]) -> dict[str, np.ndarray]:
    mean = thumbnails.mean(axis=0)
    centred = thumbnails - mean
    dim = min(N_COMPONENTS, len(thumbnails) - 1)
    _, strengths, rows = np.linalg.svd(centred, full_matrices=False)
    keep = strengths[:dim] > 1e-6
    components = rows[:dim][keep]
    # One divisor for all components: the distance stays that of the thumbnails.
    spread = np.sqrt(((centred @ components.T) ** 2).mean()) if len(components) else 1.0
    return {"mean": mean, "components": components, "spread": np.array([spread])}


def _project(thumbnails: np.ndarray, learnt: Mapping[str, np.ndarray]) -> np.ndarray:
    projected: np.ndarray = (
        (thumbnails - learnt["mean"]) @ learnt["components"].T / learnt["spread"]
    )
    return projected
