"""Which description belongs to which molecule: every method scores every pair of the asked ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from sklearn.feature_extraction.text import TfidfVectorizer

from kagaku.modalities import MODALITIES
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.retrieval import projected
from kagaku.models.pretraining.translation import TranslationConfig
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.chemistry.fingerprints import group_counts
from kagaku.science_tasks.chemistry.molecule_text import Described, DescriptionCase
from kagaku.science_tasks.retrieval import rank_answers, ranks
from kagaku.science_tasks.translating import BASE_HEADS, own_network, taught_network

Scores = Float[np.ndarray, "text molecule"]

N_BITS, N_WORDS = 4096, 8000
"""Length of fingerprints, and how many words and pairs of words are looked at, the commonest."""

Sides = tuple[np.ndarray, np.ndarray]
"""Features of the known and of the asked, (text or molecule, feature)."""

RIDGES = (0.1, 0.3, 1.0)
"""Penalties to choose from, relative to the mean diagonal of the kernel."""

MIXTURES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Weights of the base's scores beside the words' to choose from; both have unit variance."""

N_FOLDS = 3
"""Folds of the known pairs, by which penalty and weight are chosen."""


def answered(case: DescriptionCase, scores: Scores) -> pd.DataFrame:
    """Return the ranks of the right ones among all that are asked about."""
    return rank_answers(scores if case.given == "text" else scores.T)


def by_chance(case: DescriptionCase, context: Context) -> pd.DataFrame:
    """Answer with a random order."""
    rng = np.random.default_rng(context.seed)
    return answered(case, rng.random((case.n_test, case.n_test)))


def groups_of(molecules: Sequence[str]) -> Float[np.ndarray, "molecule bit"]:
    """Return the roots of how often each circular group of radius 2 occurs, of length 1."""
    roots = np.sqrt(group_counts(molecules, N_BITS))
    return _unit(roots)


@dataclass(frozen=True)
class WordRidge:
    """Foretells groups of atoms from words and words from groups, by ridge regression both ways.

    A text and a molecule are alike if each looks like what the other one foretells. Words and pairs
    of words are weighted by how rare they are.
    """

    ridge: float
    """Penalty, relative to the mean diagonal of the kernel."""

    @classmethod
    def chosen(cls, known: Described) -> "WordRidge":
        """Return the one of `RIDGES` with the best mean reciprocal rank in folds of known pairs."""
        found = []
        for rest, fold in folds(len(known)):
            sides = word_features(known.of(rest), known.of(fold))
            found.append([both_ways(cls(one).of_features(*sides)) for one in RIDGES])
        return cls(RIDGES[int(np.mean(found, axis=0).argmax())])

    def scores(self, known: Described, asked: Described) -> Scores:
        """Return how well each asked text fits each asked molecule.

        Args:
            known: Pairs to learn from.
            asked: Texts and molecules, which are not looked at as pairs.
        """
        return self.of_features(*word_features(known, asked))

    def of_features(self, texts: Sides, molecules: Sides) -> Scores:
        """Return the same of what `word_features` gave."""
        forth = _likeness(_foretold(texts, molecules[0], self.ridge), molecules)
        back = _likeness(_foretold(molecules, texts[0], self.ridge), texts)
        both: np.ndarray = forth + back.T
        return both


def word_features(known: Described, asked: Described) -> tuple[Sides, Sides]:
    """Return the words of known and asked texts, then the groups of the molecules."""
    words_of = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        max_features=N_WORDS,
        token_pattern=r"[a-z0-9]+",
        dtype=np.float32,
    ).fit(known.texts)
    texts = words_of.transform(known.texts).toarray(), words_of.transform(asked.texts).toarray()
    return texts, (groups_of(known.molecules), groups_of(asked.molecules))


