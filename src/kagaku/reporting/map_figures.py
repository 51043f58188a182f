"""Figures for predicted fields: maps of what was measured, predicted and missed."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kagaku.reporting.figures import BLUE, INK, new_axes, styled, with_unit

Grid = Float[np.ndarray, "lat lon"]

_MAP_WIDTH = 4.4


@styled
def field_map(
    values: Grid,
    latitudes: Float[np.ndarray, " lat"],
    longitudes: Float[np.ndarray, " lon"],
    label: str,
    *,
    kind: Literal["value", "difference", "size"],
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Return one map on plain latitude-longitude axes.

    Args:
        values: What to show; NaN stays empty.
        latitudes: Degrees north, increasing or decreasing.
        longitudes: Degrees east.
        label: What is shown, with its unit.
        kind: A value; a difference, coloured around 0; or the size of something, from 0.
        limits: Ends of the colour scale, so that two maps can share it; by default the values'
            2nd and 98th percentile.
    """
    figure, axes = new_axes("longitude [°E]", "latitude [°N]", _map_size(latitudes, longitudes))
    axes.grid(visible=False)
    low, high = limits or colour_limits(values, kind)
    maps = {"value": "viridis", "difference": "RdBu_r", "size": "magma_r"}
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(
        longitudes,
        latitudes,
        shown,
        cmap=maps[kind],
        vmin=low,
        vmax=high,
        shading="nearest",
        rasterized=True,
    )
    _keep_shape(axes, latitudes)
    extend = _extend(values, low, high)
    bar = figure.colorbar(mesh, ax=axes, location="bottom", shrink=0.8, aspect=36, extend=extend)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure


@styled
def error_by_time(error: Float[np.ndarray, " time"], unit: str, x_label: str) -> Figure:
    """Return the area-weighted root mean squared error of each held-out field, in order."""
    figure, axes = new_axes(x_label, with_unit("RMSE over the area", unit))
    axes.plot(np.arange(1, len(error) + 1), error, color=BLUE, linewidth=1.4)
    mean = float(np.nanmean(error))
    axes.axhline(mean, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label=f"mean {mean:.3g}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right")
    return figure


def colour_limits(
    values: Float[np.ndarray, "*grid"], kind: Literal["value", "difference", "size"]
) -> tuple[float, float]:
    """Return the ends of a colour scale: most of the values, symmetric for differences."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    if kind == "difference":
        reach = float(np.percentile(np.abs(finite), 98)) or 1.0
        return -reach, reach
    low = 0.0 if kind == "size" else float(np.percentile(finite, 2))
    high = float(np.percentile(finite, 98))
    return low, high if high > low else low + 1.0


def _map_size(
    latitudes: Float[np.ndarray, " lat"], longitudes: Float[np.ndarray, " lon"]
) -> tuple[float, float]:
    """Return a figure size in inches that suits the region's shape."""
    stretch = 1 / max(float(np.cos(np.deg2rad(np.mean(latitudes)))), 0.2)
    tall = float(np.ptp(latitudes)) * stretch / max(float(np.ptp(longitudes)), 1e-6)
    return _MAP_WIDTH, float(np.clip(3.6 * tall + 1.3, 2.2, 5.5))


def _keep_shape(axes: Axes, latitudes: Float[np.ndarray, " lat"]) -> None:
    """Draw a degree of longitude as long as it is at the region's middle latitude."""
    axes.set_aspect(1 / max(float(np.cos(np.deg2rad(np.mean(latitudes)))), 0.2))


def _extend(values: Grid, low: float, high: float) -> Literal["neither", "both", "min", "max"]:
    """Return which ends of the colour bar have values beyond them."""
    finite = values[np.isfinite(values)]
    below, above = bool((finite < low).any()), bool((finite > high).any())
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"
