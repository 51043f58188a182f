"""Embedding files of any length in bounded memory, piece by piece, resumable after a stop."""

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kagaku.bases import SHIPPED, UNTRAINED
from kagaku.computing import Computing
from kagaku.data import BadRowsError
from kagaku.data.corpora.running import Runner
from kagaku.embedding.encoders import checksum_of, encoder_of, reading
from kagaku.embedding.output import vectors_table, write_vectors
from kagaku.embedding.parts import Parts, identity_of
from kagaku.embedding.pieces import EmbeddingJob, Piece, embed_piece, pieces
from kagaku.embedding.source import told_inputs
from kagaku.embedding.survey import survey
from kagaku.embedding.vectors import Embedded
from kagaku.embedding.verb import embed_source
from kagaku.embedding.workers import Workforce
from kagaku.modalities.checking import modality_states
from kagaku.models.public import PublicEncoder
from kagaku.outputs import writing_alone, writing_told
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.terminal import ProgressCallback, Terminal

if TYPE_CHECKING:
    from kagaku.modalities import Modality


@dataclass(frozen=True)
class Done:
    """What an embedding came to."""

    n_rows: int
    """Rows of the input, and of the output."""

    dim: int
    """Width of a vector."""

    n_bad: int
    """Rows whose vector is empty."""

    speed: str = ""
    """Records and tokens (or characters) per second of this call, in words; empty where nothing was
    embedded."""


@dataclass
class Meter:
    """Counts what this call has embedded, and moves the progress bar."""

    progress: ProgressCallback
    """The bar."""

    n_rows: int
    """Rows in all."""

    unit: str = "tokens"
    """What is counted beside the rows."""

    kept: int = 0
    """Rows in parts that were finished before."""

    rows: int = 0
    """Rows of the pieces that this call has finished."""

    tokens: int = 0
    """Their tokens, or what ``unit`` says."""

    start: float = field(default_factory=time.monotonic)
    """When this call began to embed."""

    def show(self, rows: int = 0, tokens: int = 0) -> None:
        """Move the bar to what is finished and, beyond it, so much of the present piece."""
        self.progress(
            self.kept + self.rows + rows,
            self.n_rows,
            self.speed(self.rows + rows, self.tokens + tokens),
        )

    def finish(self, embedded: Embedded) -> None:
        """Count a finished piece."""
        self.rows += len(embedded)
        self.tokens += embedded.n_tokens
        self.show()

    def speed(self, rows: int, tokens: int) -> str:
        """Return the speed in words; empty where nothing was done."""
        seconds = max(time.monotonic() - self.start, 1e-9)
        counted = f", {tokens / seconds:,.0f} {self.unit}/s" if tokens else ""
        return f"{rows / seconds:,.0f} records/s{counted}" if rows else ""


