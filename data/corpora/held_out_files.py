"""Molecules, sequences, materials and texts in a folder of benchmark files, whatever their form.

Nothing is asked of the folder: every file that can hold them is looked through, columns are told
apart by the same rules as in a user's table, and what is no molecule, protein or sentence is left.
"""

import csv
import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from kagaku.data.columns import MOSTLY_BASES, guess_column
from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.keys import hashed, words
from kagaku.data.sdf import read_sdf
from kagaku.errors import InputError

Found = Iterator[tuple[str, str]]
"""Pairs of modality and value."""

SHORTEST_NUCLEOTIDE = 20
"""Bases below which a nucleotide sequence is no evidence: a genome holds all short words."""

SHORTEST_PROTEIN = 10
"""Residues below which a sequence is no evidence: short peptides occur by chance."""

MOST_TAGS = 5
"""Most columns of a file with one word per line."""

MOSTLY = 0.9
"""Share of its lines that must have the usual number of columns."""

SHORTEST_TEXT = 8
"""Words below which a text is a name or a label."""

_BASES = frozenset("ACGTUN-")
_CODES = frozenset("ACGTURYSWKMBDHVN")
READABLE = ("molecule", "protein", "nucleotide", "material", "text")
"""Modalities whose values are looked for in columns of tables."""

_RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYUOBZJX*")


def read_held_out_folder(folder: Path) -> Iterator[HeldOutValue]:
    """Yield every molecule, sequence, material and text of a folder's files once.

    Their set is the file's path; values of several files are yielded for the first one only.

    Raises:
        InputError: A file cannot be unpacked or read.
    """
    seen: set[int] = set()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        for modality, value in _read_or_tell(path):
            key = hashed(modality, value.encode("utf-8", "replace"))
            if key not in seen:
                seen.add(key)
                yield HeldOutValue(name, modality, value)


def describe_folder(folder: Path) -> str:
    """Return what tells one state of a folder from another: names and contents of its files.

    Notes in Markdown and Python's own files do not count.
    """
    files = sorted(
        one
        for one in folder.rglob("*")
        if one.is_file() and one.suffix not in (".md", ".py", ".pyc")
    )
    told = []
    for one in files:
        with one.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        told.append(f"{one.relative_to(folder).as_posix()} {digest}")
    return f"{len(files)} files, {hashed('folder', chr(10).join(told).encode()):016x}"


def unread_files(folder: Path) -> list[str]:
    """Return the files of a folder that `read_held_out_folder` has no reader for, by their names.

    What an archive holds is not asked.
    """
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    names = [one.relative_to(folder).as_posix() for one in files]
    return [name for name in names if not _is_known(name.lower())]


def _is_known(name: str) -> bool:
    while name.endswith((".gz", ".zst")):
        name = name.rpartition(".")[0]
    return name.endswith((*_CONTAINERS, *_NUMBERS)) or name.rpartition(".")[2] in _READERS


def _read_or_tell(path: Path) -> Found:
    """Yield what a file holds; tell which one it is where it is damaged."""
    try:
        yield from _read(path.name, path.read_bytes)
    except _DAMAGES as error:
        raise InputError(
            f"the file cannot be read ({str(error).partition(chr(10))[0].rstrip(':')})",
            fix="Fetch it again, or take it out of the folder of what is held out.",
            where=str(path),
        ) from None


def _read(name: str, load: Callable[[], bytes]) -> Found:
    """Yield what a file holds, told by its name."""
    lower = name.lower()
    if lower.endswith(".gz") and not lower.endswith(".tar.gz"):
        yield from _read(name[:-3], lambda: gzip.decompress(load()))
    elif lower.endswith(".zst"):
        yield from _read(name[:-4], lambda: _unzstd(load()))
    elif lower.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(load())) as archive:
            for inner in archive.namelist():
                yield from _read(inner, lambda inner=inner: archive.read(inner))  # type: ignore[misc]
    elif lower.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(fileobj=io.BytesIO(load())) as members:
            for member in members:
                if (stream := members.extractfile(member)) is not None:
                    yield from _read(member.name, stream.read)
    elif (reader := _READERS.get(lower.rpartition(".")[2])) is not None:
        yield from reader(load().decode("utf-8-sig", "replace"))
    elif lower.endswith(".xlsx"):
        yield from _workbook(load())
    elif lower.endswith(".parquet"):
        yield from _parquet(load())
    elif lower.endswith(".sdf"):
        yield from _structures(load())


def _unzstd(content: bytes) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.zstd_decode(content))


def _delimited(usual: str) -> Callable[[str], Found]:
    def read(text: str) -> Found:
        csv.field_size_limit(2**30)
        heading = text.partition("\n")[0]
        # Excel writes semicolons where the comma is the decimal sign.
        delimiter = usual if usual in heading else max(",;\t", key=heading.count)
        rows = csv.reader(io.StringIO(text), delimiter=delimiter)
        names = next(rows, [])
        columns: list[list[str | None]] = [[] for _ in names]
        for row in rows:
            for column, cell in zip(columns, row, strict=False):
                column.append(cell or None)
        for name, cells in zip(names, columns, strict=True):
            yield from _column(name, cells)

    return read


def _column(name: str, cells: list[Any]) -> Found:
    """Yield the values of a column that holds molecules, proteins, materials or sentences."""
    if not any(cell is not None for cell in cells):
        return
    modality = guess_column(name, cells, may_be_constant=True).modality
    for cell in cells:
        if cell is None or modality not in READABLE:
            continue
        yield from _value(modality, str(cell))


