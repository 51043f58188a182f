"""Heads: from embeddings to the prediction of one target, with the loss that trains it.

A head sees a `HeadInput` and returns raw outputs; `loss` compares them with a `HeadTarget` and
`predict` turns them into what a scientist reads. All are linear after a norm: the backbone does
the work, and a small table cannot overfit more than this.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

from kagaku.data.schema import Kind
from kagaku.registry import Registry

SMALLEST_VARIANCE = 1e-4
"""Floor of a predicted variance, in units of the target's variance on training records."""


@dataclass(frozen=True)
class HeadInput:
    """What the encoder gives to the heads."""

    records: Float[Tensor, "record dim"]
    """One embedding per record."""

    tokens: Float[Tensor, "labelled dim"]
    """Embeddings of the tokens that a per-token or field head reads, record after record; empty
    for the other kinds."""


@dataclass(frozen=True)
class HeadTarget:
    """What a head is trained against; NaN (or -1 for classes) where nothing was measured."""

    values: Tensor
    """Regression: standardised float (record,). Binary: float (record,). Multiclass: integer
    (record,). Multilabel: float (record, class). Per-token: integer (labelled,). Field:
    standardised float (labelled, cell)."""

    censoring: Int[Tensor, " record"] | None = None
    """For regression: -1 the truth lies below the value, 0 at it, +1 above; None: all exact."""

    weights: Float[Tensor, "labelled cell"] | None = None
    """For fields: the area weight of each cell."""

    def to(self, device: torch.device | str) -> "HeadTarget":
        """Return the same targets on another device."""
        return HeadTarget(
            self.values.to(device),
            None if self.censoring is None else self.censoring.to(device),
            None if self.weights is None else self.weights.to(device),
        )


class Head(nn.Module, ABC):
    """Predicts one target from embeddings.

    Args:
        dim: Width of an embedding.
        n_outputs: Classes of a class target, cells per token of a field; 1 for regression.
    """

    outputs_per_choice: ClassVar[int] = 1

    def __init__(self, dim: int, n_outputs: int) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, n_outputs * self.outputs_per_choice)
        # Starting from zero, the first prediction is the mean (or the uniform class), so the
        # loss at step 0 is that of the trivial baseline and not of random noise.
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def project(self, embeddings: Float[Tensor, "row dim"]) -> Float[Tensor, "row output"]:
        """Return the linear outputs of each embedding, in float32."""
        out: Tensor = self.linear(self.norm(embeddings.float()))
        return out

    @abstractmethod
    def forward(self, inputs: HeadInput) -> Tensor:
        """Return the raw outputs."""

    @abstractmethod
    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the mean loss over what was measured; 0 with a gradient if nothing was."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (mean, standard deviation), standardised, or (probabilities, None)."""


HEADS: Registry[Head] = Registry("head")


def _mean_of_measured(losses: Tensor, measured: Tensor, outputs: Tensor) -> Tensor:
    """Return the mean loss where something was measured, and a graph even where nothing was."""
    if not bool(measured.any()):
        return outputs.sum() * 0.0
    return losses[measured].mean()


