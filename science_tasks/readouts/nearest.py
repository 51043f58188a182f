"""Nearest neighbours: the answer that a colleague would give from memory."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.class_labels import join_problems, label_problems, prior
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.kernels import check_blocks, mean_kernel
from kagaku.science_tasks.readouts.readout import READOUTS, Readout
from kagaku.science_tasks.stored_blocks import blocks_from_state, blocks_to_state

CHUNK = 2_048
"""Records predicted at a time."""


@READOUTS.register("nearest")
class NearestReadout(Readout):
    """The mean over the most similar training records, weighted by similarity.

    Similarity is the mean of all blocks' kernels. The spread is the disagreement of the neighbours
    joined with the leave-one-out error. Bounds of censored records are taken as written.

    Args:
        neighbours: How many neighbours are asked; one gives the plain nearest neighbour.
    """

    name: ClassVar[str] = "nearest"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    def __init__(self, neighbours: int = 5) -> None:
        assert neighbours > 0
        self.neighbours = neighbours

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,  # noqa: ARG002 (nothing here is random)
    ) -> None:
        """Keep the training records; see `Readout.fit`."""
        blocks = _compared(blocks)
        self.kind, self.n_classes, self.blocks = kind, n_classes, blocks
        self.values = target.values.astype(np.float64)
        self.error = 1.0
        if kind == "regression":
            n_rows = len(self.values)
            checked = np.arange(min(n_rows, CHUNK))
            similarity = mean_kernel([block.subset(checked) for block in blocks], blocks)
            similarity[checked, checked] = -1.0
            left_out = self._mean_of_nearest(similarity)[0] if n_rows > 1 else self.values[:1]
            error = float(np.sqrt(np.square(left_out - self.values[checked]).mean()))
            self.error = max(error, 1e-9 * max(1.0, float(np.abs(self.values).max())))

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        blocks = _compared(blocks)
        check_blocks(self.blocks, blocks)
        n_records = len(blocks[0].present)
        starts = range(0, max(n_records, 1), CHUNK)
        ranges = [np.arange(i, min(i + CHUNK, n_records)) for i in starts]
        parts = [self._predict_chunk([block.subset(one) for block in blocks]) for one in ranges]
        if self.kind == "regression":
            mean = np.concatenate([part.mean for part in parts if part.mean is not None])
            spread = np.concatenate([part.spread for part in parts if part.spread is not None])
            return Prediction(mean=mean, spread=spread)
        tables = [part.probabilities for part in parts if part.probabilities is not None]
        return Prediction(probabilities=np.concatenate(tables))

    def _predict_chunk(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        similarity = mean_kernel(blocks, self.blocks)
        if self.kind == "regression":
            mean, disagreement = self._mean_of_nearest(similarity)
            return Prediction(mean=mean, spread=np.hypot(disagreement, self.error))
        tables = []
        for rows, classes, count in label_problems(self.values, self.kind, self.n_classes):
            votes = np.broadcast_to(prior(classes, count), (len(similarity), count)).copy()
            if len(rows):
                chosen, weights = self._nearest(similarity[:, rows])
                np.add.at(votes, (np.arange(len(votes))[:, None], classes[chosen]), weights)
            tables.append(votes / votes.sum(axis=1, keepdims=True))
        return Prediction(probabilities=join_problems(tables, self.kind))

    def _nearest(
        self, similarity: Float[np.ndarray, "record train"]
    ) -> tuple[Int[np.ndarray, "record near"], Float[np.ndarray, "record near"]]:
        """Return the most similar training records and their weights; ties go to the first."""
        n_near = min(self.neighbours, similarity.shape[1])
        chosen = np.argsort(-similarity, axis=1, kind="stable")[:, :n_near]
        return chosen, np.maximum(np.take_along_axis(similarity, chosen, axis=1), 0.0) + 1e-6

    def _mean_of_nearest(self, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen, weights = self._nearest(similarity)
        weights = weights / weights.sum(axis=1, keepdims=True)
        mean = (weights * self.values[chosen]).sum(axis=1)
        squares = (weights * np.square(self.values[chosen] - mean[:, None])).sum(axis=1)
        return mean, np.sqrt(squares)

    def state(self) -> dict[str, Any]:
        """Return the training records."""
        return {
            "kind": self.kind,
            "n_classes": self.n_classes,
            "neighbours": self.neighbours,
            "error": self.error,
            "values": self.values,
            "blocks": blocks_to_state(self.blocks),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind, self.n_classes = state["kind"], state["n_classes"]
        self.neighbours, self.error = state["neighbours"], state["error"]
        self.values, self.blocks = state["values"], blocks_from_state(state["blocks"])


def _compared(blocks: Sequence[FeatureBlock]) -> list[FeatureBlock]:
    """Return the blocks that neighbours are told by: without the fingerprints for fitted kernels.

    Nothing here weighs blocks, and with three fingerprints of a molecule its neighbours were worse.
    """
    return [block for block in blocks if not block.for_kernels]
