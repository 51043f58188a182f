"""The finished parts of an embedding, kept beside its output until all of them are there."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kagaku.data import Schema, write_rejected
from kagaku.data.whole_files import written_whole
from kagaku.embedding import pieces as embedding_pieces
from kagaku.embedding.output import EMBEDDING, vectors_table, write_vectors
from kagaku.embedding.survey import Survey
from kagaku.embedding.vectors import Embedded
from kagaku.errors import InputError
from kagaku.input_files import NamedFiles, input_state
from kagaku.job_folder import JobFolder
from kagaku.outputs import rejected_path

FORMAT_VERSION = 3
"""Raised by one whenever kept parts would mean something else."""

JOB = "embedding.json"
"""What the parts are of."""


class Parts:
    """A folder of finished parts, ``<output>.parts``.

    Each part appears under its name when it is whole, so a process may be killed at any moment.

    Args:
        source: What is embedded.
        output: What the parts will be joined to.
        identity: What the vectors depend on, by word; see `identity_of`.
    """

    def __init__(self, source: Path, output: Path, identity: Mapping[str, Any]) -> None:
        self._job = JobFolder(output, mark=JOB, what="embedding", identity=identity)
        self.folder, self._source, self._output = self._job.path, source, output
        self._input = identity["input"]

    def kept_survey(self) -> Survey | None:
        """Return what an earlier, stopped call has found out; None where there was none.

        Raises:
            InputError: The parts are those of another embedding, or the folder is something else.
        """
        stored = self._job.kept()
        if stored is None:
            return None
        schema = Schema.from_json(stored["schema"])
        files = NamedFiles(schema).add_all(
            one.table for one in embedding_pieces.pieces(self._source, schema)
        )
        self._job.check_files(stored, files.digest)
        return Survey(
            schema, stored["states"], stored["n_rows"], stored["n_pieces"], stored["files"]
        )

    def begin(self, survey: Survey) -> None:
        """Keep what the first pass has found, so that the next call need not make it."""
        self._job.begin(
            {
                "n_rows": survey.n_rows,
                "n_pieces": survey.n_pieces,
                "schema": survey.schema.to_json(),
                "states": survey.states,
                "files": survey.files,
            }
        )

    def has(self, number: int) -> bool:
        """Return whether a part is finished."""
        return self._part(number).exists()

    def keep(self, number: int, embedded: Embedded) -> None:
        """Write one part, its bad cells first."""
        part = self._part(number)
        if embedded.bad:
            write_rejected(embedded.bad, part.with_suffix(".csv"))
        with written_whole(part) as partial:
            pq.write_table(vectors_table(embedded), partial, use_dictionary=False)

    def check_unchanged(self) -> None:
        """Refuse to join parts of an input that changed meanwhile, such as by a further file.

        Raises:
            InputError: It did.
        """
        if input_state(self._source) != self._input:
            raise InputError(
                "the input has changed while it was embedded",
                fix=f"Remove {self.folder.name} and embed it anew, when nothing writes there.",
                where=str(self._source),
            )

    def join(self, survey: Survey) -> tuple[int, int]:
        """Write the output from all parts, remove them, and return (its width, rows left empty)."""
        parts = [self._part(number) for number in range(survey.n_pieces)]
        dim = pq.read_schema(parts[0]).field(EMBEDDING).type.list_size
        n_bad = 0

        def tables() -> Iterator[pa.Table]:
            nonlocal n_bad
            for part in parts:
                table = pq.read_table(part)
                n_bad += table[EMBEDDING].null_count
                yield table

        write_vectors(tables(), survey.n_rows, self._output)
        self._join_rejected([part.with_suffix(".csv") for part in parts])
        self._job.remove()
        return dim, n_bad

    def _join_rejected(self, files: list[Path]) -> None:
        """Write the bad cells of all parts beside the output; remove those of an earlier call."""
        rejected = rejected_path(self._output)
        files = [one for one in files if one.exists()]
        if not files:
            rejected.unlink(missing_ok=True)
            return
        with written_whole(rejected) as partial, partial.open("wb") as joined:
            for place, one in enumerate(files):
                with one.open("rb") as stream:
                    heading = stream.readline()
                    joined.write(heading if place == 0 else b"")
                    shutil.copyfileobj(stream, joined)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.parquet"


def identity_of(source: Path, checksum: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an embedding depends on: input, weights, settings.

    Args:
        source: The file, or the folder of images with its table.
        checksum: Of the weights, and of what a run has learnt besides.
        settings: Whatever else changes the vectors or which rows have one.
    """
    return {
        "input": input_state(source),
        "weights": checksum,
        "settings": {
            **settings,
            "format_version": FORMAT_VERSION,
            "piece": [embedding_pieces.ROWS, embedding_pieces.CHARACTERS],
        },
    }
