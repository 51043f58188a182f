"""The finished parts of an embedding, kept beside its output until all of them are there."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kagaku import embedding_pieces
from kagaku.data import Schema, write_rejected
from kagaku.embedding import Embedded
from kagaku.embedding_output import EMBEDDING, vectors_table, write_vectors
from kagaku.embedding_survey import Survey
from kagaku.errors import InputError
from kagaku.outputs import check_job_folder
from kagaku.run import read_json

FORMAT_VERSION = 1
"""Raised by one whenever kept parts would mean something else."""

JOB = "embedding.json"
"""What the parts are of."""

HEAD_BYTES = 1_000_000
"""How much of a file is compared by content."""

REJECTED = "rejected.csv"
"""The bad cells of the rows that were left empty; beside the output."""


class Parts:
    """A folder of finished parts, ``<output>.parts``.

    Each part appears under its name when it is whole, so a process may be killed at any moment.

    Args:
        output: What the parts will be joined to.
        identity: What the vectors depend on, by word: input, weights, settings.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any]) -> None:
        self.folder = output.with_name(f"{output.name}.parts")
        self._output, self._identity = output, json.loads(json.dumps(identity))

    def kept_survey(self) -> Survey | None:
        """Return what an earlier, stopped call has found out; None where there was none.

        Raises:
            InputError: The parts are those of another embedding, or the folder is something else.
        """
        check_job_folder(self.folder, mark=JOB, what="embedding")
        if not (self.folder / JOB).exists():
            return None
        stored = read_json(self.folder / JOB)
        if differ := [word for word in self._identity if stored.get(word) != self._identity[word]]:
            told = [f"another {word}" for word in differ if word == "input"]
            told += [f"other {word}" for word in differ if word != "input"]
            raise InputError(
                f"the folder keeps the finished parts of {' and '.join(told)}",
                fix="Give the command that began it again, or choose another --output, or remove "
                "the folder.",
                where=str(self.folder),
            )
        schema = Schema.from_json(stored["schema"])
        return Survey(schema, stored["states"], stored["n_rows"], stored["n_pieces"])

    def begin(self, survey: Survey) -> None:
        """Keep what the first pass has found, so that the next call need not make it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{JOB}.partial"
        stored = {
            **self._identity,
            "n_rows": survey.n_rows,
            "n_pieces": survey.n_pieces,
            "schema": survey.schema.to_json(),
            "states": survey.states,
        }
        partial.write_text(json.dumps(stored, indent=1), encoding="utf-8")
        partial.replace(self.folder / JOB)

    def has(self, number: int) -> bool:
        """Return whether a part is finished."""
        return self._part(number).exists()

    def keep(self, number: int, embedded: Embedded) -> None:
        """Write one part, its bad cells first."""
        part = self._part(number)
        if embedded.bad:
            write_rejected(embedded.bad, part.with_suffix(".csv"))
        partial = part.with_suffix(".partial")
        pq.write_table(vectors_table(embedded), partial, use_dictionary=False)
        partial.replace(part)

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
        self._remove()
        return dim, n_bad

    def _join_rejected(self, files: list[Path]) -> None:
        """Write the bad cells of all parts beside the output, where there are any."""
        files = [one for one in files if one.exists()]
        if not files:
            return
        rejected = self._output.with_name(REJECTED)
        partial = rejected.with_name(f"{REJECTED}.partial")
        with partial.open("wb") as joined:
            for place, one in enumerate(files):
                with one.open("rb") as stream:
                    heading = stream.readline()
                    joined.write(heading if place == 0 else b"")
                    shutil.copyfileobj(stream, joined)
        partial.replace(rejected)

    def _remove(self) -> None:
        """Remove the folder, what it is of last: stopped half-way, the next call goes on."""
        for one in self.folder.iterdir():
            if one.name != JOB:
                one.unlink()
        shutil.rmtree(self.folder)

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
        "input": _state(source),
        "weights": checksum,
        "settings": {
            **settings,
            "format_version": FORMAT_VERSION,
            "piece": [embedding_pieces.ROWS, embedding_pieces.CHARACTERS],
        },
    }


def _state(source: Path) -> dict[str, Any]:
    """Return a file's name, size and time, and a digest of its head; for a folder, all files'."""
    digest = hashlib.sha256()
    n_bytes = 0
    files = [one for one in source.rglob("*") if one.is_file()] if source.is_dir() else [source]
    for one in sorted(files):
        state = one.stat()
        n_bytes += state.st_size
        told = (str(one.relative_to(source.parent)), state.st_size, state.st_mtime_ns)
        digest.update(json.dumps(told).encode())
    if source.is_file():
        with source.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
    return {"name": source.name, "bytes": n_bytes, "digest": digest.hexdigest()}
