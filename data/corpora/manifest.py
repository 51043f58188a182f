"""The manifest of a corpus: what is in it, where it came from, and what was left out."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from math import isclose

TRAIN, VALID = "train", "valid"
"""The two parts of each source; validation samples are never trained on."""


@dataclass(frozen=True)
class ShardInfo:
    """One tar file of samples."""

    file: str
    """Name inside the corpus folder."""

    n_samples: int
    """How many samples it holds."""

    n_bytes: int
    """Its size."""

    sha256: str
    """Its checksum, in hexadecimal."""

    beside: dict[str, str] = field(default_factory=dict)
    """Checksum by name of the arrays beside it: offsets, lengths and descriptors."""


@dataclass(frozen=True)
class StepCount:
    """What one step of cleaning or de-duplication did to a source."""

    step: str
    """What was done, in words that a table can show."""

    before: int
    """Samples that went in."""

    after: int
    """Samples that came out."""


@dataclass(frozen=True)
class SourceInfo:
    """One source of samples."""

    name: str
    """The word for it in recipes, ids and logs."""

    origin: str
    """Package and file that it was read from, or the user's file."""

    version: str
    """Version of the package, or the checksum of the user's file."""

    licence: str
    """Licence as its publisher states it."""

    inputs: dict[str, str]
    """By input name, the registered name of its modality, in the order that samples keep."""

    steps: tuple[StepCount, ...]
    """The cleaning, in order."""

    n_tokens: int
    """Tokens of all training samples, uncropped."""

    train: tuple[ShardInfo, ...]
    """Shards to train on."""

    valid: tuple[ShardInfo, ...]
    """Shards to measure held-out losses on."""


@dataclass(frozen=True)
class DescriptorScale:
    """How computed descriptors are named and standardised."""

    names: tuple[str, ...]
    """One name per descriptor, as RDKit spells it."""

    mean: tuple[float, ...]
    """Mean over training samples."""

    std: tuple[float, ...]
    """Standard deviation over training samples, positive."""


@dataclass(frozen=True)
class Manifest:
    """Everything that tells a reader what a corpus is made of."""

    name: str
    """What the recipe calls the corpus."""

    seed: int
    """Fixes which samples are held out for validation, and any sampling."""

    sources: tuple[SourceInfo, ...]
    """The sources, in the recipe's order."""

    descriptors: DescriptorScale | None = None
    """Of the samples with molecules; None where none were computed."""

    held_out: dict[str, int] = field(default_factory=dict)
    """By held-out set, how many samples were removed because they occur in it; each is listed in
    the file ``held_out.csv`` beside the manifest."""

    notes: tuple[str, ...] = ()
    """What a reader of the numbers should know, such as that no held-out folder was given."""

    def digest(self) -> str:
        """Return what stands for the corpus: equal if, and only if, all of this is."""
        told = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def unlike_shards(self, other: "Manifest") -> tuple[str, ...] | None:
        """Return the sources whose shards have other bytes than in a build of the same samples.

        Simulations end in other last digits on another processor. Everything that is told of the
        samples (versions, cleaning, numbers of samples and tokens, parts) has to agree.

        Args:
            other: The other build.

        Returns:
            Their names, none of a build that is the same; None if the corpora differ in more.
        """
        if self._samples() != other._samples():
            return None
        if not _are_close(self.descriptors, other.descriptors):
            return None
        both = zip(self.sources, other.sources, strict=True)
        return tuple(one.name for one, two in both if one != two)

    def _samples(self) -> "Manifest":
        """Return what is told of the samples, without bytes and scales."""

        def bare(shards: tuple[ShardInfo, ...]) -> tuple[ShardInfo, ...]:
            return tuple(replace(one, n_bytes=0, sha256="", beside={}) for one in shards)

        sources = (
            replace(one, train=bare(one.train), valid=bare(one.valid)) for one in self.sources
        )
        return replace(self, sources=tuple(sources), descriptors=None)


def _are_close(ours: DescriptorScale | None, theirs: DescriptorScale | None) -> bool:
    """Return whether two scales are the same but for rounding."""
    if ours is None or theirs is None:
        return ours is theirs
    pairs = zip((*ours.mean, *ours.std), (*theirs.mean, *theirs.std), strict=False)
    return ours.names == theirs.names and all(isclose(*one, rel_tol=1e-6) for one in pairs)
