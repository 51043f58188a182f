"""Micro-batches for the loop: read, composed and packed in worker processes, in a fixed order."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch.utils.data import DataLoader, Dataset, Sampler

from kagaku.data.corpora.manifest import TRAIN, VALID
from kagaku.data.corpora.order import CorpusOrder, MicroBatch, SampleReader
from kagaku.data.corpora.sample import CorpusSample
from kagaku.models.pretraining.batch import PretrainingBatch


@runtime_checkable
class BatchComposer(Protocol):
    """What turns samples into a batch with hidden tokens and the answers."""

    def compose(
        self, rows: Sequence[Sequence[CorpusSample]], *, row_length: int, seed: int
    ) -> PretrainingBatch:
        """Return one batch; a pure function of its arguments."""


@dataclass(frozen=True)
class PretrainingData:
    """Everything that decides which batch comes when; goes to worker processes as a whole."""

    reader: SampleReader
    """Where samples are read from."""

    order: CorpusOrder
    """Which samples come when."""

    composer: BatchComposer
    """What makes batches of them."""

    valid: tuple[MicroBatch, ...] = ()
    """The fixed micro-batches of held-out samples on which held-out losses are measured."""

    def batch(self, wanted: MicroBatch, part: str = TRAIN) -> PretrainingBatch:
        """Return one micro-batch, read and composed."""
        rows = [[self.reader.read(wanted.source, i, part) for i in row] for row in wanted.rows]
        return self.composer.compose(
            rows, row_length=self.order.config.row_length, seed=wanted.seed
        )


class MicroBatches(Dataset[PretrainingBatch]):
    """The training micro-batches by their number in the run.

    Args:
        data: Reader, order and composer.
    """

    def __init__(self, data: PretrainingData) -> None:
        self.data = data

    def __getitem__(self, index: int) -> PretrainingBatch:
        """Return the micro-batch of a number."""
        return self.data.batch(self.data.order.micro_batch(index))


class HeldOutBatches(Dataset[PretrainingBatch]):
    """Some of the held-out micro-batches, in the order in which they are wanted.

    Args:
        data: Reader and composer.
        wanted: The micro-batches; one may come twice.
    """

    def __init__(self, data: PretrainingData, wanted: Sequence[MicroBatch]) -> None:
        self.data, self.wanted = data, wanted

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, index: int) -> PretrainingBatch:
        """Return one of them, read and composed."""
        return self.data.batch(self.wanted[index], VALID)


class RankSampler(Sampler[int]):
    """The numbers of the micro-batches that one process takes: every ``world_size``-th.

    Args:
        first_step: The step to go on from.
        last_step: The step before which to stop.
        micro_batches: Micro-batches of a step, over all processes; a multiple of ``world_size``.
        rank: Number of this process.
        world_size: How many processes there are.
    """

    def __init__(
        self, first_step: int, last_step: int, micro_batches: int, rank: int, world_size: int
    ) -> None:
        assert micro_batches % world_size == 0
        self._numbers = range(
            first_step * micro_batches + rank, last_step * micro_batches, world_size
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def make_loader(
    data: PretrainingData, sampler: RankSampler, workers: int
) -> DataLoader[PretrainingBatch]:
    """Return the loader of one process; batches are the same whatever the number of workers."""
    return DataLoader(
        MicroBatches(data),
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=ignore_stop_signals if workers else None,
    )


def held_out_loader(
    data: PretrainingData, wanted: Sequence[MicroBatch], workers: int
) -> DataLoader[PretrainingBatch]:
    """Return what gives the wanted held-out micro-batches in their order, the same for any workers.

    Composing them in one process would let a GPU wait for minutes.
    """
    return DataLoader(
        HeldOutBatches(data, wanted),
        batch_size=None,
        num_workers=min(workers, len(wanted)),
        worker_init_fn=ignore_stop_signals if workers else None,
    )


def ignore_stop_signals(_: int = 0) -> None:
    """Let a worker process outlive the signals that ask the whole job to stop.

    The training process saves its state first and then ends its workers; a worker that had died
    of the same signal would turn an orderly stop into an error.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
