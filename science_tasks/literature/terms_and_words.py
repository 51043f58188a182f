"""Classes of texts from their terms and from vectors of their words, each with its weight."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.literature.term_models import TermRegression
from kagaku.science_tasks.literature.text_classes import (
    class_score,
    measured_classes,
    stratified_sides,
)
from kagaku.science_tasks.literature.word_models import WordRegression, word_chances
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.term_counts import joined_texts

SHARES = (0.0, 0.25, 0.5, 0.75)
"""Weights of the words beside the terms that are tried; of equally good ones the smallest wins."""


@dataclass(frozen=True)
class TermsAndWords:
    """The weighted mean of what terms and words say.

    Kind of terms and penalties are chosen for each by itself, then the weight by what held-out
    folds of the training rows say: where vectors tell nothing more, terms answer alone.
    """

    terms: TermRegression
    """Reads weighted terms; both are compared by its score."""

    words: WordRegression
    """Reads vectors."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case about classes."""
        texts = np.array(joined_texts(case.records), dtype=object)
        matrix = self.words.matrix(case, context)
        learnt, classes = measured_classes(case)
        n_classes = len(case.target.classes)
        kind = self.terms.choose(texts[learnt], classes, context.seed)
        strength = self.words.choose(matrix[learnt], classes, context.seed)

        def said(fit: np.ndarray, known: np.ndarray, asked: np.ndarray) -> np.ndarray:
            """Return what terms and words say of some rows, float (2, row, class)."""
            of_terms = self.terms.chances(kind, texts[fit], known, texts[asked], n_classes)
            of_words = word_chances(strength, matrix[fit], known, matrix[asked], n_classes)
            return np.stack([of_terms, of_words])

        held_out = np.zeros((2, len(learnt), n_classes))
        for fit, held in stratified_sides(classes, context.seed):
            held_out[:, held] = said(learnt[fit], classes[fit], learnt[held])
        share = self.best_share(held_out, classes)
        given = mixed(said(learnt, classes, case.rows.test), share)
        frame = answers_of(case, Prediction(probabilities=given))
        frame.attrs["chosen"] = f"{kind}; words C={strength:g}, {share:.0%} of the weight"
        return frame

    def best_share(
        self, said: Float[np.ndarray, "2 text class"], classes: Int[np.ndarray, " text"]
    ) -> float:
        """Return the weight of the words with the best score."""
        scoring = self.terms.scoring
        return max(
            SHARES, key=lambda one: class_score(scoring, classes, mixed(said, one).argmax(axis=1))
        )


def mixed(said: Float[np.ndarray, "2 text class"], share: float) -> Float[np.ndarray, "text class"]:
    """Return what terms and words say together, the words with a share of the weight."""
    of_terms, of_words = said
    both: np.ndarray = (1 - share) * of_terms + share * of_words
    return both
