"""The index of a corpus: from a value to the training samples near it, in milliseconds."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora.build import Runner, run_here
from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.keys import value_key
from kagaku.data.corpora.sample import CorpusSample
from kagaku.data.corpora.tracing.bits import BitColumns
from kagaku.data.corpora.tracing.entries import Entries, entries_of
from kagaku.data.corpora.tracing.features import BITS, GRAMS, N_BITS
from kagaku.data.corpora.tracing.likeness import COMPARE, Compare, Likeness
from kagaku.data.corpora.tracing.pieces import Piece, compute_piece, pieces_of, stored
from kagaku.data.corpora.tracing.postings import Postings
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError

FOLDER = "trace"
"""Where an index lies, inside its corpus."""

INDEX_FILE = "index.json"

FORMAT_VERSION = 1
"""Raised by one whenever stored features would mean something else."""

COMPARED = {"molecule": 3, "text": 3, "material": 3}
"""Candidates that are read and compared for each sample that is asked for, where the index ranks
them by something else than what is shown; 1 for the others."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Match:
    """One training sample near a value."""

    sample: CorpusSample
    """The whole sample, with its id and source."""

    input: str
    """Which of its inputs is near."""

    index: int
    """Its number in the source."""

    is_same: bool
    """Whether it is one and the same thing, by `value_key`."""

    likeness: Likeness
    """How near it is."""


def indexed_modalities() -> tuple[str, ...]:
    """Return the modalities whose values can be traced."""
    return (*BITS, *GRAMS)


@dataclass
class TraceIndex:
    """An index on disk; make one with `TraceIndex.open`."""

    corpus: Corpus
    """What it is of."""

    folder: Path
    """Where it lies."""

    entries: dict[str, Entries]
    """By modality, its values."""

    _keys: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)
    _near: dict[str, BitColumns | Postings] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, corpus: Corpus, folder: Path | None = None) -> "TraceIndex":
        """Return the index of a corpus.

        Args:
            corpus: The corpus.
            folder: Where the index lies; None takes ``trace`` inside the corpus.

        Raises:
            InputError: There is none, or it is of another corpus or another version.
        """
        folder = folder or corpus.folder / FOLDER
        path = folder / INDEX_FILE
        if not path.is_file():
            raise InputError(
                "the corpus has no index, so nothing can be traced into it",
                fix=f"Make one with: kagaku corpus index {corpus.folder}",
                where=str(folder),
            )
        told = json.loads(path.read_text(encoding="utf-8"))
        if told != _identity(corpus):
            raise InputError(
                "the index is of another corpus, or of another version of kagaku",
                fix=f"Remove the folder, and run: kagaku corpus index {corpus.folder}",
                where=str(folder),
            )
        return cls(corpus, folder, entries_of(corpus, indexed_modalities()))

    @classmethod
    def build(
        cls,
        corpus: Corpus,
        folder: Path | None = None,
        *,
        run: Runner = run_here,
        progress: Progress | None = None,
    ) -> "TraceIndex":
        """Make the index of a corpus, or go on with it, and return it.

        Args:
            corpus: The corpus.
            folder: Where the index shall lie; None takes ``trace`` inside the corpus.
            run: Runs the pieces, here or on workers that see the same files.
            progress: Called with pieces done, all pieces, and what is being done.
        """
        folder = folder or corpus.folder / FOLDER
        if (folder / INDEX_FILE).is_file():
            return cls.open(corpus, folder)
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
            _write_keys(partial / modality, pieces, corpus, modality)
            if modality in BITS:
                bits = _unpacked(pieces, corpus, modality)
                BitColumns.write(partial / modality, bits, len(known), N_BITS[modality])
            else:
                Postings.write(partial / modality, _numbered(pieces, corpus, modality, known))
        for piece in pieces:
            piece.file.unlink()
        partial.replace(folder)
        return cls.open(corpus, folder)

    def find(self, modality: str, value: Any, most: int = 5) -> list[Match]:
        """Return the training samples nearest to a value, the nearest first.

        Candidates come from the index (molecules and images by common bits, the others by rare
        common grams) and are then compared in full, so a share is exact; that there is nothing
        nearer is likely, and for molecules certain up to the folding of their fingerprints.

        Args:
            modality: Registered name of the value's modality.
            value: Checked, as its modality's ``check`` returns it; an image as an array.
            most: Most samples to return.

        Raises:
            InputError: Values of this modality cannot be traced, or the corpus has none.
        """
        if modality not in self.entries:
            raise InputError(
                f"the corpus has no {modality} that could be traced",
                fix=f"It can trace: {', '.join(self.entries)}.",
                where=str(self.corpus.folder),
            )
        same = self._same(modality, value)
        near = self._candidates(modality, value, COMPARED.get(modality, 1) * most)
        candidates = dict.fromkeys([*same[:most].tolist(), *near.tolist()])
        twins = set(near[np.isin(near, same)].tolist()).union(same[:most].tolist())
        compare = COMPARE[modality](value)
        matches = [self._match(modality, compare, one, one in twins) for one in candidates]
        found = [one for one in matches if one.is_same or one.likeness.share > 0]
        found.sort(key=lambda one: (not one.is_same, -one.likeness.share))
        return found[:most]

    def _same(self, modality: str, value: Any) -> np.ndarray:
        if modality not in self._keys:
            paths = (self.folder / f"{modality}.{name}.npy" for name in ("keys", "entries"))
            keys, entries = (np.load(one, mmap_mode="r", allow_pickle=False) for one in paths)
            self._keys[modality] = keys, entries
        keys, entries = self._keys[modality]
        key = np.uint64(value_key(modality, value))
        start = int(np.searchsorted(keys, key))
        end = int(np.searchsorted(keys, key, side="right"))
        found: np.ndarray = entries[start:end]
        return found

    def _candidates(self, modality: str, value: Any, most: int) -> np.ndarray:
        if modality not in self._near:
            stem = self.folder / modality
            self._near[modality] = (
                BitColumns.open(stem)
                if modality in BITS
                else Postings.open(stem, len(self.entries[modality]))
            )
        near = self._near[modality]
        features = (BITS if modality in BITS else GRAMS)[modality](value)
        return near.nearest(features, most)

    def _match(self, modality: str, compare: Compare, entry: int, is_same: bool) -> Match:
        stretch, index = self.entries[modality].place(entry)
        sample = self.corpus.read(stretch.source, index)
        there = sample.inputs[stretch.input]
        return Match(sample, stretch.input, index, is_same, compare(there))


def _identity(corpus: Corpus) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, "corpus": corpus.manifest.digest()}


def _begin(partial: Path, corpus: Corpus) -> None:
    """Make the folder of an unfinished index, or see that it is of the same corpus."""
    path = partial / INDEX_FILE
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == _identity(corpus):
        return
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    write_json(_identity(corpus), path)


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
