"""Opening a user's file: is it there, is it whole, is it text."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from io import BufferedIOBase
from pathlib import Path

from kagaku.data.table import LARGEST_CELL, cell_too_large
from kagaku.errors import InputError

LONGEST_LINE = 16 * LARGEST_CELL
"""Most bytes in one line of a text file."""

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS_UTF8 = (
    "Save it as UTF-8: in Excel choose 'CSV UTF-8', or run "
    "`iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv` with its true encoding."
)


def find_file(path: str | Path) -> Path:
    """Return the path of an existing file or folder.

    Raises:
        InputError: There is nothing; says what lies nearby under a similar name.
    """
    found = Path(path).expanduser()
    try:
        found.stat()
        exists = True
    except (FileNotFoundError, NotADirectoryError):
        exists = False
    except PermissionError:
        raise InputError(
            "the folder may not be read", fix="Change its permissions.", where=str(path)
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{str(path)[:200]!r} is not a path ({error})", fix="Correct it.", where="path"
        ) from None
    if exists:
        return found
    if not found.parent.is_dir():
        raise InputError(
            f"there is no folder {str(found.parent)!r}", fix="Correct the path.", where=str(path)
        )
    nearby = sorted(
        entry.name for entry in found.parent.iterdir() if not entry.name.startswith(".")
    )
    close = get_close_matches(found.name, nearby, n=1)
    fix = f"Did you mean {close[0]!r}?" if close else f"The folder holds {nearby[:10]}."
    raise InputError("there is no such file", fix=fix, where=str(path))


def suffix_of(path: Path) -> str:
    """Return a file's suffix in lower case, without the ending of a compression.

    Example:
        >>> suffix_of(Path("lab.CSV.gz"))
        '.csv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_bytes(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, unpacking gzip.

    Raises:
        InputError: It is empty, may not be read, or its compressed data end too early.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError("the file is empty", fix="Export it again.", where=path.name)
        with path.open("rb") as stream:
            if path.suffix.lower() != ".gz":
                yield stream
                return
            with gzip.open(stream, "rb") as unpacked:
                yield unpacked
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"the compressed file is damaged or cut short ({error})",
            fix="Copy or download it again.",
            where=path.name,
        ) from None
    except PermissionError:
        raise InputError(
            "the file may not be read", fix="Change its permissions.", where=str(path)
        ) from None


def text_lines(stream: BufferedIOBase, source: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text, each with its line end.

    Raises:
        InputError: It is not UTF-8 text, or a line is absurdly long; says where.
    """
    offset = 0
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if number == 1:
            _check_start(line, source)
            line = line.removeprefix(b"\xef\xbb\xbf")  # the mark that Excel puts first
        if len(line) == LONGEST_LINE:
            raise cell_too_large(LONGEST_LINE, f"{source}, line {number}")
        if (nul := line.find(b"\0")) >= 0:
            raise InputError(
                f"line {number} has a NUL byte (byte {offset + nul}), so this is no text file",
                fix="Export the table again as CSV.",
                where=source,
            )
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"line {number} is not UTF-8 text (byte {line[error.start]:#04x} at byte "
                f"{offset + error.start} of the file)",
                fix=_SAVE_AS_UTF8,
                where=source,
            ) from None
        offset += len(line)


def _check_start(line: bytes, source: str) -> None:
    """Refuse what can be told from a text's first line not to be UTF-8 text with line ends."""
    if line.startswith(_UTF16):
        raise InputError("the file is UTF-16, not UTF-8", fix=_SAVE_AS_UTF8, where=source)
    if line.startswith(b"PK\x03\x04"):
        raise InputError(
            "the file is a zip archive or an Excel workbook, not text",
            fix="Unpack it, or give it its true ending, such as .xlsx.",
            where=source,
        )
    if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
        raise InputError(
            "the lines end with carriage returns only",
            fix="Save the file with Unix or Windows line ends.",
            where=source,
        )
