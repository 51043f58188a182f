"""What one loader worker composes beside what training consumes; tokenising and featurising."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.modalities import MODALITIES, Modality
from kagaku.models.pretraining.loader import PretrainingData, RankSampler, make_loader
from kagaku.pretraining.prepared import prepare
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.science_tasks.chemistry.features import MoleculeFeatures
from kagaku.speed.part import Measured, NotRun, Wishes
from kagaku.speed.samples import sample_file
from kagaku.speed.timing import Comparison, Target, rates, take_turns
from kagaku.speed.training import both_read, kagaku_speed, recipe_file

SAMPLES = {
    "molecule": ("molecules", "smiles"),
    "protein": ("proteins", "sequence"),
    "text": ("text", "text"),
    "nucleotide": ("splicing", "splice_site"),
    "material": ("alloys", "composition"),
}
"""By modality, the shipped sample and its column."""

NAME = "loading from shards with packing, one worker"
TARGET = Target(">= 20x", 20.0)


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure what needs no corpus, and the loader where there is one."""
    del folder
    comparisons = [*tokenised(wishes.turns), featurised(wishes.turns)]
    if wishes.corpus is None:
        why = "there is no corpus: --corpus FOLDER names one"
        return Measured(tuple(comparisons), (NotRun(NAME, why, TARGET.text),))
    return Measured((*comparisons, loaded(wishes, wishes.corpus)))


def values_of(modality: str) -> list[str]:
    """Return the values of a modality's shipped sample."""
    sample, column = SAMPLES[modality]
    return [str(one) for one in pd.read_csv(sample_file(sample))[column].dropna()]


def tokenised(turns: int) -> list[Comparison]:
    """Return how many values of each modality are tokenised per second."""
    found = []
    for name in SAMPLES:
        modality = MODALITIES[name]()
        values = [modality.check(one) for one in values_of(name)]
        work = partial(_tokenise, modality, values)
        seconds = take_turns({name: work}, turns)
        found.append(Comparison(f"tokenise {name}", "values/s", rates(len(values), seconds[name])))
    return found


def _tokenise(modality: Modality[Any], values: Sequence[Any]) -> None:
    for one in values:
        modality.tokenize(one)


def featurised(turns: int) -> Comparison:
    """Return how many molecules get descriptors and fingerprints per second."""
    values = values_of("molecule")
    features = MoleculeFeatures()
    features.fit(values)
    seconds = take_turns({"": lambda: features.transform("molecule", values)}, turns)
    name = "RDKit descriptors and fingerprints"
    return Comparison(name, "molecules/s", rates(len(values), seconds[""]))


def loaded(wishes: Wishes, corpus: Path) -> Comparison:
    """Return tokens per second from one loader worker, beside those of training.

    Both read the same sources in the same turns, and each turn other samples.
    """
    sizes, composed, consumed = wishes.sizes, list[float](), list[float]()
    with recipe_file(sizes) as path:
        recipe = both_read(load_pretrain_recipe(path, {"corpus": corpus}))
        data = prepare(recipe).data
        for turn in range(wishes.turns):
            composed.append(loader_speed(data, turn, sizes.loaded_batches))
            consumed.append(kagaku_speed(corpus, path, sizes))
    return Comparison(
        NAME, "tokens/s", tuple(composed), tuple(consumed), "kagaku pretrain", target=TARGET
    )


def loader_speed(data: PretrainingData, turn: int, n_batches: int) -> float:
    """Return tokens per second of one loader worker that nothing waits for.

    Args:
        data: What is loaded.
        turn: Each turn has micro-batches of its own.
        n_batches: How many are counted, after as many as the worker may have ready beforehand.
    """
    warm = 4
    first = turn * (n_batches + warm)
    sampler = RankSampler(first, first + n_batches + warm, 1, 0, 1)
    counts, start = list[int](), 0.0
    for number, batch in enumerate(make_loader(data, sampler, workers=1)):
        counts.append(batch.packed.n_tokens)
        if number == warm - 1:
            start = time.perf_counter()
    return sum(counts[warm:]) / (time.perf_counter() - start)
