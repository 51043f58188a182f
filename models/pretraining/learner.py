"""One step of pretraining as Lightning runs it: micro-batches add up, then the weights change."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import lightning
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from kagaku.models.backbone import Block
from kagaku.models.pretraining.averaging import WeightAverage
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.logs import LossKey
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.optimisers import (
    OptimiserConfig,
    learning_rate_factor,
    make_optimisers,
    set_learning_rate,
)
from kagaku.models.pretraining.outliers import OutlierSteps


class Objective(nn.Module):
    """The network together with its weighted sum of losses, so that one call gives both.

    Sharded weights are whole only while the outermost module is called.

    Args:
        network: The network.
    """

    def __init__(self, network: PretrainingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: PretrainingBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Return the losses by name and their weighted sum."""
        losses = self.network(batch)
        return losses, self.network.total(losses)


@dataclass(frozen=True)
class StepOutcome:
    """What one process knows after a step."""

    losses: dict[LossKey, tuple[float, int]]
    """By source and name, the sum of a loss over this process' micro-batches and their number;
    the weighted sum of all is named ``"total"``."""

    n_tokens: int
    """Tokens of this process' micro-batches."""

    gradient_norm: float
    """Norm of the gradient over all processes, before clipping."""

    learning_rate: float
    """AdamW's learning rate."""

    is_skipped: bool
    """Whether the weights were left alone for the sake of the norm."""


