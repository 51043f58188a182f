"""The packed batch: the tokens of many records in one stream, without padding."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kagaku.errors import InputError
from kagaku.modalities.base import Tokens

RecordTokens = Mapping[int, tuple[str, Tokens]]
"""One record: by column index, the modality's name and the value's tokens. A missing input has no
entry, and so no tokens."""


@dataclass(frozen=True)
class PackedBatch:
    """The tokens of a batch of records, one record after the other, without padding.

    A record's tokens, of whatever modalities, stand in one segment and attend to each other;
    records never see each other.
    """

    record_offsets: Int[Tensor, " record_plus_one"]
    """Where each record's segment starts in the stream; the last entry is the number of tokens."""

    modality: Int[Tensor, " token"]
    """Index into ``modalities`` of each token."""

    column: Int[Tensor, " token"]
    """Index in the schema's inputs of the value that each token came from."""

    position: Float[Tensor, "token 3"]
    """Rotary position of each token on three axes; see `Tokens.positions`."""

    modalities: tuple[str, ...]
    """Names of the modalities in this batch, sorted."""

    ids: dict[str, Int[Tensor, "_ _"]]
    """By modality, the integer features of its tokens in stream order, (token of it, n_ids)."""

    values: dict[str, Float[Tensor, "_ _"]]
    """By modality, the real features of its tokens in stream order, (token of it, n_values)."""

    prefix_lengths: Int[Tensor, " record"] | None = None
    """For prefix-causal attention: how many leading tokens of each record are its input, which
    attend to each other freely; the rest see the input and what came before. None: all attend to
    all."""

    @property
    def n_records(self) -> int:
        """How many records the batch holds."""
        return len(self.record_offsets) - 1

    @property
    def n_tokens(self) -> int:
        """How many tokens the batch holds."""
        return len(self.modality)

    @property
    def record(self) -> Int[Tensor, " token"]:
        """Index of the record that each token belongs to."""
        lengths = self.record_offsets.diff()
        return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)

    def to(self, device: torch.device | str) -> "PackedBatch":
        """Return the same batch on another device."""
        return replace(
            self,
            record_offsets=self.record_offsets.to(device),
            modality=self.modality.to(device),
            column=self.column.to(device),
            position=self.position.to(device),
            ids={name: ids.to(device) for name, ids in self.ids.items()},
            values={name: values.to(device) for name, values in self.values.items()},
            prefix_lengths=(
                None if self.prefix_lengths is None else self.prefix_lengths.to(device)
            ),
        )


def n_tokens(record: RecordTokens) -> int:
    """Return how many tokens one record has."""
    return sum(len(tokens) for _, tokens in record.values())


def pack(
    records: Sequence[RecordTokens], *, prefix_lengths: Sequence[int] | None = None
) -> PackedBatch:
    """Return one packed batch of the given records, in their order.

    Args:
        records: Each record's tokens by column; a record may be empty (all its inputs missing).
        prefix_lengths: For prefix-causal attention, how many tokens of each record are input.
    """
    parts = [
        (position, column, name, tokens)
        for position, record in enumerate(records)
        for column, (name, tokens) in sorted(record.items())
    ]
    names = tuple(sorted({name for _, _, name, _ in parts}))
    lengths = [len(tokens) for _, _, _, tokens in parts]

    def per_token(per_part: Sequence[int]) -> Tensor:
        return torch.from_numpy(np.repeat(np.array(per_part, dtype=np.int64), lengths))

    by_name = {name: [tokens for _, _, other, tokens in parts if other == name] for name in names}
    positions = [tokens.positions for _, _, _, tokens in parts] or [np.zeros((0, 3), np.float32)]
    offsets = np.cumsum([0, *(n_tokens(record) for record in records)])
    return PackedBatch(
        record_offsets=torch.from_numpy(offsets.astype(np.int64)),
        modality=per_token([names.index(name) for _, _, name, _ in parts]),
        column=per_token([column for _, column, _, _ in parts]),
        position=torch.from_numpy(np.concatenate(positions).astype(np.float32)),
        modalities=names,
        ids={
            name: torch.from_numpy(np.concatenate([one.ids for one in tokens]).astype(np.int64))
            for name, tokens in by_name.items()
        },
        values={
            name: torch.from_numpy(
                np.concatenate([one.values for one in tokens]).astype(np.float32)
            )
            for name, tokens in by_name.items()
        },
        prefix_lengths=(
            None if prefix_lengths is None else torch.tensor(list(prefix_lengths)).long()
        ),
    )


def plan_batches(
    lengths: Sequence[int] | np.ndarray, token_budget: int, *, order: Sequence[int] | None = None
) -> Iterator[list[int]]:
    """Yield batches of record indices whose tokens fit the budget, filled in order.

    Args:
        lengths: Tokens per record.
        token_budget: Most tokens in one batch.
        order: The order in which records are taken; by default as they come.

    Raises:
        InputError: One record alone is longer than the budget.
    """
    batch: list[int] = []
    used = 0
    for index in range(len(lengths)) if order is None else order:
        length = int(lengths[index])
        if length > token_budget:
            raise InputError(
                f"record {index} has {length} tokens, more than the token budget {token_budget}",
                fix=f"Raise the token budget to at least {length}, or shorten the record.",
            )
        if used + length > token_budget and batch:
            yield batch
            batch, used = [], 0
        batch.append(index)
        used += length
    if batch:
        yield batch


def plan_by_length(
    lengths: Int[np.ndarray, " record"], token_budget: int, *, longest_first: bool = False
) -> Iterator[list[int]]:
    """Yield batches of records of like length; one that is longer than the budget is alone.

    So memory follows the longest record, and records of equal length share attention calls.

    Args:
        lengths: Tokens per record.
        token_budget: Most tokens in a batch of several.
        longest_first: Whether what needs most memory comes first, so that it fails at once.
    """
    order = np.argsort(-lengths if longest_first else lengths, kind="stable")
    fits = lengths[order] <= token_budget
    alone = ([one] for one in order[~fits].tolist())
    together = plan_batches(lengths, token_budget, order=order[fits].tolist())
    yield from chain(alone, together) if longest_first else chain(together, alone)
