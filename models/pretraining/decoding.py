"""One token after another: the generating half of the backbone with what was computed kept.

A token that is generated looks at all that came before it, so without keeping keys and values each
new token would cost as much as all before it together. The outputs are those of the packed forward
pass in its prefix-causal mode, to float tolerance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from kagaku.modalities import PackedBatch, RecordTokens, pack
from kagaku.models.backbone import Block
from kagaku.models.pretraining.network import GENERATED, PretrainingNetwork
from kagaku.models.rotary import rotary_angles, rotate


@dataclass(frozen=True)
class KeptKeys:
    """Keys and values of all tokens so far, by layer."""

    keys: tuple[Float[Tensor, "record head place head_dim"], ...]
    """Turned by their positions; places beyond a record's own tokens hold nothing."""

    values: tuple[Float[Tensor, "record head place head_dim"], ...]
    """Values at the same places."""

    is_there: Bool[Tensor, "record place"]
    """Which places hold a token."""

    def of(self, records: Int[Tensor, " chosen"], n_places: int) -> "KeptKeys":
        """Return those of some records, in the given order; a record may come several times.

        Args:
            records: Which.
            n_places: How many places hold something yet; the others are not copied.
        """

        def chosen(one: Tensor) -> Tensor:
            kept = one.new_zeros(len(records), *one.shape[1:])
            kept[:, :, :n_places] = one[:, :, :n_places].index_select(0, records)
            return kept

        return KeptKeys(
            tuple(map(chosen, self.keys)), tuple(map(chosen, self.values)), self.is_there[records]
        )


class Decoder:
    """Generates a batch of values of one modality, each from its own prefix.

    Args:
        network: In evaluation mode; used without gradients.
        modality: What is generated; one with a vocabulary.
        prefixes: By record, the given inputs by column; empty to generate from nothing. All
            records have equally many inputs.
        most_tokens: Longest value, with start and end.
    """

    def __init__(
        self,
        network: PretrainingNetwork,
        modality: str,
        prefixes: Sequence[RecordTokens],
        most_tokens: int,
    ) -> None:
        self.network, self.modality = network, modality
        self.column = max((max(one, default=-1) for one in prefixes), default=-1) + 1
        self.n_done, config = 0, network.encoder.config.backbone
        lengths = [sum(len(tokens) for _, tokens in one.values()) for one in prefixes]
        self.prefix_places = max(lengths, default=0)
        shape = (
            len(prefixes), config.heads, self.prefix_places + most_tokens, config.head_dim
        )  # fmt: skip
        weight = network.generating
        self.kept = KeptKeys(
            tuple(weight.new_zeros(shape) for _ in range(config.depth)),
            tuple(weight.new_zeros(shape) for _ in range(config.depth)),
            torch.zeros(shape[0], shape[2], dtype=torch.bool, device=weight.device),
        )
        if self.prefix_places:
            self._read(prefixes, lengths)

    @torch.no_grad()
    def step(self, ids: Int[Tensor, " record"]) -> Float[Tensor, "record vocabulary"]:
        """Return the logits of each record's next token, given its token at this place.

        Args:
            ids: The start token at first, then what was chosen from the logits before.
        """
        network, encoder = self.network, self.network.encoder
        values = network.generating.new_zeros(len(ids), 0)
        x = encoder.embedders[self.modality](ids.unsqueeze(1), values)
        x = x + encoder.column_embedding.weight[self.column] + network.generating
        position = torch.zeros(len(ids), 3, device=ids.device)
        position[:, 0] = self.n_done
        place = torch.tensor([self.prefix_places + self.n_done], device=ids.device)
        self.kept.is_there[:, place] = True
        out = self._through(x.unsqueeze(1), position, place, self.kept.is_there[:, None, None])
        self.n_done += 1
        return network.token_logits(GENERATED, self.modality, out[:, 0])

    def keep(self, records: Int[Tensor, " chosen"]) -> None:
        """Go on with some of the records only, in the given order; one may be taken several times.

        From then on each of its copies may go its own way.
        """
        self.kept = self.kept.of(records, self.prefix_places + self.n_done)

    @torch.no_grad()
    def _read(self, prefixes: Sequence[RecordTokens], lengths: Sequence[int]) -> None:
        """Run all prefixes through the backbone, side by side."""
        packed = pack(list(prefixes)).to(self.network.generating.device)
        embedded = self.network.encoder.embed_tokens(packed)
        x, position, is_there = _side_by_side(packed, embedded, lengths)
        places = torch.arange(self.prefix_places, device=x.device)
        self.kept.is_there[:, : self.prefix_places] = is_there
        seen = self.kept.is_there[:, None, None].expand(-1, -1, self.prefix_places, -1)
        # A place without a token looks at the first one, since a softmax over nothing is not a
        # number; nobody looks at such a place.
        seen = seen | (torch.arange(seen.shape[-1], device=x.device) == 0)
        self._through(x, position.flatten(0, 1), places, seen)

    def _through(
        self,
        x: Float[Tensor, "record new dim"],
        position: Float[Tensor, "token 3"],
        places: Int[Tensor, " new"],
        seen: Bool[Tensor, "record 1 query place"],
    ) -> Float[Tensor, "record new dim"]:
        """Return the outputs of new tokens, and keep their keys and values."""
        backbone = self.network.encoder.backbone
        cosine, sine = rotary_angles(position, backbone.config.head_dim)
        for layer, block in enumerate(backbone.blocks):
            assert isinstance(block, Block)
            keys, values = self.kept.keys[layer], self.kept.values[layer]
            x = x + _attended(block, x, cosine, sine, keys, values, places, seen)
            x = x + block.feed_forward(block.feed_forward_norm(x).flatten(0, 1)).view_as(x)
        out: Tensor = backbone.norm(x)
        return out


