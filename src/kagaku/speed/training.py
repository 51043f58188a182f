"""Tokens per second of `kagaku pretrain` beside transformers' Trainer, on the same samples.

Both train a Transformer of the same depth, width and number of parameters, in bfloat16 where the
machine is faster at it and else in float32, on the same molecules, proteins and texts, with about
as many tokens a step. What the Trainer does stands in `trainer.py`; kagaku runs all objectives of
its recipe, scores the tokens that are asked for, and compiles its blocks as the recipe says. Only
tokens that are there count, not padding, and in the very steps that are timed.
"""

import contextlib
import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.corpora import Corpus
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.modalities.sequence import MASK_ID
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe, save_pretrain_recipe
from kagaku.pretraining.verb import run_pretraining
from kagaku.speed.part import Measured, NotRun, Sizes, Wishes
from kagaku.speed.timing import Comparison, Target
from kagaku.speed.trainer import Reference, trainer_speed

SHARES = {"chemicals": 0.2, "moses": 0.2, "swissprot": 0.4, "pubmed": 0.2}
"""By source of the tiny corpus, its share of the tokens; one input each, with a vocabulary."""

SORTED_STEPS = 200
"""Steps' worth of samples that are sorted by length, so that those of a batch are much alike."""

NAME = "pretraining step, mixed modalities"
TARGET = Target(">= 2x", 2.0)

REFERENCES: dict[Reference, Target | None] = {
    Reference("as it comes", is_sorted=False, scores_all=True): TARGET,
    Reference("sorted by length", is_sorted=True, scores_all=True): TARGET,
    Reference("sorted, scoring hidden tokens only", is_sorted=True, scores_all=False): None,
}
"""The ways to run the Trainer, and what is aimed at beside each."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure both in turns; the row says what is missing where there is no corpus."""
    del folder
    if wishes.corpus is None:
        why = "there is no corpus: --corpus FOLDER names one"
        return Measured(not_run=(NotRun(NAME, why, TARGET.text),))
    sizes, corpus = wishes.sizes, Corpus.open(wishes.corpus)
    ours, theirs = list[float](), {one.name: list[float]() for one in REFERENCES}
    with recipe_file(sizes) as path:
        recipe = load_pretrain_recipe(path)
        order = recipe.order
        per_step = order.tokens_per_micro_batch * order.micro_batches
        ids = sequences(corpus, SORTED_STEPS * per_step, order.row_length)
        for _ in range(wishes.turns):
            ours.append(kagaku_speed(wishes.corpus, path, sizes))
            for one in REFERENCES:
                speed = trainer_speed(ids, per_step, recipe.backbone, sizes, one)
                theirs[one.name].append(speed)
    return Measured(
        tuple(
            Comparison(
                f"{NAME}, beside the Trainer {one.name}",
                "tokens/s",
                tuple(ours),
                tuple(theirs[one.name]),
                f"transformers Trainer, padded, {one.name}",
                target=target,
            )
            for one, target in REFERENCES.items()
        )
    )


def recipe_file(sizes: Sizes) -> Any:
    """Return a context that gives the path of the pretraining recipe."""
    if sizes.recipe is not None:
        return contextlib.nullcontext(sizes.recipe)
    return as_file(files("kagaku.configs") / "pretrain_laptop.yaml")


def chosen_sources(corpus: Corpus) -> dict[str, float]:
    """Return the shares of the sources that both can read.

    Those of the tiny corpus where it has them all; else every source of one input with a
    vocabulary, in equal parts.
    """
    sources = {one.name: one.inputs for one in corpus.manifest.sources}
    if sources.keys() >= SHARES.keys():
        return SHARES
    usable = [
        name
        for name, inputs in sources.items()
        if len(inputs) == 1 and MODALITIES[next(iter(inputs.values()))]().vocabulary_size
    ]
    if not usable:
        raise InputError(
            "no source of the corpus has a single input of molecules, sequences or texts",
            fix="Name a corpus such as that of configs/corpus_tiny.yaml as --corpus.",
            where=str(corpus.folder),
        )
    return dict.fromkeys(usable, 1 / len(usable))


def sequences(corpus: Corpus, tokens: int, row_length: int) -> list[list[int]]:
    """Return samples of all sources in random order, about ``tokens`` of them together."""
    found: list[list[int]] = []
    firsts: dict[str, int] = {}
    for source, share in chosen_sources(corpus).items():
        name, kind = next(iter(corpus.source(source).inputs.items()))
        modality, taken, index = MODALITIES[kind](), 0, 0
        first = firsts.setdefault(kind, sum(MODALITIES[one]().vocabulary_size for one in firsts))
        while taken < share * tokens and index < corpus.n_samples(source):
            value = corpus.read(source, index).inputs[name]
            ids = modality.tokenize(value).ids[:row_length, 0]
            found.append([int(one) + first * int(one > MASK_ID) for one in ids])
            taken, index = taken + len(ids), index + 1
    np.random.default_rng(0).shuffle(found)
    return found


def both_read(recipe: PretrainRecipe) -> PretrainRecipe:
    """Return a recipe that trains on the sources that both can read, and on no others."""
    corpus = Corpus.open(Path(recipe.corpus))
    weights = {one.name: 0.0 for one in corpus.manifest.sources} | chosen_sources(corpus)
    return replace(recipe, order=replace(recipe.order, weights=weights))


def kagaku_speed(corpus: Path, recipe_file: Path, sizes: Sizes) -> float:
    """Return the tokens per second of `kagaku pretrain`."""
    recipe = both_read(load_pretrain_recipe(recipe_file, {"corpus": corpus}))
    with tempfile.TemporaryDirectory() as folder:
        recipe = replace(
            recipe,
            output=f"{folder}/run",
            training=replace(
                recipe.training,
                max_steps=sizes.warm_steps + sizes.steps,
                valid_micro_batches=0,
                log_steps=1,
            ),
        )
        path = Path(folder) / "recipe.yaml"
        save_pretrain_recipe(recipe, path)
        run = run_pretraining(path, output=Path(recipe.output))
        steps = pd.read_csv(run / "steps.csv")
    tokens, seconds = (
        steps[name].iloc[-1] - steps[name].iloc[sizes.warm_steps - 1]
        for name in ("tokens", "seconds")
    )
    return float(tokens / seconds)
