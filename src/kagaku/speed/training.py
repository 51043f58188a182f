"""Tokens per second of `kagaku pretrain` beside transformers' Trainer, on the same samples.

Both train a Transformer of the same depth, width and number of parameters, in bfloat16 where the
machine is faster at it and else in float32, on the same molecules, proteins and texts, with about
as many tokens a step. The Trainer runs a BERT with masked tokens, padded to the longest sample of
each batch: as it comes; with samples of like length put together; and so again with a head that
scores hidden tokens only, which transformers does not bring. Otherwise BERT scores its whole
vocabulary at every token. The Trainer compiles nothing, as it comes; kagaku runs all objectives of
its recipe, scores the tokens that are asked for, and compiles its blocks as the recipe says. Only
tokens that are there count, not padding, and in the very steps that are timed.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers.modeling_outputs import MaskedLMOutput

from kagaku.data.corpora import Corpus
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.modalities.sequence import MASK_ID
from kagaku.models.backbone import BackboneConfig
from kagaku.models.precision import is_bfloat16_faster
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe, save_pretrain_recipe
from kagaku.pretraining.verb import run_pretraining
from kagaku.speed.part import Measured, NotRun, Sizes, Wishes
from kagaku.speed.timing import Comparison, Target

SHARES = {"chemicals": 0.2, "moses": 0.2, "swissprot": 0.4, "pubmed": 0.2}
"""By source of the tiny corpus, its share of the tokens; one input each, with a vocabulary."""

SORTED_STEPS = 200
"""Steps' worth of samples that are sorted by length, so that those of a batch are much alike."""

HIDDEN_SHARE = 0.2
PADDING = -100
"""What the Trainer's loss passes over."""

NAME = "pretraining step, mixed modalities"
TARGET = Target(">= 2x", 2.0)


@dataclass(frozen=True)
class Reference:
    """One way to run the Trainer."""

    name: str
    """How it is told from the others."""

    is_sorted: bool
    """Whether samples of like length are put together."""

    scores_all: bool
    """Whether the vocabulary is scored at every token, and not at hidden ones only."""

    target: Target | None
    """What is aimed at beside it."""


REFERENCES = (
    Reference("as it comes", is_sorted=False, scores_all=True, target=TARGET),
    Reference("sorted by length", is_sorted=True, scores_all=True, target=TARGET),
    Reference("sorted, scoring hidden tokens only", is_sorted=True, scores_all=False, target=None),
)


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
                target=one.target,
            )
            for one in REFERENCES
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


class Sequences(Dataset[dict[str, list[int]]]):
    """Token ids of samples, each modality's vocabulary after the other's."""

    def __init__(self, ids: Sequence[list[int]]) -> None:
        self.ids = list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self.ids[index]}


class Masking:
    """Pads a batch and hides tokens, as BERT is trained."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, batch: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return ids, which of them are there, and the labels of the hidden ones."""
        longest = max(len(one["input_ids"]) for one in batch)
        shape = (len(batch), longest)
        ids, there = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, one in enumerate(batch):
            ids[row, : len(one["input_ids"])] = one["input_ids"]
            there[row, : len(one["input_ids"])] = 1
        hidden = (self.rng.random(shape) < HIDDEN_SHARE) & (there == 1)
        labels = np.where(hidden, ids, PADDING)
        values = {"input_ids": np.where(hidden, MASK_ID, ids), "attention_mask": there}
        return {name: torch.from_numpy(one) for name, one in {**values, "labels": labels}.items()}


class Clock(transformers.TrainerCallback):
    """Notes when each step ended, and how many tokens had been trained on by then."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.tokens: list[int] = []
        self.so_far = 0

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Note the time."""
        self.ends.append(time.perf_counter())
        self.tokens.append(self.so_far)

    def rate(self, warm_steps: int) -> float:
        """Return the tokens per second of the steps after the first ones."""
        seconds = self.ends[-1] - self.ends[warm_steps - 1]
        return (self.tokens[-1] - self.tokens[warm_steps - 1]) / seconds


class SortedBatches(Sampler[int]):
    """Indices of samples in batches of like length; the batches come in random order.

    transformers' own sampler puts the longest first, so that a few steps would see those alone.

    Args:
        ids: The samples.
        batch: Samples of a batch.
    """

    def __init__(self, ids: Sequence[list[int]], batch: int) -> None:
        by_length = np.argsort([len(one) for one in ids], kind="stable")
        batches = [by_length[i : i + batch] for i in range(0, len(ids) - batch + 1, batch)]
        np.random.default_rng(0).shuffle(batches)
        self._indices = np.concatenate(batches)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices.tolist())


class CountingTrainer(transformers.Trainer):
    """The Trainer, which counts the tokens of each batch as it trains on it."""

    order: Sampler[int] | None = None
    """In which samples come; None leaves that to the Trainer."""

    clock: Clock

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any) -> Tensor:
        """Train on one batch."""
        self.clock.so_far += int(inputs["attention_mask"].sum())
        loss: Tensor = super().training_step(model, inputs, *args)
        return loss

    def _get_train_sampler(self, *args: Any) -> Any:
        return self.order if self.order is not None else super()._get_train_sampler(*args)


class HiddenTokensBert(transformers.BertForMaskedLM):  # type: ignore[no-untyped-call]
    """BERT that scores its vocabulary at hidden tokens only."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **others: Any
    ) -> MaskedLMOutput:
        """Return the loss."""
        del others
        states = self.bert(input_ids, attention_mask=attention_mask)[0]
        is_hidden = labels != PADDING
        scores = self.cls(states[is_hidden])
        return MaskedLMOutput(loss=nn.functional.cross_entropy(scores, labels[is_hidden]))


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


def trainer_speed(
    ids: list[list[int]],
    tokens_per_step: int,
    config: BackboneConfig,
    sizes: Sizes,
    how: Reference,
) -> float:
    """Return the tokens per second of transformers' Trainer."""
    mean = sum(map(len, ids)) / len(ids)
    accumulation = 4
    batch = max(1, round(tokens_per_step / mean / accumulation))
    bert = transformers.BertConfig(
        vocab_size=int(max(max(one) for one in ids)) + 1,
        hidden_size=config.dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=3 * config.hidden // 2,  # as many parameters as SwiGLU
        hidden_dropout_prob=0.0,  # kagaku has none
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=512,
    )
    torch.manual_seed(0)
    kind = transformers.BertForMaskedLM if how.scores_all else HiddenTokensBert
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=sizes.warm_steps + sizes.steps,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            bf16=is_bfloat16_faster(torch.device("cpu")),
            use_cpu=True,
            dataloader_num_workers=1,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        clock = Clock()
        trainer = CountingTrainer(
            model=kind(bert),
            args=arguments,
            train_dataset=Sequences(ids),
            data_collator=Masking(),
            callbacks=[clock],
        )
        trainer.clock = clock
        trainer.order = SortedBatches(ids, batch) if how.is_sorted else None
        trainer.train()
    return clock.rate(sizes.warm_steps)


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
