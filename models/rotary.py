"""Rotary positions on three axes: sequence or time, row or latitude, column or longitude.

Su et al. 2021, https://arxiv.org/abs/2104.09864, describe one axis; here the pairs of a head are
shared between three, so that one backbone reads sequences, images and grids. A token that stands
at 0 on an axis is not turned on it, so one-dimensional modalities use the first axis only.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Longest wavelength of each axis, in the units of its positions, over 2 pi. Sequences reach tens
# of thousands of tokens; rows, columns and degrees stay below a few hundred.
BASES = (10_000.0, 500.0, 500.0)


def axis_pairs(head_dim: int) -> tuple[int, int, int]:
    """Return how many of a head's pairs turn with each axis: half with the first, a quarter each.

    Example:
        >>> axis_pairs(32)
        (8, 4, 4)
    """
    pairs = head_dim // 2
    side = pairs // 4
    return pairs - 2 * side, side, side


def rotary_angles(
    position: Float[Tensor, "token 3"], head_dim: int
) -> tuple[Float[Tensor, "token pair"], Float[Tensor, "token pair"]]:
    """Return cosine and sine of the angle by which each pair of each token is turned.

    Computed in float32 whatever the model's precision: at position 10,000 bfloat16 would round
    the angle by more than a full turn.
    """
    angles = []
    for axis, (pairs, base) in enumerate(zip(axis_pairs(head_dim), BASES, strict=True)):
        exponents = torch.arange(pairs, device=position.device, dtype=torch.float32) / max(pairs, 1)
        angles.append(position[:, axis : axis + 1].float() * base**-exponents)
    turned = torch.cat(angles, dim=1)
    return turned.cos(), turned.sin()


def rotate(
    x: Float[Tensor, "token *head head_dim"],
    cosine: Float[Tensor, "token pair"],
    sine: Float[Tensor, "token pair"],
) -> Float[Tensor, "token *head head_dim"]:
    """Return ``x`` with each pair (i, i + head_dim / 2) turned by its token's angle.

    Whole rows are multiplied, which on a CPU takes half the time that halves take.
    """
    shape = (len(x), *[1] * (x.dim() - 2), x.shape[-1])
    along = torch.cat((cosine, cosine), dim=1).to(x.dtype).view(shape)
    across = torch.cat((-sine, sine), dim=1).to(x.dtype).view(shape)
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * along, torch.cat((second, first), dim=-1), across)
