"""Cleaning one partition: check, tokenise, compute descriptors and keys, encode.

A partition is a few thousand raw samples in reading order. Whatever is costly per sample happens
here, on a worker; what is left behind are the encoded samples and small arrays, from which
duplicates are found and shards are written without touching a sample again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import PIL.Image
from jaxtyping import Float

from kagaku.data.corpora.encoding import encode_sample
from kagaku.data.corpora.keys import (
    hashed,
    headed_keys,
    kin_key,
    molecule_keys,
    sentence_keys,
    site_keys,
    value_key,
)
from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.signatures import PERMUTATIONS, SIGNED, signature
from kagaku.errors import InputError

DESCRIPTORS, SIGNATURES = "descriptors", "signatures"
"""The arrays of a partition that have files of their own, since they are large."""

MOST_GROUPS = 2
"""How many groups one sample may belong to: a field and the one some lead later."""


@runtime_checkable
class SampleTools(Protocol):
    """What cleaning needs from the rooms above; must be picklable."""

    descriptor_names: tuple[str, ...]
    """Names of the descriptors that `describe` computes."""

    version: str
    """Changes whenever the same raw values would be cleaned to others."""

    def check(self, modality: str, value: Any) -> Any:
        """Return a value in its modality's canonical form; InputError where it has none."""

    def n_tokens(self, modality: str, value: Any) -> int:
        """Return how many tokens a checked value has."""

    def describe(self, smiles: str) -> Float[np.ndarray, " descriptor"]:
        """Return the descriptors of a checked molecule, float32, NaN where undefined."""


@dataclass(frozen=True)
class CleaningTask:
    """One partition to be cleaned."""

    source: str
    """Name of the source."""

    inputs: dict[str, str]
    """By input name, its modality; the order of everything per input."""

    number: int
    """Number of the partition, from 0."""

    first: int
    """Reading number of its first sample."""

    samples: Sequence[RawSample]
    """The raw samples."""

    path: Path
    """Where the result goes: ``path`` with ``.tar``, ``.npy`` endings and, last, ``.npz``."""


@dataclass(frozen=True)
class Partition:
    """What is known of the samples of a cleaned partition, in reading order.

    What is small per sample is held in memory; `descriptors` and `signatures` stay on disk.
    """

    path: Path
    """See `CleaningTask.path`."""

    offsets: np.ndarray
    """Int64 (sample + 1,): where each one's members start in the ``.tar``."""

    keys: np.ndarray
    """Uint64 (sample,): equal for exact duplicates, across sources with the same modalities."""

    groups: np.ndarray
    """Uint64 (sample, group): what decides between training and validation."""

    kin: np.ndarray
    """Uint64 (sample, input): key of each input to look for among held-out ones."""

    sentences: np.ndarray
    """Uint64 (sentence,): keys of long sentences of texts, of what follows their headings, and of
    sites of nucleotides."""

    sentence_sample: np.ndarray
    """Int64 (sentence,): which sample of the partition each stands in."""

    lengths: np.ndarray
    """Int32 (sample, input): tokens; 0 where the sample lacks the input."""

    n_read: np.ndarray
    """Int64 (1,): how many raw samples there were."""

    def descriptors(self) -> np.ndarray:
        """Return float32 (sample, descriptor), mapped; no column for sources without molecules."""
        return _mapped(self.path, DESCRIPTORS)

    def signatures(self) -> np.ndarray:
        """Return uint32 (sample, permutation) of the first input, mapped; no column without."""
        return _mapped(self.path, SIGNATURES)


def _mapped(path: Path, kind: str) -> np.ndarray:
    array: np.ndarray = np.load(_beside(path, kind), mmap_mode="r", allow_pickle=False)
    return array


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}.npy")


def clean_partition(task: CleaningTask, tools: SampleTools) -> int:
    """Clean one partition, leave its files behind and return its number.

    A finished partition is left as it is, so an interrupted build goes on where it stopped.
    """
    done = task.path.with_suffix(".npz")
    if done.is_file():
        return task.number
    rows: list[dict[str, Any]] = []
    offset, offsets = 0, [0]
    with task.path.with_suffix(".tar").open("wb") as stream:
        for place, raw in enumerate(task.samples):
            try:
                values = _checked(raw, task.inputs, tools)
            except InputError:
                continue
            row = _row(raw, values, task.inputs, tools)
            members = encode_sample(
                f"{task.source}-{task.first + place:09d}",
                f"{task.source}:{raw.name}",
                task.source,
                values,
            )
            stream.write(members)
            offset += len(members)
            offsets.append(offset)
            rows.append(row)
    arrays = _arrays(rows, offsets, task, len(tools.descriptor_names))
    for kind in (DESCRIPTORS, SIGNATURES):
        np.save(_beside(task.path, kind), arrays.pop(kind), allow_pickle=False)
    partial = done.with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.replace(done)
    return task.number


