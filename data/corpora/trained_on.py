"""What a corpus taught, in a few bytes per sample: enough to tell whether a value was among it.

Weights are published without their corpus. These fingerprints go with them, so that anyone can ask
whether a test set was trained on: exactly, by truncated keys, and nearly, by one bit of each hash
of a MinHash signature.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt
from safetensors import safe_open
from safetensors.numpy import save_file

from kagaku.data.corpora.signatures import PERMUTATIONS
from kagaku.data.records import Field
from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError

TRAINED_ON_FILE = "trained_on.safetensors"

KEY_BYTES = 5
"""Bytes that are kept of a key: among a million samples a stranger is taken for one of them with a
chance of one in a million."""

NEAR_BITS = 58
"""Equal bits of 64 from which two values are near-duplicates. At a Jaccard similarity of J each bit
is equal with probability (1 + J) / 2, so this is J = 0.81; for unrelated values 58 equal bits come
by chance once in 10^11 pairs. One-bit MinHash: https://doi.org/10.1145/1772690.1772759"""

FORMAT_VERSION = 1

_SAME_QUANTITY = {"surface_temperature": "sea_surface_temperature"}
"""Names of fields that other names of the same quantity stand for."""


@dataclass(frozen=True)
class Span:
    """Which variable a climate source covers, where and when."""

    source: str
    """Name of the source."""

    variables: tuple[str, ...]
    """Names of the fields' variables."""

    south: float
    """Degrees north."""

    north: float
    """Degrees north."""

    first: float
    """Days since 1970-01-01; minus infinity if the fields carry no time."""

    last: float
    """Days since 1970-01-01."""

    is_simulated: bool = False
    """Whether its days are a model's own, and no days of the real world."""

    def holds(self, one: Field) -> bool:
        """Return whether a field shows the same variable at the same time in the same latitudes."""
        both = ({_quantity(name) for name in names} for names in (one.names, self.variables))
        if self.is_simulated or one.time is None or not set.intersection(*both):
            return False
        inside = (one.latitudes >= self.south) & (one.latitudes <= self.north)
        return bool(inside.any()) and self.first <= one.time <= self.last


@dataclass(frozen=True)
class TrainedOn:
    """Fingerprints of all training samples of a corpus."""

    keys: Mapping[str, UInt[np.ndarray, "..."]]
    """By modality, truncated keys of kin (`kin_key`), sorted, each once."""

    sketches: Mapping[str, UInt[np.ndarray, "..."]]
    """By modality, 64 one-bit hashes of each value that has a signature."""

    spans: tuple[Span, ...] = field(default=())
    """What climate sources cover."""

    def knows(self, modality: str, keys: Sequence[int]) -> Bool[np.ndarray, " value"]:
        """Return which values were trained on, by their keys (`kin_key`)."""
        asked = truncated(np.array(keys, dtype=np.uint64))
        there = self.keys.get(modality, np.zeros(0, dtype=np.uint64))
        found: np.ndarray = np.isin(asked, there)
        return found

    def resembles(
        self, modality: str, sketches: UInt[np.ndarray, " value"]
    ) -> Bool[np.ndarray, " value"]:
        """Return which values are near-duplicates of something trained on, by `sketch`."""
        return near(sketches, self.sketches.get(modality, np.zeros(0, dtype=np.uint64)))

    def covers(self, one: Field) -> bool:
        """Return whether a climate source shows the same variable, place and time."""
        return any(span.holds(one) for span in self.spans)

    def joined(self, other: "TrainedOn") -> "TrainedOn":
        """Return the fingerprints of what either saw: of weights that start from other weights."""
        return TrainedOn(
            _joined(self.keys, other.keys),
            _joined(self.sketches, other.sketches),
            tuple(dict.fromkeys((*self.spans, *other.spans))),
        )

    def save(self, path: Path) -> None:
        """Write it through a temporary name."""
        tensors: dict[str, np.ndarray] = {}
        for modality, keys in self.keys.items():
            split = keys.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :KEY_BYTES]
            tensors[f"keys.{modality}"] = np.ascontiguousarray(split)
        for modality, sketches in self.sketches.items():
            tensors[f"sketches.{modality}"] = sketches
        told = {"format_version": FORMAT_VERSION, "spans": [asdict(one) for one in self.spans]}
        with written_whole(path) as partial:
            # One entry only: safetensors writes several in no fixed order.
            save_file(tensors, partial, metadata={"kagaku": json.dumps(told)})

    @classmethod
    def load(cls, path: Path) -> "TrainedOn":
        """Return what `save` wrote.

        Raises:
            InputError: Another version of kagaku wrote it.
        """
        with safe_open(path, framework="numpy") as stored:
            told = json.loads((stored.metadata() or {}).get("kagaku", "{}"))
            if told.get("format_version") != FORMAT_VERSION:
                raise InputError(
                    f"the fingerprints have format {told.get('format_version')!r}, and this kagaku "
                    f"reads format {FORMAT_VERSION}",
                    fix="Use the kagaku version that wrote them.",
                    where=str(path),
                )
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
        keys = {
            name.removeprefix("keys."): _whole(array)
            for name, array in tensors.items()
            if name.startswith("keys.")
        }
        sketches = {
            name.removeprefix("sketches."): array
            for name, array in tensors.items()
            if name.startswith("sketches.")
        }
        spans = tuple(_span(one) for one in told["spans"])
        return cls(keys, sketches, spans)


