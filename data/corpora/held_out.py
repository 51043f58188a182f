"""What must not be trained on: the keys of benchmark molecules, sequences and texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from kagaku.data.corpora.cleaning import SampleTools
from kagaku.data.corpora.keys import kin_key, sentence_keys, site_keys
from kagaku.data.corpora.signatures import PERMUTATIONS, SIGNED, signature
from kagaku.errors import InputError

NOT_HELD_OUT = -1
"""Stands for "in no held-out set" among set numbers."""


@dataclass(frozen=True)
class HeldOutValue:
    """One value of a held-out set."""

    set_name: str
    """Which set it belongs to."""

    modality: str
    """What kind of value it is: molecule, protein, nucleotide or text."""

    value: str
    """The value as the set has it."""


@dataclass(frozen=True)
class HeldOutTask:
    """Some held-out values to be turned into keys."""

    values: Sequence[HeldOutValue]
    """The values."""

    path: Path
    """The ``.npz`` to leave behind."""


def hold_out(task: HeldOutTask, tools: SampleTools) -> Path:
    """Write the keys and signatures of some held-out values and return where they are.

    What its modality cannot read has no key; it could not stand in a corpus either.
    """
    if task.path.is_file():
        return task.path
    keys: list[tuple[int, str]] = []
    signed: dict[str, list[tuple[np.ndarray, str]]] = {modality: [] for modality in SIGNED}
    for one in task.values:
        if one.modality == "molecule":  # its key needs no canonical form, and half the time
            keys.append((kin_key("molecule", one.value), one.set_name))
            continue
        try:
            value = tools.check(one.modality, one.value)
        except InputError:
            continue
        keys.append((kin_key(one.modality, value), one.set_name))
        if one.modality == "text":
            keys += [(key, one.set_name) for key in sentence_keys(value)]
        elif one.modality == "nucleotide":
            keys += [(key, one.set_name) for key in site_keys(value)]
        if one.modality in SIGNED:
            signed[one.modality].append((signature(one.modality, value), one.set_name))
    names = sorted({one.set_name for one in task.values})
    index = {name: number for number, name in enumerate(names)}
    arrays: dict[str, np.ndarray] = {
        "names": np.array(names, dtype=np.str_),
        "keys": np.array([key for key, _ in keys], dtype=np.uint64),
        "sets": np.array([index[name] for _, name in keys], dtype=np.int32),
    }
    for modality, found in signed.items():
        rows = [row for row, _ in found]
        arrays[f"{modality}_signatures"] = np.array(rows, np.uint32).reshape(-1, PERMUTATIONS)
        arrays[f"{modality}_sets"] = np.array([index[name] for _, name in found], dtype=np.int32)
    partial = task.path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(task.path)
    return task.path


@dataclass(frozen=True)
class HeldOut:
    """All held-out sets, ready to be compared with."""

    sets: tuple[str, ...]
    """Names of the sets."""

    keys: np.ndarray
    """Uint64 (key,), sorted."""

    set_of_key: np.ndarray
    """Int32 (key,): index of the set that each key comes from (the first, if several)."""

    signatures: dict[str, np.ndarray]
    """By modality, uint32 (value, permutation)."""

    set_of_signature: dict[str, np.ndarray]
    """By modality, int32 (value,): index of the set that each signature comes from."""

    def find(self, keys: np.ndarray) -> Int[np.ndarray, " key"]:
        """Return the index of the set that each key is found in, or `NOT_HELD_OUT`."""
        if not len(self.keys):
            return np.full(len(keys), NOT_HELD_OUT, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = np.where(self.keys[place] == keys, self.set_of_key[place], NOT_HELD_OUT)
        return found.astype(np.int64)


def load_held_out(paths: Sequence[Path]) -> HeldOut:
    """Return what `hold_out` left in some files, as one."""
    names = [_stored(path, "names").tolist() for path in paths]
    sets = tuple(sorted({name for some in names for name in some}))
    index = {name: number for number, name in enumerate(sets)}
    places = [np.array([index[name] for name in some], dtype=np.int32) for some in names]

    def joined(name: str, dtype: Any) -> np.ndarray:
        empty = np.zeros(0, dtype=dtype)
        return np.concatenate([empty, *(_stored(path, name).ravel() for path in paths)])

    def numbers(name: str) -> np.ndarray:
        """Return set numbers that count within each file as numbers of all sets."""
        found = [of_file[_stored(path, name)] for path, of_file in zip(paths, places, strict=True)]
        return np.concatenate([np.zeros(0, dtype=np.int32), *found])

    keys, of_key = joined("keys", np.uint64), numbers("sets")
    order = np.lexsort((of_key, keys))
    keys, of_key = keys[order], of_key[order]
    first = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return HeldOut(
        sets=sets,
        keys=keys[first],
        set_of_key=of_key[first],
        signatures={
            one: joined(f"{one}_signatures", np.uint32).reshape(-1, PERMUTATIONS) for one in SIGNED
        },
        set_of_signature={one: numbers(f"{one}_sets") for one in SIGNED},
    )


def _stored(path: Path, name: str) -> np.ndarray:
    """Return one array of a file, so that no more than one stays in memory."""
    with np.load(path, allow_pickle=False) as arrays:
        array: np.ndarray = arrays[name]
    return array


def in_pieces(
    values: Iterator[HeldOutValue], most: int, letters: int
) -> Iterator[list[HeldOutValue]]:
    """Yield values in lists of at most ``most``, each ended as soon as it has ``letters``."""
    piece: list[HeldOutValue] = []
    size = 0
    for one in values:
        piece.append(one)
        size += len(one.value)
        if len(piece) == most or size >= letters:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
