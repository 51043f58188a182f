"""Tokens per second of `kagaku pretrain` beside transformers' Trainer, on the same samples.

    python scripts/trainer_speed.py --corpus corpora/tiny --output results/trainer_speed.json

Both train a Transformer of the same depth, width and number of parameters, in bfloat16, on the same
molecules, proteins and texts, with about as many tokens a step. The Trainer runs a BERT with masked
tokens, padded to the longest sample of each batch: once as it comes, once with samples of like
length put together, its best. BERT scores its whole vocabulary at every token and compiles nothing,
as it comes; kagaku runs all objectives of its recipe, scores the tokens that are asked for, and
compiles its blocks. Only tokens that are there count, not padding. Runs take turns, so that a busy
machine slows all of them alike.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from torch.utils.data import Dataset

from kagaku.data.corpora import Corpus
from kagaku.modalities import MODALITIES
from kagaku.modalities.sequence import MASK_ID
from kagaku.pretrain import run_pretraining
from kagaku.pretrain_recipe import load_pretrain_recipe, save_pretrain_recipe

SOURCES = ("chemicals", "moses", "swissprot", "pubmed")
"""One input each, with a vocabulary."""

SHARES = (0.2, 0.2, 0.4, 0.2)
"""Of the tokens, by source."""

SORTED_STEPS = 200
"""Steps' worth of samples that the Trainer may sort by length; it takes 50 batches at a time."""

WARM_STEPS, STEPS = 3, 8
"""Steps that are not counted, since kernels are built in them, and those that are."""

HIDDEN_SHARE = 0.2
PADDING = -100
"""What the Trainer's loss passes over."""


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
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Note the time."""
        self.ends.append(time.perf_counter())


def sequences(corpus: Corpus, tokens: int, row_length: int) -> list[list[int]]:
    """Return samples of all sources in random order, about ``tokens`` of them together."""
    found: list[list[int]] = []
    first = 0
    for source, share in zip(SOURCES, SHARES, strict=True):
        name, kind = next(iter(corpus.source(source).inputs.items()))
        modality, taken, index = MODALITIES[kind](), 0, 0
        while taken < share * tokens and index < corpus.n_samples(source):
            value = corpus.read(source, index).inputs[name]
            ids = modality.tokenize(value).ids[:row_length, 0]
            found.append([int(one) + first * (one > MASK_ID) for one in ids])
            taken, index = taken + len(ids), index + 1
        if source != "chemicals":
            first += modality.vocabulary_size
    np.random.default_rng(0).shuffle(found)
    return found


def trainer_speed(ids: list[list[int]], tokens_per_step: int, *, is_sorted: bool) -> float:
    """Return the Trainer's tokens per second."""
    mean = sum(map(len, ids)) / len(ids)
    accumulation = 4
    batch = max(1, round(tokens_per_step / mean / accumulation))
    config = transformers.BertConfig(
        vocab_size=int(max(max(one) for one in ids)) + 1,
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=1056,  # as many parameters as SwiGLU of 704
        hidden_dropout_prob=0.0,  # kagaku has none
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=512,
    )
    torch.manual_seed(0)
    model = transformers.BertForMaskedLM(config)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=WARM_STEPS + STEPS,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            bf16=True,
            use_cpu=True,
            dataloader_num_workers=1,
            train_sampling_strategy="group_by_length" if is_sorted else "random",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=Sequences(ids),
            data_collator=Masking(),
            callbacks=[clock],
        )
        trainer.train()
    seconds = clock.ends[-1] - clock.ends[WARM_STEPS - 1]
    backbone = sum(one.numel() for one in model.bert.encoder.parameters())
    print(f"Trainer: {backbone:,} parameters in the encoder's layers", flush=True)
    return STEPS * batch * accumulation * mean / seconds


def kagaku_speed(corpus: Path, recipe_file: Path) -> float:
    """Return the tokens per second of `kagaku pretrain`."""
    recipe = load_pretrain_recipe(recipe_file, {"corpus": corpus})
    weights = {one.name: 0.0 for one in Corpus.open(corpus).manifest.sources}
    weights |= dict(zip(SOURCES, SHARES, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        recipe = replace(
            recipe,
            output=f"{folder}/run",
            order=replace(recipe.order, weights=weights),
            training=replace(
                recipe.training, max_steps=WARM_STEPS + STEPS, valid_micro_batches=0, log_steps=1
            ),
        )
        path = Path(folder) / "recipe.yaml"
        save_pretrain_recipe(recipe, path)
        run = run_pretraining(path, output=Path(recipe.output))
        steps = pd.read_csv(run / "steps.csv")
    tokens, seconds = (
        steps[name].iloc[-1] - steps[name].iloc[WARM_STEPS - 1] for name in ("tokens", "seconds")
    )
    return float(tokens / seconds)


def main() -> None:
    """Run both in turns, and write the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("configs/pretrain_tiny.yaml"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    order = load_pretrain_recipe(arguments.recipe).order
    per_step = order.tokens_per_micro_batch * order.micro_batches
    corpus = Corpus.open(arguments.corpus)
    ids = sequences(corpus, SORTED_STEPS * per_step, order.row_length)
    found: dict[str, list[float]] = {"kagaku": [], "Trainer": [], "Trainer, sorted": []}
    for _ in range(arguments.turns):
        found["kagaku"].append(kagaku_speed(arguments.corpus, arguments.recipe))
        found["Trainer"].append(trainer_speed(ids, per_step, is_sorted=False))
        found["Trainer, sorted"].append(trainer_speed(ids, per_step, is_sorted=True))
        print({name: round(values[-1]) for name, values in found.items()}, flush=True)
    ratios = {
        f"kagaku over {name}": [
            own / other for own, other in zip(found["kagaku"], found[name], strict=True)
        ]
        for name in ("Trainer", "Trainer, sorted")
    }
    figures = {
        name: {"median": statistics.median(one), "least": min(one), "most": max(one)}
        for name, one in (found | ratios).items()
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
