"""What climate scientists compute from a field: area means, boxes, and leading patterns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kagaku.data.grids import area_weights
from kagaku.data.records import Field
from kagaku.errors import InputError
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.standardise import LIMIT, RobustScale

N_PATTERNS = 20
"""Most empirical orthogonal functions that are kept."""

N_BOXES = 8
"""Most boxes along latitude, and along longitude, whose means are taken."""

MIN_COVERAGE = 0.5
"""Share of the training records in which a cell must be present to take part in the patterns."""


@FEATURIZERS.register("climate")
class FieldFeatures(Featurizer[Field]):
    """Three blocks of one grid: `area_means`, `boxes` and `eof`.

    `area_means`: each variable's area-weighted mean and spatial spread, and the season as sine and
    cosine. `boxes`: area-weighted means of up to 8 x 8 boxes per variable, as differences from each
    box's training mean. `eof`: amplitudes of the leading empirical orthogonal functions of the
    area-weighted anomalies of all variables; a missing cell counts as its climatological mean.
    In both, a variable has one spread for all its cells, not each cell its own: regions that vary
    much (the eastern Pacific) are where the signal is. Every statistic comes from the
    training records. Source of the patterns: Lorenz (1956), Empirical Orthogonal Functions and
    Statistical Weather Prediction, MIT; of their weighting: North et al. (1982),
    https://doi.org/10.1175/1520-0493(1982)110%3C0699:SEITEO%3E2.0.CO;2
    """

    modality: ClassVar[str] = "climate"

    def __init__(self) -> None:
        self._grid: dict[str, Any] | None = None
        self._means_scale = RobustScale()
        self._boxes_mean = np.zeros((0, 0))
        self._boxes_spread = np.zeros(0)
        self._patterns: dict[str, np.ndarray] = {}

    def fit(self, values: Sequence[Field | None]) -> None:
        """Learn the grid, the spreads, and the leading patterns.

        Raises:
            InputError: The fields do not share variables and grid.
        """
        fields = [value for value in values if value is not None]
        self._grid = None
        if not fields:
            return
        self._grid = _grid(fields[0])
        stacked = self._stack(fields)
        self._means_scale = RobustScale()
        self._means_scale.fit(self._means(fields, stacked))
        boxes = self._boxes(stacked)
        self._boxes_mean, _, spread = _moments(boxes)
        self._boxes_spread = _typical(spread**2)
        self._patterns = _learn_patterns(stacked, self._grid["latitudes"])

    def transform(self, name: str, values: Sequence[Field | None]) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had a field.

        Raises:
            InputError: A field has other variables or another grid than in training.
        """
        if self._grid is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        fields = [value for value in values if value is not None]
        stacked = self._stack(fields)
        features = {
            "area_means": self._means_scale(self._means(fields, stacked)),
            "boxes": self._box_anomalies(stacked),
            "eof": _amplitudes(stacked, self._patterns),
        }
        return [
            FeatureBlock(f"{name}:{kind}", spread_rows(rows, present), "rbf", present)
            for kind, rows in features.items()
            if rows.shape[1]
        ]

    def _stack(self, fields: Sequence[Field]) -> Float[np.ndarray, "record variable lat lon"]:
        """Return the values of all fields, float64, once each grid is known to be the same."""
        assert self._grid is not None
        for field in fields:
            _check_grid(field, self._grid)
        shape = (
            len(self._grid["names"]),
            len(self._grid["latitudes"]),
            len(self._grid["longitudes"]),
        )
        stacked = np.array([field.values for field in fields], dtype=np.float64)
        return stacked.reshape(-1, *shape)

    def _means(self, fields: Sequence[Field], stacked: np.ndarray) -> np.ndarray:
        """Return mean and spread per variable, then sine and cosine of the season, NaN without."""
        assert self._grid is not None
        weights = _cell_weights(self._grid["latitudes"], stacked.shape[-1])
        mean = _weighted_mean(stacked, weights)
        deviation = stacked - mean[..., None, None]
        spread = np.sqrt(_weighted_mean(deviation**2, weights))
        angle = (
            2
            * np.pi
            * np.array(
                [np.nan if f.day_of_year is None else f.day_of_year for f in fields],
                dtype=np.float64,
            )
        )
        return np.column_stack([mean, spread, np.sin(angle), np.cos(angle)])

    def _box_anomalies(self, stacked: np.ndarray) -> np.ndarray:
        """Return each box's difference from its training mean, in its variable's spread."""
        anomaly = (self._boxes(stacked) - self._boxes_mean) / self._boxes_spread[:, None]
        known = np.where(np.isnan(anomaly), 0.0, anomaly).clip(-LIMIT, LIMIT)
        flat: np.ndarray = known.reshape(len(known), math.prod(known.shape[1:]))
        return flat

    def _boxes(self, stacked: np.ndarray) -> Float[np.ndarray, "record variable box"]:
        """Return the area-weighted mean of each box and variable; NaN where all is missing."""
        assert self._grid is not None
        weights = _cell_weights(self._grid["latitudes"], stacked.shape[-1])
        rows = np.array_split(np.arange(stacked.shape[2]), min(N_BOXES, stacked.shape[2]))
        columns = np.array_split(np.arange(stacked.shape[3]), min(N_BOXES, stacked.shape[3]))
        boxes = [
            _weighted_mean(stacked[:, :, r][..., c], weights[r][:, c])
            for r in rows
            for c in columns
        ]
        return np.stack(boxes, axis=2)

    def state(self) -> dict[str, Any]:
        """Return the grid, the spreads and the patterns."""
        return {
            "grid": self._grid,
            "means_scale": self._means_scale.state(),
            "boxes_mean": self._boxes_mean,
            "boxes_spread": self._boxes_spread,
            "patterns": self._patterns,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._grid = None if state["grid"] is None else dict(state["grid"])
        self._means_scale = RobustScale()
        self._means_scale.load_state(state["means_scale"])
        self._boxes_mean = np.asarray(state["boxes_mean"], dtype=np.float64)
        self._boxes_spread = np.asarray(state["boxes_spread"], dtype=np.float64)
        self._patterns = dict(state["patterns"])


def _grid(field: Field) -> dict[str, Any]:
    return {
        "names": list(field.names),
        "units": list(field.units),
        "latitudes": np.asarray(field.latitudes, dtype=np.float64),
        "longitudes": np.asarray(field.longitudes, dtype=np.float64),
    }


def _check_grid(field: Field, grid: Mapping[str, Any]) -> None:
    """Raise InputError if a field does not fit the grid of the training records."""
    for what, given in (("variables", field.names), ("units", field.units)):
        expected = grid["names" if what == "variables" else what]
        if list(given) != expected:
            raise InputError(
                f"a field has the {what} {list(given)}, but the training fields have {expected}",
                fix=f"Give the same {what} in the same order.",
            )
    for what, coordinates in (("latitudes", field.latitudes), ("longitudes", field.longitudes)):
        known, new = grid[what], np.asarray(coordinates, dtype=np.float64)
        if known.shape != new.shape or not np.allclose(known, new, rtol=0, atol=1e-3):
            raise InputError(
                f"a field has {what} {_span(new)}, but the training fields have {_span(known)}",
                fix="Interpolate all files to one grid first, with xarray's interp for example.",
            )


def _span(degrees: np.ndarray) -> str:
    return f"from {degrees[0]:g} to {degrees[-1]:g} in {len(degrees)} steps"


def _cell_weights(latitudes: np.ndarray, n_lon: int) -> Float[np.ndarray, "lat lon"]:
    weights: np.ndarray = np.repeat(area_weights(latitudes)[:, None], n_lon, axis=1)
    return weights


def _weighted_mean(
    values: Float[np.ndarray, "record variable lat lon"], weights: Float[np.ndarray, "lat lon"]
) -> Float[np.ndarray, "record variable"]:
    """Return the weighted mean over the cells that are present; NaN if none is."""
    known = ~np.isnan(values)
    total = (known * weights).sum(axis=(2, 3))
    summed = (np.where(known, values, 0.0) * weights).sum(axis=(2, 3))
    mean: np.ndarray = np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0)
    return mean


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, share of records present, and standard deviation over records, NaN left out."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    squares = np.where(known, values - mean, 0.0) ** 2
    return mean, known.mean(axis=0), np.sqrt(squares.sum(axis=0) / count)


