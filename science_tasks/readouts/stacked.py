"""A readout that also reads what is predicted of the table's other targets.

Related targets (several endpoints of one assay, several properties of one material) tell of each
other, but of a new record none is measured. So models of the first stage predict the other targets
from the same features, and the readout reads features and predictions. For the records that it is
fitted to, these predictions are out-of-fold, since they have to be as wrong as those of new records
will be. Source: Spyromitros-Xioufis et al. (2016), https://doi.org/10.1007/s10994-016-5546-z
(stacked single-target, with internal cross-validation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.features import FeatureBlock, input_of
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.readout import READOUTS, Readout

BLOCK = "other targets"
"""Name of the block that holds the predictions."""


@dataclass(frozen=True)
class FirstStage:
    """A model of another target, and its predictions of the records that it was fitted to."""

    target: str
    """Name of the other target."""

    readout: Readout
    """Predicts it for new records."""

    out_of_fold: Float[np.ndarray, " record"]
    """Of the training records, predicted by models that had not seen them."""


@READOUTS.register("stacked")
class StackedReadout(Readout):
    """Another readout on features and on predictions of the other targets.

    Args:
        inner: Registered name of the readout that predicts in the end.
        stages: Models of the other targets, fitted to the records that `fit` is given.
    """

    name: ClassVar[str] = "stacked"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"regression", "binary"})

    def __init__(self, inner: str = "linear", stages: Sequence[FirstStage] = ()) -> None:
        self.inner_name, self.inner = inner, READOUTS[inner]()
        self._readouts = [(one.target, one.readout) for one in stages]
        self._out_of_fold = [one.out_of_fold for one in stages]
        self._scales: list[list[float]] = []

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit on the features and the out-of-fold predictions. See `Readout.fit`."""
        self._scales = [[float(one.mean()), float(one.std()) or 1.0] for one in self._out_of_fold]
        joined = self._with_predictions(blocks, self._out_of_fold)
        self.inner.fit(joined, target, kind, n_classes, seed=seed)

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return predictions by what the first stage predicts of the other targets."""
        given = [centre_of(readout.predict(blocks)) for _, readout in self._readouts]
        return self.inner.predict(self._with_predictions(blocks, given))

    def _with_predictions(
        self, blocks: Sequence[FeatureBlock], given: Sequence[np.ndarray]
    ) -> list[FeatureBlock]:
        """Return the blocks with the other targets' predictions, standardised, as one more."""
        if not given:
            return list(blocks)
        columns = [
            (one - mean) / spread for one, (mean, spread) in zip(given, self._scales, strict=True)
        ]
        # Beside the first input's features: kernels add up what tells of one and the same input.
        name = f"{input_of(blocks[0])}:{BLOCK}"
        values = np.stack(columns, axis=1).astype(np.float32)
        present = np.ones(len(values), dtype=bool)
        return [*blocks, FeatureBlock(name, values, "rbf", present)]

    def state(self) -> dict[str, Any]:
        """Return both stages; no prediction of a training record is kept."""
        return {
            "inner": self.inner_name,
            "state": self.inner.state(),
            "scales": self._scales,
            "stages": [
                {"target": target, "readout": one.name, "state": one.state()}
                for target, one in self._readouts
            ],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.inner_name, self.inner = state["inner"], READOUTS[state["inner"]]()
        self.inner.load_state(state["state"])
        self._scales, self._out_of_fold, self._readouts = list(state["scales"]), [], []
        for one in state["stages"]:
            readout = READOUTS[one["readout"]]()
            readout.load_state(one["state"])
            self._readouts.append((one["target"], readout))


def centre_of(given: Prediction) -> Float[np.ndarray, " record"]:
    """Return the mean of a number, or the probability of yes."""
    if given.mean is not None:
        return np.asarray(given.mean, dtype=np.float64)
    assert given.probabilities is not None
    return np.asarray(given.probabilities[:, 1], dtype=np.float64)
