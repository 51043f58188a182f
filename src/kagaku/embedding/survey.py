"""The first pass over a long file: what its columns mean, how many rows, which cannot be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kagaku.bad_cells import BadCells
from kagaku.data import Schema, infer_schema, parse_records, without_bad_rows
from kagaku.embedding.encoders import checked_for, modalities_for
from kagaku.embedding.pieces import first_rows, pieces
from kagaku.embedding.source import told_inputs
from kagaku.input_files import NamedFiles
from kagaku.modalities.checking import modality_states
from kagaku.science_tasks.public_embeddings import FrozenEncoder, check_readable
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    from kagaku.modalities import Modality

MOST_VALUES = {"quantity": 100_000, "climate": 100}
"""By each modality that learns statistics, the most values of one column it learns them from."""


@dataclass(frozen=True)
class Survey:
    """What the first pass found."""

    schema: Schema
    """What the columns mean, told from the file's first rows."""

    states: dict[str, dict[str, Any]]
    """What each modality learnt; see `modality_states`."""

    n_rows: int
    """How many rows the file has."""

    n_pieces: int
    """How many pieces it is cut into."""

    files: str = ""
    """See `NamedFiles.digest`."""


class Thinned:
    """Values spread evenly over a stream of unknown length: every first, second, fourth, ... one.

    Args:
        most: Most values that are kept.
    """

    def __init__(self, most: int) -> None:
        self.values: list[Any] = []
        self._most, self._stride, self._seen = most, 1, 0

    def add(self, value: Any) -> None:
        """Take in the next value."""
        if self._seen % self._stride == 0:
            if len(self.values) == self._most:
                self.values = self.values[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.values.append(value)
        self._seen += 1


def survey(
    source: Path,
    output: Path,
    *,
    inputs: Sequence[str] | None,
    encoder: FrozenEncoder,
    fitted: "Mapping[str, Modality[Any]]",
    skip_bad_rows: bool,
    terminal: Terminal,
) -> Survey:
    """Read a file once: infer, check and count, and learn statistics where a modality needs them.

    Args:
        source: A table that can be read in pieces.
        output: Where the vectors will be; bad cells are listed beside it, see `rejected_path`.
        inputs: See `kagaku.embed`.
        encoder: What will embed the rows.
        fitted: Modalities of a run, which bring their own statistics.
        skip_bad_rows: Whether bad rows are no reason to stop; they are then looked for later only.
        terminal: Told what each input is read as; shows progress.

    Raises:
        InputError: The file cannot be read, the encoder reads none of its columns, or
                (`BadRowsError`) rows cannot be used.
    """
    first, has_more = first_rows(source)
    schema = infer_schema(first, targets=[], inputs=inputs, is_beginning=has_more)
    terminal.say(told_inputs(schema))
    check_readable(encoder, schema)
    modalities = modalities_for(encoder, schema, fitted)
    learning = {
        one.name: Thinned(MOST_VALUES[one.modality])
        for one in schema.inputs
        if one.modality in MOST_VALUES and one.modality not in fitted
    }
    bad, n_rows, n_pieces, files = BadCells(), 0, 0, NamedFiles(schema)
    with terminal.progress("checking") as progress:
        for piece in pieces(source, schema):
            n_rows, n_pieces = n_rows + len(piece.table), piece.number + 1
            files.add(piece.table)
            if learning or not skip_bad_rows:
                records, found = parse_records(piece.table, schema, with_targets=False)
                checked, found = checked_for(encoder, records, found, modalities)
                bad.add(found)
                for name, thinned in learning.items():
                    for value in without_bad_rows(checked, found).inputs[name]:
                        if value is not None:
                            thinned.add(value)
            progress(n_rows, n_rows, bad.told)
    if not skip_bad_rows:
        bad.refuse(n_rows, output, terminal)
    _learn(schema, modalities, learning)
    return Survey(schema, modality_states(modalities), n_rows, n_pieces, files.digest)


def _learn(
    schema: Schema, modalities: "Mapping[str, Modality[Any]]", learning: Mapping[str, Thinned]
) -> None:
    """Fit each modality that learns, on its columns in the schema's order, as in memory."""
    for name, modality in modalities.items():
        values = [
            value
            for one in schema.inputs
            if one.modality == name and one.name in learning
            for value in learning[one.name].values
        ]
        if values:
            modality.fit(values)
