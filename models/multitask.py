"""The network that is fine-tuned: the encoder and one head per target."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kagaku.errors import InputError
from kagaku.modalities import PackedBatch
from kagaku.models.encoder import Encoder, pool_records
from kagaku.models.examples import Batch, TargetPlan
from kagaku.models.heads import Head, HeadInput, build_head
from kagaku.models.public.trunk import PublicTrunk

Trunk = Encoder | PublicTrunk
"""What makes the embeddings that heads read."""

LEARNING_RATE = 5e-4
"""Of encoders of the suite, which are small."""

PUBLIC_LEARNING_RATE = 5e-5
"""Of public models: the largest that BERT was fine-tuned with.
Source: Devlin et al. 2019, https://arxiv.org/abs/1810.04805, appendix A.3."""


@dataclass(frozen=True)
class FinetuningConfig:
    """Settings of full fine-tuning."""

    epochs: int = 40
    """Most passes over the training records."""

    patience: int = 8
    """Stop after this many epochs without a lower validation loss."""

    learning_rate: float | None = None
    """Peak learning rate of AdamW; the schedule warms up over 5% of the steps, then falls as a
    cosine to a tenth. None takes `LEARNING_RATE`, of public models `PUBLIC_LEARNING_RATE`."""

    weight_decay: float = 0.01
    """Decay of matrices; norms, biases and embeddings are not decayed."""

    token_budget: int = 4096
    """Most tokens in one batch; a longer record gets a batch of its own."""

    gradient_clip: float = 1.0
    """Largest norm of a gradient step."""

    seed: int = 0
    """Fixes the order of records and the heads."""

    def __post_init__(self) -> None:
        """Check the settings together, once, where they are made."""
        for name in ("epochs", "patience", "learning_rate", "token_budget", "gradient_clip"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(
                    f"{name} must be positive, got {value}",
                    fix="Choose a larger value.",
                )


class MultitaskNetwork(nn.Module):
    """Encoder and heads; the loss is the mean of the heads' losses.

    Args:
        encoder: Makes the embeddings; trained with the heads.
        plans: One head is made for each.
        n_columns: Number of inputs in the schema.
        config: Settings.
    """

    def __init__(
        self,
        encoder: Trunk,
        plans: Sequence[TargetPlan],
        n_columns: int,
        config: FinetuningConfig,
    ) -> None:
        super().__init__()
        self.encoder, self.plans, self.n_columns = encoder, tuple(plans), n_columns
        self.config = config
        # By position, since a target's name may hold a dot, which torch forbids in module names.
        self.heads = nn.ModuleList(
            build_head(plan.kind, encoder.dim, plan.n_outputs) for plan in plans
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.device

    @property
    def peak(self) -> float:
        """Largest learning rate of the schedule."""
        if self.config.learning_rate is not None:
            return self.config.learning_rate
        return PUBLIC_LEARNING_RATE if isinstance(self.encoder, PublicTrunk) else LEARNING_RATE

    def outputs(self, batch: PackedBatch) -> list[Tensor]:
        """Return the raw outputs of each head."""
        tokens = self.encoder(batch)
        records = pool_records(batch, tokens, self.n_columns)
        results = []
        for plan, head in zip(self.plans, self.heads, strict=True):
            labelled = (
                tokens[batch.column == plan.labelled_column]
                if plan.labelled_column is not None
                else tokens[:0]
            )
            results.append(head(HeadInput(records, labelled)))
        return results

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean loss of the heads on one batch."""
        packed, targets = batch
        losses = []
        for plan, head, outputs in zip(self.plans, self.heads, self.outputs(packed), strict=True):
            assert isinstance(head, Head)
            losses.append(head.loss(outputs, targets[plan.name]))
        return torch.stack(losses).mean()

    def optimiser(self) -> torch.optim.AdamW:
        """Return a fresh AdamW that decays matrices only."""
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        tables = {id(one.weight) for one in self.modules() if isinstance(one, nn.Embedding)}
        for name, parameter in self.named_parameters():
            # A vision transformer's positions and first tokens are no layer of their own.
            is_table = id(parameter) in tables or name.endswith(("positions", "prefix"))
            is_matrix = parameter.dim() >= 2 and "embed" not in name and not is_table
            (decayed if is_matrix else free).append(parameter)
        groups = [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.peak, betas=(0.9, 0.98))

    def learning_rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step: warm-up over 5%, then a cosine to a tenth."""
        warmup = max(1, n_steps // 20)
        if step < warmup:
            return self.peak * (step + 1) / warmup
        share = min(1.0, (step - warmup) / max(1, n_steps - warmup))
        return self.peak * (0.55 + 0.45 * float(np.cos(np.pi * share)))
