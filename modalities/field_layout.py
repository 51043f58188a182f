"""Which token covers which cells of a latitude-longitude grid, and the way back to the grid."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import Field

DECIMALS = 4
"""Degrees are told apart to this many decimals (11 metres); single precision resolves no more."""


@dataclass(frozen=True)
class FieldLayout:
    """How one grid is cut into patches.

    The cut depends on where the cells are on Earth, never on how the file stores them: patches
    start at the northernmost row and at the westernmost column (for a grid that goes round the
    Earth, at the first meridian east of Greenwich), row by row. Tokens of several variables follow
    each other, all patches of the first variable first: token ``v * n_patches + p``.
    """

    cells: Int[np.ndarray, "patch cell"]
    """For each place in each patch (row by row from its north-western corner), the index of its
    cell in the file's own flattened (lat, lon) grid; -1 where the patch reaches over the edge."""

    shape: tuple[int, int]
    """Number of latitudes and longitudes of the file's grid."""

    latitudes: Float[np.ndarray, " patch"]
    """Degrees north of each patch's centre, the mean over its rows that are in the grid."""

    longitudes: Float[np.ndarray, " patch"]
    """Degrees east of each patch's centre, from 0 eastward without a jump: a region across
    Greenwich goes on above 360, so that neighbours are near each other."""

    @property
    def n_patches(self) -> int:
        """How many patches cover the grid once."""
        return len(self.cells)


def eastward_order(longitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices that put longitudes in eastward order, and the ordered degrees, unwrapped.

    The order starts after the widest gap, so a region across Greenwich or the date line stays in
    one piece; where no gap stands out the grid goes round the Earth, and it starts at the smallest
    longitude in 0..360.

    Args:
        longitudes: Degrees east, (lon,), in 0..360 or -180..180.
    """
    east = np.mod(np.round(np.mod(longitudes.astype(np.float64), 360.0), DECIMALS), 360.0)
    order = np.argsort(east, kind="stable")
    gaps = np.diff(east[order], append=east[order[0]] + 360.0)
    widest = int(gaps.argmax())
    others = np.delete(gaps, widest)
    if len(others) and gaps[widest] > 1.5 * others.max():
        order = np.roll(order, -(widest + 1))
    degrees = east[order]
    return order, np.where(degrees < degrees[0], degrees + 360.0, degrees)


def field_layout(field: Field, patch_cells: int = 4) -> FieldLayout:
    """Return how the grid of a field is cut into patches of ``patch_cells`` by ``patch_cells``."""
    n_lat, n_lon = len(field.latitudes), len(field.longitudes)
    southward = np.argsort(-np.round(field.latitudes.astype(np.float64), DECIMALS), kind="stable")
    eastward, unwrapped = eastward_order(field.longitudes)
    down, across = -(-n_lat // patch_cells), -(-n_lon // patch_cells)
    grid = np.full((down * patch_cells, across * patch_cells), -1, dtype=np.int64)
    grid[:n_lat, :n_lon] = southward[:, None] * n_lon + eastward
    patches = grid.reshape(down, patch_cells, across, patch_cells).transpose(0, 2, 1, 3)
    latitudes = _patch_means(field.latitudes[southward].astype(np.float64), patch_cells)
    longitudes = _patch_means(unwrapped, patch_cells)
    return FieldLayout(
        cells=patches.reshape(down * across, patch_cells**2),
        shape=(n_lat, n_lon),
        latitudes=np.repeat(latitudes, across),
        longitudes=np.tile(longitudes, down),
    )


def _patch_means(degrees: np.ndarray, patch_cells: int) -> np.ndarray:
    starts = np.arange(0, len(degrees), patch_cells)
    sums = np.add.reduceat(degrees, starts)
    return sums / np.diff(starts, append=len(degrees))


def split_field(
    values: Float[np.ndarray, "variable lat lon"], layout: FieldLayout
) -> Float[np.ndarray, "token cell"]:
    """Return a grid's values patch by patch; NaN where a patch reaches over the edge."""
    assert values.shape[1:] == layout.shape, "the layout belongs to another grid"
    flat = values.reshape(len(values), -1)
    patches = np.where(layout.cells >= 0, flat[:, layout.cells], np.nan)
    return patches.reshape(-1, layout.cells.shape[1]).astype(values.dtype)


def assemble(
    patch_values: Float[np.ndarray, "token cell"], layout: FieldLayout
) -> Float[np.ndarray, "variable lat lon"]:
    """Return patches as a grid in the file's own order; what `split_field` undoes.

    Args:
        patch_values: One or several variables, all patches of the first one first. What stands in
            places over the edge is ignored.
        layout: How the grid was cut.
    """
    assert len(patch_values) % layout.n_patches == 0, "each variable has every patch"
    by_variable = patch_values.reshape(-1, *layout.cells.shape)
    flat = np.empty((len(by_variable), layout.shape[0] * layout.shape[1]), patch_values.dtype)
    inside = layout.cells >= 0
    flat[:, layout.cells[inside]] = by_variable[:, inside]
    return flat.reshape(-1, *layout.shape)
