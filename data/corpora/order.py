"""The order of samples: which of them stand in which row of which micro-batch of which step.

Nothing is drawn while training: the order is a pure function of the samples' lengths and the seed.
So training resumes at the exact next sample whatever the number of processes and loader workers,
and the step at which a sample was seen can be computed afterwards.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from kagaku.data.corpora.manifest import TRAIN
from kagaku.data.corpora.sample import CorpusSample
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

PERIOD = 1_000
"""Micro-batches after which the pattern of sources repeats; shares are exact to 1 / PERIOD."""

OPEN_ROWS = 512
"""Rows that stay open while packing, so that what one sample leaves is found by another."""

SORTED_TOGETHER = 4_096
"""Samples that are sorted by length before they are packed; long ones first fill rows better."""

# What each random stream is for; part of its seed, so that no two streams are the same.
_PACKING, _PATTERN, _EPOCH, _COMPOSING = range(4)


@runtime_checkable
class SampleReader(Protocol):
    """What the loop reads samples from, by source and number."""

    def read(self, source: str, index: int, part: str = TRAIN) -> CorpusSample:
        """Return one sample."""


@dataclass(frozen=True)
class OrderConfig:
    """How samples are laid in rows, rows in micro-batches, and sources mixed."""

    row_length: int = 256
    """Tokens of a row; longer samples are cropped to it."""

    n_rows: int = 16
    """Rows of a micro-batch, all from one source."""

    micro_batches: int = 4
    """Micro-batches of a step, over all processes together."""

    temperature: float = 2.0
    """Evens sources out: a source's share goes with its tokens to the power 1 / temperature. 1
    keeps the corpus' own shares; the larger, the more small sources count."""

    weights: dict[str, float] = field(default_factory=dict)
    """By source, its share before all shares are scaled to sum to 1, in place of what the
    temperature gives; 0 leaves the source out."""

    seed: int = 0
    """Fixes the order, and what is hidden from the network."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name in ("row_length", "n_rows", "micro_batches"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}",
                    fix="Set it to 1 or more.",
                )
        if not 1 <= self.temperature <= 100:
            raise InputError(
                f"temperature must lie between 1 and 100, got {self.temperature:g}",
                fix="1 samples sources as they are; 2 evens them out by the square root.",
            )
        if self.seed < 0:
            raise InputError(f"seed must not be negative, got {self.seed}", fix="Use 0 or more.")
        for name, weight in self.weights.items():
            if not (np.isfinite(weight) and weight >= 0):
                raise InputError(
                    f"the weight of source {name!r} must not be negative, got {weight:g}",
                    fix="Use 0 to leave the source out.",
                )

    @property
    def tokens_per_micro_batch(self) -> int:
        """Places for tokens in one micro-batch, empty ones included."""
        return self.row_length * self.n_rows


@dataclass(frozen=True)
class Rows:
    """Samples laid in rows, once for the whole training."""

    samples: Int[ndarray, " packed"]
    """Numbers of the samples, row after row."""

    offsets: Int[ndarray, " row_plus_one"]
    """Where each row starts in ``samples``."""

    row_of: Int[ndarray, " sample"]
    """By sample, its row; -1 for a sample without tokens."""

    fill: float
    """Share of the rows' places that hold a token."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, number: int) -> list[int]:
        """Return the samples of one row."""
        members: list[int] = self.samples[self.offsets[number] : self.offsets[number + 1]].tolist()
        return members


