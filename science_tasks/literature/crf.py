"""Conditional random fields on what a word looks like and what stands around it."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pycrfsuite

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.literature.conll import Sentence, bio_tags, entities_of
from kagaku.science_tasks.literature.entities import EntityCase, entity_answers

_SHAPES = ((re.compile("[A-Z]"), "X"), (re.compile("[a-z]"), "x"), (re.compile("[0-9]"), "d"))
_REPEATED = re.compile(r"(.)\1+")


def word_shape(word: str) -> str:
    """Return a word with letters and digits replaced by their kind, repeats of it by one.

    Example:
        >>> word_shape("BaTiO3-based")
        'XxXxXd-x'
    """
    for pattern, sign in _SHAPES:
        # A sign that stands for itself ("d") may not be replaced a second time.
        word = pattern.sub({"X": "\x01", "x": "\x02", "d": "\x03"}[sign], word)
    return _REPEATED.sub(r"\1", word.translate({1: "X", 2: "x", 3: "d"}))


def word_features(words: Sequence[str]) -> list[list[str]]:
    """Return what is known of each word of a sentence, as names of features.

    Of the word itself its form, lower case, shape, beginnings, endings and signs; of two words on
    each side the lower case and, of the nearest, shape and ending; and the pairs with them. No list
    of names takes part. After Settles (2004), https://aclanthology.org/W04-1221.
    """
    lower = [word.lower() for word in words]
    return [list(_features(words, lower, place)) for place in range(len(words))]


def _features(words: Sequence[str], lower: Sequence[str], place: int) -> Iterator[str]:
    word = words[place]
    yield "bias"
    yield f"w={word}"
    yield f"l={lower[place]}"
    yield f"s={word_shape(word)}"
    for length in (2, 3, 4, 5):
        if len(word) > length:
            yield f"<{lower[place][:length]}"
            yield f">{lower[place][-length:]}"
    yield from _signs(word)
    for offset in (-2, -1, 1, 2):
        there = place + offset
        if not 0 <= there < len(words):
            yield f"{offset}edge"
            continue
        yield f"{offset}l={lower[there]}"
        if abs(offset) == 1:
            yield f"{offset}s={word_shape(words[there])}"
            yield f"{offset}>{lower[there][-3:]}"
            first, second = sorted((place, there))
            yield f"{offset}p={lower[first]} {lower[second]}"


def _signs(word: str) -> Iterator[str]:
    if word[:1].isupper():
        yield "capital"
    if word.isupper():
        yield "capitals"
    if any(letter.isupper() for letter in word[1:]):
        yield "capital inside"
    if any(letter.isdigit() for letter in word):
        yield "digit"
    if "-" in word[1:-1]:
        yield "hyphen"
    if not any(letter.isalnum() for letter in word):
        yield "punctuation"
    if len(word) == 1:
        yield "one letter"


@dataclass(frozen=True)
class FeatureField:
    """A linear-chain conditional random field, fitted by CRFsuite's L-BFGS.

    Lafferty et al. (2001), https://dl.acm.org/doi/10.5555/645530.655813;
    http://www.chokkan.org/software/crfsuite/
    """

    c1: float = 0.05
    """Weight of the absolute penalty."""

    c2: float = 0.05
    """Weight of the squared penalty."""

    iterations: int = 100
    """Most steps of the optimiser."""

    def __call__(self, case: EntityCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing is random)
        """Answer a case."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.crfsuite")
            self.fit(case.train, path)
            tagger = pycrfsuite.Tagger()
            tagger.open(path)
            found = [entities_of(tagger.tag(word_features(one.words))) for one in case.test]
            tagger.close()
        return entity_answers(case, found)

    def fit(self, sentences: Sequence[Sentence], path: str) -> None:
        """Fit to sentences and keep the model in a file."""
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {"c1": self.c1, "c2": self.c2, "max_iterations": self.iterations}
            | {"feature.possible_transitions": True}
        )
        for one in sentences:
            tags = bio_tags(one.entities, len(one.words))
            trainer.append(word_features(one.words), tags)
        trainer.train(path)
