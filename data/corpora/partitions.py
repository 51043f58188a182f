"""A source read and cleaned in partitions, each on its own and kept for the next try."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora.cleaning import CleaningTask, SampleTools, clean_partition
from kagaku.data.corpora.plan import CODE_VERSION, SourcePlan, digest
from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.running import Progress, Runner

PARTITION_BYTES = 4_000_000
"""About how much raw data one partition holds; as much as a scheduler likes to pass on."""

PARTITION_SAMPLES = 2_000
"""Most samples of one partition: some seconds of work."""

DEFERRED_BYTES = 20_000
"""What a value counts that the worker has to make: it costs more than its size."""


def cleaned_partitions(
    source: SourcePlan,
    seed: int,
    work: Path,
    tools: SampleTools,
    run: Runner,
    progress: Progress,
) -> list[Path]:
    """Return the paths of a source's cleaned partitions, in order."""
    told = {"seed": seed, "tools": tools.version, "code": CODE_VERSION}
    folder = work / f"{source.name}-{digest(source.fingerprint() | told)}"
    folder.mkdir(exist_ok=True)
    chosen, expected = _choice(source, seed)
    paths: list[Path] = []
    sizes: dict[int, int] = {}
    read = finished = 0

    def tasks() -> Iterator[CleaningTask]:
        nonlocal read, finished
        for first, samples in _partitions(source.read(), chosen):
            number = len(paths)
            paths.append(folder / f"{number:06d}")
            sizes[number] = len(samples)
            read += len(samples)
            if not paths[-1].with_suffix(".npz").is_file():
                yield CleaningTask(source.name, source.inputs, number, first, samples, paths[-1])
            else:
                finished += len(samples)

    for number in run(partial(clean_partition, tools=tools), tasks()):
        finished += sizes[number]
        progress(finished, max(expected, read), source.name)
    return paths


def _choice(source: SourcePlan, seed: int) -> tuple[np.ndarray | None, int]:
    """Return (which reading numbers are taken or None for all, how many; 0 if unknown)."""
    if source.most is None:
        return None, source.n_about
    total = sum(1 for _ in source.read())
    if total <= source.most:
        return None, total
    name = hashlib.sha256(source.name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(name[:4], "little")])
    taken = np.zeros(total, dtype=bool)
    taken[rng.choice(total, source.most, replace=False)] = True
    return taken, source.most


def _partitions(
    samples: Iterator[RawSample], chosen: np.ndarray | None
) -> Iterator[tuple[int, list[RawSample]]]:
    """Yield (number of the first sample, samples) of partitions of a handy size."""
    piece: list[RawSample] = []
    size, start, number = 0, 0, 0
    for place, sample in enumerate(samples):
        if chosen is not None and not chosen[place]:
            continue
        piece.append(sample)
        number += 1
        size += sum(_size(value) for value in sample.inputs.values())
        if len(piece) >= PARTITION_SAMPLES or size >= PARTITION_BYTES:
            yield start, piece
            piece, size, start = [], 0, number
    if piece:
        yield start, piece


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    pixels = getattr(value, "values", value)
    if isinstance(pixels, np.ndarray):
        return int(pixels.nbytes)
    return DEFERRED_BYTES if isinstance(value, Path | Deferred) else 100
