"""Logistic regression on weighted terms, with the kind of terms and the penalty chosen by folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

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
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.term_counts import joined_texts

STRENGTHS = (1.0, 4.0, 16.0, 64.0)
"""Inverse penalties that are tried."""

Terms = Callable[[str], list[str]]
"""What a text is made of."""


SMALL = 200
"""Fewest texts of which terms of a single text are left out: they tell nothing, but of a few texts
little else is there."""


def _words(n: int, min_df: int) -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, n), sublinear_tf=True, min_df=min_df, token_pattern=r"(?u)\b\w+\b"
    )


def _pieces(min_df: int) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=min_df)


def _kinds_of_terms(min_df: int) -> dict[str, Any]:
    """Return the kinds of terms that are compared, by what they are called."""
    return {
        "words": _words(1, min_df),
        "words and pairs": _words(2, min_df),
        "words, pairs and pieces": FeatureUnion(
            [("words", _words(2, min_df)), ("pieces", _pieces(min_df))]
        ),
    }


@dataclass(frozen=True)
class TermRegression:
    """Logistic regression on tf-idf terms of the texts: the plain model of text classification.

    The kind of terms is the one with the best score in `FOLDS` folds of the training rows, and then
    the penalty, and whether rare classes weigh as much as frequent ones. Several text columns are
    joined by a blank line.
    """

    scoring: Scoring = "macro F1"
    """What the folds compare by."""

    terms: Terms | None = None
    """What a text is made of; None compares words, pairs and pieces of them."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case about classes."""
        texts = np.array(joined_texts(case.records), dtype=object)
        learnt, classes = measured_classes(case)
        choice = self.choose(texts[learnt], classes, context.seed)
        n_classes = len(case.target.classes)
        given = self.chances(choice, texts[learnt], classes, texts[case.rows.test], n_classes)
        frame = answers_of(case, Prediction(probabilities=given))
        frame.attrs["chosen"] = str(choice)
        return frame

    def chances(
        self,
        choice: "TermChoice",
        texts: Sequence[str] | np.ndarray,
        classes: Int[np.ndarray, " text"],
        asked: Sequence[str] | np.ndarray,
        n_classes: int,
    ) -> Float[np.ndarray, "asked class"]:
        """Return the chance of each class of the texts that are asked, learnt from others."""
        terms = clone(self._kinds(len(texts))[choice.name])
        model = _regression(choice.settings).fit(terms.fit_transform(texts), classes)
        return all_classes(model, terms.transform(asked), n_classes)

    def choose(
        self, texts: Sequence[str] | np.ndarray, classes: Int[np.ndarray, " text"], seed: int
    ) -> "TermChoice":
        """Return the kind of terms and the settings that are best in folds of these texts."""
        sides = stratified_sides(classes, seed)
        texts = np.asarray(texts, dtype=object)
        scored = []
        for name, terms in self._kinds(len(texts)).items():
            parts = [_part(terms, texts, classes, fit, held) for fit, held in sides]
            scored.append((self._score(parts, Settings()), name, parts))
        _, name, parts = max(scored, key=lambda one: one[0])
        tried = [Settings(c, balanced) for balanced in (False, True) for c in STRENGTHS]
        return TermChoice(name, max(tried, key=lambda one: self._score(parts, one)))

    def _kinds(self, n_texts: int) -> dict[str, Any]:
        min_df = 2 if n_texts >= SMALL else 1
        if self.terms is None:
            return _kinds_of_terms(min_df)
        own = TfidfVectorizer(analyzer=self.terms, sublinear_tf=True, min_df=min_df)
        return {"own terms": own}

    def _score(self, parts: Sequence["_Part"], settings: "Settings") -> float:
        """Return the mean score over the folds."""
        values = []
        for part in parts:
            model = _regression(settings).fit(part.fitted, part.classes)
            values.append(class_score(self.scoring, part.truth, model.predict(part.held)))
        return float(np.mean(values))


@dataclass(frozen=True)
class Settings:
    """Of the logistic regression."""

    strength: float = 4.0
    """Inverse penalty."""

    is_balanced: bool = False
    """Whether rare classes weigh as much as frequent ones."""


@dataclass(frozen=True)
class TermChoice:
    """What the folds found best."""

    name: str
    """The kind of terms."""

    settings: Settings
    """Of the logistic regression on them."""

    def __str__(self) -> str:
        """Return it in words."""
        weighted = ", rare classes weighted" if self.settings.is_balanced else ""
        return f"{self.name}, C={self.settings.strength:g}{weighted}"


@dataclass(frozen=True)
class _Part:
    """The terms of one fold, sparse (text, term), and the classes."""

    fitted: Any
    classes: np.ndarray
    held: Any
    truth: np.ndarray


def _part(
    terms: Any, texts: np.ndarray, classes: np.ndarray, fit: np.ndarray, held: np.ndarray
) -> _Part:
    own = clone(terms)
    fitted = own.fit_transform(texts[fit])
    return _Part(fitted, classes[fit], own.transform(texts[held]), classes[held])


def _regression(settings: Settings) -> LogisticRegression:
    weights = "balanced" if settings.is_balanced else None
    return LogisticRegression(C=settings.strength, class_weight=weights, max_iter=1000)