class Learner(lightning.LightningModule):
    """The network as Lightning trains it.

    Args:
        network: Changed in place.
        config: Optimiser and schedule.
        outliers: Knows which steps to skip.
        max_steps: Steps of the whole run.
        first_step: The step to go on from.
        own_micro_batches: Micro-batches that this process does in a step.
        average_decay: Of the average of the weights; None keeps none.
        is_sharded: Whether the weights are sharded over the processes (FSDP2).
        is_bfloat16: Whether products may be computed in bfloat16.
    """

    def __init__(
        self,
        network: PretrainingNetwork,
        config: OptimiserConfig,
        outliers: OutlierSteps,
        *,
        max_steps: int,
        first_step: int,
        own_micro_batches: int,
        average_decay: float | None,
        is_sharded: bool,
        is_bfloat16: bool,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.objective = Objective(network)
        self.config, self.outliers = config, outliers
        self.max_steps, self.step_number = max_steps, first_step
        self.own_micro_batches, self.is_sharded = own_micro_batches, is_sharded
        self.is_bfloat16 = is_bfloat16
        self.average_decay = average_decay
        self.average: WeightAverage | None = None
        self.has_data: Callable[[], None] | None = None
        """Called when a micro-batch has come from the loader, before it goes to the device."""
        self.outcome: StepOutcome | None = None
        """Of the step that the last micro-batch finished; None in the middle of a step."""
        self._losses: list[tuple[str, dict[str, Tensor]]] = []
        self._n_tokens = 0

    @property
    def raw_optimisers(self) -> list[Optimizer]:
        """The optimisers, without Lightning's wrapping."""
        return list(self.trainer.strategy.optimizers)

    def configure_model(self) -> None:
        """Shard the weights, if the strategy asks for it."""
        if not self.is_sharded or isinstance(self.objective, FSDPModule):
            return
        assert self.device_mesh is not None
        mesh = self.device_mesh["data_parallel"]
        for module in self.objective.modules():
            if isinstance(module, Block):
                fully_shard(module, mesh=mesh)
        fully_shard(self.objective, mesh=mesh)

    def configure_optimizers(self) -> list[Optimizer]:
        """Return fresh optimisers; a saved state is put into them when the fit starts."""
        return make_optimisers(self.objective.network, self.config, is_bfloat16=self.is_bfloat16)

    def start_average(self) -> None:
        """Start the average of the weights, once these are where they stay."""
        if self.average_decay is not None:
            self.average = WeightAverage(self.objective.network, self.average_decay)

    def averaged(self) -> AbstractContextManager[None]:
        """Let the network have its averaged weights for a while, if there is an average."""
        return nullcontext() if self.average is None else self.average.applied()

    def on_train_batch_start(self, batch: PretrainingBatch, batch_idx: int) -> None:  # noqa: ARG002
        """Let processes exchange gradients at the last micro-batch of a step only."""
        is_last = (batch_idx + 1) % self.own_micro_batches == 0
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.require_backward_grad_sync = is_last
        if isinstance(self.objective, FSDPModule):
            self.objective.set_requires_gradient_sync(is_last)

    def training_step(self, batch: PretrainingBatch, batch_idx: int) -> None:
        """Add one micro-batch's gradient; after the last of a step, change the weights."""
        losses, total = self.objective(batch)
        self.manual_backward(total / self.own_micro_batches)
        found = {**losses, "total": total}
        self._losses.append((batch.source, {name: one.detach() for name, one in found.items()}))
        self._n_tokens += batch.packed.n_tokens
        self.outcome = None
        if (batch_idx + 1) % self.own_micro_batches == 0:
            self.outcome = self._finish_step()

    def on_before_batch_transfer(
        self,
        batch: PretrainingBatch,
        dataloader_idx: int,  # noqa: ARG002
    ) -> PretrainingBatch:
        """Tell that the batch is there: its way to a GPU waits for what that still computes."""
        if self.has_data is not None:
            self.has_data()
        return batch

    def transfer_batch_to_device(
        self,
        batch: PretrainingBatch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> PretrainingBatch:
        """Return the batch on the device; Lightning does not move frozen dataclasses."""
        return batch if device.type == "cpu" else batch.to(device)

    def _finish_step(self) -> StepOutcome:
        optimisers = self.raw_optimisers
        forget_unasked(self.objective.parameters())
        parameters = [one for one in self.objective.parameters() if one.grad is not None]
        norm = torch.nn.utils.get_total_norm(
            [one.grad for one in parameters if one.grad is not None]
        )
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        is_skipped = self.outliers.is_outlier(float(norm))
        factor = learning_rate_factor(self.step_number, self.max_steps, self.config)
        set_learning_rate(optimisers, factor)
        if not is_skipped:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.gradient_clip, norm)
            for optimiser in optimisers:
                optimiser.step()
            self.objective.network.limit_temperature()
            if self.average is not None:
                self.average.update()
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        self.step_number += 1
        outcome = StepOutcome(
            losses=_summed(self._losses),
            n_tokens=self._n_tokens,
            gradient_norm=float(norm),
            learning_rate=self.config.learning_rate * factor,
            is_skipped=is_skipped,
        )
        self._losses, self._n_tokens = [], 0
        return outcome


def forget_unasked(parameters: Iterable[nn.Parameter]) -> None:
    """Drop gradients that are zero throughout, so that their parameters rest this step.

    A head that no micro-batch of a step asked has a gradient of zeros, so that processes agree on
    which gradients there are. An optimiser that took the zeros for a measurement would forget how
    large the head's gradients are, and move it far at the next one.
    """
    given = [one for one in parameters if one.grad is not None]
    if not given:
        return
    norms = [torch.linalg.vector_norm(one.grad) for one in given if one.grad is not None]
    whole = [one.full_tensor() if isinstance(one, DTensor) else one for one in norms]
    # One look at all of them: each would make a GPU wait.
    for parameter, norm in zip(given, torch.stack(whole).tolist(), strict=True):
        if norm == 0.0:
            parameter.grad = None


def _summed(found: list[tuple[str, dict[str, Tensor]]]) -> dict[LossKey, tuple[float, int]]:
    """Return sums and counts by source and name; the device is asked once, here."""
    names = [(source, name) for source, losses in found for name in losses]
    values = torch.stack([one.float() for _, losses in found for one in losses.values()]).tolist()
    sums: dict[LossKey, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for key, value in zip(names, values, strict=True):
        total, count = sums[key]
        sums[key] = (total + value, count + 1)
    return dict(sums)