def _value(modality: str, text: str) -> Found:
    if modality == "molecule":
        for part in text.replace("\\\\", "\\").replace(">>", " ").replace(">", " ").split():
            yield "molecule", part
            if ".." not in part and "." in part:  # the parts of a mixture, and of a reaction
                for component in part.split("."):
                    yield "molecule", component
    elif modality == "protein":
        if len(text) >= SHORTEST_PROTEIN:
            yield "protein", text
    elif modality == "material":
        yield "material", text
    elif modality == "nucleotide":
        if len(text) >= SHORTEST_NUCLEOTIDE:
            yield "nucleotide", text
    elif len(words(text)) >= SHORTEST_TEXT:
        yield "text", text


def _fasta(text: str) -> Found:
    for entry in text.split(">")[1:]:
        sequence = "".join(entry.partition("\n")[2].split()).upper().replace("-", "")
        letters = set(sequence)
        n_bases = sum(map(sequence.count, _BASES))
        if not letters - _CODES and n_bases >= MOSTLY_BASES * len(sequence):
            yield from _value("nucleotide", sequence)
        elif letters - _BASES and not letters - _RESIDUES:
            yield from _value("protein", sequence)


def _smiles(text: str) -> Found:
    for line in text.splitlines():
        yield from _value("molecule", line)


def _json(text: str) -> Found:
    """Yield the strings of JSON, or of one JSON object per line, grouped by where they stand."""
    try:
        stored = [json.loads(text)]
    except ValueError:
        stored = []
        for line in text.splitlines():
            with suppress(ValueError):  # a comment, or an empty line
                stored.append(json.loads(line))
    columns: dict[str, list[Any]] = {}
    for one in stored:
        _gather(one, "", columns)
    for name, cells in columns.items():
        yield from _column(name, cells)


def _gather(stored: Any, name: str, columns: dict[str, list[Any]]) -> None:
    """Collect strings by the last key above them; of a mapping of strings, they are one column."""
    if isinstance(stored, str):
        columns.setdefault(name, []).append(stored)
    elif isinstance(stored, dict):
        alike = len(stored) > 20 and len({type(value) for value in stored.values()}) == 1
        for key, value in stored.items():
            _gather(value, name if alike else str(key), columns)
    elif isinstance(stored, list):
        for value in stored:
            _gather(value, name, columns)


def _text(text: str) -> Found:
    """Yield what a plain file holds: JSON, a table with tabs, tagged words, or prose."""
    start = text.lstrip()[:1]
    first = text.partition("\n")[0]
    if start in ("{", "["):
        yield from _json(text)
    elif first.count("\t") and not first.startswith("-DOCSTART-"):
        yield from _delimited("\t")(text)
    elif _is_tagged(text):
        yield from _tagged(text)
    else:
        for paragraph in text.split("\n\n"):
            yield from _value("text", " ".join(paragraph.split()))


def _is_tagged(text: str) -> bool:
    """Return whether nearly every line is one word with as many tags, as in CoNLL's files."""
    counts = [len(line.split()) for line in text[:20_000].splitlines() if line.strip()]
    usual = max(set(counts), key=counts.count, default=0)
    return 2 <= usual <= MOST_TAGS and counts.count(usual) > MOSTLY * len(counts)


def _tagged(text: str) -> Found:
    sentence: list[str] = []
    for line in (*text.splitlines(), ""):
        if line.strip() and not line.startswith("-DOCSTART-"):
            sentence.append(line.split()[0])
        else:
            yield from _value("text", " ".join(sentence))
            sentence = []


def _parquet(content: bytes) -> Found:
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(content))
    for name in frame.columns:
        if frame[name].dtype.kind not in "biufcM":
            cells = [one if isinstance(one, str) else None for one in frame[name]]
            yield from _column(str(name), list(cells))


def _structures(content: bytes) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "structures.sdf"
        path.write_bytes(content)
        for table in read_sdf(path, rows_per_chunk=10_000):
            for name in table.frame.columns:
                yield from _column(str(name), list(table.frame[name]))


def _workbook(content: bytes) -> Found:
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        rows = sheet.iter_rows(values_only=True)
        names = next(rows, ())
        # Rows may be longer or shorter than the heading, and a sheet may have nothing else.
        for name, cells in zip_longest(names, zip_longest(*rows), fillvalue=()):
            yield from _column(str(name or ""), [None if x is None else str(x) for x in cells])
    book.close()


_NUMBERS = (".nc", ".npz", ".npy", ".grib", ".h5", ".png", ".pgm", ".jpg", ".tif", ".tiff")
"""Endings of grids and images, in which nothing is looked for."""

_DAMAGES = (
    RuntimeError,  # of zstd, and of a zip that is encrypted
    KeyError,  # of a zip that is no workbook
    SyntaxError,  # of XML that is cut
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    pa.ArrowException,
)
"""What is raised by archives and tables that are cut short or no such thing at all."""

_CONTAINERS = (".zip", ".tar", ".tgz", ".xlsx", ".parquet", ".sdf")

_READERS: dict[str, Callable[[str], Found]] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "tab": _delimited("\t"),
    "txt": _text,
    "json": _json,
    "jsonl": _json,
    "smi": _smiles,
    "smiles": _smiles,
    "fasta": _fasta,
    "fa": _fasta,
    "faa": _fasta,
    "fna": _fasta,
    "ffn": _fasta,
}
