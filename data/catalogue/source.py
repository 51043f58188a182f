"""Where task code gets its data from: a callable that it is handed, so that it knows no folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from kagaku.data.catalogue.contents import open_file
from kagaku.data.catalogue.own_files import is_own, open_own_file


@runtime_checkable
class Source(Protocol):
    """Gives the content of a catalogued file by its key.

    Code that reads data sets takes a `Source` as an argument and never looks at the environment or
    the network: whether the file lies in a folder, in the cache, or is fetched first is decided in
    the front door. A test hands in a dictionary's lookup.
    """

    def __call__(self, key: str) -> bytes:
        """Return the uncompressed content of the file, compared with its checksum.

        Raises:
            InputError: There is no such file, it cannot be had, or its content is wrong.
        """
        ...


@dataclass(frozen=True)
class FolderSource:
    """Gives what lies in folders, and fetches nothing."""

    folders: Sequence[Path]
    """Where to look; the first that has a file counts."""

    def __call__(self, key: str) -> bytes:
        """Return the content of the file with this key.

        Raises:
            InputError: As in `open_file`, and in `open_own_file` for files that users bring.
        """
        if is_own(key):
            return open_own_file(key, self.folders)
        return open_file(key, self.folders)
