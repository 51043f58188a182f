"""Several targets of one table learnt together: candidates that read predictions of the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.candidate_kinds import FittedReadout
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.readouts.stacked import FirstStage, StackedReadout, centre_of
from kagaku.science_tasks.spaced import spaced

KINDS = frozenset({"regression", "binary"})
"""Kinds of target that can tell of each other here: what is predicted of them is one number."""

READ = "classical features + other targets"
"""What the second stage reads, as the result table says it."""

FIRST_STAGE = ("linear", "trees")
"""Registered names of the readouts that predict the other targets: each is fitted often."""

MOST_WORK = 5_000
"""Training rows of another target, times the square of the number of other targets, above which the
first of them predicts it alone: how often each is fitted grows with that square."""

MOST_LEARNT = 5_000
"""Records that a first stage learns from at most, if helpers make them more; of these, evenly
spaced ones serve."""

SECOND_STAGE = ("linear", "gp", "trees")
"""Readouts that are tried on its predictions."""

MOST_TARGETS = 8
"""With more, first stages would take longer than all other candidates together."""

FEWEST_ROWS = 20
"""With fewer measured training records, another target is left out."""

FEWEST_FOLDS, LARGEST_FOLD = 3, 0.5
"""Folds of all records are taken for a target if its own records stand in so many of them at least,
and no larger share in one: there must be enough to learn from without it."""

NOBODY = np.zeros(0, dtype=np.int64)
"""No records."""


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

    kept: dict[tuple[str, bytes, bytes], list[FirstStage]] = field(default_factory=dict)
    """By target, records and helpers."""

    def of(
        self,
        target: Target,
        train_index: Int[np.ndarray, " _"],
        helpers: Int[np.ndarray, " _"] = NOBODY,
    ) -> list[FirstStage]:
        """Return the models of a target, fitted to those of some records that have its value.

        There are none if too few of them have it, or if all that have it stand in one fold.

        Args:
            target: What is predicted.
            train_index: The records that it is asked about, and learns from.
            helpers: Further records that it learns from, but those of folds in which there is none
                of the others: these are held out, and what is like them is, too.
        """
        train_index = np.asarray(train_index, dtype=np.int64)
        helpers = np.asarray(helpers, dtype=np.int64)
        helpers = helpers[spaced(len(helpers), MOST_LEARNT - len(train_index))]
        helpers = helpers[np.isin(self.folds[helpers], self.folds[train_index])]
        key = (target.name, train_index.tobytes(), helpers.tobytes())
        if key not in self.kept:
            self.kept[key] = self._fit(target, train_index, helpers)
        return self.kept[key]

    def _fit(
        self, target: Target, train_index: np.ndarray, helpers: np.ndarray
    ) -> list[FirstStage]:
        present = self.records.targets[target.name].present()
        asked = self.folds[train_index]
        learnt = np.concatenate([train_index, helpers])
        learnt = learnt[present[learnt]]
        folds = self.folds[learnt]
        if len(learnt) < FEWEST_ROWS or len(np.unique(folds)) < 2:
            return []
        found = []
        for name in self._first_stage(target):
            predicted = np.empty(len(train_index), dtype=np.float64)
            for fold in np.unique(asked):
                inside = asked == fold
                readout = self._readout(name, target, learnt[folds != fold])
                predicted[inside] = self._predict(readout, train_index[inside])
            found.append(FirstStage(target.name, self._readout(name, target, learnt), predicted))
        return found

    def _first_stage(self, target: Target) -> tuple[str, ...]:
        """Return the readouts that predict a target: in all folds the same ones."""
        present = self.records.targets[target.name].present() & (self.folds >= 0)
        n_others = len(related_targets(target, self.records))
        is_little = int(present.sum()) * n_others**2 <= MOST_WORK
        return FIRST_STAGE if is_little else FIRST_STAGE[:1]

    def _readout(self, name: str, target: Target, index: np.ndarray) -> Readout:
        readout = READOUTS[name]()
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

    helpers: Int[np.ndarray, " _"]
    """Training records without a value of the target, which tell of the others."""

    def fit(self, train_index: np.ndarray) -> FittedReadout:
        """Return the readout fitted on the records at ``train_index``, in both stages."""
        found = [self.stages.of(other, train_index, self.helpers) for other in self.others]
        readout = StackedReadout(self.inner, [one for several in found for one in several])
        readout.fit(
            [block.subset(train_index) for block in self.stages.blocks],
            self.stages.records.targets[self.target.name].subset(train_index),
            self.target.kind,
            len(self.target.classes),
            seed=self.stages.seed,
        )
        return FittedReadout(readout, self.stages.blocks)


def stacked_candidates(
    target: Target,
    stages: FirstStages,
    readouts: Sequence[str],
    helpers: Int[np.ndarray, " _"] = NOBODY,
) -> list[StackedCandidate]:
    """Return the candidates that read predictions of the other targets; none for a lone target.

    Args:
        target: What is predicted.
        stages: First stages, shared by all targets.
        readouts: Registered names of those that are tried for the target at all.
        helpers: Training records without a value of the target, which may tell of the others.
    """
    others = related_targets(target, stages.records)
    if not others or not stages.blocks or len(others) >= MOST_TARGETS:
        return []
    return [
        StackedCandidate(f"{name} on {READ}", name, target, others, stages, helpers)
        for name in SECOND_STAGE
        if name in readouts
    ]


def why_not_stacked(target: Target, stages: FirstStages) -> dict[str, str]:
    """Return, by name, why no predictions of the other targets are read; empty if they are."""
    n_targets = len(related_targets(target, stages.records)) + 1
    if n_targets <= MOST_TARGETS or not stages.blocks:
        return {}
    return {
        f"{SECOND_STAGE[0]} on {READ}": f"not tried: {n_targets} related targets are more than "
        f"{MOST_TARGETS}"
    }


def related_targets(target: Target, records: Records) -> tuple[Target, ...]:
    """Return the other targets that can tell of one."""
    if target.kind not in KINDS:
        return ()
    return tuple(
        one for one in records.schema.targets if one.kind in KINDS and one.name != target.name
    )


def shared_folds(
    measured: Int[np.ndarray, " row"], folds: Int[np.ndarray, " record"]
) -> list[Fold] | None:
    """Return (train, test) pairs of a target's records by the folds of all records.

    Then a record without the target stands in the same fold as what is like it, and can tell of
    other targets without telling of what is held out. None where the target's records stand in too
    few folds, or too many of them in one.

    Args:
        measured: The target's training records.
        folds: By record, the fold; -1 of those that are no training records.
    """
    own = folds[measured]
    numbers, sizes = np.unique(own, return_counts=True)
    if len(numbers) < FEWEST_FOLDS or sizes.max() > LARGEST_FOLD * len(measured):
        return None
    return [(measured[own != one], measured[own == one]) for one in numbers]
