"""Finding entities in sentences: the case, and answers that count them by sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from kagaku.science_tasks.benchmark.drawing import drawn
from kagaku.science_tasks.literature.conll import Entity, Sentence


@dataclass(frozen=True)
class EntityCase:
    """Sentences with entities: some to learn from, some to answer for."""

    train: tuple[Sentence, ...]
    """What methods learn from: the official training part, then the official validation part."""

    test: tuple[Sentence, ...]
    """What they are asked; methods look at the words only."""

    kinds: tuple[str, ...]
    """All kinds of entities, sorted."""

    @property
    def n_train(self) -> int:
        """How many sentences there are to learn from."""
        return len(self.train)

    @property
    def n_test(self) -> int:
        """How many sentences are asked."""
        return len(self.test)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the sentences of a part as texts."""
        return {"text": [one.text for one in (self.test if part == "test" else self.train)]}

    def cut(self, n_train: int, n_test: int, seed: int) -> "EntityCase":
        """Return the case with at most so many sentences of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        return replace(
            self, train=drawn(self.train, n_train, rng), test=drawn(self.test, n_test, rng)
        )


def entity_case(
    train: Sequence[Sentence], valid: Sequence[Sentence], test: Sequence[Sentence]
) -> EntityCase:
    """Return the case of an official split; documents of the two learnt parts stay apart."""
    most = max((one.document for one in train), default=-1) + 1
    moved = [replace(one, document=one.document + most) for one in valid]
    kinds = {one.kind for part in (train, valid, test) for s in part for one in s.entities}
    return EntityCase((*train, *moved), tuple(test), tuple(sorted(kinds)))


def entity_answers(case: EntityCase, found: Sequence[Sequence[Entity]]) -> pd.DataFrame:
    """Return the answers to a case: by sentence, how many entities were found and wanted.

    An entity counts as found if its first word, its last word and its kind are right.

    Args:
        case: Whose test sentences were read.
        found: The entities of each test sentence.

    Returns:
        Columns ``hits``, ``guessed``, ``wanted``; the same three with ``_KIND`` for each kind; and
        ``document``, whose sentences are resampled together.
    """
    rows = []
    for sentence, several in zip(case.test, found, strict=True):
        guess, truth = frozenset(several), sentence.entities
        row = {"document": sentence.document} | _counts(guess, truth, "")
        for kind in case.kinds:
            row |= _counts(_of(kind, guess), _of(kind, truth), f"_{kind}")
        rows.append(row)
    return pd.DataFrame(rows)


def _counts(guess: frozenset[Entity], truth: frozenset[Entity], ending: str) -> dict[str, int]:
    return {
        f"hits{ending}": len(guess & truth),
        f"guessed{ending}": len(guess),
        f"wanted{ending}": len(truth),
    }


def _of(kind: str, entities: frozenset[Entity]) -> frozenset[Entity]:
    return frozenset(one for one in entities if one.kind == kind)
