"""Writing shards: members copied in a given order, with the arrays that make reading random."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import numpy as np

from kagaku.data.corpora.corpus import DESCRIPTORS, LENGTHS, OFFSETS, beside
from kagaku.data.corpora.encoding import END_OF_TAR
from kagaku.data.corpora.manifest import ShardInfo
from kagaku.data.whole_files import written_whole


@dataclass(frozen=True)
class EncodedSample:
    """A sample as it goes into a shard."""

    members: bytes
    """See `encode_sample`."""

    lengths: np.ndarray
    """Tokens of each input, int32 (input,)."""

    descriptors: np.ndarray | None
    """Float32 (descriptor,), where its source has any."""


def write_shards(
    samples: Iterator[EncodedSample], folder: Path, name: str, shard_bytes: int
) -> tuple[ShardInfo, ...]:
    """Write samples into numbered tar files of about ``shard_bytes`` and return what they are.

    Args:
        samples: In the order that they shall have.
        folder: Where the files go.
        name: What their names begin with.
        shard_bytes: A shard is closed by the sample that takes it over this size.
    """
    shards: list[ShardInfo] = []
    pending = next(samples, None)
    while pending is not None:
        file = f"{name}-{len(shards):06d}.tar"
        offsets, lengths, descriptors = [0], [], []
        with written_whole(folder / file) as partial, partial.open("wb") as stream:
            while pending is not None and offsets[-1] < shard_bytes:
                stream.write(pending.members)
                offsets.append(offsets[-1] + len(pending.members))
                lengths.append(pending.lengths)
                if pending.descriptors is not None:
                    descriptors.append(pending.descriptors)
                pending = next(samples, None)
            stream.write(END_OF_TAR)
        arrays: dict[str, np.ndarray] = {
            OFFSETS: np.array(offsets, dtype=np.int64),
            LENGTHS: np.stack(lengths).astype(np.int32),
        }
        if descriptors:
            arrays[DESCRIPTORS] = np.stack(descriptors).astype(np.float32)
        for kind, array in arrays.items():
            np.save(folder / beside(file, kind), array, allow_pickle=False)
        shards.append(_info(folder, file, len(lengths), [beside(file, kind) for kind in arrays]))
    return tuple(shards)


def _info(folder: Path, file: str, n_samples: int, arrays: list[str]) -> ShardInfo:
    return ShardInfo(
        file=file,
        n_samples=n_samples,
        n_bytes=(folder / file).stat().st_size,
        sha256=_sha256(folder / file),
        beside={name: _sha256(folder / name) for name in arrays},
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
