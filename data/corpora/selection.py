"""Which samples of a source stay, and which of them are for validation."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from kagaku.data.corpora.cleaning import Partition
from kagaku.data.corpora.held_out import NOT_HELD_OUT, HeldOut
from kagaku.data.corpora.manifest import StepCount
from kagaku.data.corpora.signatures import PERMUTATIONS, SIGNED, first_of_groups, near_groups

NEITHER, TRAINING, VALIDATION = 0, 1, 2
"""What becomes of a sample."""


@dataclass(frozen=True)
class Selection:
    """What becomes of each cleaned sample of a source, in reading order."""

    fate: Int[np.ndarray, " sample"]
    """`NEITHER`, `TRAINING` or `VALIDATION`."""

    found_in: Int[np.ndarray, " sample"]
    """Index of the held-out set that it was removed for, or `NOT_HELD_OUT`."""

    steps: tuple[StepCount, ...]
    """How many samples each step left."""


@dataclass
class Seen:
    """Keys of the samples that stayed, by what they consist of; grows source by source."""

    keys: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)
    """By the modalities of a source, sorted uint64 keys."""

    signed: dict[str, list[tuple[Partition, np.ndarray]]] = field(default_factory=dict)
    """By the modality of signed first inputs, partitions and what became of their samples; their
    signatures stay on disk."""

    def is_new(self, kind: tuple[str, ...], keys: np.ndarray) -> Bool[np.ndarray, " sample"]:
        """Return which keys were not seen, each only at its first place."""
        first = np.zeros(len(keys), dtype=bool)
        first[np.unique(keys, return_index=True)[1]] = True
        return first & ~np.isin(keys, self.keys.get(kind, np.zeros(0, dtype=np.uint64)))

    def add(self, kind: tuple[str, ...], keys: np.ndarray) -> None:
        """Remember keys."""
        self.keys[kind] = np.union1d(self.keys.get(kind, np.zeros(0, dtype=np.uint64)), keys)

    def sign(self, modality: str, partitions: Sequence[Partition], fate: np.ndarray) -> None:
        """Remember where the signatures of first inputs lie, and what became of the samples."""
        stops = np.cumsum([len(one.keys) for one in partitions])[:-1]
        parts = zip(partitions, np.split(fate.astype(np.int8), stops), strict=True)
        self.signed.setdefault(modality, []).extend(parts)

    def fates(self, modality: str) -> Int[np.ndarray, " sample"]:
        """Return what became of the signed samples of a modality, in the order of reading."""
        return np.concatenate(
            [np.zeros(0, dtype=np.int8), *(fate for _, fate in self.signed.get(modality, []))]
        )


@dataclass(frozen=True)
class ValidRule:
    """How validation samples are chosen."""

    seed: int
    """Fixes the choice."""

    share: Float[np.ndarray, ""] | float
    """Share of the groups that are for validation."""

    most: int
    """Most validation samples of one source; what lies beyond is left out of both parts, since the
    same molecule may be for validation in another source."""


def select(
    partitions: Sequence[Partition],
    inputs: dict[str, str],
    held_out: HeldOut,
    seen: Seen,
    valid: ValidRule,
    scratch: Path,
) -> Selection:
    """Return what becomes of the samples of one source.

    Args:
        partitions: All its cleaned partitions, in order.
        inputs: By input name, its modality.
        held_out: What must not be trained on.
        seen: Samples of earlier sources; those that stay here are added.
        valid: How validation samples are chosen.
        scratch: A file that may be used for signatures; removed afterwards.
    """
    modalities = tuple(inputs.values())
    keys = np.concatenate([one.keys for one in partitions])
    n_read = int(sum(int(one.n_read[0]) for one in partitions))
    steps = [StepCount(f"readable as {_and(modalities)}", n_read, len(keys))]
    alive = seen.is_new(modalities, keys)
    _count(steps, "exact duplicates removed", alive)
    found_in = _held_out_exactly(partitions, held_out, len(keys))
    if modalities[0] in SIGNED and len(keys):
        groups, earlier, near = _near(partitions, seen, modalities[0], held_out, scratch)
        found_in = np.where(found_in == NOT_HELD_OUT, near, found_in)
    found_in = np.where(alive, found_in, NOT_HELD_OUT)
    alive &= found_in == NOT_HELD_OUT
    _count(steps, "held-out samples removed", alive)
    if len(modalities) == 1 and modalities[0] in SIGNED and len(keys):
        living = np.flatnonzero(alive)
        alive[living[~first_of_groups(groups[living])]] = False
        _count(steps, "near-duplicates removed", alive)
    seen.add(modalities, keys[alive])
    fate = _fates(np.concatenate([one.groups for one in partitions]), alive, valid)
    _count(steps, "torn between the parts, or beyond the validation limit", fate != NEITHER)
    if modalities[0] in SIGNED and len(keys):
        fate = _apart(fate, groups, seen.fates(modalities[0]), earlier)
        _count(steps, "near one of the other part", fate != NEITHER)
        seen.sign(modalities[0], partitions, fate)
    return Selection(fate, found_in, tuple(steps))


def _count(steps: list[StepCount], step: str, alive: np.ndarray) -> None:
    steps.append(StepCount(step, steps[-1].after, int(np.count_nonzero(alive))))


def _and(modalities: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(modalities))


def _held_out_exactly(
    partitions: Sequence[Partition], held_out: HeldOut, n_samples: int
) -> np.ndarray:
    """Return the set in which an input or a long sentence of each sample stands, or none."""
    found = np.full(n_samples, NOT_HELD_OUT, dtype=np.int64)
    start = 0
    for one in partitions:
        stop = start + len(one.keys)
        for column in one.kin.T:
            found[start:stop] = np.maximum(found[start:stop], held_out.find(column))
        np.maximum.at(found, start + one.sentence_sample, held_out.find(one.sentences))
        start = stop
    return found


def _near(
    partitions: Sequence[Partition], seen: Seen, modality: str, held_out: HeldOut, scratch: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the group of each sample and of each earlier one, and the held-out set or none.

    Groups are near-duplicates of the first input. Held-out values and earlier samples take part in
    the grouping, so whatever is linked to one is found.
    """
    held, of_set = held_out.signatures[modality], held_out.set_of_signature[modality]
    every = [*(one for one, _ in seen.signed.get(modality, [])), *partitions]
    counts = [len(held), *(len(one.keys) for one in every)]
    all_rows = np.lib.format.open_memmap(
        scratch, mode="w+", dtype=np.uint32, shape=(sum(counts), PERMUTATIONS)
    )
    start = 0
    for rows in itertools.chain([held], (one.signatures() for one in every)):
        all_rows[start : start + len(rows)] = rows
        start += len(rows)
    groups = near_groups(all_rows)
    scratch.unlink()  # the mapping keeps the content until it is forgotten
    set_of_group = np.full(int(groups.max(initial=0)) + 1, NOT_HELD_OUT, dtype=np.int64)
    np.maximum.at(set_of_group, groups[: len(held)], of_set)
    first = len(groups) - sum(len(one.keys) for one in partitions)
    samples = groups[first:]
    return samples, groups[len(held) : first], set_of_group[samples]


