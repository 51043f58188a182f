"""`kagaku trace`: from a value to the training data near it, with source, licence and step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.bases import DEFAULT, weights_folder
from kagaku.data import BadRowsError, Grid, infer_schema, parse_records, without_bad_rows
from kagaku.data.columns import GRID_SUFFIXES
from kagaku.data.corpora import Corpus
from kagaku.data.corpora.keys import kin_key
from kagaku.data.corpora.signatures import SIGNED, signature
from kagaku.data.corpora.tracing import Match, TraceIndex, indexed_modalities
from kagaku.data.corpora.tracing.seen import SeenSteps
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, TrainedOn, sketch
from kagaku.data.tables import IMAGE_SUFFIXES, TABLE_SUFFIXES
from kagaku.data.whole_files import written_whole
from kagaku.embedding.verb import LISTED, source_of
from kagaku.errors import InputError
from kagaku.frames import storable
from kagaku.modalities.checking import check_records, make_modalities, shown
from kagaku.modalities.image import Image, ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.modalities.text import ANY_LENGTH, Text, TextConfig
from kagaku.outputs import check_ending
from kagaku.terminal import Terminal
from kagaku.tracing.indexing import steps_of

ENDINGS = (".csv", ".parquet")
"""What traces can be written as."""

TOLD_IN_FULL = 3
"""Most values of which every match is printed; of more, the nearest one of each."""

SHOWN_VALUES = 40
"""Most values that are printed at all."""

SHOWN_STEPS = 3
"""Most steps of one sample that are printed."""

SAME, NEAR, NO = "yes", "a near-duplicate", "no"
"""What fingerprints say of a value: it was trained on, or something nearly equal, or neither."""


@dataclass(frozen=True)
class Asked:
    """One value to be traced."""

    row: int
    """Where it stands: the line of a file, the place in a list or DataFrame from 0."""

    column: str
    """The column of a table."""

    modality: str
    """Its modality."""

    value: Any
    """Checked; of an image, its path or pixels."""

    text: str
    """The value as a person would recognise it."""


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
    asked = read_asked(data, wishes, terminal)
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
            value = _content(one)
            told = None if trained_on is None else _told(trained_on, one.modality, value)
            matches = [] if index is None else index.find(one.modality, value, wishes.most)
            found = tuple(_found(match, index, steps) for match in matches)
            traced.append(Traced(one, told, found))
    return traced


def source_given(values: Sequence[str]) -> Path | Sequence[str]:
    """Return the table that a command's words name, or the words themselves.

    Raises:
        InputError: A word is empty, or looks like a file that is not there.
    """
    if any(not one.strip() for one in values):
        raise InputError("a value is empty", fix="Give something to trace.")
    if len(values) > 1:
        return values
    path = Path(values[0]).expanduser()
    try:
        if path.exists():
            return values if path.suffix.lower() in IMAGE_SUFFIXES else path
    except OSError:  # too long for the name of a file
        return values
    if path.suffix.lower() in (*TABLE_SUFFIXES, *IMAGE_SUFFIXES, *GRID_SUFFIXES):
        raise InputError("there is no such file", fix="Check the path.", where=values[0])
    return values


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


def read_asked(
    data: "str | Path | Sequence[str] | pd.DataFrame", wishes: Wishes, terminal: Terminal
) -> list[Asked]:
    """Return the checked values of all columns that can be traced, row by row.

    Raises:
        InputError: A value cannot be read, or no column can be traced.
    """
    source, inputs = source_of(data), wishes.inputs
    can = indexed_modalities()
    if isinstance(source, Grid):
        raise InputError(
            "fields cannot be traced", fix=f"What can: {', '.join(can)}.", where=source.source
        )
    if inputs is not None and list(source.columns) == [LISTED]:
        inputs = [f"{LISTED}: {one}" if one in can else one for one in inputs]
    schema = infer_schema(source, targets=[], inputs=inputs)
    columns = tuple(one for one in schema.inputs if one.modality in can)
    if not columns:
        told = ", ".join(f"{one.column!r} is read as {one.modality}" for one in schema.inputs)
        raise InputError(
            f"nothing here can be traced: {told}",
            fix=f"What can: {', '.join(can)}. Say what a column holds, such as "
            '--input "name: molecule".',
            where=source.source,
        )
    schema = replace(schema, inputs=columns)
    records, bad = parse_records(source, schema, with_targets=False)
    modalities = make_modalities(schema)
    if Text.name in modalities:
        modalities[Text.name] = Text(TextConfig(max_tokens=ANY_LENGTH))
    checked, more = check_records(records, modalities)
    bad = [*bad, *more]
    if bad and not wishes.skip_bad_rows:
        raise BadRowsError(bad, len(records))
    if bad:
        n_bad = len({cell.row for cell in bad})
        terminal.say(f"{n_bad:,} of {len(records):,} rows cannot be read and are left out.")
    good = without_bad_rows(checked, bad)
    return [
        Asked(int(row), one.column, one.modality, value, shown(value))
        for record, row in enumerate(good.rows.tolist())
        for one in columns
        if (value := good.inputs[one.name][record]) is not None
    ]


def _content(asked: Asked) -> Any:
    """Return what is compared: the pixels of a picture on disk, else the value itself."""
    if asked.modality == Image.name and isinstance(asked.value, str | Path):
        return read_image(Path(asked.value), ImageConfig().max_pixels)
    return asked.value


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


def to_frame(traced: Sequence[Traced]) -> pd.DataFrame:
    """Return one row per match; a value without any has one row, too."""
    rows: list[dict[str, Any]] = []
    for one in traced:
        start = {
            "row": one.asked.row,
            "column": one.asked.column,
            "modality": one.asked.modality,
            "value": one.asked.text,
            "trained_on": one.known,
        }
        if not one.found:
            rows.append(start)
        for rank, found in enumerate(one.found, start=1):
            match = found.match
            rows.append(
                {
                    **start,
                    "rank": rank,
                    "is_same": match.is_same,
                    "share": match.likeness.share,
                    "likeness": match.likeness.told,
                    "found": _text_of(match),
                    "source": match.sample.source,
                    "id": match.sample.id,
                    "input": match.input,
                    "licence": found.licence,
                    "origin": found.origin,
                    "steps": None if found.steps is None else list(found.steps),
                }
            )
    columns = ["row", "column", "modality", "value", "trained_on", "rank", "is_same", "share"]
    columns += ["likeness", "found", "source", "id", "input", "licence", "origin", "steps"]
    return pd.DataFrame(rows, columns=columns)


def write_traces(traced: Sequence[Traced], output: Path) -> None:
    """Write the rows of `to_frame` through a temporary name."""
    frame = to_frame(traced)
    with written_whole(output) as partial:
        if output.suffix == ".csv":
            frame["steps"] = [_listed(one) for one in frame["steps"]]
            storable(frame, with_lists=False).to_csv(partial, index=False)
        else:
            storable(frame).to_parquet(partial, index=False)


def show_traces(traced: Sequence[Traced], weights: str | None, terminal: Terminal) -> None:
    """Print what was found: a few values in full, of more the nearest sample of each."""
    name = weights or DEFAULT
    if not any(one.found for one in traced):
        rows = [
            [one.asked.text, one.asked.modality, one.known or "cannot be told"]
            for one in traced[:SHOWN_VALUES]
        ]
        terminal.table("Training data", ["value", "read as", f"{name} was trained on it"], rows)
    elif len(traced) <= TOLD_IN_FULL:
        for one in traced:
            told = f"; {name} was trained on it: {one.known}" if one.known else ""
            terminal.table(
                f"{one.asked.text} ({one.asked.modality}{told})",
                ["likeness", "sample", "where from", "licence", "shown at step"],
                [_row(found) for found in one.found],
            )
    else:
        terminal.table(
            "The nearest training sample of each value",
            ["value", "trained on it", "likeness", "sample", "licence", "shown at step"],
            [
                [one.asked.text, one.known or "", *_short(one.found)]
                for one in traced[:SHOWN_VALUES]
            ],
        )
    if len(traced) > SHOWN_VALUES:
        terminal.say(f"{len(traced) - SHOWN_VALUES:,} more values: --output writes them all.")


def check_traces_output(output: Path | None) -> None:
    """Refuse, before any work, a file that traces cannot be written to."""
    if output is not None:
        check_ending(output, ENDINGS, "traces")


def _row(found: Found) -> list[str]:
    match = found.match
    sample = f"{match.sample.id}: {_text_of(match)}"
    return [match.likeness.told, sample, found.origin, found.licence, _steps(found.steps)]


def _short(found: Sequence[Found]) -> list[str]:
    if not found:
        return ["nothing near", "", "", ""]
    how, sample, _, licence, steps = _row(found[0])
    return [how, sample, licence, steps]


def _steps(steps: tuple[int, ...] | None) -> str:
    if steps is None:
        return "?"
    if not steps:
        return "never"
    dots = f", ... ({len(steps)} times)" if len(steps) > SHOWN_STEPS else ""
    return ", ".join(map(str, steps[:SHOWN_STEPS])) + dots


def _listed(steps: object) -> str | None:
    return " ".join(map(str, steps)) if isinstance(steps, list) else None


def _text_of(match: Match) -> str:
    value = match.sample.inputs[match.input]
    if isinstance(value, np.ndarray):
        return " x ".join(map(str, value.shape[:2])) + " pixels"
    return shown(value)
