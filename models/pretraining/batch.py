"""A batch to pretrain on: the packed tokens with what is hidden in them, and the answers."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kagaku.modalities import PackedBatch
from kagaku.models.pretraining.rows import FixedRows


@dataclass(frozen=True)
class TokenTargets:
    """Tokens of one modality whose id is to be predicted."""

    token: Int[Tensor, " target"]
    """Index in the stream of the token that answers: the hidden one, or the one before it where
    the objective is to generate."""

    label: Int[Tensor, " target"]
    """The id to predict."""


@dataclass(frozen=True)
class ValueTargets:
    """Tokens of one modality whose real values are asked for, hidden or shown."""

    token: Int[Tensor, " target"]
    """Index in the stream."""

    values: Float[Tensor, "target value"]
    """What stood there, standardised by the modality; 0 where nothing was measured."""

    weights: Float[Tensor, "target value"]
    """0 where nothing was measured, else the cell's area relative to the mean."""


@dataclass(frozen=True)
class DescriptorTargets:
    """Records whose computed descriptors, or whose summary, are to be predicted."""

    record: Int[Tensor, " target"]
    """Index of the record."""

    column: Int[Tensor, " target"]
    """Column of what they were computed from."""

    values: Float[Tensor, "target descriptor"]
    """Standardised and clipped; NaN where undefined."""

    def to(self, device: torch.device | str) -> "DescriptorTargets":
        """Return the same targets on another device."""
        return DescriptorTargets(
            self.record.to(device), self.column.to(device), self.values.to(device)
        )


@dataclass(frozen=True)
class PairTargets:
    """Records that show the same thing in two modalities, one record each."""

    first: Int[Tensor, " pair"]
    """Index of the record with the first modality."""

    second: Int[Tensor, " pair"]
    """Index of the record with the second."""

    modalities: tuple[str, str]
    """Names of the two."""


@dataclass(frozen=True)
class PretrainingBatch:
    """One micro-batch: rows of a fixed number of tokens, so that compiled shapes repeat."""

    packed: PackedBatch
    """The tokens, hidden ones already blanked, with prefix lengths: a record that is encoded in
    both directions has its whole length as prefix."""

    rows: FixedRows
    """Where each token stands in the fixed rows."""

    masked: dict[str, TokenTargets]
    """By modality, hidden tokens of records that are encoded."""

    generated: dict[str, TokenTargets]
    """By modality, tokens of records that are generated from left to right."""

    reconstructed: dict[str, ValueTargets]
    """By modality, hidden patches."""

    retained: dict[str, ValueTargets]
    """By modality, patches that are shown."""

    descriptors: DescriptorTargets | None
    """Molecules whose descriptors are asked for."""

    summaries: dict[str, DescriptorTargets]
    """By modality, values whose summaries are asked for."""

    pairs: PairTargets | None
    """What belongs together across modalities."""

    source: str
    """Name of the source that all its samples came from."""

    n_samples: int
    """How many samples it holds; paired samples make two records."""

    def to(self, device: torch.device | str) -> "PretrainingBatch":
        """Return the same batch on another device."""

        def tokens(one: TokenTargets) -> TokenTargets:
            return TokenTargets(one.token.to(device), one.label.to(device))

        def values(one: ValueTargets) -> ValueTargets:
            return ValueTargets(one.token.to(device), one.values.to(device), one.weights.to(device))

        described, pairs = self.descriptors, self.pairs
        if described is not None:
            described = described.to(device)
        if pairs is not None:
            pairs = replace(pairs, first=pairs.first.to(device), second=pairs.second.to(device))
        return replace(
            self,
            packed=self.packed.to(device),
            rows=self.rows.to(device),
            masked={name: tokens(one) for name, one in self.masked.items()},
            generated={name: tokens(one) for name, one in self.generated.items()},
            reconstructed={name: values(one) for name, one in self.reconstructed.items()},
            retained={name: values(one) for name, one in self.retained.items()},
            descriptors=described,
            summaries={name: one.to(device) for name, one in self.summaries.items()},
            pairs=pairs,
        )