def load_partition(path: Path) -> Partition:
    """Return the arrays of a cleaned partition."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
        return Partition(path, **dict(stored))


def _checked(raw: RawSample, inputs: dict[str, str], tools: SampleTools) -> dict[str, Any]:
    """Return the checked values in the source's order.

    Raises:
        InputError: One cannot be used.
    """
    values = {}
    for name, modality in inputs.items():
        value = raw.inputs.get(name)
        if value is None:
            continue
        if isinstance(value, Deferred):
            value = value.value()
        checked = tools.check(modality, value)
        if isinstance(checked, Path):
            with PIL.Image.open(checked) as picture:
                array = np.asarray(picture.convert("RGB"))
            checked = tools.check(modality, array)
        values[name] = checked
    if not values:
        raise InputError("the sample has no input")
    return values


def _row(
    raw: RawSample, values: dict[str, Any], inputs: dict[str, str], tools: SampleTools
) -> dict[str, Any]:
    """Return what has to be known of one sample."""
    exact, kin, sentences = {}, {}, []
    for name, value in values.items():
        modality = inputs[name]
        if modality == "molecule":
            exact[name], kin[name] = molecule_keys(value)
        else:
            exact[name], kin[name] = value_key(modality, value), kin_key(modality, value)
        if modality == "text":
            sentences += sentence_keys(value) + headed_keys(value)
        elif modality == "nucleotide":
            sentences += site_keys(value)
    first = next(iter(inputs))
    parts = "|".join(f"{inputs[name]}={key}" for name, key in exact.items())
    groups = [hashed("group", one.encode()) for one in raw.groups] or [next(iter(kin.values()))]
    assert len(groups) <= MOST_GROUPS
    molecule = next((values[name] for name in values if inputs[name] == "molecule"), None)
    signed = first in values and inputs[first] in SIGNED
    return {
        "key": hashed("sample", parts.encode()),
        "groups": [*groups, *groups[:1]][:MOST_GROUPS],
        "kin": [kin.get(name, 0) for name in inputs],
        "sentences": sentences,
        "lengths": [
            tools.n_tokens(inputs[name], values[name]) if name in values else 0 for name in inputs
        ],
        "descriptors": None if molecule is None else tools.describe(molecule),
        "signature": signature(inputs[first], values[first]) if signed else None,
    }


def _arrays(
    rows: list[dict[str, Any]], offsets: list[int], task: CleaningTask, n_descriptors: int
) -> dict[str, np.ndarray]:
    """Return the columns of `Partition`."""
    n_inputs = len(task.inputs)
    has_molecule = "molecule" in task.inputs.values()
    signed = next(iter(task.inputs.values())) in SIGNED
    counts = [len(row["sentences"]) for row in rows]

    def filled(name: str, width: int, dtype: Any, missing: Any) -> np.ndarray:
        array = np.full((len(rows), width), missing, dtype=dtype)
        for place, row in enumerate(rows if width else ()):
            if row[name] is not None:
                array[place] = row[name]
        return array

    return {
        "offsets": np.array(offsets, dtype=np.int64),
        "keys": np.array([row["key"] for row in rows], dtype=np.uint64),
        "groups": filled("groups", MOST_GROUPS, np.uint64, 0),
        "kin": filled("kin", n_inputs, np.uint64, 0),
        "sentences": np.array([key for row in rows for key in row["sentences"]], dtype=np.uint64),
        "sentence_sample": np.repeat(np.arange(len(rows)), np.array(counts, dtype=np.int64)),
        "lengths": filled("lengths", n_inputs, np.int32, 0),
        DESCRIPTORS: filled(
            "descriptors", n_descriptors if has_molecule else 0, np.float32, np.nan
        ),
        SIGNATURES: filled("signature", PERMUTATIONS if signed else 0, np.uint32, 0),
        "n_read": np.array([len(task.samples)], dtype=np.int64),
    }