def _apart(
    fate: np.ndarray, groups: np.ndarray, earlier_fate: np.ndarray, earlier: np.ndarray
) -> Int[np.ndarray, " sample"]:
    """Return the fates without samples that are near one of the other part.

    A validation sample near a training one would be known by heart. Of the two the later one goes,
    and within a source the validation sample.
    """
    n_groups = int(max(groups.max(initial=0), earlier.max(initial=0))) + 1

    def has(numbers: np.ndarray, fates: np.ndarray, part: int) -> np.ndarray:
        found = np.zeros(n_groups, dtype=bool)
        found[numbers[fates == part]] = True
        return found

    is_tested = has(earlier, earlier_fate, VALIDATION)
    kept = np.where((fate == TRAINING) & is_tested[groups], NEITHER, fate)
    is_taught = has(earlier, earlier_fate, TRAINING) | has(groups, kept, TRAINING)
    return np.where((kept == VALIDATION) & is_taught[groups], NEITHER, kept)


def _fates(groups: np.ndarray, alive: np.ndarray, valid: ValidRule) -> np.ndarray:
    """Return what becomes of the samples that are left."""
    chosen = _uniform(groups, valid.seed) < valid.share
    fate = np.where(chosen.all(axis=1), VALIDATION, np.where(chosen.any(axis=1), NEITHER, TRAINING))
    fate = np.where(alive, fate, NEITHER)
    beyond = np.flatnonzero(fate == VALIDATION)[valid.most :]
    fate[beyond] = NEITHER
    return fate


def _uniform(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return a number in [0, 1) for each 64-bit number, as if drawn, the same everywhere."""
    # The finaliser of splitmix64: https://doi.org/10.1145/2714064.2660195
    z = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    uniform: np.ndarray = (z >> np.uint64(11)).astype(np.float64) / 2.0**53
    return uniform
