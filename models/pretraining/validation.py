"""Held-out losses: the same micro-batches of held-out samples each time they are measured."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor, nn

from kagaku.data.corpora.order import MicroBatch, OrderConfig, SourceOrder, pack_rows
from kagaku.models.pretraining.loader import PretrainingData, held_out_loader
from kagaku.models.pretraining.logs import LossKey
from kagaku.models.pretraining.processes import gather


def valid_micro_batches(
    lengths: Mapping[str, Int[ndarray, " sample"]],
    sources: Sequence[str],
    config: OrderConfig,
    most: int,
) -> tuple[MicroBatch, ...]:
    """Return up to ``most`` micro-batches of the held-out samples of each source.

    Args:
        lengths: By source, tokens of each held-out sample after cropping.
        sources: The sources that are trained on.
        config: Sizes and seed.
        most: Micro-batches per source; fewer where there are not enough samples. One that these do
            not fill shows some of them twice.
    """
    found = []
    for number, name in enumerate(sources):
        rows = pack_rows(lengths[name], config.row_length, config.seed)
        order = SourceOrder(rows, config.n_rows, config.seed, number)
        n_whole = max(len(rows) // config.n_rows, min(len(rows), 1))
        for index in range(min(most, n_whole)):
            seed = config.seed + number * most + index
            found.append(MicroBatch(name, order.micro_batch(index), seed))
    return tuple(found)


@torch.no_grad()
def held_out_losses(
    objective: nn.Module,
    data: PretrainingData,
    device: torch.device,
    rank: int,
    world_size: int,
    workers: int,
) -> dict[LossKey, tuple[float, int]]:
    """Return by source and name the sum of each held-out loss and the micro-batches that have it.

    All processes take part and get the same answer. Each does every ``world_size``-th micro-batch;
    those whose share is shorter repeat some without counting them, since sharded weights are
    gathered by all processes together.

    Args:
        objective: Gives losses by name and their weighted sum; see `Objective`.
        data: With the held-out micro-batches.
        device: Where the network is.
        rank: Number of this process.
        world_size: How many processes there are.
        workers: Processes that read and compose the micro-batches, for each of these.
    """
    was_training = objective.training
    objective.eval()
    sums: dict[LossKey, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    n_batches = len(data.valid)
    places = range(rank, -(-n_batches // world_size) * world_size, world_size)
    wanted = [data.valid[place % n_batches] for place in places]
    for place, batch in zip(places, held_out_loader(data, wanted, workers), strict=True):
        losses: dict[str, Tensor]
        losses, total = objective(batch.to(device))
        if place < n_batches:
            for name, loss in {**losses, "total": total}.items():
                value, count = sums[batch.source, name]
                sums[batch.source, name] = (value + float(loss), count + 1)
    objective.train(was_training)
    return add_sums(gather(dict(sums)))


def add_sums(
    parts: Sequence[Mapping[LossKey, tuple[float, int]]],
) -> dict[LossKey, tuple[float, int]]:
    """Return sums and counts of several processes or steps added up."""
    sums: dict[LossKey, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for part in parts:
        for key, (value, count) in part.items():
            total, so_far = sums[key]
            sums[key] = (total + value, so_far + count)
    return dict(sums)


def total_loss(sums: Mapping[LossKey, tuple[float, int]]) -> float:
    """Return the mean weighted loss over all micro-batches; NaN if there were none."""
    totals = [one for (_, name), one in sums.items() if name == "total"]
    count = sum(count for _, count in totals)
    return sum(value for value, _ in totals) / count if count else float(np.nan)
