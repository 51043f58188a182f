"""What decides what a corpus will be."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kagaku.data.corpora.cleaning import SampleTools
from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.raw import RawSample

CODE_VERSION = 3
"""Raised by one whenever cleaning, keys or selection would give another corpus."""


@dataclass(frozen=True)
class SourcePlan:
    """One source to be read."""

    name: str
    """The word for it in the corpus."""

    inputs: dict[str, str]
    """By input name, its modality."""

    origin: str
    """See `SourceInfo.origin`."""

    version: str
    """See `SourceInfo.version`."""

    licence: str
    """See `SourceInfo.licence`."""

    read: Callable[[], Iterator[RawSample]]
    """Yields its samples, always in the same order."""

    most: int | None = None
    """Most samples to take; a random choice, fixed by the corpus' seed. None takes all."""

    n_about: int = 0
    """About how many samples there are, for the time left; 0 where nobody knows."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what its cleaned partitions depend on."""
        names = ("name", "inputs", "origin", "version", "most")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CorpusPlan:
    """Everything that decides what a corpus will be."""

    name: str
    """What the corpus is called."""

    seed: int
    """Fixes every random choice."""

    sources: tuple[SourcePlan, ...]
    """In the order in which duplicates are kept: earlier ones win."""

    held_out: Callable[[], Iterator[HeldOutValue]]
    """Yields what must not be trained on."""

    held_out_version: str
    """Changes whenever ``held_out`` would yield other values."""

    valid_share: Mapping[str, float]
    """By the modality of a source's first input, the share that is kept for validation."""

    most_valid: int
    """Most validation samples per source."""

    shard_bytes: int
    """About how large a shard is."""

    notes: tuple[str, ...] = ()
    """See `Manifest.notes`."""

    def fingerprint(self, tools: SampleTools) -> dict[str, Any]:
        """Return what the finished corpus depends on, as plain JSON values."""
        return {
            "name": self.name,
            "seed": self.seed,
            "sources": [one.fingerprint() | {"licence": one.licence} for one in self.sources],
            "held_out": self.held_out_version,
            "valid_share": dict(self.valid_share),
            "most_valid": self.most_valid,
            "shard_bytes": self.shard_bytes,
            "tools": tools.version,
            "code": CODE_VERSION,
        }


def digest(told: Mapping[str, Any]) -> str:
    """Return a short word that other settings would not have."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
