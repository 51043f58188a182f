"""Building an index: pieces of the corpus apart, then each modality as a whole."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.running import Progress, Runner, run_here
from kagaku.data.corpora.tracing.bits import BitColumns
from kagaku.data.corpora.tracing.entries import Entries, entries_of
from kagaku.data.corpora.tracing.features import BITS, N_BITS, N_SHARES, SHARES
from kagaku.data.corpora.tracing.index import (
    FOLDER,
    INDEX_FILE,
    TraceIndex,
    identity_of,
    indexed_modalities,
)
from kagaku.data.corpora.tracing.pieces import Piece, compute_piece, pieces_of, stored
from kagaku.data.corpora.tracing.postings import Postings
from kagaku.data.corpora.tracing.shares import ShareColumns
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError


def build_index(
    corpus: Corpus,
    folder: Path | None = None,
    *,
    run: Runner = run_here,
    progress: Progress | None = None,
) -> TraceIndex:
    """Make the index of a corpus, or go on with it, and return it.

    Args:
        corpus: The corpus.
        folder: Where the index shall lie; None takes ``trace`` inside the corpus.
        run: Runs the pieces, here or on workers that see the same files.
        progress: Called with pieces done, all pieces, and what is being done.
    """
    folder = (folder or corpus.folder / FOLDER).resolve()
    if (folder / INDEX_FILE).is_file():
        return TraceIndex.open(corpus, folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise InputError(
            "this is no index, and holds something else",
            fix="Choose an empty or a new folder for the index.",
            where=str(folder),
        )
    told = progress or _nothing
    partial = folder.with_name(f"{folder.name}.partial")
    _begin(partial, corpus)
    pieces = pieces_of(corpus, partial)
    waiting = [piece for piece in pieces if not piece.file.exists()]
    done = len(pieces) - len(waiting)
    for _ in run(compute_piece, waiting):
        done += 1
        told(done, len(pieces), "")
    entries = entries_of(corpus, indexed_modalities())
    for modality, known in entries.items():
        told(done, len(pieces), f"joining: {modality}")
        _join(partial / modality, pieces, corpus, modality, known)
    partial.replace(folder)
    for piece in pieces:
        (folder / piece.file.name).unlink()
    return TraceIndex.open(corpus, folder)


def _begin(partial: Path, corpus: Corpus) -> None:
    """Make the folder of an unfinished index, or see that it is of the same corpus."""
    path = partial / INDEX_FILE
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == identity_of(corpus):
        return
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    write_json(identity_of(corpus), path)


def _join(stem: Path, pieces: list[Piece], corpus: Corpus, modality: str, known: Entries) -> None:
    """Write the arrays of one modality from all pieces."""
    _write_keys(stem, pieces, corpus, modality)
    if modality in BITS:
        bits = _unpacked(pieces, corpus, modality)
        BitColumns.write(stem, bits, len(known), N_BITS[modality])
    elif modality in SHARES:
        shares = (one for (one,) in stored(pieces, corpus, modality, "shares"))
        ShareColumns.write(stem, shares, len(known), N_SHARES[modality])
    else:
        Postings.write(stem, _numbered(pieces, corpus, modality, known))


def _write_keys(stem: Path, pieces: list[Piece], corpus: Corpus, modality: str) -> None:
    keys = np.concatenate([one for (one,) in stored(pieces, corpus, modality, "keys")])
    order = np.argsort(keys, kind="stable")
    order = order[np.searchsorted(keys[order], 1) :]  # without missing values, whose key is 0
    for name, array in (("keys", keys[order]), ("entries", order.astype(np.uint32))):
        np.save(stem.with_name(f"{modality}.{name}.npy"), array, allow_pickle=False)


def _unpacked(pieces: list[Piece], corpus: Corpus, modality: str) -> Iterator[np.ndarray]:
    for (packed,) in stored(pieces, corpus, modality, "bits"):
        yield np.unpackbits(packed, axis=1, count=N_BITS[modality]).astype(bool)


def _numbered(
    pieces: list[Piece], corpus: Corpus, modality: str, known: Entries
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield grams and their owners by entry."""
    first = 0
    for keys, grams, owners in stored(pieces, corpus, modality, "keys", "grams", "owners"):
        yield grams, owners.astype(np.uint64) + np.uint64(first)
        first += len(keys)
    assert first == len(known)


def _nothing(done: int, total: int, label: str) -> None:
    del done, total, label
