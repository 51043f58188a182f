"""What text mining computes from a text: weighted words and character n-grams, condensed."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.term_counts import (
    count_terms,
    frequent_terms,
    inverse_frequencies,
    weighted_terms,
)

DIM = 128
"""Most components that are kept."""

MAX_TERMS = 8_192
"""Most words, and most character n-grams, that are kept: those in most training texts."""


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
        counts = count_terms(texts)
        self._terms = frequent_terms(counts, MAX_TERMS)
        self._idf = inverse_frequencies(counts[:, self._terms])
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
            projected = self._weighted(count_terms(texts)) @ self._components.T
            dense = (projected - self._mean) / np.float32(self._spread)
        return [FeatureBlock(f"{name}:tfidf", spread_rows(dense, present), "rbf", present)]

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return the weights of the kept terms, sparse (text, term)."""
        return weighted_terms(counts[:, self._terms], self._idf)

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
