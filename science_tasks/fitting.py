"""Fitting a property model: features, candidates, cross-validation, the winner, its calibration."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.modalities.checking import fit_modalities
from kagaku.models import extended
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.applicability import Applicability
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
from kagaku.science_tasks.embedding_memory import EmbeddingMemory
from kagaku.science_tasks.embeddings import (
    EmbeddingFeatures,
    domain_blocks,
    is_learned,
    learned_inputs,
)
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers
from kagaku.science_tasks.fit_settings import FitSettings, fold_of_record, folds_of
from kagaku.science_tasks.full import FullModel
from kagaku.science_tasks.nested import OuterFold, repeat_in_folds
from kagaku.science_tasks.network_reach import check_method, why_no_network
from kagaku.science_tasks.other_targets import (
    NOBODY,
    FirstStages,
    shared_folds,
    stacked_candidates,
    why_not_stacked,
)
from kagaku.science_tasks.property import Features, Member, PropertyModel, TargetModel
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.resumable import (
    RememberedFit,
    ResumableCandidate,
    encoder_fingerprint,
    records_fingerprint,
)
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

    baselines: dict[str, Fitted]
    """By name, the simple baselines, fitted on the training records."""

    skipped: dict[str, str]
    """By name, candidates that were not tried, and why."""


@dataclass
class PropertyFit:
    """A fitted property model, and how it came about."""

    model: PropertyModel
    """What predicts."""

    records: Records
    """All records, training and held-out."""

    targets: dict[str, TargetFit]
    """By target name."""

    nested: list[OuterFold] = field(default_factory=list)
    """The training records, each predicted without a part in choosing or calibrating; empty where
    that was not asked for."""


def fit_property(
    records: Records,
    train_index: np.ndarray,
    *,
    encoder: FrozenEncoder,
    settings: FitSettings,
    memory: EmbeddingMemory | None = None,
    work: Path | None = None,
    progress: ProgressCallback | None = None,
) -> PropertyFit:
    """Return a property model fitted on some of the records, with everything tried beside it.

    Means, vocabularies, components, candidates and calibration see the training records only; the
    features of the other records are computed so that the baselines can be asked about them.

    Args:
        records: Checked records with targets.
        train_index: The training records.
        encoder: Makes the embeddings; not changed. Modalities that it cannot read are added.
        settings: How to fit.
        memory: Embeddings that earlier fits with the same encoder asked for.
        work: A folder where finished steps are kept, so that a stopped fit goes on.
        progress: Called with (done, total, what).

    Raises:
        InputError: A target has too few measured training records, or a public encoder shall be
            fine-tuned in full that cannot be on such a table.
    """
    check_method(encoder, settings.method, records)
    trained = records.subset(train_index)
    modalities = fit_modalities(trained)
    if not isinstance(encoder, PublicEncoder):
        encoder = extended(encoder, modalities)
    featurizers = fit_featurizers(trained)
    blocks = feature_blocks(records, featurizers)
    embeddings, seconds = None, 0.0
    if settings.method != "full" or len(featurizers) < len(records.schema.inputs):
        begun, saved = time.monotonic(), _saved(memory)
        embeddings, learned = EmbeddingFeatures.fit(
            encoder,
            modalities,
            records,
            train_index,
            memory=memory,
            progress=_labelled(progress),
        )
        blocks += learned
        # As if all were embedded now: what is tried must not depend on what is remembered.
        seconds = time.monotonic() - begun + _saved(memory) - saved
    measured = domain_blocks(blocks)
    folds = fold_of_record(records, train_index, settings)
    applicability = Applicability.fit([block.subset(train_index) for block in measured], folds)
    of_all = np.full(len(records), -1, dtype=np.int64)
    of_all[train_index] = folds
    classical = tuple(block for block in blocks if not is_learned([block.name]))
    stages = FirstStages(records, classical, of_all, settings.seed)
    texts = CountedLater(records)
    trainer = NetworkTrainer(encoder, modalities, records, settings.network, work, progress)
    why_not = why_no_network(encoder, records, len(train_index), seconds, settings)
    kept = None
    if work is not None:
        identity = (
            records_fingerprint(records),
            encoder_fingerprint(encoder),
            str(replace(settings, nested=False)),
        )
        kept = _Kept(work, " ".join(identity))
    fits = {
        target.name: _fit_target(
            target,
            records,
            train_index,
            blocks,
            stages,
            texts,
            trainer,
            why_not,
            settings,
            kept,
            progress,
        )
        for target in records.schema.targets
    }
    read = {name for fit in fits.values() for one in fit.model.members for name in one.blocks}
    read |= {block.name for block in measured}
    networks = [fit.network for fit in fits.values() if fit.network is not None]
    model = PropertyModel(
        records.schema,
        modalities,
        Features(featurizers, embeddings if is_learned(sorted(read)) else None),
        applicability,
        [fit.model for fit in fits.values()],
        networks[0] if networks else None,
    )
    fit = PropertyFit(model, records, fits)
    if settings.nested:
        fit.nested = _nested(records, train_index, encoder, settings, kept, progress)
    return fit


def _nested(
    records: Records,
    train_index: np.ndarray,
    encoder: FrozenEncoder,
    settings: FitSettings,
    kept: "_Kept | None",
    progress: ProgressCallback | None,
) -> list[OuterFold]:
    """Return the training records, fold by fold, predicted by a fit on the other folds."""
    once = replace(settings, nested=False)

    def fit(
        some: Records, work: Path | None, report: ProgressCallback | None
    ) -> tuple[PropertyModel, dict[str, tuple[str, ...]]]:
        every = np.arange(len(some))
        found = fit_property(
            some, every, encoder=encoder, settings=once, work=work, progress=report
        )
        return found.model, {name: one.selection.members for name, one in found.targets.items()}

    return repeat_in_folds(
        fit,
        records,
        folds_of(records, train_index, once),
        work=None if kept is None else kept.folder,
        fingerprint="" if kept is None else kept.fingerprint,
        progress=progress,
    )


@dataclass(frozen=True)
class _Kept:
    """Where finished folds are kept, and what they belong to."""

    folder: Path
    fingerprint: str


def _fit_target(
    target: Target,
    records: Records,
    train_index: np.ndarray,
    blocks: Sequence[FeatureBlock],
    stages: FirstStages,
    texts: CountedLater,
    trainer: NetworkTrainer,
    why_not: str,
    settings: FitSettings,
    kept: _Kept | None,
    progress: ProgressCallback | None,
) -> TargetFit:
    """Compare the candidates, fit the winner on all training records and calibrate it."""
    values = records.targets[target.name]
    measured = train_index[values.present()[train_index]]
    folds, helpers = _folds_and_helpers(target, train_index, measured, stages, settings)
    candidates: list[Candidate] = []
    skipped: dict[str, str] = {}
    if settings.method != "full":
        found = readout_candidates(
            records,
            target,
            blocks,
            learned_inputs=learned_inputs(trainer.encoder, records.schema),
            seed=settings.seed,
            train_index=measured,
            texts=texts,
        )
        found += stacked_candidates(target, stages, classical_readouts(target), helpers)
        n_labels = len(target.classes) if target.kind == "multilabel" else 1
        n_classes = len(target.classes) if target.kind == "multiclass" else 0
        candidates, skipped = within_reach(found, len(measured), n_labels, n_classes)
        skipped |= why_not_stacked(target, stages)
    network = NetworkCandidate(trainer, target.name)
    if not why_not:
        candidates.append(network)
    elif settings.method == "auto":
        skipped[network.name] = why_not
    if kept is not None:
        candidates = [
            ResumableCandidate(one, kept.folder, kept.fingerprint + target.name)
            for one in candidates
        ]
    selection = select(
        candidates,
        values,
        folds,
        target.kind,
        area_weights=row_weights(records, target) if target.kind == "field" else None,
        max_seconds=settings.max_seconds,
        progress=progress,
        seed=settings.seed,
    )
    rows = folds[0][0] if settings.method == "full" else measured
    winner = selection.fit_best(candidates, rows)
    members, full = _members(winner)
    calibration = Calibration().fit(
        selection.calibrating,
        values.subset(selection.index),
        target.kind,
        settings.confidence,
    )
    baselines = baseline_candidates(records, target, values, stages.blocks, seed=settings.seed)
    return TargetFit(
        target,
        selection,
        TargetModel(target, members, calibration),
        full,
        len(rows),
        {one.name: one.fit(measured) for one in baselines},
        skipped,
    )


def _folds_and_helpers(
    target: Target,
    train_index: np.ndarray,
    measured: np.ndarray,
    stages: FirstStages,
    settings: FitSettings,
) -> tuple[list[Fold], np.ndarray]:
    """Return the folds of a target's comparison, and records without it that may tell of others.

    These may only if the same folds hold out what is like them.
    """
    if settings.method == "full":
        return folds_of(stages.records, train_index, settings), NOBODY
    lacking = train_index[~np.isin(train_index, measured)]
    if len(lacking) and stacked_candidates(target, stages, classical_readouts(target)):
        shared = shared_folds(measured, stages.folds)
        if shared is not None:
            return shared, lacking
    return folds_of(stages.records, measured, settings), NOBODY


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


def _saved(memory: EmbeddingMemory | None) -> float:
    return 0.0 if memory is None else memory.seconds_saved


def _labelled(progress: ProgressCallback | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(done, total, "embedding")
