"""The blocks of public Transformers, on a packed stream: no padding, one product for q, k and v.

The arithmetic is that of the published models, so that their weights mean what they meant: ESM-2
(Lin et al. 2023, https://doi.org/10.1126/science.ade2574), BERT (Devlin et al. 2019,
https://doi.org/10.18653/v1/N19-1423) and ViT (Dosovitskiy et al. 2021,
https://arxiv.org/abs/2010.11929). Dropout is left out.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own usage)

from kagaku.models.attention import AttentionPlan, Run, attention_maps, packed_attention
from kagaku.models.public.config import TransformerSizes
from kagaku.models.rotary import rotate

Angles = tuple[Float[Tensor, "token pair"], Float[Tensor, "token pair"]]
"""Cosine and sine of the angles of rotary positions."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return an activation by transformers' name; see `config.ACTIVATIONS`."""
    return _ACTIVATIONS[name]


class PublicAttention(nn.Module):
    """Attention inside each record.

    Args:
        sizes: Sizes.
    """

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.heads, self.head_dim = sizes.heads, sizes.head_dim
        self.query_key_value = nn.Linear(sizes.dim, 3 * sizes.dim, bias=sizes.has_qkv_bias)
        self.out = nn.Linear(sizes.dim, sizes.dim)

    def parts(
        self, x: Float[Tensor, "token dim"], angles: Angles | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (token, head, head_dim)."""
        joined = self.query_key_value(x).view(len(x), 3, self.heads, self.head_dim)
        query, key, value = joined.unbind(dim=1)
        if angles is not None:
            # Turned in float32 whatever the weights are: angles lose digits in half precision.
            turned = rotate(joined[:, :2].float(), *angles).to(joined.dtype)
            query, key = turned.unbind(dim=1)
        return query, key, value

    def forward(
        self, x: Float[Tensor, "token dim"], plan: AttentionPlan, angles: Angles | None
    ) -> Float[Tensor, "token dim"]:
        """Return the part's contribution to the stream; tokens are in sorted order."""
        out: Tensor = self.out(packed_attention(*self.parts(x, angles), plan).flatten(1))
        return out


class PublicFeedForward(nn.Module):
    """Two linear maps around an activation.

    Args:
        sizes: Sizes.
    """

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.rise = nn.Linear(sizes.dim, sizes.hidden)
        self.fall = nn.Linear(sizes.hidden, sizes.dim)
        self.activation = activation(sizes.activation)

    def forward(self, x: Float[Tensor, "token dim"]) -> Float[Tensor, "token dim"]:
        """Return the part's contribution to the stream."""
        out: Tensor = self.fall(self.activation(self.rise(x)))
        return out


class ChannelScale(nn.Module):
    """Scales each channel by a learnt number.

    Args:
        dim: Number of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "token dim"]) -> Float[Tensor, "token dim"]:
        """Return ``x`` with each channel scaled."""
        return x * self.scale


class PublicBlock(nn.Module):
    """One layer: attention, then feed-forward, with norms before (ESM, ViT) or after (BERT).

    Args:
        sizes: Sizes and variants.
    """

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.is_pre_norm = sizes.is_pre_norm
        self.attention_norm = nn.LayerNorm(sizes.dim, eps=sizes.norm_eps)
        self.attention = PublicAttention(sizes)
        self.feed_forward_norm = nn.LayerNorm(sizes.dim, eps=sizes.norm_eps)
        self.feed_forward = PublicFeedForward(sizes)
        scales = (ChannelScale(sizes.dim) if sizes.has_layer_scale else None for _ in range(2))
        self.attention_scale, self.feed_forward_scale = scales

    def attended(self, x: Float[Tensor, "token dim"]) -> Float[Tensor, "token dim"]:
        """Return what attention reads of the stream."""
        out: Tensor = self.attention_norm(x) if self.is_pre_norm else x
        return out

    def forward(
        self, x: Float[Tensor, "token dim"], plan: AttentionPlan, angles: Angles | None
    ) -> Float[Tensor, "token dim"]:
        """Return the stream after this layer."""
        if not self.is_pre_norm:
            x = self.attention_norm(x + self.attention(x, plan, angles))
            after: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
            return after
        change = self.attention(self.attention_norm(x), plan, angles)
        x = x + (change if self.attention_scale is None else self.attention_scale(change))
        change = self.feed_forward(self.feed_forward_norm(x))
        if self.feed_forward_scale is not None:
            change = self.feed_forward_scale(change)
        out: Tensor = x + change
        return out

    def maps(
        self, x: Float[Tensor, "token dim"], runs: tuple[Run, ...], angles: Angles | None
    ) -> Iterator[Float[Tensor, "record head query key"]]:
        """Yield, run by run, how much each token looks at each other in this layer."""
        query, key, _ = self.attention.parts(self.attended(x), angles)
        for run in runs:
            yield attention_maps(query, key, run)
