"""Classes of texts from frozen vectors of their words, whoever reads them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.literature.text_classes import (
    Scoring,
    all_classes,
    class_score,
    measured_classes,
    stratified_sides,
)
from kagaku.science_tasks.literature.words import frozen_vectors, words_of
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.term_counts import joined_texts

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse penalties that are tried."""


@dataclass(frozen=True)
class Parts:
    """A text's words and what of them is looked at by itself."""

    words: tuple[str, ...]
    """At least one, without marks."""

    spans: tuple[slice, ...]
    """Words that are pooled together, such as one entity's; the whole text is always pooled."""


Split = Callable[[str], Parts]
"""Gives a text's words and parts."""


def whole_text(text: str) -> Parts:
    """Return the words between blanks, pooled as a whole."""
    return Parts(tuple(text.split()), ())


def marked_entities(text: str) -> Parts:
    """Return the words without marks, and the entities in ``[[ ]]`` and ``<< >>`` and between them.

    Example:
        >>> marked_entities("a [[ cat ]] is an << animal >> .").spans
        (slice(1, 2, None), slice(4, 5, None), slice(2, 4, None))
    """
    words: list[str] = []
    at: dict[str, int] = {}
    for word in text.split():
        if word in {"[[", "]]", "<<", ">>"}:
            at[word] = len(words)
        else:
            words.append(word)
    if len(at) < 4:
        return Parts(tuple(words), (slice(0, 0),) * 3)
    first, second = slice(at["[["], at["]]"]), slice(at["<<"], at[">>"])
    low, high = sorted((first, second), key=lambda one: one.start)
    return Parts(tuple(words), (first, second, slice(low.stop, high.start)))


def pooled(vectors: Float[Tensor, "word dim"], parts: Parts) -> Float[Tensor, " feature"]:
    """Return mean and maximum over the text, then the mean of each part; 0 for an empty one."""
    blank = vectors.new_zeros(vectors.shape[1])
    means = [vectors[one].mean(0) if len(vectors[one]) else blank for one in parts.spans]
    return torch.cat([vectors.mean(0), vectors.amax(0), *means])


@dataclass(frozen=True)
class WordRegression:
    """Logistic regression on pooled vectors of words; the penalty is chosen in folds."""

    scoring: Scoring = "macro F1"
    """What the folds compare by."""

    split: Split = whole_text
    """Gives a text's words and parts."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case about classes."""
        matrix = self.matrix(case, context)
        learnt, classes = measured_classes(case)
        strength = self.choose(matrix[learnt], classes, context.seed)
        asked, n_classes = matrix[case.rows.test], len(case.target.classes)
        given = word_chances(strength, matrix[learnt], classes, asked, n_classes)
        frame = answers_of(case, Prediction(probabilities=given))
        frame.attrs["chosen"] = f"C={strength:g}"
        return frame

    def matrix(self, case: PropertyCase, context: Context) -> Float[np.ndarray, "record feature"]:
        """Return the pooled vectors of each record's text, float32."""
        texts = joined_texts(case.records)
        if context.memory is None:
            return self._pooled(texts, context)
        encoder = context.encoder()
        return context.memory.table(encoder, texts, lambda: self._pooled(texts, context))

    def _pooled(
        self, texts: Sequence[str], context: Context
    ) -> Float[np.ndarray, "record feature"]:
        parts = [self.split(one) for one in texts]
        vectors = frozen_vectors(words_of(context.encoder()), [one.words for one in parts])
        return np.stack(
            [pooled(torch.from_numpy(v), p).numpy() for v, p in zip(vectors, parts, strict=True)]
        )

    def choose(
        self,
        matrix: Float[np.ndarray, "text feature"],
        classes: Int[np.ndarray, " text"],
        seed: int,
    ) -> float:
        """Return the inverse penalty that is best in folds of these texts.

        Weaker penalties are tried while they help: the weakest take the longest by far.
        """
        sides = stratified_sides(classes, seed)
        best, chosen = -np.inf, STRENGTHS[0]
        for strength in STRENGTHS:
            values = []
            for fit, held in sides:
                model = _regression(strength).fit(matrix[fit], classes[fit])
                values.append(class_score(self.scoring, classes[held], model.predict(matrix[held])))
            if (score := float(np.mean(values))) < best:
                break
            if score > best:
                best, chosen = score, strength
        return chosen


def word_chances(
    strength: float,
    matrix: Float[np.ndarray, "text feature"],
    classes: Int[np.ndarray, " text"],
    asked: Float[np.ndarray, "asked feature"],
    n_classes: int,
) -> Float[np.ndarray, "asked class"]:
    """Return the chance of each class of the texts that are asked, learnt from others."""
    model = _regression(strength).fit(matrix, classes)
    return all_classes(model, asked, n_classes)


def _regression(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
