"""The shared Transformer: pre-norm blocks over a packed stream of embeddings."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from kagaku.errors import InputError
from kagaku.models.attention import (
    AttentionPlan,
    SegmentLayout,
    packed_attention,
    with_biases,
)
from kagaku.models.attention_kernels import plan_attention
from kagaku.models.precision import product_dtype
from kagaku.models.rotary import rotary_angles, rotate


@dataclass(frozen=True)
class BackboneConfig:
    """Sizes of the backbone."""

    dim: int = 256
    """Width of a token's embedding."""

    depth: int = 6
    """Number of blocks."""

    heads: int = 8
    """Attention heads per block; divides ``dim`` into even parts."""

    hidden: int = 704
    """Width inside the feed-forward part; 8/3 of ``dim`` keeps SwiGLU at the parameters of a
    plain feed-forward part of width 4 ``dim`` (Shazeer 2020, https://arxiv.org/abs/2002.05202)."""

    def __post_init__(self) -> None:
        """Check the sizes together, once, where they are made."""
        for name in ("dim", "depth", "heads", "hidden"):
            if getattr(self, name) <= 0:
                raise InputError(
                    f"backbone {name} must be positive, got {getattr(self, name)}",
                    fix="Set it to at least 1.",
                )
        if self.dim % (2 * self.heads):
            raise InputError(
                f"backbone dim {self.dim} does not divide into {self.heads} heads of even width",
                fix=f"Choose a dim that is a multiple of {2 * self.heads}.",
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


class SwiGLU(nn.Module):
    """Feed-forward part with a gated activation.

    Args:
        dim: Width of the stream.
        hidden: Width inside.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_and_value = nn.Linear(dim, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Float[Tensor, "token dim"]) -> Float[Tensor, "token dim"]:
        """Return the part's contribution to the stream."""
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        out: Tensor = self.out(silu(gate) * value)
        return out


class HeadNorm(nn.RMSNorm):
    """The norm of queries and keys, in whatever precision they come.

    Under mixed precision they come from a matrix product in bfloat16, and a weight in float32
    beside them would take torch's slow path.
    """

    def forward(self, x: Float[Tensor, "token head head_dim"]) -> Tensor:
        """Return ``x`` with each head scaled to a root mean square of 1, times the weight."""
        return rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class SelfAttention(nn.Module):
    """Attention inside each record, with normalised queries and keys.

    QK-norm keeps attention logits bounded, so training stays stable in bfloat16
    (Dehghani et al. 2023, https://arxiv.org/abs/2302.05442).

    Args:
        config: Sizes.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.heads, self.head_dim = config.heads, config.head_dim
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.query_norm = HeadNorm(config.head_dim)
        self.key_norm = HeadNorm(config.head_dim)
        self.out = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self,
        x: Float[Tensor, "token dim"],
        plan: AttentionPlan,
        cosine: Float[Tensor, "token pair"],
        sine: Float[Tensor, "token pair"],
    ) -> Float[Tensor, "token dim"]:
        """Return the part's contribution to the stream; tokens are in sorted order."""
        parts = self.query_key_value(x).view(len(x), 3, self.heads, self.head_dim)
        query, key, value = parts.unbind(dim=1)
        query = rotate(self.query_norm(query), cosine, sine)
        key = rotate(self.key_norm(key), cosine, sine)
        out: Tensor = self.out(packed_attention(query, key, value, plan).flatten(1))
        return out


class Block(nn.Module):
    """One layer: attention, then feed-forward, each added to the stream after a norm.

    Args:
        config: Sizes.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim)
        self.attention = SelfAttention(config)
        self.feed_forward_norm = nn.RMSNorm(config.dim)
        self.feed_forward = SwiGLU(config.dim, config.hidden)

    def forward(
        self,
        x: Float[Tensor, "token dim"],
        plan: AttentionPlan,
        cosine: Float[Tensor, "token pair"],
        sine: Float[Tensor, "token pair"],
    ) -> Float[Tensor, "token dim"]:
        """Return the stream after this layer."""
        x = x + self.attention(self.attention_norm(x), plan, cosine, sine)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Backbone(nn.Module):
    """The stack of blocks; knows tokens and segments, not what they mean.

    Args:
        config: Sizes.
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(config.dim)
        self._initialise()

    def _initialise(self) -> None:
        """Draw weights so that the stream keeps its scale through any depth.

        The two matrices that write to the stream are scaled by 1 / sqrt(2 depth), as in GPT-2
        (https://openai.com/index/better-language-models/).
        """
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = 0.5 * parameter.shape[1] ** -0.5
                if name.endswith("out.weight"):
                    std *= (2 * self.config.depth) ** -0.5
                nn.init.normal_(parameter, std=std)

    def forward(
        self,
        embeddings: Float[Tensor, "token dim"],
        position: Float[Tensor, "token 3"],
        layout: SegmentLayout,
    ) -> Float[Tensor, "token dim"]:
        """Return one contextual embedding per token, in the order of the packed stream.

        Args:
            embeddings: What the modalities made of the tokens.
            position: Rotary position of each token.
            layout: The batch's runs; see `segment_layout`.
        """
        x = embeddings[layout.order]
        cosine, sine = rotary_angles(position[layout.order], self.config.head_dim)
        dtype = product_dtype(x)
        plan = plan_attention(layout, dtype, self.config.head_dim)
        if isinstance(plan, tuple):
            plan = with_biases(plan, dtype)
        for block in self.blocks:
            x = block(x, plan, cosine, sine)
        out: Tensor = self.norm(x)[layout.inverse]
        return out
