"""The losses of pretraining, each a mean over what was asked."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss


def reconstruction_loss(
    predicted: Float[Tensor, "token answer"],
    values: Float[Tensor, "token answer"],
    weights: Float[Tensor, "token answer"],
) -> Float[Tensor, ""]:
    """Return the weighted mean squared error; 0 where nothing was measured."""
    squares: Tensor = weights * (predicted - values).square()
    return squares.sum() / weights.sum().clamp(min=1e-6)


def descriptor_loss(
    predicted: Float[Tensor, "record descriptor"], values: Float[Tensor, "record descriptor"]
) -> Float[Tensor, ""]:
    """Return the mean Huber loss over the descriptors that are defined; 0 where none is.

    Beyond one standard deviation the loss grows linearly, so that rare shapes do not rule it.
    """
    is_defined = ~values.isnan()
    losses = huber_loss(predicted, values.nan_to_num(), reduction="none")
    return (losses * is_defined).sum() / is_defined.sum().clamp(min=1)


def alignment_loss(
    first: Float[Tensor, "pair projected"],
    second: Float[Tensor, "pair projected"],
    scale: Float[Tensor, " one"],
) -> Float[Tensor, ""]:
    """Return how badly pairs are told from the other combinations, in nats.

    The mean of both directions' cross-entropies (Radford et al. 2021,
    https://arxiv.org/abs/2103.00020).

    Args:
        first: Vectors of length 1.
        second: The same of the other modality, pair by pair.
        scale: One over the temperature.
    """
    logits = scale * (first @ second.T)
    truth = torch.arange(len(first), device=first.device)
    return 0.5 * (cross_entropy(logits, truth) + cross_entropy(logits.T, truth))
