"""What text mining computes from a text: weighted words and character n-grams, condensed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils.extmath import randomized_svd

from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows

DIM = 128
"""Most components that are kept."""

MAX_TERMS = 8_192
"""Most words, and most character n-grams, that are kept: those in most training texts."""

_HASHED = 2**18

# Words alone miss names ("2-chlorophenol", "TiO2"); pieces of them are shared between names.
_WORDS = HashingVectorizer(
    n_features=_HASHED, alternate_sign=False, norm=None, ngram_range=(1, 2), dtype=np.float32,
    token_pattern=r"(?u)\b\w+\b",
)  # fmt: skip
_PIECES = HashingVectorizer(
    n_features=_HASHED, alternate_sign=False, norm=None, analyzer="char_wb", ngram_range=(3, 5),
    dtype=np.float32,
)  # fmt: skip


@FEATURIZERS.register("text")
class TextFeatures(Featurizer[str]):
    """One block, `tfidf`: latent semantic components of words and character n-grams.

    Term counts (1 + log) are weighted by inverse document frequency in the training texts, each
    text is brought to length 1, and the matrix is reduced by a truncated singular value
    decomposition. Terms are hashed, so no vocabulary is kept. Source: Deerwester et al. (1990),
    https://doi.org/10.1002/(SICI)1097-4571(199009)41:6%3C391::AID-ASI1%3E3.0.CO;2-9
    """

    modality: ClassVar[str] = "text"

    def __init__(self) -> None:
        self._terms = np.zeros(0, dtype=np.int64)
        self._idf = np.zeros(0, dtype=np.float32)
        self._components = np.zeros((0, 0), dtype=np.float32)
        self._mean = np.zeros(0, dtype=np.float32)
        self._spread = 1.0

    def fit(self, values: Sequence[str | None]) -> None:
        """Learn the terms, their weights and the components."""
        texts = [value for value in values if value is not None]
        self._components = np.zeros((0, 0), dtype=np.float32)
        if not texts:
            return
        counts = _counts(texts)
        self._terms = _frequent(counts)
        document_frequency = np.bincount(counts[:, self._terms].indices, minlength=len(self._terms))
        # The smooth form: as if one more text held every term once.
        self._idf = (np.log((1 + len(texts)) / (1 + document_frequency)) + 1).astype(np.float32)
        self._learn_components(self._weighted(counts))

    def _learn_components(self, weighted: sparse.csr_matrix) -> None:
        dim = min(DIM, *weighted.shape)
        if weighted.nnz:
            _, _, rows = randomized_svd(weighted, n_components=dim, n_iter=5, random_state=0)
            self._components = rows.astype(np.float32)
        projected = weighted @ self._components.T if len(self._components) else np.zeros((1, 0))
        self._mean = projected.mean(axis=0).astype(np.float32)
        # One spread for all components: the distance stays that of the weighted terms.
        spread = float(np.sqrt(projected.var(axis=0).mean())) if projected.size else 0.0
        self._spread = spread if spread > 1e-6 else 1.0

    def transform(self, name: str, values: Sequence[str | None]) -> list[FeatureBlock]:
        """Return the block; none if no training record had a text with a term."""
        if not len(self._components):
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        texts = [value for value in values if value is not None]
        dense = np.zeros((0, len(self._components)), dtype=np.float32)
        if texts:
            projected = self._weighted(_counts(texts)) @ self._components.T
            dense = (projected - self._mean) / np.float32(self._spread)
        return [FeatureBlock(f"{name}:tfidf", spread_rows(dense, present), "rbf", present)]

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return (text, term): 1 + log(count), times the idf, each row of length 1."""
        kept = sparse.csr_matrix(counts[:, self._terms], dtype=np.float32)
        kept.data = (1 + np.log(kept.data)) * self._idf[kept.indices]
        lengths = np.sqrt(np.asarray(kept.multiply(kept).sum(axis=1)).ravel())
        kept.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(kept.indptr))
        return kept

    def state(self) -> dict[str, Any]:
        """Return the terms' hashes and weights, and the components."""
        return {
            "terms": self._terms,
            "idf": self._idf,
            "components": self._components,
            "mean": self._mean,
            "spread": self._spread,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._terms, self._idf = state["terms"], state["idf"]
        self._components, self._mean = state["components"], state["mean"]
        self._spread = float(state["spread"])


def _counts(texts: Sequence[str]) -> sparse.csr_matrix:
    """Return counts of hashed terms, sparse float32 (text, term): words, then pieces."""
    counts: sparse.csr_matrix = sparse.hstack(
        [_WORDS.transform(texts), _PIECES.transform(texts)], format="csr"
    )
    return counts


def _frequent(counts: sparse.csr_matrix) -> np.ndarray:
    """Return the columns to keep: of words and of pieces, those in most texts, at least two.

    A term of a single text says nothing about another one; if there are no others, it stays.
    """
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    if (frequency >= 2).any():
        frequency[frequency < 2] = 0
    kept = []
    for start in (0, _HASHED):
        part = frequency[start : start + _HASHED]
        order = np.argsort(-part, kind="stable")[:MAX_TERMS]
        kept.append(start + np.sort(order[part[order] > 0]))
    return np.concatenate(kept).astype(np.int64)