def _attended(
    block: Block,
    x: Float[Tensor, "record new dim"],
    cosine: Float[Tensor, "token pair"],
    sine: Float[Tensor, "token pair"],
    keys: Float[Tensor, "record head place head_dim"],
    values: Float[Tensor, "record head place head_dim"],
    places: Int[Tensor, " new"],
    seen: Bool[Tensor, "record 1 query place"],
) -> Float[Tensor, "record new dim"]:
    """Return what attention adds to new tokens; writes their keys and values to their places."""
    attention = block.attention
    n_records, n_new, _ = x.shape
    parts = attention.query_key_value(block.attention_norm(x).flatten(0, 1))
    query, key, value = parts.view(n_records * n_new, 3, attention.heads, -1).unbind(dim=1)
    query = rotate(attention.query_norm(query), cosine, sine)
    key = rotate(attention.key_norm(key), cosine, sine)

    def by_head(one: Tensor) -> Tensor:
        return one.view(n_records, n_new, attention.heads, -1).transpose(1, 2)

    keys[:, :, places], values[:, :, places] = by_head(key), by_head(value)
    end = int(places[-1]) + 1
    attended = scaled_dot_product_attention(
        by_head(query), keys[:, :, :end], values[:, :, :end], attn_mask=seen[..., :end]
    )
    out: Tensor = attention.out(attended.transpose(1, 2).reshape(n_records * n_new, -1))
    return out.view_as(x)


def _side_by_side(
    packed: PackedBatch, embedded: Float[Tensor, "token dim"], lengths: Sequence[int]
) -> tuple[
    Float[Tensor, "record place dim"], Float[Tensor, "record place 3"], Bool[Tensor, "record place"]
]:
    """Return the records of a packed batch as rows, filled up with zeros, and what is filled."""
    n_places = max(lengths)
    within = torch.arange(packed.n_tokens, device=embedded.device)
    within = within - packed.record_offsets[packed.record]
    cell = (packed.record, within)
    x = embedded.new_zeros(len(lengths), n_places, embedded.shape[1]).index_put(cell, embedded)
    position = packed.position.new_zeros(len(lengths), n_places, 3)
    position = position.index_put(cell, packed.position)
    is_there = torch.zeros(len(lengths), n_places, dtype=torch.bool, device=embedded.device)
    is_there[cell] = True
    return x, position, is_there
