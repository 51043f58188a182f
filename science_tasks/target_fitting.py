"""Fitting one target: candidates, cross-validation, the winner and its calibration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.baselines import baseline_candidates
from kagaku.science_tasks.candidate_kinds import (
    FittedNetwork,
    FittedReadout,
    FittedTerms,
    FittedTokens,
    NetworkCandidate,
    NetworkTrainer,
)
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.candidates import (
    classical_readouts,
    readout_candidates,
    row_weights,
    within_reach,
)
from kagaku.science_tasks.conformal import Calibration
from kagaku.science_tasks.embeddings import learned_inputs
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.fit_settings import FitSettings, folds_of
from kagaku.science_tasks.full import FullModel
from kagaku.science_tasks.other_targets import (
    NOBODY,
    FirstStages,
    shared_folds,
    stacked_candidates,
    why_not_stacked,
)
from kagaku.science_tasks.property import Member, TargetModel
from kagaku.science_tasks.resumable import RememberedFit, ResumableCandidate
from kagaku.science_tasks.selection import Candidate, Fitted, FittedBlend, Selection, select
from kagaku.science_tasks.term_counts import CountedLater

ProgressCallback = Callable[[int, int, str], None]


@dataclass
class TargetFit:
    """How one target was fitted."""

    target: Target
    """What is predicted."""

    selection: Selection
    """The comparison and its winner."""

    model: TargetModel
    """The winner, fitted and calibrated."""

    network: FullModel | None
    """The fine-tuned network, if the winner uses it."""

    n_train: int
    """How many records the winner was fitted on."""

    measured: np.ndarray
    """The training records that have the target, as indices."""

    plain: list[Candidate]
    """The simple baselines."""

    skipped: dict[str, str]
    """By name, candidates that were not tried, and why."""

    @cached_property
    def baselines(self) -> dict[str, Fitted]:
        """By name, the simple baselines, fitted on the training records when first asked for."""
        return {one.name: one.fit(self.measured) for one in self.plain}


@dataclass(frozen=True)
class Kept:
    """Where finished folds are kept, and what they belong to."""

    folder: Path
    """Where."""

    fingerprint: str
    """Of data, encoder and settings; what was kept under another one is not used."""


@dataclass(frozen=True)
class TargetFitter:
    """Fits any target of a table; holds what its targets have in common."""

    records: Records
    """All records, training and held-out."""

    train_index: np.ndarray
    """The training records."""

    blocks: Sequence[FeatureBlock]
    """All features, embeddings included."""

    stages: FirstStages
    """The classical features, and what they tell of the other targets."""

    texts: CountedLater
    """The terms of texts."""

    trainer: NetworkTrainer
    """Fine-tunes the encoder."""

    why_not: str
    """Why no fine-tuned network is tried; empty if one is."""

    settings: FitSettings
    """How to fit."""

    kept: Kept | None
    """Where finished folds are kept; None keeps none."""

    progress: ProgressCallback | None
    """Called with (done, total, what)."""

    def fit(self, target: Target) -> TargetFit:
        """Compare the candidates, fit the winner on all training records and calibrate it."""
        values, settings = self.records.targets[target.name], self.settings
        measured = self.train_index[values.present()[self.train_index]]
        folds, helpers = self._folds_and_helpers(target, measured)
        candidates, skipped = self._candidates(target, measured, helpers)
        weighted = target.kind == "field"
        selection = select(
            candidates,
            values,
            folds,
            target.kind,
            area_weights=row_weights(self.records, target) if weighted else None,
            max_seconds=settings.max_seconds,
            progress=self.progress,
            seed=settings.seed,
        )
        rows = folds[0][0] if settings.method == "full" else measured
        winner = selection.fit_best(candidates, rows)
        members, network = _members(winner)
        calibration = Calibration().fit(
            selection.calibrating,
            values.subset(selection.index),
            target.kind,
            settings.confidence,
        )
        plain = baseline_candidates(
            self.records, target, values, self.stages.blocks, seed=settings.seed
        )
        model = TargetModel(target, members, calibration)
        return TargetFit(target, selection, model, network, len(rows), measured, plain, skipped)

    def _candidates(
        self, target: Target, measured: np.ndarray, helpers: np.ndarray
    ) -> tuple[list[Candidate], dict[str, str]]:
        """Return what is tried, and by name what is not and why."""
        candidates: list[Candidate] = []
        skipped: dict[str, str] = {}
        if self.settings.method != "full":
            found = readout_candidates(
                self.records,
                target,
                self.blocks,
                learned_inputs=learned_inputs(self.trainer.encoder, self.records.schema),
                seed=self.settings.seed,
                train_index=measured,
                texts=self.texts,
            )
            found += stacked_candidates(target, self.stages, classical_readouts(target), helpers)
            n_labels = len(target.classes) if target.kind == "multilabel" else 1
            n_classes = len(target.classes) if target.kind == "multiclass" else 0
            candidates, skipped = within_reach(found, len(measured), n_labels, n_classes)
            skipped |= why_not_stacked(target, self.stages)
        network = NetworkCandidate(self.trainer, target.name)
        if not self.why_not:
            candidates.append(network)
        elif self.settings.method == "auto":
            skipped[network.name] = self.why_not
        if self.kept is not None:
            folder, fingerprint = self.kept.folder, self.kept.fingerprint + target.name
            candidates = [ResumableCandidate(one, folder, fingerprint) for one in candidates]
        return candidates, skipped

    def _folds_and_helpers(
        self, target: Target, measured: np.ndarray
    ) -> tuple[list[Fold], np.ndarray]:
        """Return the folds of a comparison, and records without the target that tell of others.

        These may only if the same folds hold out what is like them.
        """
        if self.settings.method == "full":
            return folds_of(self.records, self.train_index, self.settings), NOBODY
        lacking = self.train_index[~np.isin(self.train_index, measured)]
        if len(lacking) and stacked_candidates(target, self.stages, classical_readouts(target)):
            shared = shared_folds(measured, self.stages.folds)
            if shared is not None:
                return shared, lacking
        return folds_of(self.records, measured, self.settings), NOBODY


def _members(winner: FittedBlend) -> tuple[list[Member], FullModel | None]:
    """Return the fitted winner as parts that can be saved, and the network if it is among them."""
    members, network = [], None
    for part, temperature in zip(winner.parts, winner.temperatures, strict=True):
        fitted = part.fitted if isinstance(part, RememberedFit) else part
        if isinstance(fitted, FittedNetwork):
            members.append(Member(None, (), temperature))
            network = fitted.model
        elif isinstance(fitted, FittedTokens | FittedTerms):
            members.append(Member(fitted.readout, (), temperature))
        else:
            assert isinstance(fitted, FittedReadout)
            names = tuple(block.name for block in fitted.blocks)
            members.append(Member(fitted.readout, names, temperature))
    return members, network
