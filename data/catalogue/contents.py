"""Finding a catalogued file on disk, unpacking it, and comparing it with its checksum.

What counts is the uncompressed content: a file may lie there plain, or packed by gzip, zstd, xz or
bzip2, by whatever program.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from kagaku.data.catalogue.dataset import DataFile
from kagaku.data.catalogue.listing import data_file
from kagaku.errors import InputError

PIECE = 1 << 20
"""Bytes that are read at a time."""

Identity = tuple[str, int, int, str]

_verified: set[Identity] = set()
"""Path, size, time of last change and checksum of each file that this process has compared."""


def open_file(key: str, folders: Sequence[Path]) -> bytes:
    """Return the uncompressed content of a file of the catalogue, compared with its checksum.

    The checksum is worked out once for each file, until its size or time of change differs.

    Args:
        key: The file's key, such as ``molecules/moleculenet/ESOL.csv``.
        folders: Where to look; the first that has the file counts.

    Raises:
        InputError: There is no such key, no folder has it, or its content is not the catalogue's.
    """
    file = data_file(key)
    return read_stored(_find(file, folders), file)


@contextmanager
def open_stream(key: str, folders: Sequence[Path]) -> Iterator[BinaryIO]:
    """Open a file of the catalogue for reading piece by piece, as `open_file` does.

    A file that was not compared before is read twice: once to compare it.

    Raises:
        InputError: As in `open_file`.
    """
    file = data_file(key)
    path = _find(file, folders)
    if _identity(path, file) not in _verified:
        verify(path, file)
    with unpacked(path) as stream:
        yield stream


def locate(file: DataFile, folders: Sequence[Path]) -> Path | None:
    """Return where a file lies, or None; the first folder that has it counts."""
    for folder in folders:
        for name in file.stored_names:
            if (folder / name).is_file():
                return folder / name
    return None


def read_stored(path: Path, file: DataFile) -> bytes:
    """Return the uncompressed content of a stored file, compared with the catalogue.

    Raises:
        InputError: It is damaged, or its content is not the catalogue's.
    """
    identity = _identity(path, file)
    with _told(path, file), unpacked(path) as stream:
        content = stream.read(file.n_bytes + 1)
    if identity not in _verified:
        _compare(hashlib.sha256(content).hexdigest(), len(content), path, file)
        _verified.add(identity)
    return content


def verify(path: Path, file: DataFile) -> None:
    """Compare a stored file with the catalogue, in little memory, even if that was done before.

    Args:
        path: Where it is stored, plain or compressed.
        file: What it should be.

    Raises:
        InputError: It is damaged, or its content is not the catalogue's.
    """
    identity = _identity(path, file)
    digest, n_bytes = hashlib.sha256(), 0
    with _told(path, file), unpacked(path) as stream:
        while n_bytes <= file.n_bytes and (piece := stream.read(PIECE)):
            digest.update(piece)
            n_bytes += len(piece)
    _compare(digest.hexdigest(), n_bytes, path, file)
    _verified.add(identity)


def _find(file: DataFile, folders: Sequence[Path]) -> Path:
    """Return where a file lies.

    Raises:
        InputError: No folder has it; says where it was looked for.
    """
    path = locate(file, folders)
    if path is not None:
        return path
    looked = " or ".join(repr(str(folder)) for folder in folders)
    raise InputError(
        f"{file.key} is neither there nor as .gz, .zst, .xz or .bz2",
        fix=f"Put it there: it is in data set {file.dataset!r}, from {file.address}.",
        where=looked or "no folder was given",
    )


def _compare(found: str, n_bytes: int, path: Path, file: DataFile) -> None:
    """Raise InputError, with both checksums, if a content is not the catalogue's."""
    if found == file.sha256:
        return
    size = f"{n_bytes:,}" if n_bytes <= file.n_bytes else f"more than {file.n_bytes:,}"
    raise InputError(
        f"the content is not that of {file.key}: its sha256 is {found} ({size} bytes), the "
        f"catalogue's is {file.sha256} ({file.n_bytes:,} bytes)",
        fix=_replace(file),
        where=str(path),
    )


def _replace(file: DataFile) -> str:
    return (
        f"Delete it and run `kagaku datasets {file.dataset} --fetch`, or replace it by the file "
        f"from {file.address}."
    )


def _identity(path: Path, file: DataFile) -> Identity:
    seen = path.stat()
    return (str(path.absolute()), seen.st_size, seen.st_mtime_ns, file.sha256)


@contextmanager
def _told(path: Path, file: DataFile) -> Iterator[None]:
    """Turn what goes wrong while a file is unpacked into an InputError."""
    try:
        yield
    except PermissionError:
        raise InputError(
            "the file may not be read", fix="Change its permissions.", where=str(path)
        ) from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(
            f"the compressed file is damaged or cut short ({error}), so it cannot be compared "
            f"with the catalogue's sha256 {file.sha256}",
            fix=_replace(file),
            where=str(path),
        ) from None


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a stored file for reading its uncompressed content.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError: It is damaged.
    """
    with path.open("rb") as stored, _reader(stored, path.suffix.lower()) as stream:
        yield stream


@contextmanager
def _reader(stored: BinaryIO, ending: str) -> Iterator[BinaryIO]:
    if ending == ".gz":
        with gzip.open(stored, "rb") as stream:
            yield cast("BinaryIO", stream)
    elif ending == ".xz":
        with lzma.open(stored, "rb") as stream:
            yield cast("BinaryIO", stream)
    elif ending == ".bz2":
        with bz2.open(stored, "rb") as stream:
            yield cast("BinaryIO", stream)
    elif ending == ".zst":
        import pyarrow as pa  # takes a while, and few files need it

        with pa.CompressedInputStream(pa.PythonFile(stored, "r"), "zstd") as stream:
            yield cast("BinaryIO", io.BufferedReader(stream))
    else:
        yield stored
