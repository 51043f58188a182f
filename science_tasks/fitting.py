"""Fitting a property model: features of the records, then each target by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kagaku.data.records import Records
from kagaku.modalities.checking import fit_modalities
from kagaku.models import extended
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.applicability import Applicability
from kagaku.science_tasks.candidate_kinds import NetworkTrainer
from kagaku.science_tasks.embedding_memory import EmbeddingMemory
from kagaku.science_tasks.embeddings import EmbeddingFeatures, domain_blocks, is_learned
from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers
from kagaku.science_tasks.fit_settings import FitSettings, fold_of_record, folds_of
from kagaku.science_tasks.nested import OuterFold, repeat_in_folds
from kagaku.science_tasks.network_reach import check_method, why_no_network
from kagaku.science_tasks.other_targets import FirstStages
from kagaku.science_tasks.property import Features, PropertyModel
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.resumable import encoder_fingerprint, records_fingerprint
from kagaku.science_tasks.target_fitting import Kept, ProgressCallback, TargetFit, TargetFitter
from kagaku.science_tasks.term_counts import CountedLater


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
    kept = None
    if work is not None:
        identity = (
            records_fingerprint(records),
            encoder_fingerprint(encoder),
            str(replace(settings, nested=False)),
        )
        kept = Kept(work, " ".join(identity))
    fitter = TargetFitter(
        records,
        train_index,
        blocks,
        FirstStages(records, classical, of_all, settings.seed),
        CountedLater(records),
        NetworkTrainer(encoder, modalities, records, settings.network, work, progress),
        why_no_network(encoder, records, len(train_index), seconds, settings),
        settings,
        kept,
        progress,
    )
    fits = {target.name: fitter.fit(target) for target in records.schema.targets}
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
    kept: Kept | None,
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


def _saved(memory: EmbeddingMemory | None) -> float:
    return 0.0 if memory is None else memory.seconds_saved


def _labelled(progress: ProgressCallback | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(done, total, "embedding")
