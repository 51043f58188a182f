"""Public models as what fine-tuning trains, in place of an encoder of the suite."""

import copy
import hashlib
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kagaku.modalities import PackedBatch, Tokens
from kagaku.modalities.sequence import sequence_tokens
from kagaku.models.public.config import TransformerSizes
from kagaku.models.public.encoder import PublicEncoder
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.token_encoder import TokenEncoder
from kagaku.models.public.vision import VisionEncoder
from kagaku.models.public.vision_network import VisionNetwork


class PublicTrunk(nn.Module, ABC):
    """The network of a public encoder, with tokens of its own; the encoder is not changed.

    Each input of a record is read by itself, as the model has learnt to: an antibody's two chains
    do not see each other before they are pooled.

    Args:
        source: Whose weights these were.
        network: A copy of its weights, float32.
    """

    def __init__(self, source: PublicEncoder, network: TokenNetwork | VisionNetwork) -> None:
        super().__init__()
        self.source = source
        self.network: TokenNetwork | VisionNetwork = network

    @property
    def modality(self) -> str:
        """The registered name of what it reads."""
        return self.source.modality

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.source.dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @property
    def sizes(self) -> TransformerSizes:
        """Sizes of the stack of blocks."""
        return self.network.config.sizes

    @abstractmethod
    def tokenize(self, value: Any) -> Tokens:
        """Return the tokens of a checked value, as the model reads it."""

    @abstractmethod
    def forward(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return one contextual embedding per token, in stream order."""

    def fine_tuned(self) -> PublicEncoder:
        """Return the encoder with these weights in place of its own."""
        encoder = copy.copy(self.source)
        encoder.network = self.network
        digest = hashlib.sha256()
        for name, weights in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights.float().cpu().numpy()).tobytes())
        encoder.origin = replace(encoder.origin, tuned=digest.hexdigest())
        return encoder


class TokenTrunk(PublicTrunk):
    """ESM's family or BERT's.

    Without labels of single tokens, all tokens of a value get its embedding as the encoder itself
    pools it, so that their mean is that as well.

    Args:
        source: Reads ids.
        has_labels: Whether tokens have labels of their own. Then none is cut off.
    """

    def __init__(self, source: TokenEncoder, *, has_labels: bool = False) -> None:
        network = copy.deepcopy(source.network).float()
        # What predicts tokens and contacts has nothing to learn from labels.
        network.language = network.contact = network.pooler = None
        network.classes = nn.ModuleDict()
        super().__init__(source, network)
        self.network: TokenNetwork = network
        self.framing, self.ids_of, self.pools = source.framing, source.ids_of, source.pools
        self.has_labels = has_labels

    def tokenize(self, value: str) -> Tokens:
        """Return a value's tokens between start and end.

        What is longer than the model has seen loses its tail, unless its tokens have labels: see
        `most_labelled`.
        """
        ids = self.ids_of(value)
        if not self.has_labels:
            ids = ids[: self.framing.longest]
        return sequence_tokens([self.framing.start, *ids.tolist(), self.framing.end])

    def forward(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return one embedding per token, in stream order."""
        apart = inputs_apart(batch)
        tokens: Tensor = self.network(apart)
        if self.has_labels:
            return tokens
        offsets, lengths = apart.record_offsets, apart.record_offsets.diff()
        if self.pools == "start":
            pooled = tokens[offsets[:-1]]
        else:
            is_kept = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
            if self.pools == "inner":
                is_kept[offsets[:-1]] = is_kept[offsets[1:] - 1] = False
            segment = apart.record[is_kept]
            sums = tokens.new_zeros(len(lengths), self.dim).index_add(0, segment, tokens[is_kept])
            counts = torch.bincount(segment, minlength=len(lengths)).clamp(min=1)
            pooled = sums / counts[:, None]
        return torch.repeat_interleave(pooled, lengths, dim=0)


class ImageTrunk(PublicTrunk):
    """A vision transformer, whose patches are the tokens; blank ones stand for its prefix.

    All tokens of an image get what its classifier would read, so their mean is that as well.

    Args:
        source: Reads images.
    """

    def __init__(self, source: VisionEncoder) -> None:
        network = copy.deepcopy(source.network).float()
        super().__init__(source, network)
        self.network: VisionNetwork = network
        self.prepare = source.prepare

    def tokenize(self, value: Path | np.ndarray) -> Tokens:
        """Return an image's patches, scaled as the model wants them, in half precision.

        Positions are the row and the column of a patch.
        """
        patches, (rows, columns) = self.network.cut(self.prepare(value))
        n_prefix = self.network.config.n_prefix
        values = np.concatenate([np.zeros((n_prefix, patches.shape[1])), patches.numpy()])
        positions = np.zeros((len(values), 3), dtype=np.float32)
        positions[n_prefix:, 1] = np.repeat(np.arange(rows), columns)
        positions[n_prefix:, 2] = np.tile(np.arange(columns), rows)
        # Thousands of images lie in memory as they are trained on.
        return Tokens(
            np.zeros((len(values), 0), dtype=np.int64), values.astype(np.float16), positions
        )

    def forward(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return one embedding per token, in stream order: that of its image."""
        offsets = inputs_apart(batch).record_offsets
        values = batch.values[self.modality]
        images = [
            self._image(values[start:stop], batch.position[start:stop])
            for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        ]
        tokens, starts = self.network(images)
        return torch.repeat_interleave(self.network.pooled(tokens, starts), offsets.diff(), dim=0)

    def _image(
        self, values: Float[Tensor, "_token _value"], position: Float[Tensor, "_token 3"]
    ) -> Float[Tensor, "channel _row _column"]:
        """Return the image of an image's tokens."""
        first = self.network.config.n_prefix
        rows, columns = (int(one) + 1 for one in position[first:, 1:].amax(0))
        return self.network.joined(values[first:], (rows, columns))


def public_trunk(encoder: PublicEncoder, *, has_labels: bool) -> PublicTrunk:
    """Return a copy of a public encoder's network to train.

    Args:
        encoder: Not changed.
        has_labels: Whether tokens have labels of their own.
    """
    if isinstance(encoder, VisionEncoder):
        return ImageTrunk(encoder)
    assert isinstance(encoder, TokenEncoder)
    return TokenTrunk(encoder, has_labels=has_labels)


def most_labelled(encoder: TokenEncoder) -> int | None:
    """Return the most tokens that a value with labelled ones may have; None for any number.

    Positions that are turned reach beyond what a model has seen; those in a table end there.
    """
    return None if encoder.network.config.is_rotary else encoder.framing.longest


def inputs_apart(batch: PackedBatch) -> PackedBatch:
    """Return the batch with a segment for each input of each record, in the same order."""
    record, column = batch.record, batch.column
    is_first = torch.ones(batch.n_tokens, dtype=torch.bool, device=column.device)
    is_first[1:] = (record[1:] != record[:-1]) | (column[1:] != column[:-1])
    starts = torch.nonzero(is_first)[:, 0]
    offsets = torch.cat([starts, starts.new_tensor([batch.n_tokens])])
    return replace(batch, record_offsets=offsets)