def _foretold(sides: Sides, wanted: np.ndarray, ridge: float) -> np.ndarray:
    """Return what ridge regression foretells, less the mean of what is wanted."""
    known, asked = sides
    centre = known.mean(axis=0)
    kernel = (known - centre) @ (known - centre).T
    kernel[np.diag_indices_from(kernel)] += ridge * np.trace(kernel) / len(kernel) + 1e-6
    weights = cho_solve(cho_factor(kernel), wanted - wanted.mean(axis=0))
    found: np.ndarray = ((asked - centre) @ (known - centre).T) @ weights
    return found


def _likeness(foretold: np.ndarray, sides: Sequence[np.ndarray]) -> np.ndarray:
    """Return the cosines of what was foretold with what is there, both less the known mean."""
    there = sides[1] - sides[0].mean(axis=0)
    found: np.ndarray = _unit(foretold) @ _unit(there).T
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found


def folds(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for each fold, the rows outside it and those in it."""
    order = np.random.default_rng(0).permutation(count)
    ends = np.linspace(0, count, N_FOLDS + 1).astype(int)
    return [
        (np.concatenate([order[:start], order[stop:]]), order[start:stop])
        for start, stop in pairwise(ends)
    ]


def words(case: DescriptionCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a method)
    """Answer by `WordRidge`."""
    return answered(case, WordRidge.chosen(case.learnt).scores(case.learnt, case.asked))


def aligned(case: DescriptionCase, context: Context) -> pd.DataFrame:
    """Answer by the vectors that the base was pretrained to align; nothing is learnt here."""
    return answered(case, aligned_scores(own_network(context), case.asked))


def aligned_scores(network: PretrainingNetwork, asked: Described) -> Scores:
    """Return the cosines of the aligned vectors of texts and molecules."""
    text, molecule = MODALITIES["text"](), MODALITIES["molecule"]()
    texts = projected(network, "text", [text.tokenize(one) for one in asked.texts])
    molecules = projected(network, "molecule", [molecule.tokenize(one) for one in asked.molecules])
    found: np.ndarray = texts @ molecules.T
    return found


def _config() -> TranslationConfig:
    return TranslationConfig("aligned", max_steps=1_000, max_epochs=15.0, row_length=512, n_rows=40)


@dataclass(frozen=True)
class TaughtAlignment:
    """Answers by aligned vectors, after the base was taught the known pairs."""

    config: TranslationConfig = field(default_factory=_config)
    """How it is taught."""

    def __call__(self, case: DescriptionCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        pairs = list(zip(case.learnt.texts, case.learnt.molecules, strict=True))
        network, heads = taught_network("text", "molecule", self.config, pairs, context)
        frame = answered(case, aligned_scores(network, case.asked))
        frame.attrs["chosen"] = heads
        return frame


def joined(case: DescriptionCase, context: Context) -> pd.DataFrame:
    """Answer by words and by the base's aligned vectors together.

    How much the second count is chosen in folds of the known pairs; the base itself learns nothing.
    """
    network, ridge = own_network(context), WordRidge.chosen(case.learnt)
    found = []
    for rest, fold in folds(case.n_train):
        pairs = case.learnt.of(fold)
        parts = ridge.scores(case.learnt.of(rest), pairs), aligned_scores(network, pairs)
        found.append([both_ways(_mixed(*parts, weight)) for weight in MIXTURES])
    weight = MIXTURES[int(np.mean(found, axis=0).argmax())]
    plain = ridge.scores(case.learnt, case.asked)
    frame = answered(case, _mixed(plain, aligned_scores(network, case.asked), weight))
    frame.attrs["chosen"] = f"{BASE_HEADS}, weight {weight:g}"
    return frame


def _mixed(words_scores: Scores, base_scores: Scores, weight: float) -> Scores:
    found: Scores = words_scores / words_scores.std() + weight * base_scores / base_scores.std()
    return found


def both_ways(scores: Scores) -> float:
    """Return the mean reciprocal rank, as the mean of both directions."""
    return float(np.mean([(1 / ranks(one)).mean() for one in (scores, scores.T)]))
