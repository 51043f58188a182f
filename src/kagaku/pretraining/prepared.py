"""From a recipe and a corpus to what a run needs: batches, scales, and a network to train."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.manifest import TRAIN, VALID
from kagaku.data.corpora.order import CorpusOrder, MicroBatch
from kagaku.data.corpora.sample import CorpusSample
from kagaku.modalities import Modality
from kagaku.models import Encoder, EncoderConfig
from kagaku.models.pretraining.composing import Composer, cropped_lengths
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.loader import PretrainingData
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.planning import PLANNING_VERSION
from kagaku.models.pretraining.summaries import Summary, fit_summaries
from kagaku.models.pretraining.validation import valid_micro_batches
from kagaku.pretraining.recipe import PretrainRecipe
from kagaku.pretraining.summaries import SUMMARIES

FITTED_SAMPLES = 1_000
"""Samples of each source from which the modalities learn their scales."""


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs, made from its recipe and corpus."""

    corpus: Corpus
    """What is read."""

    modalities: Mapping[str, Modality[Any]]
    """By name, fitted to the corpus."""

    summaries: Mapping[str, Summary]
    """By modality, what is asked of pooled embeddings."""

    data: PretrainingData
    """Batches and their order."""

    identity: dict[str, Any]
    """What decides the run."""


def prepare(recipe: PretrainRecipe) -> Prepared:
    """Return what a run needs: the same in every process and at every restart.

    Raises:
        InputError: The corpus is damaged, or a weight names no source of it.
    """
    corpus = Corpus.open(Path(recipe.corpus))
    order = CorpusOrder(row_lengths(corpus, recipe, TRAIN), recipe.order)
    inputs = {one.name: one.inputs for one in corpus.manifest.sources}
    samples = _some_samples(corpus, order.sources, recipe.seed)
    inputs = {name: inputs[name] for name in order.sources}
    modalities = fit_pretraining_modalities(samples, inputs, corpus.manifest.descriptors)
    compute = {
        name: one for name, one in SUMMARIES.items() if recipe.objectives.summarised.get(name)
    }
    summaries = fit_summaries(compute, samples, inputs, modalities)
    composer = Composer(
        modalities, inputs, corpus.manifest.descriptors, recipe.objectives, summaries
    )
    valid = held_out_micro_batches(corpus, recipe, order.sources)
    identity = recipe.identity() | {
        "corpus": {
            "name": corpus.manifest.name,
            "manifest": corpus.manifest.digest(),
            "order": order.fingerprint()[:16],
        },
        "planning": PLANNING_VERSION,
        "summaries": {name: _digest(one) for name, one in summaries.items()},
    }
    data = PretrainingData(corpus, order, composer, valid)
    return Prepared(corpus, modalities, summaries, data, identity)


def _digest(summary: Summary) -> str:
    """Return what stands for a summary's scales, as far as another machine computes the same."""
    digits = [f"{one:.4e}" for one in (*summary.mean, *summary.std)]
    return hashlib.sha256(" ".join(digits).encode()).hexdigest()[:16]


def held_out_micro_batches(
    corpus: Corpus, recipe: PretrainRecipe, sources: Sequence[str], most: int | None = None
) -> tuple[MicroBatch, ...]:
    """Return fixed micro-batches of held-out samples, up to so many of each source.

    Args:
        corpus: Where the samples are.
        recipe: Sizes and seed.
        sources: Those that are trained on.
        most: Micro-batches of a source; None takes what the recipe measures while it trains.
    """
    if most is None:
        most = recipe.training.valid_micro_batches
    return valid_micro_batches(row_lengths(corpus, recipe, VALID), sources, recipe.order, most)


def make_network(recipe: PretrainRecipe, prepared: Prepared) -> PretrainingNetwork:
    """Return the network with random weights, which depend on the seed alone."""
    descriptors = prepared.corpus.manifest.descriptors
    known = EncoderConfig(name=recipe.name, backbone=recipe.backbone)
    names = tuple(sorted({*known.modalities, *prepared.modalities}))
    config = replace(
        known,
        modalities=names,
        untrained=tuple(name for name in names if name not in prepared.modalities),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return PretrainingNetwork(
            Encoder(config),
            recipe.objectives,
            0 if descriptors is None else len(descriptors.names),
            {name: len(one) for name, one in prepared.summaries.items()},
        )


def row_lengths(
    corpus: Corpus, recipe: PretrainRecipe, part: str
) -> dict[str, Int[np.ndarray, " sample"]]:
    """Return by source the tokens of each sample of a part, cropped to a row."""
    return {
        one.name: cropped_lengths(corpus.lengths(one.name, part), recipe.order.row_length)
        for one in corpus.manifest.sources
    }


def _some_samples(
    corpus: Corpus, sources: Sequence[str], seed: int
) -> dict[str, list[CorpusSample]]:
    """Return some training samples of each source, to learn scales from."""
    samples = {}
    for number, name in enumerate(sources):
        n_samples = corpus.n_samples(name)
        rng = np.random.default_rng([seed, number])
        chosen = rng.choice(n_samples, min(n_samples, FITTED_SAMPLES), replace=False)
        samples[name] = [corpus.read(name, int(index)) for index in np.sort(chosen)]
    return samples
