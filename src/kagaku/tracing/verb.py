"""`kagaku trace`: from a value to the training data near it, with source, licence and step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.bases import DEFAULT, weights_folder
from kagaku.data.corpora import Corpus
from kagaku.data.corpora.keys import kin_key
from kagaku.data.corpora.signatures import SIGNED, signature
from kagaku.data.corpora.tracing import Match, TraceIndex
from kagaku.data.corpora.tracing.seen import SeenSteps
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, TrainedOn, sketch
from kagaku.errors import InputError
from kagaku.terminal import Terminal
from kagaku.tracing.asked import Asked, read_asked
from kagaku.tracing.indexing import steps_of

SAME, NEAR, NO = "yes", "a near-duplicate", "no"
"""What fingerprints say of a value: it was trained on, or something nearly equal, or neither."""


@dataclass(frozen=True)
class Found:
    """One training sample near a value."""

    match: Match
    """The sample, and how near it is."""

    licence: str
    """Licence of its source."""

    origin: str
    """Package or file that its source was read from, with its version."""

    steps: tuple[int, ...] | None
    """Steps of the pretraining that showed it, from 1; None where that cannot be told."""


@dataclass(frozen=True)
class Traced:
    """What is known of one value."""

    asked: Asked
    """The value."""

    known: str | None
    """What the weights' fingerprints say: `SAME`, `NEAR` or `NO`; None where there are none."""

    found: tuple[Found, ...] = ()
    """Training samples, the nearest first."""


@dataclass(frozen=True)
class Wishes:
    """What to trace values into."""

    corpus: Path | None = None
    """A corpus with an index; None asks only the weights' fingerprints."""

    index: Path | None = None
    """Where the index lies; None takes ``trace`` inside the corpus."""

    weights: str | None = None
    """Whose training is asked for; None takes the default."""

    most: int = 5
    """Most samples for each value."""

    inputs: Sequence[str] | None = None
    """Columns to trace, as in `kagaku.embed`; None takes all that can be traced."""

    skip_bad_rows: bool = False
    """Leave out rows that cannot be read, instead of stopping."""

    def __post_init__(self) -> None:
        """Check the number of samples.

        Raises:
            InputError: It is less than 1.
        """
        if self.most < 1:
            raise InputError(
                f"at least 1 training sample must be asked for, got {self.most}",
                fix="Ask for 1 or more.",
            )


def trace_source(
    data: "str | Path | Sequence[str] | pd.DataFrame", wishes: Wishes, terminal: Terminal
) -> list[Traced]:
    """Trace the values of a table or list.

    Args:
        data: A file, a DataFrame, or values.
        wishes: What to trace them into.
        terminal: Where to tell what happens.

    Raises:
        InputError: A value cannot be read, there is no index or no such weights, or nothing in the
            table can be traced.
    """
    trained_on = fingerprints(wishes.weights, terminal)
    asked = read_asked(data, wishes.inputs, skip_bad_rows=wishes.skip_bad_rows, terminal=terminal)
    index, steps = None, None
    if wishes.corpus is not None:
        index = TraceIndex.open(Corpus.open(wishes.corpus), wishes.index)
        steps, why_not = steps_of(index, wishes.weights, terminal)
        if why_not:
            terminal.say(f"At which steps samples were shown cannot be told: {why_not}.")
    traced = []
    with terminal.progress("Tracing") as progress:
        for number, one in enumerate(asked):
            progress(number, len(asked), "")
            value = one.content()
            told = None if trained_on is None else _told(trained_on, one.modality, value)
            matches = [] if index is None else index.find(one.modality, value, wishes.most)
            found = tuple(_found(match, index, steps) for match in matches)
            traced.append(Traced(one, told, found))
    return traced


def fingerprints(weights: str | None, terminal: Terminal) -> TrainedOn | None:
    """Return what weights were trained on, as fingerprints; None where none lie beside them.

    Raises:
        InputError: There are no such weights.
    """
    path = weights_folder(weights) / TRAINED_ON_FILE
    if path.is_file():
        return TrainedOn.load(path)
    terminal.say(f"{weights or DEFAULT} has no {TRAINED_ON_FILE} beside it.")
    return None


def _found(match: Match, index: TraceIndex | None, steps: SeenSteps | None) -> Found:
    """Return a match with what the manifest and the order say of its sample."""
    assert index is not None
    source = index.corpus.source(match.sample.source)
    seen = None if steps is None else tuple(steps.of(source.name, match.index).tolist())
    return Found(match, source.licence, f"{source.origin} {source.version}", seen)


def _told(trained_on: TrainedOn, modality: str, value: Any) -> str | None:
    """Return what fingerprints say of a value; None where they have none of its modality."""
    if modality not in trained_on.keys:
        return None
    if trained_on.knows(modality, [kin_key(modality, value)])[0]:
        return SAME
    if modality in SIGNED:
        sketches = sketch(signature(modality, value)[None])
        if trained_on.resembles(modality, sketches)[0]:
            return NEAR
    return NO
