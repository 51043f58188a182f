"""A corpus on disk: random access to any sample of any source.

Shards are plain tar files that webdataset reads as they are. Beside each stand three arrays: where
every sample starts, how many tokens its inputs have, and its descriptors. So one sample costs one
seek and one read, and what a sample is like can be asked of all of them without reading any.
"""

import os
from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from kagaku.data.corpora.encoding import decode_sample, sample_id
from kagaku.data.corpora.manifest import TRAIN, VALID, Manifest, ShardInfo, SourceInfo
from kagaku.data.corpora.sample import CorpusSample
from kagaku.data.corpora.storage import load_manifest
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

OFFSETS, LENGTHS, DESCRIPTORS = "offsets", "lengths", "descriptors"
"""The arrays beside a shard: int64 (sample + 1,) bytes, int32 (sample, input) tokens, float32
(sample, descriptor)."""

ONE_TAR_END = 1024
"""Bytes that end every shard after its last sample."""


def beside(shard_file: str, array: str) -> str:
    """Return the name of an array beside a shard.

    Example:
        >>> beside("moses-train-000000.tar", "offsets")
        'moses-train-000000.offsets.npy'
    """
    return f"{shard_file.removesuffix('.tar')}.{array}.npy"


@dataclass
class _Shard:
    """One open shard."""

    descriptor: int
    """The open file."""

    offsets: np.ndarray
    """Start of each sample and end of the last, in bytes."""

    numbers: np.ndarray | None
    """Descriptors of each sample, where there are any."""

    def span(self, index: int) -> bytes:
        start = int(self.offsets[index])
        return os.pread(self.descriptor, int(self.offsets[index + 1]) - start, start)


@dataclass(frozen=True)
class _Part:
    """The shards of one part of one source."""

    shards: tuple[ShardInfo, ...]
    """In order."""

    starts: list[int]
    """Index of each shard's first sample; the last entry is the number of samples."""


