"""Terms of texts, counted: words, pairs of words, and pieces of words.

Terms are hashed, so no vocabulary is kept. A text has thousands of a quarter million each, so that
counts are sparse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Int
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from kagaku.data.records import Records
from kagaku.science_tasks.features import FeatureBlock

HASHED = 2**18
"""Columns of words and their pairs; as many of pieces stand behind them."""

# Words alone miss names ("2-chlorophenol", "TiO2"); pieces of them are shared between names.
_WORDS = HashingVectorizer(
    n_features=HASHED, alternate_sign=False, norm=None, ngram_range=(1, 2), dtype=np.float32,
    token_pattern=r"(?u)\b\w+\b",
)  # fmt: skip
_PIECES = HashingVectorizer(
    n_features=HASHED, alternate_sign=False, norm=None, analyzer="char_wb", ngram_range=(3, 5),
    dtype=np.float32,
)  # fmt: skip


def count_terms(texts: Sequence[str]) -> sparse.csr_matrix:
    """Return counts of hashed terms, sparse float32 (text, term): words, then pieces."""
    if not texts:
        return sparse.csr_matrix((0, 2 * HASHED), dtype=np.float32)
    counts: sparse.csr_matrix = sparse.hstack(
        [_WORDS.transform(texts), _PIECES.transform(texts)], format="csr"
    )
    return counts


def frequent_terms(counts: sparse.csr_matrix, most: int) -> Int[np.ndarray, " kept"]:
    """Return the columns to keep: of words and of pieces, those in most texts, at least two.

    A term of a single text says nothing about another one; if there are no others, it stays.

    Args:
        counts: As `count_terms` gives them.
        most: Most words, and most pieces.
    """
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    if (frequency >= 2).any():
        frequency[frequency < 2] = 0
    kept = []
    for start in (0, HASHED):
        part = frequency[start : start + HASHED]
        order = np.argsort(-part, kind="stable")[:most]
        kept.append(start + np.sort(order[part[order] > 0]))
    return np.concatenate(kept).astype(np.int64)


def inverse_frequencies(counts: sparse.csr_matrix) -> np.ndarray:
    """Return the inverse document frequency of each column, float32 (term,).

    The smooth form: as if one more text held every term once.
    """
    document_frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    weights: np.ndarray = np.log((1 + counts.shape[0]) / (1 + document_frequency)) + 1
    return weights.astype(np.float32)


def weighted_terms(counts: sparse.csr_matrix, idf: np.ndarray) -> sparse.csr_matrix:
    """Return 1 + log(count), times the idf, each row of length 1; counts are not changed."""
    weighted = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(weighted.indptr))
    return weighted


@dataclass(frozen=True)
class TermCounts(FeatureBlock):
    """The counted terms of records' texts; it has no columns of plain numbers."""

    counts: sparse.csr_matrix = field(kw_only=True)
    """See `count_terms`; a row of zeros where a record has no text."""

    def subset(self, indices: np.ndarray | Sequence[int]) -> "TermCounts":
        """Return the rows at ``indices``."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            values=self.values[chosen],
            present=self.present[chosen],
            counts=self.counts[chosen],
        )


def term_counts(records: Records) -> TermCounts:
    """Return the counted terms of all texts of each record."""
    texts = joined_texts(records)
    return TermCounts(
        "texts:terms",
        np.zeros((len(texts), 0), dtype=np.float32),
        "rbf",
        np.array([bool(one) for one in texts], dtype=bool),
        counts=count_terms(texts),
    )


@dataclass(frozen=True)
class CountedLater:
    """The terms of records' texts, counted when they are first asked for, and once."""

    records: Records
    """Whose texts."""

    @cached_property
    def n_letters(self) -> int:
        """Letters of all texts; 0 where no input is text."""
        names = [one.name for one in self.records.schema.inputs if one.modality == "text"]
        return sum(len(one or "") for name in names for one in self.records.inputs[name])

    @cached_property
    def block(self) -> TermCounts:
        """See `term_counts`."""
        return term_counts(self.records)


def joined_texts(records: Records) -> list[str]:
    """Return the texts of each record, its columns joined by a blank line."""
    columns = [records.inputs[one.name] for one in records.schema.inputs if one.modality == "text"]
    return ["\n\n".join(filter(None, several)) for several in zip(*columns, strict=True)]