def embed_file(
    source: Path,
    output: Path,
    *,
    inputs: Sequence[str] | None = None,
    model: str | None = None,
    skip_bad_rows: bool = False,
    workforce: Workforce | None = None,
    computing: Computing | None = None,
    terminal: Terminal,
) -> Done:
    """Write one vector for each row of a table, in the input's order.

    Stopped at any moment, even killed, the same call goes on after the last finished pieces. The
    output appears under its name only when it is whole.

    Args:
        source: A table that can be read in pieces.
        output: See `write_vectors`; checked by `check_output`.
        inputs: See `kagaku.embed`.
        model: See `kagaku.embed`.
        skip_bad_rows: Leave the vectors of rows that cannot be used empty, instead of stopping
            before any work; why is told beside the output, see `rejected_path`.
        workforce: Who does the work; None is this process.
        computing: On which device, and in which precision. Workers take the device that was asked
            for; ``"auto"`` is settled by what this process has.
        terminal: Told what each input is read as; shows progress.

    Raises:
        InputError: The input cannot be read, rows cannot be used, the output cannot be written, or
            finished parts of another embedding lie in its place.
    """
    opened = (workforce or Workforce()).open()
    computing = (computing or Computing()).settled()
    if opened is None:
        computing.check()
        if (warning := computing.warning()) is not None:
            terminal.say(warning)
    # Whether workers are there is known before the first pass, which may take hours.
    with writing_alone(output), opened or nullcontext() as run:
        encoder, fitted = encoder_of(model)
        checksum = checksum_of(encoder)
        settings = {
            "inputs": None if inputs is None else list(inputs),
            "skip_bad_rows": skip_bad_rows,
            **asdict(computing),
        }
        identity = identity_of(source, _with_states(checksum, fitted), settings)
        parts = Parts(source, output, identity)
        found = parts.kept_survey()
        if found is None:
            found = survey(
                source,
                output,
                inputs=inputs,
                encoder=encoder,
                fitted=fitted,
                skip_bad_rows=skip_bad_rows,
                terminal=terminal,
            )
            with writing_told(output, "vectors"):
                parts.begin(found)
        else:
            terminal.say(told_inputs(found.schema))
        encoder = reading(encoder, found.schema, terminal)
        if run is None:
            computing.place(encoder)
        job = EmbeddingJob(found.schema, found.states, _shared(model), checksum, computing)
        with terminal.progress("embedding") as progress:
            unit = "characters" if isinstance(encoder, PublicEncoder) else "tokens"
            meter = Meter(progress, found.n_rows, unit)
            todo = _unfinished(pieces(source, found.schema), parts, meter)
            for number, embedded in _embed(job, todo, run, encoder, meter):
                if embedded.bad and not skip_bad_rows:
                    raise BadRowsError(embedded.bad, found.n_rows)
                with writing_told(output, "vectors"):
                    parts.keep(number, embedded)
                meter.finish(embedded)
        parts.check_unchanged()
        with writing_told(output, "vectors"):
            dim, n_bad = parts.join(found)
    return Done(found.n_rows, dim, n_bad, meter.speed(meter.rows, meter.tokens))


def _unfinished(every: Iterable[Piece], parts: Parts, meter: Meter) -> Iterator[Piece]:
    """Yield the pieces whose part is missing, and count the rows of the others."""
    for piece in every:
        if parts.has(piece.number):
            meter.kept += len(piece.table)
            meter.show()
        else:
            yield piece


def _embed(
    job: EmbeddingJob,
    todo: Iterable[Piece],
    run: Runner | None,
    encoder: FrozenEncoder,
    meter: Meter,
) -> Iterator[tuple[int, Embedded]]:
    """Yield each piece's number and vectors: here in order, from workers in any order."""
    if run is None:
        for piece in todo:
            yield embed_piece(job, piece, encoder=encoder, moved=meter.show)
        return
    yield from run(partial(embed_piece, job), todo)


def _with_states(checksum: str, fitted: "dict[str, Modality[Any]]") -> str:
    """Return the checksum of weights and of what a run's modalities have learnt."""
    if not fitted:
        return checksum
    stated = json.dumps([checksum, modality_states(fitted)], sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()


def _shared(model: str | None) -> str | None:
    """Return a model's name, or its folder as a worker elsewhere finds it."""
    if model is None or model in (*SHIPPED, UNTRAINED) or not Path(model).is_dir():
        return model
    return str(Path(model).resolve())


def embed_grid(
    source: Path,
    output: Path,
    *,
    inputs: Sequence[str] | None,
    model: str | None,
    computing: Computing | None = None,
    terminal: Terminal,
) -> Done:
    """Write one vector for each time of a grid, which is read into memory as a whole.

    Raises:
        InputError: It cannot be embedded, or the output cannot be written.
    """
    embedded = embed_source(
        source, inputs=inputs, model=model, computing=computing, terminal=terminal
    )
    with writing_alone(output), writing_told(output, "vectors"):
        write_vectors([vectors_table(embedded)], len(embedded), output)
    return Done(len(embedded), embedded.vectors.shape[1], 0)


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike ru_maxrss, it leaves out what the process that started this one held.
        told = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if told:
            return int(told[1]) * 1024
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)
    if peak is not None:
        return int(peak)  # Windows
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
