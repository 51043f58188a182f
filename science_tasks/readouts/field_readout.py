"""Fields predicted through their principal components."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.readout import READOUTS, Readout

COMPONENTS = 12
"""Most principal components (empirical orthogonal functions) of the target field."""

EXPLAINED = 0.98
"""Components are added until they explain this share of the area-weighted variance."""

CHUNK = 1_024
"""Records whose fields are put together at a time."""


@READOUTS.register("field")
class FieldReadout(Readout):
    """One readout per principal component of the field, put together to a field again.

    Components are those of the area-weighted field, so that a dense grid near the poles does not
    outweigh the tropics. The spread of a cell joins the uncertainty of the components with the
    variance that they leave out. Cells never measured in training are predicted as NaN.

    Args:
        inner: Registered name of the readout that predicts each component.
        area_weights: Relative area of each row of the grid, as `kagaku.data.area_weights` gives
            it, shape (lat,); equal without.
    """

    name: ClassVar[str] = "field"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"field"})

    def __init__(self, inner: str = "gp", area_weights: np.ndarray | None = None) -> None:
        self.inner, self.area_weights = inner, area_weights

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,  # noqa: ARG002 (fields have no classes)
        *,
        seed: int,
    ) -> None:
        """Fit; see `Readout.fit`."""
        assert kind == "field"
        fields = target.values.astype(np.float64)
        self.grid = fields.shape[1:]
        table = fields.reshape(len(fields), -1)
        self.measured: np.ndarray = np.asarray(~np.isnan(table).all(axis=0))
        table = table[:, self.measured]
        self.mean = np.nanmean(table, axis=0)
        anomalies = np.where(np.isnan(table), 0.0, table - self.mean)
        self.axes = self._principal_axes(anomalies)
        scores = anomalies @ (self.axes * self._weights()[:, None])
        rest = anomalies - scores @ self.axes.T
        floor = 1e-6 * max(float(anomalies.std()), 1e-9)
        self.left_out = np.sqrt(np.square(rest).mean(axis=0)) + floor
        self.readouts = []
        for i in range(scores.shape[1]):
            readout = READOUTS[self.inner]()
            readout.fit(blocks, _exact(scores[:, i]), "regression", 0, seed=seed + i)
            self.readouts.append(readout)

    def _weights(self) -> Float[np.ndarray, " cell"]:
        """Return the area of each measured cell, mean 1 over the grid."""
        rows = np.ones(self.grid[0]) if self.area_weights is None else self.area_weights
        weights: np.ndarray = np.repeat(rows, self.grid[1])[self.measured]
        return weights

    def _principal_axes(
        self, anomalies: Float[np.ndarray, "record cell"]
    ) -> Float[np.ndarray, "cell component"]:
        """Return directions that are orthonormal under the area weights."""
        root = np.sqrt(np.maximum(self._weights(), 1e-9))
        _, strengths, axes = np.linalg.svd(anomalies * root, full_matrices=False)
        variance = np.square(strengths)
        if not len(variance) or variance[0] <= 1e-24:
            return np.zeros((anomalies.shape[1], 0))
        shares = np.cumsum(variance) / variance.sum()
        count = min(int(np.searchsorted(shares, EXPLAINED)) + 1, COMPONENTS, len(shares))
        return np.ascontiguousarray((axes[:count] / root).T)

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread of every cell; see `Readout.predict`."""
        n_records = len(blocks[0].present)
        means, variances = np.zeros((n_records, 0)), np.zeros((n_records, 0))
        if self.readouts:
            parts = [readout.predict(blocks) for readout in self.readouts]
            means = np.stack([one.mean for one in parts if one.mean is not None], axis=1)
            spreads = np.stack([one.spread for one in parts if one.spread is not None], axis=1)
            variances = np.square(spreads)
        mean = np.full((n_records, len(self.measured)), np.nan)
        spread = np.full((n_records, len(self.measured)), np.nan)
        for i in range(0, n_records, CHUNK):
            rows = slice(i, i + CHUNK)
            mean[rows, self.measured] = self.mean + means[rows] @ self.axes.T
            explained = variances[rows] @ np.square(self.axes).T
            spread[rows, self.measured] = np.sqrt(explained + np.square(self.left_out))
        shape = (n_records, *self.grid)
        return Prediction(mean=mean.reshape(shape), spread=spread.reshape(shape))

    def state(self) -> dict[str, Any]:
        """Return the components and the readout of each."""
        return {
            "inner": self.inner,
            "area_weights": self.area_weights,
            "grid": list(self.grid),
            "measured": self.measured,
            "mean": self.mean,
            "axes": self.axes,
            "left_out": self.left_out,
            "readouts": [readout.state() for readout in self.readouts],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.inner, self.area_weights = state["inner"], state["area_weights"]
        self.grid = tuple(state["grid"])
        self.measured, self.mean = state["measured"], state["mean"]
        self.axes, self.left_out = state["axes"], state["left_out"]
        self.readouts = []
        for one in state["readouts"]:
            readout = READOUTS[self.inner]()
            readout.load_state(one)
            self.readouts.append(readout)


def _exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))