def pack_rows(lengths: Int[ndarray, " sample"], row_length: int, seed: int) -> Rows:
    """Return rows of at most ``row_length`` tokens that hold each sample once.

    Samples come in an order shuffled by ``seed``, the longest of each `SORTED_TOGETHER` first;
    each goes to the fullest open row that has room for it, and of more than `OPEN_ROWS` open rows
    the fullest is closed. Open rows are found through the bits of one whole number, so that a
    million samples take a second.

    Args:
        lengths: Tokens of each sample after cropping; samples of 0 tokens are left out.
        row_length: Tokens of a row.
        seed: Fixes the order.
    """
    assert len(lengths) == 0 or int(lengths.max()) <= row_length, "samples are cropped before"
    order = np.random.default_rng([seed, _PACKING]).permutation(len(lengths))
    order = order[lengths[order] > 0]
    together = np.arange(len(order)) // SORTED_TOGETHER
    order = order[np.lexsort((-lengths[order].astype(np.int64), together))]
    found = np.full(len(lengths), -1, dtype=np.int64)
    open_rows: list[list[int]] = [[] for _ in range(row_length + 1)]
    mask, n_open, n_rows = 0, 0, 0
    chosen = []
    for length in lengths[order].tolist():
        if fitting := mask >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            row = open_rows[room].pop()
            if not open_rows[room]:
                mask ^= 1 << room
            n_open -= 1
        else:
            row, room = n_rows, row_length
            n_rows += 1
        chosen.append(row)
        if left := room - length:
            open_rows[left].append(row)
            mask |= 1 << left
            n_open += 1
        if n_open > OPEN_ROWS:
            fullest = (mask & -mask).bit_length() - 1
            open_rows[fullest].pop()
            if not open_rows[fullest]:
                mask ^= 1 << fullest
            n_open -= 1
    found[order] = chosen
    by_row = order[np.argsort(found[order], kind="stable")]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(found[order], minlength=n_rows))])
    fill = float(lengths.sum()) / max(n_rows * row_length, 1)
    return Rows(by_row, offsets.astype(np.int64), found, fill)