def _typical(variances: Float[np.ndarray, "variable cell"]) -> Float[np.ndarray, " variable"]:
    """Return one spread per variable: the root of its mean variance over cells; 1 if it is 0."""
    known = ~np.isnan(variances)
    total = np.where(known, variances, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(total > 0, np.sqrt(total), 1.0)


def _learn_patterns(stacked: np.ndarray, latitudes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the cells that take part, their mean and spread, and the patterns over them."""
    weights = np.tile(_cell_weights(latitudes, stacked.shape[-1]).ravel(), stacked.shape[1])
    flat = stacked.reshape(len(stacked), -1)
    mean, coverage, spread = _moments(flat)
    taking_part = (coverage >= MIN_COVERAGE) & (spread > 1e-9 * np.abs(mean))
    by_variable = _typical(np.where(taking_part, spread, np.nan).reshape(stacked.shape[1], -1) ** 2)
    cells = np.flatnonzero(taking_part)
    # Square roots of the weights, so that a sum of squares over cells is an integral over area.
    root = np.sqrt(weights)[cells]
    cell_spread = np.repeat(by_variable, flat.shape[1] // stacked.shape[1])[cells]
    anomaly = np.where(np.isnan(flat), 0.0, flat - mean)[:, cells]
    standardised = anomaly / cell_spread * root
    dim = min(N_PATTERNS, len(flat) - 1, len(cells))
    patterns = {"cells": cells, "mean": mean[cells], "spread": cell_spread, "root": root}
    if dim < 1:
        return {**patterns, "eof": np.zeros((0, len(cells))), "amplitude": np.ones(1)}
    _, strengths, rows = np.linalg.svd(standardised, full_matrices=False)
    keep = strengths[:dim] > 1e-9 * max(strengths[0], 1e-30)
    eof = rows[:dim][keep]
    # The leading pattern varies most and should weigh most, so one divisor serves all.
    amplitude = np.sqrt(((standardised @ eof.T) ** 2).mean())
    return {**patterns, "eof": eof, "amplitude": np.array([amplitude])}


def _amplitudes(
    stacked: np.ndarray, patterns: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "record pattern"]:
    """Return each record's amplitude of each pattern; missing cells count as the mean."""
    flat = stacked.reshape(len(stacked), math.prod(stacked.shape[1:]))[:, patterns["cells"]]
    anomaly = np.where(np.isnan(flat), 0.0, flat - patterns["mean"])
    standardised = anomaly / patterns["spread"] * patterns["root"]
    amplitudes: np.ndarray = standardised @ patterns["eof"].T / patterns["amplitude"]
    return amplitudes
