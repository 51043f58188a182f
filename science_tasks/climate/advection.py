"""Rain carried along: the motion between radar images, and images moved by it.

Motion is found by cross-correlating tiles, as TREC does (R. E. Rinehart and E. T. Garvey 1978,
https://doi.org/10.1038/273287a0), and followed backwards along its paths, as in semi-Lagrangian
extrapolation (U. Germann and I. Zawadzki 2002,
https://doi.org/10.1175/1520-0493(2002)130<2859:SDOTPO>2.0.CO;2).
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, map_coordinates

TILE = 128
"""Side of a tile, in pixels: a tile must hold structure and move as one."""

STRIDE = 64
"""Distance of tiles."""

FASTEST = 20
"""Most pixels per step that rain is thought to move: 240 km/h for 1 km in 5 minutes."""

SMOOTH_TILES = 1.5
"""Width of the smoothing of motion, in tiles, each weighing by how much rain it shows."""

COARSE = 16
"""Paths are followed for one pixel in so many and interpolated between."""


def motion(
    frames: Float[np.ndarray, "time row column"],
) -> Float[np.ndarray, "2 tile_row tile_column"]:
    """Return the motion in a few images in a row, in pixels per step, on a grid of tiles.

    Args:
        frames: At least two; 0 where there is no rain. Sides of at least `TILE`.
    """
    rows, columns = tile_starts(frames.shape[1]), tile_starts(frames.shape[2])
    found = np.zeros((2, len(rows), len(columns)))
    weight = np.zeros((len(rows), len(columns)))
    window = np.outer(np.hanning(TILE), np.hanning(TILE))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            tiles = frames[:, row : row + TILE, column : column + TILE]
            weight[i, j] = float(np.square(tiles * window).sum())
            if weight[i, j] > 0:
                found[:, i, j] = shift(tiles * window)
    total = gaussian_filter(weight, SMOOTH_TILES, mode="nearest")
    if not total.max():
        return found
    # A tile far from all rain takes the motion of the rain as a whole.
    floor = 1e-3 * total.max()
    whole = (found * weight).sum(axis=(1, 2)) / weight.sum()
    smooth = np.stack(
        [gaussian_filter(one * weight, SMOOTH_TILES, mode="nearest") for one in found]
    )
    moved: np.ndarray = (smooth + floor * whole[:, None, None]) / (total + floor)
    return moved


def tile_starts(length: int) -> list[int]:
    """Return where tiles start along a side; the last one ends at its end."""
    starts = list(range(0, length - TILE, STRIDE))
    return [*starts, length - TILE]


def shift(tiles: Float[np.ndarray, "time row column"]) -> Float[np.ndarray, " 2"]:
    """Return the displacement per step (rows, columns) that best matches each tile to the next."""
    spectra = np.fft.rfft2(tiles)
    product = (np.conj(spectra[:-1]) * spectra[1:]).sum(axis=0)
    surface = np.fft.irfft2(product, s=tiles.shape[1:])
    steps = np.arange(-FASTEST, FASTEST + 1)
    near = surface[np.ix_(steps, steps)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return np.array(
        [steps[row] + _peak(near[:, column], row), steps[column] + _peak(near[row], column)]
    )


def _peak(line: np.ndarray, place: int | np.intp) -> float:
    """Return how far the top of the parabola through three points lies from the middle one."""
    if not 0 < place < len(line) - 1:
        return 0.0
    left, middle, right = line[place - 1 : place + 2]
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else float(0.5 * (left - right) / bend)


def carried(
    frame: Float[np.ndarray, "row column"],
    moved: Float[np.ndarray, "2 tile_row tile_column"],
    steps: int,
) -> Float[np.ndarray, "row column"]:
    """Return an image carried along by a motion that stays; 0 flows in over the edge.

    Args:
        frame: The last image.
        moved: What `motion` gives.
        steps: How many steps ahead.
    """
    height, width = frame.shape
    grid = np.meshgrid(
        np.arange(0, height + COARSE, COARSE), np.arange(0, width + COARSE, COARSE), indexing="ij"
    )
    place = np.stack(grid).astype(np.float64)
    for _ in range(steps):
        place = place - _at(moved, place)
    fine = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")) / COARSE
    origin = np.stack([map_coordinates(one, fine, order=1, mode="nearest") for one in place])
    result: np.ndarray = map_coordinates(frame, origin, order=1, mode="constant", cval=0.0)
    return result


def _at(moved: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the motion at some places, interpolated between the centres of tiles."""
    tiles = (place - TILE / 2) / STRIDE
    return np.stack([map_coordinates(one, tiles, order=1, mode="nearest") for one in moved])
