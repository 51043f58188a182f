"""Several targets of one table learnt together: candidates that read predictions of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.candidate_kinds import FittedReadout
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.readouts.stacked import FirstStage, StackedReadout, centre_of

KINDS = frozenset({"regression", "binary"})
"""Kinds of target that can tell of each other here: what is predicted of them is one number."""

FIRST_STAGE = "linear"
"""Registered name of the readout that predicts the other targets: it is fitted often."""

SECOND_STAGE = ("linear", "gp")
"""Readouts that are tried on its predictions."""

MOST_TARGETS = 8
"""With more, first stages would take longer than all other candidates together."""

FEWEST_ROWS = 20
"""With fewer measured training records, another target is left out."""


@dataclass
class FirstStages:
    """Models of targets, fitted to subsets of the records, each once.

    The candidates of all targets share them.
    """

    records: Records
    """All records."""

    blocks: tuple[FeatureBlock, ...]
    """Classical features of all records."""

    folds: Int[np.ndarray, " record"]
    """By record, the fold of the cross-validation; out-of-fold predictions keep them apart."""

    seed: int
    """Fixes whatever is random."""

    kept: dict[tuple[str, bytes], FirstStage | None] = field(default_factory=dict)
    """By target and records."""

    def of(self, target: Target, train_index: Int[np.ndarray, " _"]) -> FirstStage | None:
        """Return the model of a target, fitted to those of some records that have its value.

        None if too few of them have it, or if all that have it stand in one fold.
        """
        key = (target.name, np.asarray(train_index, dtype=np.int64).tobytes())
        if key not in self.kept:
            self.kept[key] = self._fit(target, train_index)
        return self.kept[key]

    def _fit(self, target: Target, train_index: np.ndarray) -> FirstStage | None:
        measured = self.records.targets[target.name].present()[train_index]
        folds = self.folds[train_index]
        if measured.sum() < FEWEST_ROWS or len(np.unique(folds[measured])) < 2:
            return None
        predicted = np.empty(len(train_index), dtype=np.float64)
        for fold in np.unique(folds):
            inside = folds == fold
            readout = self._readout(target, train_index[measured & ~inside])
            predicted[inside] = self._predict(readout, train_index[inside])
        return FirstStage(target.name, self._readout(target, train_index[measured]), predicted)

    def _readout(self, target: Target, index: np.ndarray) -> Readout:
        readout = READOUTS[FIRST_STAGE]()
        values = self.records.targets[target.name].subset(index)
        blocks = [block.subset(index) for block in self.blocks]
        readout.fit(blocks, values, target.kind, len(target.classes), seed=self.seed)
        return readout

    def _predict(self, readout: Readout, index: np.ndarray) -> np.ndarray:
        return centre_of(readout.predict([block.subset(index) for block in self.blocks]))


@dataclass(frozen=True)
class StackedCandidate:
    """A readout on classical features and on predictions of the table's other targets."""

    name: str
    """What the result table calls it."""

    inner: str
    """Registered name of the readout."""

    target: Target
    """What is predicted."""

    others: tuple[Target, ...]
    """The other targets."""

    stages: FirstStages
    """Predict these."""

    def fit(self, train_index: np.ndarray) -> FittedReadout:
        """Return the readout fitted on the records at ``train_index``, in both stages."""
        found = [self.stages.of(other, train_index) for other in self.others]
        readout = StackedReadout(self.inner, [one for one in found if one is not None])
        readout.fit(
            [block.subset(train_index) for block in self.stages.blocks],
            self.stages.records.targets[self.target.name].subset(train_index),
            self.target.kind,
            len(self.target.classes),
            seed=self.stages.seed,
        )
        return FittedReadout(readout, self.stages.blocks)


def stacked_candidates(
    target: Target, stages: FirstStages, readouts: Sequence[str]
) -> list[StackedCandidate]:
    """Return the candidates that read predictions of the other targets; none for a lone target.

    Args:
        target: What is predicted.
        stages: First stages, shared by all targets.
        readouts: Registered names of those that are tried for the target at all.
    """
    related = [one for one in stages.records.schema.targets if one.kind in KINDS]
    others = tuple(one for one in related if one.name != target.name)
    if target.kind not in KINDS or not others or len(related) > MOST_TARGETS or not stages.blocks:
        return []
    return [
        StackedCandidate(
            f"{name} on classical features + other targets", name, target, others, stages
        )
        for name in SECOND_STAGE
        if name in readouts
    ]
