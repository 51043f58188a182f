"""Records ready to train on: their tokens and labels, batched under a token budget."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from kagaku.data.schema import Kind
from kagaku.modalities import PackedBatch, RecordTokens, pack, plan_batches
from kagaku.models.heads import HeadTarget


@dataclass(frozen=True)
class TargetPlan:
    """What one head must predict."""

    name: str
    """Name of the target."""

    kind: Kind
    """Kind of the target."""

    n_outputs: int
    """Number of classes, or cells per token of a field; 1 for regression and binary."""

    labelled_column: int | None = None
    """For per-token and field targets, the input whose tokens carry the labels."""


@dataclass(frozen=True)
class Example:
    """One record, ready to train on."""

    tokens: RecordTokens
    """Its tokens by column."""

    labels: dict[str, np.ndarray]
    """By target, as in `HeadTarget.values` without the record axis; for per-token and field
    targets one row per token of the labelled column. NaN or -1 where nothing was measured."""

    censoring: dict[str, int] = field(default_factory=dict)
    """By regression target: -1, 0 or +1; absent means 0."""

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """By field target: area weights, the shape of its labels."""


Batch = tuple[PackedBatch, dict[str, HeadTarget]]


def collate(examples: Sequence[Example], plans: Sequence[TargetPlan]) -> Batch:
    """Return the packed batch of several examples with the targets of each head."""
    targets = {}
    for plan in plans:
        labels = [example.labels[plan.name] for example in examples]
        per_token = plan.labelled_column is not None
        values = np.concatenate(labels) if per_token else np.stack(labels)
        is_class = plan.kind in {"multiclass", "per-token"}
        censoring = None
        if plan.kind == "regression":
            signs = [example.censoring.get(plan.name, 0) for example in examples]
            censoring = torch.tensor(signs, dtype=torch.int64)
        weights = None
        if plan.kind == "field":
            stacked = np.concatenate([example.weights[plan.name] for example in examples])
            weights = torch.from_numpy(stacked.astype(np.float32))
        dtype = np.int64 if is_class else np.float32
        targets[plan.name] = HeadTarget(torch.from_numpy(values.astype(dtype)), censoring, weights)
    return pack([example.tokens for example in examples]), targets


class ExampleDataset(Dataset[Example]):
    """Examples by index.

    Args:
        examples: All of them, in memory; tokens are small.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches under a token budget, in an order that is a function of seed and epoch alone.

    Args:
        lengths: Tokens per record.
        token_budget: Most tokens per batch.
        seed: Fixes the order; None keeps the records as they come.
    """

    def __init__(self, lengths: Sequence[int], token_budget: int, seed: int | None) -> None:
        self.lengths, self.seed, self.epoch = lengths, seed, 0
        self.token_budget = max(token_budget, max(lengths, default=1))

    def batches(self) -> list[list[int]]:
        """Return the batches of the present epoch."""
        order = np.arange(len(self.lengths))
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
        return list(plan_batches(self.lengths, self.token_budget, order=order.tolist()))

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches())

    def __len__(self) -> int:
        return len(self.batches())
