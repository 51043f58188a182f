"""A public token model on packed batches: embeddings, blocks, and the heads that came with it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kagaku.modalities import PackedBatch
from kagaku.models.attention import SegmentLayout, segment_layout
from kagaku.models.attention_kernels import plan_attention
from kagaku.models.public.config import TokenModelConfig
from kagaku.models.public.contacts import ContactHead
from kagaku.models.public.transformer import Angles, PublicBlock, activation

# Share of residues that stood hidden when ESM was trained: 15 % chosen, 80 % of them masked.
# https://github.com/facebookresearch/esm/blob/main/esm/model/esm2.py
HIDDEN_IN_TRAINING = 0.15 * 0.8


@dataclass(frozen=True)
class Heads:
    """Which heads a checkpoint has beside the encoder."""

    has_language: bool = False
    """Whether it predicts hidden tokens."""

    has_own_decoder: bool = False
    """Whether the last matrix of that head differs from the table of tokens."""

    has_pooler: bool = False
    """Whether it has BERT's dense layer on the first token."""

    has_contacts: bool = False
    """Whether it has ESM's regression from attention to contacts."""

    classes: dict[str, int] = field(default_factory=dict)
    """By name, the classes of each linear head on the pooler, such as next-sentence's."""


class LanguageHead(nn.Module):
    """Predicts tokens from embeddings: dense, activation, norm, and the table of tokens again.

    Args:
        config: Sizes.
        has_own_decoder: Whether it has a last matrix of its own.
    """

    def __init__(self, config: TokenModelConfig, *, has_own_decoder: bool) -> None:
        super().__init__()
        sizes = config.sizes
        self.dense = nn.Linear(sizes.dim, sizes.dim)
        self.norm = nn.LayerNorm(sizes.dim, eps=sizes.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        self.decoder = (
            nn.Linear(sizes.dim, config.vocabulary_size, bias=False) if has_own_decoder else None
        )
        self.activation = activation(sizes.activation)

    def forward(
        self, x: Float[Tensor, "token dim"], words: Float[Tensor, "vocabulary dim"]
    ) -> Float[Tensor, "token vocabulary"]:
        """Return one logit per token of the vocabulary."""
        last = words if self.decoder is None else self.decoder.weight
        return nn.functional.linear(self.norm(self.activation(self.dense(x))), last, self.bias)


class TokenNetwork(nn.Module):
    """A public encoder of tokens; reads batches of one modality.

    Args:
        config: Sizes and variants.
        heads: Which heads it has.
        frequencies: How fast each pair of a head turns with position, in radians per token; None
            takes what the base gives. Checkpoints that keep theirs may have rounded them.
    """

    def __init__(
        self,
        config: TokenModelConfig,
        heads: Heads | None = None,
        frequencies: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        heads = heads or Heads()
        self.config, self.heads = config, heads
        sizes = config.sizes
        self.words = nn.Embedding(config.vocabulary_size, sizes.dim)
        self.positions = None if config.is_rotary else nn.Embedding(config.max_positions, sizes.dim)
        self.kinds = nn.Embedding(config.n_kinds, sizes.dim) if config.n_kinds else None
        norms = (config.has_embedding_norm, sizes.is_pre_norm)
        self.embedding_norm, self.final_norm = (
            nn.LayerNorm(sizes.dim, eps=sizes.norm_eps) if has else None for has in norms
        )
        self.blocks = nn.ModuleList(PublicBlock(sizes) for _ in range(sizes.depth))
        # Plain numbers and no buffer, so that a change of precision cannot round them.
        self.frequencies = frequencies or rotary_frequencies(sizes.head_dim, config.rotary_base)
        self.language = (
            LanguageHead(config, has_own_decoder=heads.has_own_decoder)
            if heads.has_language
            else None
        )
        self.pooler = nn.Linear(sizes.dim, sizes.dim) if heads.has_pooler else None
        self.contact = ContactHead(sizes.depth, sizes.heads) if heads.has_contacts else None
        self.classes = nn.ModuleDict(
            {name: nn.Linear(sizes.dim, count) for name, count in heads.classes.items()}
        )

    def embed_tokens(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return the embedding of each token before the first block, in stream order."""
        (name,) = batch.modalities
        ids = batch.ids[name][:, 0]
        x = self.words(ids)
        if self.config.dropped_token is not None:
            x = self._rescaled(x, ids == self.config.dropped_token, batch.record_offsets)
        if self.positions is not None:
            x = x + self.positions(batch.position[:, 0].long() + self.config.first_position)
        if self.kinds is not None:
            x = x + self.kinds.weight[0]
        out: Tensor = x if self.embedding_norm is None else self.embedding_norm(x)
        return out

    def _rescaled(
        self,
        x: Float[Tensor, "token dim"],
        is_hidden: Tensor,
        offsets: Int[Tensor, " record_plus_one"],
    ) -> Tensor:
        """Return embeddings with hidden ones at 0 and the rest scaled as in ESM's training."""
        lengths = offsets.diff()
        total = torch.cat([is_hidden.new_zeros(1, dtype=torch.long), is_hidden.long().cumsum(0)])
        hidden_share = (total[offsets[1:]] - total[offsets[:-1]]) / lengths.clamp(min=1)
        # A sequence of masks only has nothing to scale.
        scale = (1 - HIDDEN_IN_TRAINING) / (1 - hidden_share).clamp(min=1e-6)
        scale = torch.repeat_interleave(scale, lengths).unsqueeze(1)
        return (x.masked_fill(is_hidden.unsqueeze(1), 0.0) * scale).to(x.dtype)

    def _start(
        self, batch: PackedBatch
    ) -> tuple[SegmentLayout, Float[Tensor, "token dim"], Angles | None]:
        """Return the layout, the sorted embeddings, and the rotary angles of each token."""
        layout = segment_layout(batch.record_offsets)
        x = self.embed_tokens(batch)[layout.order]
        if not self.config.is_rotary:
            return layout, x, None
        speeds = torch.tensor(self.frequencies, dtype=torch.float32, device=x.device)
        turned = batch.position[layout.order, :1].float() * speeds
        return layout, x, (turned.cos(), turned.sin())

    def forward(self, batch: PackedBatch, *, layer: int = -1) -> Float[Tensor, "token dim"]:
        """Return one contextual embedding per token, in stream order.

        Args:
            batch: Tokens of one modality; positions count from 0 in each record.
            layer: After which block: 0 is before the first; -1, or the depth, after the last and
                its norm.
        """
        depth = len(self.blocks)
        last = depth if layer == -1 else layer
        assert 0 <= last <= depth, f"layer {layer} of {depth}"
        layout, x, angles = self._start(batch)
        plan = plan_attention(layout, x.dtype, self.config.sizes.head_dim)
        for block in self.blocks[:last]:
            x = block(x, plan, angles)
        if last == depth and self.final_norm is not None:
            x = self.final_norm(x)
        return x[layout.inverse]

    def logits(self, x: Float[Tensor, "token dim"]) -> Float[Tensor, "token vocabulary"]:
        """Return one logit per token of the vocabulary from last embeddings."""
        assert self.language is not None
        out: Tensor = self.language(x, self.words.weight)
        return out

    def pooled(
        self, batch: PackedBatch, x: Float[Tensor, "token dim"]
    ) -> Float[Tensor, "record dim"]:
        """Return what BERT's pooler makes of each record's first token."""
        assert self.pooler is not None
        return torch.tanh(self.pooler(x[batch.record_offsets[:-1]]))

    def contact_logits(self, batch: PackedBatch) -> list[Float[Tensor, "_residue _residue"]]:
        """Return the logit of each pair of residues to touch, record by record.

        Each record starts and ends with a special token, which are left out.
        """
        assert self.contact is not None
        layout, x, angles = self._start(batch)
        sums = [
            x.new_zeros(run.n_records, run.length - 2, run.length - 2, dtype=torch.float32)
            for run in layout.runs
        ]
        for number, block in enumerate(self.blocks):
            assert isinstance(block, PublicBlock)
            for place, maps in enumerate(block.maps(x, layout.runs, angles)):
                sums[place] = sums[place] + self.contact.contribution(number, maps[..., 1:-1, 1:-1])
            if number + 1 < len(self.blocks):
                x = block(x, layout.runs, angles)
        by_length = torch.argsort(batch.record_offsets.diff(), stable=True).tolist()
        in_order = [one for together in sums for one in together]
        ordered = sorted(zip(by_length, in_order, strict=True), key=lambda pair: pair[0])
        return [one + self.contact.bias.float() for _, one in ordered]


def rotary_frequencies(head_dim: int, base: float) -> tuple[float, ...]:
    """Return how fast each pair of a head turns, in radians per token.

    Example:
        >>> rotary_frequencies(4, 10_000.0)
        (1.0, 0.009999999776482582)
    """
    # On the CPU by name, since networks are laid out on the meta device.
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    speeds: list[float] = (1.0 / base**exponents).tolist()
    return tuple(speeds)