@dataclass
class Corpus:
    """A finished corpus; make one with `Corpus.open`.

    It may be pickled to worker processes: files are opened by whoever reads, when first needed.
    """

    folder: Path
    """Where it lies."""

    manifest: Manifest
    """What is in it."""

    _parts: dict[tuple[str, str], _Part] = field(default_factory=dict, repr=False)
    _open: dict[str, _Shard] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Return the corpus in a folder.

        Raises:
            InputError: There is no finished corpus, or a file is missing or has another size than
                the manifest says.
        """
        folder = Path(folder)
        corpus = cls(folder, load_manifest(folder))
        for source in corpus.manifest.sources:
            for part, shards in ((TRAIN, source.train), (VALID, source.valid)):
                for shard in shards:
                    _check_there(folder, shard)
                starts = np.cumsum([0, *(shard.n_samples for shard in shards)]).tolist()
                corpus._parts[source.name, part] = _Part(shards, starts)
        return corpus

    def source(self, name: str) -> SourceInfo:
        """Return what the manifest says of a source.

        Raises:
            InputError: There is no such source.
        """
        for one in self.manifest.sources:
            if one.name == name:
                return one
        raise InputError(
            f"the corpus has no source {name!r}",
            fix=did_you_mean(name, [one.name for one in self.manifest.sources]),
            where=str(self.folder),
        )

    def n_samples(self, source: str, part: str = TRAIN) -> int:
        """Return how many samples a part of a source has."""
        return self._part(source, part).starts[-1]

    def lengths(self, source: str, part: str = TRAIN) -> Int[np.ndarray, "sample input"]:
        """Return the tokens of each input of each sample, int32, uncropped.

        Inputs stand in the order of `SourceInfo.inputs`; 0 where a sample lacks one.
        """
        shards = self._part(source, part).shards
        if not shards:
            return np.zeros((0, len(self.source(source).inputs)), dtype=np.int32)
        return np.concatenate([_load(self.folder / beside(one.file, LENGTHS)) for one in shards])

    def read(self, source: str, index: int, part: str = TRAIN) -> CorpusSample:
        """Return one sample.

        Args:
            source: Name of its source.
            index: From 0; samples were shuffled when the corpus was built.
            part: `TRAIN` or `VALID`.

        Raises:
            InputError: There is no such source or sample, or its bytes are damaged.
        """
        shard, place, file = self._locate(source, index, part)
        numbers = None if shard.numbers is None else np.array(shard.numbers[place])
        try:
            return decode_sample(shard.span(place), numbers)
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise _damaged_sample(self.folder / file, place, error) from None

    def id_of(self, source: str, index: int, part: str = TRAIN) -> str:
        """Return the id of one sample; see `CorpusSample.id`."""
        shard, place, file = self._locate(source, index, part)
        try:
            return sample_id(shard.span(place))
        except (ValueError, KeyError) as error:
            raise _damaged_sample(self.folder / file, place, error) from None

    def verify(self) -> None:
        """Compare every file with its checksum.

        Raises:
            InputError: One differs.
        """
        for part in self._parts.values():
            for shard in part.shards:
                for name, expected in {shard.file: shard.sha256, **shard.beside}.items():
                    path = self.folder / name
                    with path.open("rb") as stream:
                        found = file_digest(stream, "sha256").hexdigest()
                    if found != expected:
                        raise InputError(
                            f"the checksum is {found[:12]}..., the manifest says "
                            f"{expected[:12]}...",
                            fix="Copy the corpus again, or build it again.",
                            where=str(path),
                        )

    def _part(self, source: str, part: str) -> _Part:
        if found := self._parts.get((source, part)):
            return found
        self.source(source)
        raise InputError(f"a source has no part {part!r}", fix=did_you_mean(part, [TRAIN, VALID]))

    def _locate(self, source: str, index: int, part: str) -> tuple[_Shard, int, str]:
        """Return the open shard, the place in it and its file's name of one sample."""
        found = self._part(source, part)
        if not 0 <= index < found.starts[-1]:
            raise InputError(
                f"{source!r} has no {part} sample {index}",
                fix=f"Use 0 to {found.starts[-1] - 1}."
                if found.starts[-1]
                else "This part of it is empty.",
                where=str(self.folder),
            )
        number = bisect_right(found.starts, index) - 1
        shard = found.shards[number]
        if shard.file not in self._open:
            self._open[shard.file] = self._open_shard(shard)
        return self._open[shard.file], index - found.starts[number], shard.file

    def _open_shard(self, shard: ShardInfo) -> _Shard:
        numbers = self.folder / beside(shard.file, DESCRIPTORS)
        return _Shard(
            os.open(self.folder / shard.file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)),
            _load(self.folder / beside(shard.file, OFFSETS)),
            _load(numbers) if numbers.name in shard.beside else None,
        )

    def close(self) -> None:
        """Close the files that were opened; reading opens them again."""
        for shard in self._open.values():
            os.close(shard.descriptor)
        self._open.clear()

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}


def _load(path: Path) -> np.ndarray:
    """Return an array without reading it yet."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            f"the array is damaged ({error})",
            fix="Copy the corpus again, or build it again.",
            where=str(path),
        ) from None
    return array


def _check_there(folder: Path, shard: ShardInfo) -> None:
    for name in (shard.file, *shard.beside):
        if not (folder / name).is_file():
            raise InputError(
                "a file that the manifest lists is missing",
                fix="Copy the corpus again, or build it again.",
                where=str(folder / name),
            )
    size = (folder / shard.file).stat().st_size
    if size != shard.n_bytes:
        raise InputError(
            f"the shard has {size:,} bytes, the manifest says {shard.n_bytes:,}",
            fix="Copy the corpus again, or build it again.",
            where=str(folder / shard.file),
        )
    offsets = _load(folder / beside(shard.file, OFFSETS))
    if len(offsets) != shard.n_samples + 1 or int(offsets[-1]) + ONE_TAR_END != size:
        raise InputError(
            "the offsets do not belong to the shard",
            fix="Copy the corpus again, or build it again.",
            where=str(folder / beside(shard.file, OFFSETS)),
        )


def _damaged_sample(path: Path, place: int, error: Exception) -> InputError:
    return InputError(
        f"sample {place} is damaged ({type(error).__name__}: {error})",
        fix="Copy the corpus again, or build it again; `kagaku corpus show --verify` finds damage.",
        where=str(path),
    )
