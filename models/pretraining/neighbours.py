"""The simplest models of hidden tokens: how common each is, and how often it stands beside others.

A masked-token accuracy means little alone: a third of all SMILES tokens are one and the same
carbon. Unigrams and bigrams, counted on training data, say what is there for free.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from kagaku.modalities.sequence import MASK_ID, N_SPECIALS
from kagaku.models.encoder import MAX_COLUMNS
from kagaku.models.pretraining.batch import PretrainingBatch

UNKNOWN = -1
"""In place of a neighbour that is hidden too, or is not there."""

PRIOR = 10.0
"""How many sightings of a neighbour weigh as much as what is known without it."""

ROWS = 512
"""Tokens whose probabilities are computed at a time: a text's vocabulary is 8,192 wide."""


@dataclass(frozen=True)
class NeighbourCounts:
    """Unigram and bigram counts of one vocabulary."""

    single: Int[np.ndarray, " vocabulary"]
    """How often each token occurs; 0 for those that say nothing (start, end, mask)."""

    beside: scipy.sparse.csr_array
    """How often token j follows token i at once, (vocabulary, vocabulary)."""

    @classmethod
    def count(
        cls, sequences: Iterable[Int[np.ndarray, " _"]], vocabulary_size: int
    ) -> "NeighbourCounts":
        """Return the counts of some sequences of ids, start and end included."""
        single = np.zeros(vocabulary_size, dtype=np.int64)
        codes: list[np.ndarray] = []
        for ids in sequences:
            single += np.bincount(ids, minlength=vocabulary_size)
            codes.append(ids[:-1] * vocabulary_size + ids[1:])
        single[:N_SPECIALS] = 0
        code, times = np.unique(np.concatenate([np.zeros(0, np.int64), *codes]), return_counts=True)
        shape = (vocabulary_size, vocabulary_size)
        beside = scipy.sparse.csr_array((times, np.divmod(code, vocabulary_size)), shape=shape)
        return cls(single, beside)

    def unigram(self) -> Float[np.ndarray, " vocabulary"]:
        """Return how probable each token is, knowing nothing; every content token a little."""
        counts = self.single.astype(np.float64)
        counts[N_SPECIALS:] += 1
        shares: np.ndarray = counts / counts.sum()
        return shares

    def bigram(
        self, left: Int[np.ndarray, " token"], right: Int[np.ndarray, " token"]
    ) -> Float[np.ndarray, "token vocabulary"]:
        """Return how probable each token is between two neighbours.

        The neighbours are taken to be independent given the token: P(t) P(left | t) P(right | t),
        or P(t | left) P(t | right) / P(t). Each conditional leans on the unigram by `PRIOR`.

        Args:
            left: The token before; `UNKNOWN` where it is not known.
            right: The token after; `UNKNOWN` likewise.
        """
        prior = self.unigram()
        before = _conditional(self.beside, left, prior)
        after = _conditional(self.beside.T.tocsr(), right, prior)
        joint = before * after / np.where(prior > 0, prior, 1.0)
        shares: np.ndarray = joint / joint.sum(axis=1, keepdims=True)
        return shares


def _conditional(
    follows: scipy.sparse.csr_array,
    neighbour: Int[np.ndarray, " token"],
    prior: Float[np.ndarray, " vocabulary"],
) -> Float[np.ndarray, "token vocabulary"]:
    seen = follows[np.maximum(neighbour, 0)].toarray().astype(np.float64)
    seen[:, :N_SPECIALS] = 0
    seen[neighbour == UNKNOWN] = 0
    shares: np.ndarray = (seen + PRIOR * prior) / (seen.sum(axis=1, keepdims=True) + PRIOR)
    return shares


def visible_neighbours(
    batch: PretrainingBatch, modality: str
) -> tuple[Int[np.ndarray, " target"], Int[np.ndarray, " target"]]:
    """Return the ids before and after each hidden token; `UNKNOWN` where hidden or not there."""
    packed, asked = batch.packed, batch.masked[modality].token.numpy()
    kind = packed.modality.numpy() == packed.modalities.index(modality)
    ids = np.full(packed.n_tokens, UNKNOWN, dtype=np.int64)
    ids[kind] = packed.ids[modality].numpy()[:, 0]
    ids[ids == MASK_ID] = UNKNOWN
    value = np.where(kind, packed.record.numpy() * MAX_COLUMNS + packed.column.numpy(), UNKNOWN)

    def beside(step: int) -> np.ndarray:
        place = asked + step
        inside = (place >= 0) & (place < packed.n_tokens)
        place = np.where(inside, place, asked)
        return np.where(inside & (value[place] == value[asked]), ids[place], UNKNOWN)

    return beside(-1), beside(1)


def neighbour_scores(
    counts: NeighbourCounts, batches: Iterable[PretrainingBatch], modality: str
) -> dict[str, float]:
    """Return accuracy and loss (nats per token) of both models on the hidden tokens of batches.

    Args:
        counts: From training data.
        batches: Held-out ones; those without hidden tokens of the modality are passed over.
        modality: Whose tokens are asked for.
    """
    unigram = counts.unigram()
    right, loss, total = np.zeros(2), np.zeros(2), 0
    for batch in batches:
        if modality not in batch.masked:
            continue
        label = batch.masked[modality].label.numpy()
        left, after = visible_neighbours(batch, modality)
        for start in range(0, len(label), ROWS):
            part = slice(start, start + ROWS)
            chances = counts.bigram(left[part], after[part])
            of_truth = chances[np.arange(len(chances)), label[part]]
            right += (
                (label[part] == unigram.argmax()).sum(),
                (chances.argmax(axis=1) == label[part]).sum(),
            )
            loss -= np.log(unigram[label[part]]).sum(), np.log(of_truth).sum()
        total += len(label)
    names = ("unigram", "bigram")
    accuracies = {f"{name} accuracy": float(right[i] / total) for i, name in enumerate(names)}
    return accuracies | {f"{name} loss": float(loss[i] / total) for i, name in enumerate(names)}
