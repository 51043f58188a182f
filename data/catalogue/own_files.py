"""Files that a user brings: of public collections too large to be catalogued file by file.

They are read as they lie, since nobody has written down what they must contain.
"""

import lzma
import zlib
from collections.abc import Sequence
from pathlib import Path

from kagaku.data.catalogue.contents import unpacked
from kagaku.data.catalogue.dataset import ENDINGS
from kagaku.errors import InputError

OWN_FOLDERS = ("proteins/proteingym/",)
"""What the keys of such files begin with."""


class NotBroughtError(InputError):
    """A file that users bring is in no folder."""


def is_own(key: str) -> bool:
    """Return whether a key belongs to a collection that users bring."""
    return key.startswith(OWN_FOLDERS)


def open_own_file(key: str, folders: Sequence[Path]) -> bytes:
    """Return the uncompressed content of a file that a user brought.

    Args:
        key: Its path in a data folder, without the ending of a compression.
        folders: Where to look; the first that has the file counts.

    Raises:
        NotBroughtError: No folder has it.
        InputError: It is damaged.
    """
    for path in (folder / f"{key}{ending}" for folder in folders for ending in ENDINGS):
        if not path.is_file():
            continue
        try:
            with unpacked(path) as stream:
                return stream.read()
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise InputError(
                f"it cannot be unpacked ({error})", fix="Copy it again.", where=str(path)
            ) from None
    raise NotBroughtError(
        f"{key} is neither there nor as .gz, .zst, .xz or .bz2",
        fix="Put it there: kagaku does not fetch it.",
        where=" or ".join(repr(str(one)) for one in folders) or "no folder was given",
    )
