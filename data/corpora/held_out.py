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
    arrays: dict[str, np.ndarray] = {
        "keys": np.array([key for key, _ in keys], dtype=np.uint64),
        "sets": np.array([name for _, name in keys], dtype=np.str_),
    }
    for modality, found in signed.items():
        rows = [row for row, _ in found]
        arrays[f"{modality}_signatures"] = np.array(rows, np.uint32).reshape(-1, PERMUTATIONS)
        arrays[f"{modality}_sets"] = np.array([name for _, name in found], dtype=np.str_)
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
    """Int64 (key,): index of the set that each key comes from (the first, if several)."""

    signatures: dict[str, np.ndarray]
    """By modality, uint32 (value, permutation)."""

    set_of_signature: dict[str, np.ndarray]
    """By modality, int64 (value,)."""

    def find(self, keys: np.ndarray) -> Int[np.ndarray, " key"]:
        """Return the index of the set that each key is found in, or `NOT_HELD_OUT`."""
        if not len(self.keys):
            return np.full(len(keys), NOT_HELD_OUT, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = np.where(self.keys[place] == keys, self.set_of_key[place], NOT_HELD_OUT)
        return found.astype(np.int64)


def load_held_out(paths: Sequence[Path]) -> HeldOut:
    """Return what `hold_out` left in some files, as one."""
    stored: list[dict[str, Any]] = []
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            stored.append(dict(arrays))
    everything = [one[name] for one in stored for name in one if name.endswith("sets")]
    sets = tuple(sorted({str(name) for names in everything for name in np.unique(names)}))
    index = {name: number for number, name in enumerate(sets)}

    def numbers(name: str) -> np.ndarray:
        found = [[index[str(one)] for one in arrays.get(name, ())] for arrays in stored]
        return np.array([one for some in found for one in some], dtype=np.int64)

    keys, of_key = _joined(stored, "keys", np.uint64), numbers("sets")
    order = np.lexsort((of_key, keys))
    keys, of_key = keys[order], of_key[order]
    first = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return HeldOut(
        sets=sets,
        keys=keys[first],
        set_of_key=of_key[first],
        signatures={
            one: _joined(stored, f"{one}_signatures", np.uint32).reshape(-1, PERMUTATIONS)
            for one in SIGNED
        },
        set_of_signature={one: numbers(f"{one}_sets") for one in SIGNED},
    )


def _joined(stored: list[dict[str, Any]], name: str, dtype: Any) -> np.ndarray:
    # A file of an earlier version lacks modalities that came later.
    parts = [arrays[name] for arrays in stored if name in arrays]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


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
