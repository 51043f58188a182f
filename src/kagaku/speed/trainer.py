"""transformers' Trainer on the samples that kagaku pretrains on, and its tokens per second.

It runs a BERT with masked tokens, padded to the longest sample of each batch: as it comes; with
samples of like length put together; and so again with a head that scores hidden tokens only, which
transformers does not bring. Otherwise BERT scores its whole vocabulary at every token. It compiles
nothing, as it comes.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers.modeling_outputs import MaskedLMOutput

from kagaku.errors import InputError
from kagaku.modalities.sequence import MASK_ID
from kagaku.models.backbone import BackboneConfig
from kagaku.models.precision import is_bfloat16_faster
from kagaku.speed.part import Sizes

HIDDEN_SHARE = 0.2
PADDING = -100
"""What the Trainer's loss passes over."""

ACCUMULATION = 4
"""Batches of a step."""


@dataclass(frozen=True)
class Reference:
    """One way to run the Trainer."""

    name: str
    """How it is told from the others."""

    is_sorted: bool
    """Whether samples of like length are put together."""

    scores_all: bool
    """Whether the vocabulary is scored at every token, and not at hidden ones only."""


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


def trainer_speed(
    ids: list[list[int]],
    tokens_per_step: int,
    config: BackboneConfig,
    sizes: Sizes,
    how: Reference,
) -> float:
    """Return the tokens per second of transformers' Trainer.

    Raises:
        InputError: There are too few samples for a batch.
    """
    mean = sum(map(len, ids)) / max(1, len(ids))
    batch = max(1, round(tokens_per_step / max(1.0, mean) / ACCUMULATION))
    if len(ids) < batch:
        raise InputError(
            f"the corpus has {len(ids)} samples that both can read, and a batch takes {batch}",
            fix="Name a larger corpus as --corpus.",
        )
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
            gradient_accumulation_steps=ACCUMULATION,
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