class Collector:
    """Gathers fingerprints while a corpus is built."""

    def __init__(self) -> None:
        self._keys: dict[str, list[np.ndarray]] = {}
        self._sketches: dict[str, list[np.ndarray]] = {}

    def add(
        self,
        modalities: Sequence[str],
        kin: UInt[np.ndarray, "sample input"],
        signatures: Iterable[np.ndarray],
    ) -> None:
        """Add the training samples of a source.

        Args:
            modalities: Of the inputs, in order.
            kin: `kin_key` of each input; 0 where a sample lacks it.
            signatures: Of the first input, uint32 (sample, permutation) in pieces; pieces without
                columns where it has none.
        """
        for modality, column in zip(modalities, kin.T, strict=True):
            self._keys.setdefault(modality, []).append(truncated(column[column != 0]))
        for piece in signatures:
            if piece.shape[1]:
                self._sketches.setdefault(modalities[0], []).append(sketch(np.asarray(piece)))

    def trained_on(self, spans: Sequence[Span] = ()) -> TrainedOn:
        """Return everything added."""
        keys = {name: np.unique(np.concatenate(found)) for name, found in self._keys.items()}
        sketches = {
            name: np.unique(np.concatenate(found)) for name, found in self._sketches.items()
        }
        return TrainedOn(keys, sketches, tuple(spans))


def _joined(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    names = sorted({*one, *other})
    return {
        name: np.unique(np.concatenate([some[name] for some in (one, other) if name in some]))
        for name in names
    }


def truncated(keys: UInt[np.ndarray, " value"]) -> UInt[np.ndarray, " value"]:
    """Return keys without the bytes that are not kept."""
    kept: np.ndarray = keys & np.uint64(2 ** (8 * KEY_BYTES) - 1)
    return kept


def sketch(signatures: UInt[np.ndarray, "value permutation"]) -> UInt[np.ndarray, " value"]:
    """Return the lowest bit of each of the 64 hashes of MinHash signatures, as one number.

    The bit is taken from a mixture of the hash, since a minimum's own bits are not fair coins.
    """
    assert signatures.shape[1] == PERMUTATIONS == 64
    mixed = signatures.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (mixed >> np.uint64(63)) << np.arange(64, dtype=np.uint64)
    found: np.ndarray = np.bitwise_or.reduce(bits, axis=1)
    return found


def near(
    asked: UInt[np.ndarray, " value"], there: UInt[np.ndarray, " other"]
) -> Bool[np.ndarray, " value"]:
    """Return which sketches are close to any of the others."""
    found = np.zeros(len(asked), dtype=bool)
    for place, one in enumerate(asked):
        equal = 64 - np.bitwise_count(there ^ one).astype(np.int64)
        found[place] = bool((equal >= NEAR_BITS).any())
    return found


def _whole(array: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(array), 8), dtype=np.uint8)
    padded[:, :KEY_BYTES] = array
    keys: np.ndarray = padded.view("<u8")[:, 0].astype(np.uint64)
    return keys


def _quantity(name: str) -> str:
    """Return the quantity that a field's name speaks of; an anomaly tells of it as well."""
    bare = name.removesuffix("_anomaly")
    return _SAME_QUANTITY.get(bare, bare)


def _span(stored: Mapping[str, Any]) -> Span:
    return Span(**{**stored, "variables": tuple(stored["variables"])})
