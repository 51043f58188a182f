"""Protein databases in the format of BLAST version 4: index, headers and sequences in three files.

Source: https://ncbi.github.io/cxx-toolkit/pages/ch_blast (layout of .pin, .phr and .psq). The
headers are ASN.1 in BER; only the title is read from them.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kagaku.errors import InputError

# NCBIstdaa: the letter of each code, with the gap first.
# Source: https://www.ncbi.nlm.nih.gov/IEB/ToolBox/CPP_DOC/doxyhtml/raw__scoremat_8h.html
_LETTERS = b"-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"
_TO_LETTERS = bytes(_LETTERS[code] if code < len(_LETTERS) else ord("X") for code in range(256))
_VERSION, _PROTEIN = 4, 1
_VISIBLE_STRING = 0x1A


def read_blast(base: Path) -> Iterator[tuple[str, str]]:
    """Yield (title, sequence) of every entry.

    Args:
        base: The path that the three files have in common, without their endings.

    Raises:
        InputError: It is no protein database of version 4.
    """
    headers, sequences = _offsets(base.with_name(base.name + ".pin"))
    with _mapped(base, ".phr") as titles, _mapped(base, ".psq") as codes:
        for number in range(len(headers) - 1):
            start, stop = int(sequences[number]), int(sequences[number + 1]) - 1
            yield (
                _title(titles[int(headers[number]) : int(headers[number + 1])]),
                codes[start:stop].translate(_TO_LETTERS).decode(),
            )


def read_titles(base: Path) -> Iterator[str]:
    """Yield the title of every entry; see `read_blast`."""
    headers, _ = _offsets(base.with_name(base.name + ".pin"))
    with _mapped(base, ".phr") as titles:
        for number in range(len(headers) - 1):
            yield _title(titles[int(headers[number]) : int(headers[number + 1])])


def _offsets(index: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return where each header and each sequence starts; one more entry than there are any."""
    content = index.read_bytes()
    version, kind = np.frombuffer(content[:8], dtype=">i4").tolist()
    if (version, kind) != (_VERSION, _PROTEIN):
        raise InputError(
            f"the BLAST database has version {version} and type {kind}",
            fix="A protein database (type 1) of version 4 is needed.",
            where=str(index),
        )
    place = 8
    for _ in ("title", "date"):
        place += 4 + int(np.frombuffer(content, ">i4", 1, place)[0])
    n_entries = int(np.frombuffer(content, ">i4", 1, place)[0])
    place += 4 + 8 + 4  # the number of entries, of residues, and the longest sequence
    headers = np.frombuffer(content, ">u4", n_entries + 1, place)
    return headers, np.frombuffer(content, ">u4", n_entries + 1, place + 4 * (n_entries + 1))


def _mapped(base: Path, ending: str) -> mmap.mmap:
    with base.with_name(base.name + ending).open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _title(header: bytes) -> str:
    """Return the first visible string of a header."""
    place = header.index(_VISIBLE_STRING) + 1
    size = header[place]
    if size & 0x80:  # the long form: so many bytes of length follow
        n_bytes = size & 0x7F
        size = int.from_bytes(header[place + 1 : place + 1 + n_bytes], "big")
        place += n_bytes
    return header[place + 1 : place + 1 + size].decode("ascii", "replace")
