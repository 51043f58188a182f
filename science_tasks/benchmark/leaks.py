"""What a test set shares with what was learnt from: its own training part, and the base's corpus.

A score is worth little if its questions were seen before with their answers, and less than it looks
if they were seen without. Both shares stand beside each score, and the score without the matches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from kagaku.data.corpora.keys import kin_key
from kagaku.data.corpora.signatures import SIGNED, signature
from kagaku.data.corpora.trained_on import TrainedOn, near, sketch
from kagaku.data.records import Field, Quantity
from kagaku.modalities.image import ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.science_tasks.benchmark.task import Case

MOST_SIGNED = 20_000
"""Values of a part that are compared for near matches at most; of a larger part, so many that are
spread evenly over it. A signature costs half a millisecond."""

REMEMBERED = 50_000
"""Values whose keys and sketches are kept: reactions, pairs and the splits of one table ask for the
same ones many times."""

LONGEST_REMEMBERED = 1_000
"""Letters of a value above which they are not kept."""

NOT_COMPARABLE = (
    "Not compared: there is no input, or only numbers or fields without a real time, which cannot "
    "be looked for."
)
"""Said in place of a share."""

Flags = Bool[np.ndarray, " item"]


@dataclass(frozen=True)
class Leaks:
    """What one test part shares with others, item by item."""

    within: Flags
    """Whether the same input stands in the training part: isomers in space count as the same
    molecule, other punctuation as the same text."""

    within_near: Flags
    """Whether a near-duplicate does (sequences and texts), or the same."""

    corpus: Flags | None = None
    """Whether the base was pretrained on any of the item's inputs; None if nobody can tell."""

    corpus_near: Flags | None = None
    """Whether it was on a near-duplicate, or the same."""

    note: str = ""
    """Why the corpus was not compared, or not wholly."""

    is_compared: bool = True
    """Whether the training part was compared; if not, `within` has no matches and says nothing."""

    @property
    def any(self) -> Flags:
        """Which items match anything."""
        found: np.ndarray = self.within | self.within_near
        return found if self.corpus_near is None else found | self.corpus_near

    def shares(self) -> dict[str, float | None]:
        """Return the share of items that each comparison found; None where there was none."""
        return {
            "within": float(self.within.mean()) if self.is_compared else None,
            "within_near": float(self.within_near.mean()) if self.is_compared else None,
            "corpus": None if self.corpus is None else float(self.corpus.mean()),
            "corpus_near": None if self.corpus_near is None else float(self.corpus_near.mean()),
        }


def audit(case: Case, trained_on: TrainedOn | None, why_not: str = "") -> Leaks:
    """Return what the test part of a case shares with its training part and with a corpus.

    Args:
        case: One split of a task.
        trained_on: Fingerprints of what the base was pretrained on.
        why_not: Why there are none.
    """
    test, train = case.values("test"), case.values("train")
    can_be_found = any(_is_comparable(one) for values in test.values() for one in values)
    is_compared = can_be_found and all(len(train.get(column, ())) for column in test)
    asked = {column: _keys(_modality(column), values) for column, values in test.items()}
    within = _jointly(asked, train, case.n_test)
    within_near = within.copy()
    sketches = {}
    kinds = {_modality(column) for column in asked}
    if len(kinds) == 1 and kinds <= set(SIGNED):  # of a pair, both halves would have to be near
        (modality,) = kinds
        all_near = np.ones(case.n_test, dtype=bool)
        for column in asked:
            sketches[column] = _sketches(modality, test[column])
            learnt = _sketches(modality, _spread(train.get(column, ())))
            all_near &= _near_there(sketches[column], learnt)
        within_near |= all_near
    if trained_on is None or not can_be_found:
        note = why_not if can_be_found else NOT_COMPARABLE
        return Leaks(within, within_near, note=note, is_compared=is_compared)
    corpus = np.zeros(case.n_test, dtype=bool)
    close = np.zeros(case.n_test, dtype=bool)
    for column, keys in asked.items():
        modality = _modality(column)
        corpus |= _known(keys) & trained_on.knows(modality, keys)
        if modality == "climate":
            corpus |= np.array(
                [isinstance(one, Field) and trained_on.covers(one) for one in test[column]]
            )
        if modality in SIGNED:
            own = sketches.get(column)
            own = _sketches(modality, test[column]) if own is None else own
            close |= _near_there(own, trained_on.sketches.get(modality))
    return Leaks(within, within_near, corpus, corpus | close, is_compared=is_compared)


def _is_comparable(value: Any) -> bool:
    """Return whether a value can be looked for in a corpus.

    Fields are looked for by variable, place and time, so one without a time cannot be; numbers
    alone are no identity.
    """
    if isinstance(value, Field):
        return value.time is not None
    return value is not None and not isinstance(value, Quantity)


def _modality(column: str) -> str:
    """Return the modality of a column that `Case.values` named."""
    return column.partition(" ")[0]


def _keys(modality: str, values: Sequence[Any]) -> list[int]:
    """Return the key of each value; 0 where it is missing."""
    return [0 if one is None else _key(modality, one) for one in values]


def _key(modality: str, value: Any) -> int:
    if isinstance(value, str) and len(value) <= LONGEST_REMEMBERED:
        return _short_key(modality, value)
    return kin_key(modality, _content(value))


@lru_cache(maxsize=REMEMBERED)
def _short_key(modality: str, value: str) -> int:
    return kin_key(modality, value)


def _content(value: Any) -> Any:
    """Return what is compared: the pixels of a picture on disk, else the value itself."""
    return read_image(value, ImageConfig().max_pixels) if isinstance(value, Path) else value


def _known(keys: Sequence[int]) -> Flags:
    known: np.ndarray = np.array(keys, dtype=np.uint64) != 0
    return known


def _jointly(
    asked: Mapping[str, Sequence[int]], train: Mapping[str, Sequence[Any]], n_test: int
) -> Flags:
    """Return which items stand in the training part with all their inputs."""
    if not asked or any(column not in train for column in asked):
        return np.zeros(n_test, dtype=bool)
    learnt = set(zip(*(_keys(_modality(one), train[one]) for one in asked), strict=True))
    return np.array([one in learnt for one in zip(*asked.values(), strict=True)], dtype=bool)


def _spread(values: Sequence[Any]) -> Sequence[Any]:
    if len(values) <= MOST_SIGNED:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, MOST_SIGNED).astype(int)]


def _sketches(modality: str, values: Sequence[Any]) -> np.ndarray:
    """Return the sketch of each value; 0 where it is missing."""
    found = np.zeros(len(values), dtype=np.uint64)
    for place, one in enumerate(values):
        if one is not None:
            is_short = len(one) <= LONGEST_REMEMBERED
            found[place] = _short_sketch(modality, one) if is_short else _sketch(modality, one)
    return found


def _sketch(modality: str, value: str) -> int:
    return int(sketch(signature(modality, value)[None])[0])


_short_sketch = lru_cache(maxsize=REMEMBERED)(_sketch)


def _near_there(sketches: np.ndarray, others: np.ndarray | None) -> Flags:
    """Return which of the sketches are close to any of the others; missing ones are not."""
    if others is None or not len(others):
        return np.zeros(len(sketches), dtype=bool)
    different, place = np.unique(sketches, return_inverse=True)
    found: np.ndarray = near(different, others[others != 0])[place]
    found &= sketches != 0
    return found
