"""A public model of tokens as what fine-tuning trains, in place of an encoder of the suite."""

import copy
import hashlib
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kagaku.modalities import PackedBatch, Tokens
from kagaku.modalities.sequence import sequence_tokens
from kagaku.models.public.config import TransformerSizes
from kagaku.models.public.token_encoder import TokenEncoder


class PublicTrunk(nn.Module):
    """The network of a public encoder, its tokens and its limits; the encoder is not changed.

    Each input of a record is read by itself, as the model has learnt to: an antibody's two chains
    do not see each other before they are pooled.

    Args:
        encoder: ESM's family, or BERT's.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        super().__init__()
        self.source = encoder
        """Whose weights these were."""
        self.network = copy.deepcopy(encoder.network).float()
        # What predicts tokens and contacts has nothing to learn from labels.
        self.network.language = self.network.contact = self.network.pooler = None
        self.network.classes = nn.ModuleDict()

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
        return self.network.words.weight.device

    @property
    def sizes(self) -> TransformerSizes:
        """Sizes of the stack of blocks."""
        return self.network.config.sizes

    @property
    def longest(self) -> int:
        """Most tokens of a value that are read, without start and end."""
        return self.source.framing.longest

    def tokenize(self, value: str) -> Tokens:
        """Return a checked value's tokens between start and end; what is longer loses its tail."""
        framing = self.source.framing
        ids = self.source.ids_of(value)[: framing.longest].tolist()
        return sequence_tokens([framing.start, *ids, framing.end])

    def forward(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return one contextual embedding per token, in stream order."""
        tokens: Tensor = self.network(inputs_apart(batch))
        return tokens

    def fine_tuned(self) -> TokenEncoder:
        """Return the encoder with these weights in place of its own."""
        encoder = copy.copy(self.source)
        encoder.network = self.network
        digest = hashlib.sha256()
        for name, weights in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights.float().cpu().numpy()).tobytes())
        encoder.origin = replace(encoder.origin, tuned=digest.hexdigest())
        return encoder


def inputs_apart(batch: PackedBatch) -> PackedBatch:
    """Return the batch with a segment for each input of each record, in the same order."""
    record, column = batch.record, batch.column
    is_first = torch.ones(batch.n_tokens, dtype=torch.bool, device=column.device)
    is_first[1:] = (record[1:] != record[:-1]) | (column[1:] != column[:-1])
    starts = torch.nonzero(is_first)[:, 0]
    offsets = torch.cat([starts, starts.new_tensor([batch.n_tokens])])
    return replace(batch, record_offsets=offsets)