class SourceOrder:
    """The endless sequence of one source's rows: each epoch all of them, in a new order.

    Args:
        rows: The rows.
        n_rows: Rows of a micro-batch.
        seed: Of the run.
        stream: Number of the source, so that sources have orders of their own.
    """

    def __init__(self, rows: Rows, n_rows: int, seed: int, stream: int) -> None:
        self.rows, self.n_rows, self.seed, self.stream = rows, n_rows, seed, stream
        self._permutations: dict[int, Int[ndarray, " row"]] = {}

    def micro_batch(self, number: int) -> list[list[int]]:
        """Return the samples, row by row, of the source's own micro-batch of a number."""
        first = number * self.n_rows
        return [self.rows.row(self._row_at(place)) for place in range(first, first + self.n_rows)]

    def place_of(self, sample: int, epoch: int) -> int:
        """Return which of its own micro-batches shows a sample in an epoch."""
        row = self.rows.row_of[sample]
        place = int(np.flatnonzero(self._permutation(epoch) == row)[0])
        return (epoch * len(self.rows) + place) // self.n_rows

    def _row_at(self, place: int) -> int:
        epoch, within = divmod(place, len(self.rows))
        return int(self._permutation(epoch)[within])

    def _permutation(self, epoch: int) -> Int[ndarray, " row"]:
        if epoch not in self._permutations:
            if len(self._permutations) > 1:  # a micro-batch may reach from one epoch into the next
                del self._permutations[min(self._permutations)]
            rng = np.random.default_rng([self.seed, _EPOCH, self.stream, epoch])
            self._permutations[epoch] = rng.permutation(len(self.rows))
        return self._permutations[epoch]


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch is composed of."""

    source: str
    """The source of all its samples."""

    rows: list[list[int]]
    """Numbers of the samples of each row."""

    seed: int
    """Fixes what is cropped and hidden."""


class CorpusOrder:
    """Which samples each micro-batch of a run shows; sources alternate in a fixed pattern.

    Args:
        lengths: By source, tokens of each sample after cropping to the row length.
        config: Sizes, shares and seed.

    Raises:
        InputError: A weight names no source, or nothing is left to train on.
    """

    def __init__(self, lengths: Mapping[str, Int[ndarray, " sample"]], config: OrderConfig) -> None:
        self.config = config
        self.shares = source_shares({name: int(one.sum()) for name, one in lengths.items()}, config)
        self.sources: tuple[str, ...] = tuple(self.shares)
        self._orders = {
            name: SourceOrder(
                pack_rows(lengths[name], config.row_length, config.seed),
                config.n_rows,
                config.seed,
                stream,
            )
            for stream, name in enumerate(self.sources)
        }
        quotas = _quotas(np.array(list(self.shares.values())))
        self.quotas: dict[str, int] = dict(zip(self.sources, quotas.tolist(), strict=True))
        """By source, its micro-batches in each `PERIOD`."""
        self._pattern = _pattern(quotas, config.seed)
        one_hot = self._pattern[:, None] == np.arange(len(self.sources))[None, :]
        self._before = np.cumsum(one_hot, axis=0) - one_hot

    def micro_batch(self, index: int) -> MicroBatch:
        """Return one micro-batch of the run, counted from 0 over all steps and processes."""
        source, number = self._own_number(index)
        seed = np.random.SeedSequence([self.config.seed, _COMPOSING, index])
        rows = self._orders[source].micro_batch(number)
        return MicroBatch(source, rows, int(seed.generate_state(1, np.uint64)[0] >> 1))

    def step_of(self, source: str, sample: int, epoch: int = 0) -> int | None:
        """Return the step that shows a sample in an epoch of its source; None if none ever does.

        Steps are counted from 0. A sample without tokens, or of a source left out, is never shown.
        """
        if source not in self._orders or self._orders[source].rows.row_of[sample] < 0:
            return None
        number = self._orders[source].place_of(sample, epoch)
        period, within = divmod(number, self.quotas[source])
        places = np.flatnonzero(self._pattern == self.sources.index(source))
        return (period * PERIOD + int(places[within])) // self.config.micro_batches

    def epochs(self, n_steps: int) -> dict[str, float]:
        """Return how often each source has been seen after a number of steps."""
        full, rest = divmod(n_steps * self.config.micro_batches, PERIOD)
        seen = {}
        for number, name in enumerate(self.sources):
            partly = int((self._pattern[:rest] == number).sum())
            micro_batches = full * self.quotas[name] + partly
            rows = len(self._orders[name].rows)
            seen[name] = micro_batches * self.config.n_rows / rows
        return seen

    def fill(self) -> dict[str, float]:
        """Return by source the share of places that hold a token."""
        return {name: self._orders[name].rows.fill for name in self.sources}

    def fingerprint(self) -> str:
        """Return a checksum of the rows, the pattern and the first permutations.

        It changes with the corpus, the settings, and with a NumPy whose random streams differ.
        """
        digest = hashlib.sha256(self._pattern.tobytes())
        for name in self.sources:
            order = self._orders[name]
            digest.update(name.encode())
            digest.update(order.rows.samples.tobytes())
            digest.update(order.rows.offsets.tobytes())
            digest.update(np.array(order.micro_batch(0)[0], dtype=np.int64).tobytes())
        return digest.hexdigest()

    def _own_number(self, index: int) -> tuple[str, int]:
        period, within = divmod(index, PERIOD)
        number = int(self._pattern[within])
        source = self.sources[number]
        return source, period * self.quotas[source] + int(self._before[within, number])


def source_shares(n_tokens: Mapping[str, int], config: OrderConfig) -> dict[str, float]:
    """Return the share of micro-batches of each source that is trained on; they sum to 1.

    What the temperature makes of the tokens sums to 1 over all sources of the corpus; given weights
    then take the place of some of them.

    Raises:
        InputError: A weight names no source, or nothing is left to train on.
    """
    for name in config.weights:
        if name not in n_tokens:
            raise InputError(
                f"a weight is given for {name!r}, which is no source of this corpus",
                fix=did_you_mean(name, n_tokens),
            )
    evened = {name: tokens ** (1 / config.temperature) for name, tokens in n_tokens.items()}
    total = sum(evened.values())
    shares = {
        name: config.weights.get(name, evened[name] / total) if n_tokens[name] else 0.0
        for name in n_tokens
    }
    chosen = sum(shares.values())
    if not chosen > 0:
        raise InputError(
            "no source is left to train on: each has weight 0 or no tokens",
            fix="Give at least one source of the corpus a positive weight.",
        )
    return {name: share / chosen for name, share in shares.items() if share > 0}


def _quotas(shares: Float[ndarray, " source"]) -> Int[ndarray, " source"]:
    """Return whole numbers that sum to `PERIOD`, nearest to the shares and at least 1."""
    exact = shares * PERIOD
    quotas: Int[ndarray, " source"] = np.maximum(np.floor(exact), 1).astype(np.int64)
    while (missing := PERIOD - int(quotas.sum())) != 0:
        behind = exact - quotas
        if missing > 0:
            quotas[np.argmax(behind)] += 1
        else:
            quotas[np.argmin(np.where(quotas > 1, behind, np.inf))] -= 1
    return quotas


def _pattern(quotas: Int[ndarray, " source"], seed: int) -> Int[ndarray, " micro_batch"]:
    """Return the source of each micro-batch of a period, each source spread evenly over it."""
    rng = np.random.default_rng([seed, _PATTERN])
    numbers = np.repeat(np.arange(len(quotas)), quotas)
    places = np.concatenate([(np.arange(one) + rng.random(one)) / one for one in quotas.tolist()])
    pattern: Int[ndarray, " micro_batch"] = numbers[np.argsort(places, kind="stable")]
    return pattern
