"""What an index needs of some samples, computed apart from the others and kept until all are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.keys import value_key
from kagaku.data.corpora.tracing.features import BITS, GRAMS, N_BITS, N_SHARES, SHARES
from kagaku.data.whole_files import written_whole

SAMPLES_PER_PIECE = 4_000
"""Some seconds of work."""


@dataclass(frozen=True)
class Piece:
    """Some neighbouring training samples of one source."""

    corpus: Path
    """Folder of the corpus."""

    source: str
    """Name of the source."""

    start: int
    """Number of the first sample."""

    stop: int
    """Number behind the last one."""

    file: Path
    """Where the result goes."""


def pieces_of(corpus: Corpus, folder: Path) -> list[Piece]:
    """Return the pieces of a corpus' training samples, in their order."""
    return [
        Piece(
            corpus.folder,
            source.name,
            start,
            min(start + SAMPLES_PER_PIECE, n_samples),
            folder / f"{number:03d}-{start:09d}.npz",
        )
        for number, source in enumerate(corpus.manifest.sources)
        for n_samples in [corpus.n_samples(source.name)]
        for start in range(0, n_samples, SAMPLES_PER_PIECE)
    ]


def compute_piece(piece: Piece) -> None:
    """Write the keys, bits and grams of a piece's values through a temporary name."""
    corpus = _opened(piece.corpus)
    inputs = corpus.source(piece.source).inputs
    samples = [corpus.read(piece.source, index).inputs for index in range(piece.start, piece.stop)]
    arrays: dict[str, np.ndarray] = {}
    for number, (name, modality) in enumerate(inputs.items()):
        if modality in {*BITS, *SHARES, *GRAMS}:
            values = [one.get(name) for one in samples]
            for kind, array in _features(modality, values).items():
                arrays[f"{number}.{kind}"] = array
    with written_whole(piece.file) as partial, partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _features(modality: str, values: list[Any]) -> dict[str, np.ndarray]:
    """Return the keys of values (0 where one is missing), and what they are found by."""
    keys = [0 if one is None else value_key(modality, one) for one in values]
    found = {"keys": np.array(keys, dtype=np.uint64)}
    if modality in BITS:
        rows = np.zeros((len(values), N_BITS[modality]), dtype=bool)
        for row, one in zip(rows, values, strict=True):
            if one is not None:
                row[:] = BITS[modality](one)
        return found | {"bits": np.packbits(rows, axis=1)}
    if modality in SHARES:
        shares = np.zeros((len(values), N_SHARES[modality]), dtype=np.float32)
        for row, one in zip(shares, values, strict=True):
            if one is not None:
                row[:] = SHARES[modality](one)
        return found | {"shares": shares}
    grams = [
        np.zeros(0, dtype=np.uint32) if one is None else GRAMS[modality](one) for one in values
    ]
    owners = np.repeat(np.arange(len(values), dtype=np.uint32), [len(one) for one in grams])
    return found | {"grams": np.concatenate(grams), "owners": owners}


def stored(
    pieces: list[Piece], corpus: Corpus, modality: str, *kinds: str
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield arrays of one modality from all pieces, in the order of its entries.

    Args:
        pieces: All of them, computed.
        corpus: What they are of.
        modality: Which values.
        kinds: ``keys``, ``bits``, ``shares``, or ``grams`` and ``owners``.
    """
    for source in corpus.manifest.sources:
        for number, kind in enumerate(source.inputs.values()):
            if kind == modality:
                for piece in pieces:
                    if piece.source == source.name:
                        with np.load(piece.file, allow_pickle=False) as arrays:
                            yield tuple(arrays[f"{number}.{one}"] for one in kinds)


@lru_cache(maxsize=1)
def _opened(folder: Path) -> Corpus:
    return Corpus.open(folder)