def _mean_and_deviation(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Split raw outputs (..., 2) into the mean and a positive standard deviation.

    The offset makes a raw output of 0 a variance of 1: the target's own, after standardising.
    """
    variance = softplus(outputs[..., 1] + math.log(math.e - 1)) + SMALLEST_VARIANCE
    return outputs[..., 0], variance.sqrt()


@HEADS.register("regression")
class RegressionHead(Head):
    """Mean and variance of a number; trained by Gaussian likelihood, also of censored values."""

    outputs_per_choice: ClassVar[int] = 2

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return (record, 2): mean and raw variance."""
        return self.project(inputs.records)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the negative log likelihood; a censored value counts as its tail (Tobit)."""
        mean, deviation = _mean_and_deviation(outputs)
        measured = ~target.values.isnan()
        distance = (target.values.nan_to_num() - mean) / deviation
        exact = 0.5 * distance**2 + deviation.log() + 0.5 * math.log(2 * math.pi)
        if target.censoring is None:
            return _mean_of_measured(exact, measured, outputs)
        # "below the value" has probability Phi(distance), "above it" Phi(-distance).
        tail = -torch.special.log_ndtr(-distance * target.censoring.to(distance.dtype))
        losses = torch.where(target.censoring == 0, exact, tail)
        return _mean_of_measured(losses, measured, outputs)

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return mean and standard deviation (record,), standardised."""
        return _mean_and_deviation(outputs)


@HEADS.register("binary")
class BinaryHead(Head):
    """Probability of the second of two classes."""

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return one logit per record, (record, 1)."""
        return self.project(inputs.records)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the binary cross-entropy."""
        measured = ~target.values.isnan()
        losses = binary_cross_entropy_with_logits(
            outputs[:, 0], target.values.nan_to_num(), reduction="none"
        )
        return _mean_of_measured(losses, measured, outputs)

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the probabilities of both classes, (record, 2)."""
        positive = outputs[:, 0].sigmoid()
        return torch.stack((1 - positive, positive), dim=1), None


@HEADS.register("multiclass")
class MulticlassHead(Head):
    """Probabilities of several exclusive classes."""

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return logits (record, class)."""
        return self.project(inputs.records)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the cross-entropy."""
        losses = cross_entropy(outputs, target.values.clamp(min=0).long(), reduction="none")
        return _mean_of_measured(losses, target.values >= 0, outputs)

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return probabilities (record, class)."""
        return outputs.softmax(dim=1), None


@HEADS.register("multilabel")
class MultilabelHead(Head):
    """Independent probabilities of several labels; any of them may be unmeasured."""

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return logits (record, label)."""
        return self.project(inputs.records)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the mean binary cross-entropy over the measured labels."""
        measured = ~target.values.isnan()
        losses = binary_cross_entropy_with_logits(
            outputs, target.values.nan_to_num(), reduction="none"
        )
        return _mean_of_measured(losses, measured, outputs)

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return probabilities (record, label)."""
        return outputs.sigmoid(), None


@HEADS.register("per-token")
class TokenHead(Head):
    """Probabilities of a class for each labelled token: the fold of a residue, say."""

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return logits (labelled, class)."""
        return self.project(inputs.tokens)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the cross-entropy over the labelled tokens."""
        losses = cross_entropy(outputs, target.values.clamp(min=0).long(), reduction="none")
        return _mean_of_measured(losses, target.values >= 0, outputs)

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return probabilities (labelled, class)."""
        return outputs.softmax(dim=1), None


@HEADS.register("field")
class FieldHead(Head):
    """Mean and variance of every cell under each token of a grid."""

    outputs_per_choice: ClassVar[int] = 2

    def forward(self, inputs: HeadInput) -> Tensor:
        """Return (labelled, cell, 2): mean and raw variance."""
        return self.project(inputs.tokens).view(len(inputs.tokens), self.n_outputs, 2)

    def loss(self, outputs: Tensor, target: HeadTarget) -> Tensor:
        """Return the area-weighted negative log likelihood over the measured cells."""
        mean, deviation = _mean_and_deviation(outputs)
        measured = ~target.values.isnan()
        distance = (target.values.nan_to_num() - mean) / deviation
        losses = 0.5 * distance**2 + deviation.log() + 0.5 * math.log(2 * math.pi)
        weights = torch.ones_like(losses) if target.weights is None else target.weights
        if not bool(measured.any()):
            return outputs.sum() * 0.0
        return (losses * weights)[measured].sum() / weights[measured].sum()

    def predict(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return mean and standard deviation (labelled, cell), standardised."""
        return _mean_and_deviation(outputs)


def build_head(kind: Kind, dim: int, n_outputs: int) -> Head:
    """Return a fresh head for a kind of target.

    Args:
        kind: The target's kind.
        dim: Width of an embedding.
        n_outputs: Number of classes, or cells per token for fields; ignored (1) for regression
            and binary.
    """
    return HEADS[kind](dim, 1 if kind in {"regression", "binary"} else n_outputs)
