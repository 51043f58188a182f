"""The index of a corpus: from a value to the training samples near it, in milliseconds."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.keys import value_key
from kagaku.data.corpora.sample import CorpusSample
from kagaku.data.corpora.tracing.bits import BitColumns
from kagaku.data.corpora.tracing.entries import Entries, entries_of
from kagaku.data.corpora.tracing.features import BITS, GRAMS, SHARES
from kagaku.data.corpora.tracing.likeness import COMPARE, SAME, Compare, Likeness
from kagaku.data.corpora.tracing.postings import Postings
from kagaku.data.corpora.tracing.shares import ShareColumns
from kagaku.errors import InputError

FOLDER = "trace"
"""Where an index lies, inside its corpus."""

INDEX_FILE = "index.json"

FORMAT_VERSION = 1
"""Raised by one whenever stored features would mean something else."""

COMPARED = {"molecule": 3, "text": 3, "protein": 2, "nucleotide": 2}
"""Candidates that are read and compared for each sample that is asked for, where the index ranks
them by something else than what is shown; 1 for the others."""


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
    return (*BITS, *SHARES, *GRAMS)


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
    _near: dict[str, BitColumns | ShareColumns | Postings] = field(default_factory=dict, repr=False)

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
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(folder, error) from None
        if told != identity_of(corpus):
            raise InputError(
                "the index is of another corpus, or of another version of kagaku",
                fix=f"Remove the folder, and run: kagaku corpus index {corpus.folder}",
                where=str(folder),
            )
        return cls(corpus, folder, entries_of(corpus, indexed_modalities()))

    def find(self, modality: str, value: Any, most: int = 5) -> list[Match]:
        """Return the training samples nearest to a value, the nearest first.

        Candidates come from the index and are then compared in full. Of images and materials, and
        of molecules up to the folding of their fingerprints, there is nothing nearer; sequences
        and texts are found by rare grams, which those that are far apart do not share.

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
            try:
                keys, entries = (np.load(one, mmap_mode="r", allow_pickle=False) for one in paths)
            except (OSError, ValueError) as error:
                raise _damaged(self.folder, error) from None
            self._keys[modality] = keys, entries
        keys, entries = self._keys[modality]
        key = np.uint64(value_key(modality, value))
        start = int(np.searchsorted(keys, key))
        end = int(np.searchsorted(keys, key, side="right"))
        found: np.ndarray = entries[start:end]
        return found

    def _candidates(self, modality: str, value: Any, most: int) -> np.ndarray:
        if modality not in self._near:
            self._near[modality] = self._opened(modality)
        features = {**BITS, **SHARES, **GRAMS}[modality](value)
        return self._near[modality].nearest(features, most)

    def _opened(self, modality: str) -> BitColumns | ShareColumns | Postings:
        stem = self.folder / modality
        try:
            if modality in BITS:
                return BitColumns.open(stem)
            if modality in SHARES:
                return ShareColumns.open(stem)
            return Postings.open(stem, len(self.entries[modality]))
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, error) from None

    def _match(self, modality: str, compare: Compare, entry: int, is_same: bool) -> Match:
        stretch, index = self.entries[modality].place(entry)
        sample = self.corpus.read(stretch.source, index)
        there = sample.inputs[stretch.input]
        return Match(sample, stretch.input, index, is_same, SAME if is_same else compare(there))


def identity_of(corpus: Corpus) -> dict[str, Any]:
    """Return what an index says that it is of."""
    return {"format_version": FORMAT_VERSION, "corpus": corpus.manifest.digest()}


def _damaged(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"the index is damaged ({error})",
        fix="Remove the folder, and run `kagaku corpus index` again.",
        where=str(folder),
    )
