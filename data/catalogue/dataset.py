"""What the catalogue knows of a data set and of each of its files."""

from dataclasses import dataclass, field

ENDINGS = ("", ".gz", ".zst", ".xz", ".bz2")
"""What may stand behind a file's key on disk: nothing, or the ending of a compression."""

DOMAINS = (
    "chemistry",
    "proteins",
    "genomes",
    "materials",
    "literature",
    "microscopy",
    "climate",
)
"""The domains of science that the data sets belong to."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set: what it must contain, and where that comes from."""

    key: str
    """Its path in a data folder, without the ending of a compression; never changes."""

    dataset: str
    """Name of the data set that it belongs to."""

    n_bytes: int
    """Bytes of its uncompressed content."""

    sha256: str
    """Checksum of its uncompressed content, in hexadecimal digits."""

    repository: str
    """Public GitHub repository, as owner/name."""

    commit: str
    """Commit in that repository, 40 hexadecimal digits."""

    sources: tuple[str, ...]
    """Paths in the repository that it comes from; none where it is computed from a rule.

    Where files are gathered from a whole folder, the folder.
    """

    derivation: str = ""
    """Name in `derivations.DERIVATIONS`; empty where the content is the source's own."""

    source_sha256: tuple[str, ...] = ()
    """First digits of the checksum of each source of a derived file, as far as they are known."""

    @property
    def stored_names(self) -> tuple[str, ...]:
        """The paths in a data folder at which it is looked for, in this order."""
        return tuple(self.key + ending for ending in ENDINGS)

    @property
    def address(self) -> str:
        """Where a person can look at its source."""
        page = f"https://github.com/{self.repository}/tree/{self.commit}"
        return f"{page}/{self.sources[0]}" if self.sources else page


@dataclass(frozen=True)
class Dataset:
    """A public data set: its files, and what one should know before using them."""

    name: str
    """The word that names it, such as ``"esol"``."""

    domain: str
    """One of `DOMAINS`."""

    title: str
    """Its name and what was measured, in a few words."""

    description: str
    """What it is, in one sentence."""

    licence: str
    """Licence of the repository and of the data, and who holds it; "not stated" where it is not."""

    references: tuple[str, ...]
    """Addresses (mostly DOIs) of the publications to cite."""

    n_rows: int
    """Labelled samples in its main files together: rows, sequences, images or time steps."""

    columns: str
    """The columns, variables or fields, with their meaning and unit; Markdown."""

    target: str
    """What is usually predicted."""

    unit: str
    """Unit of the target; "dimensionless" for classes and scores."""

    split: str
    """The official split, or that there is none; Markdown."""

    traps: tuple[str, ...]
    """What has misled people, one sentence or two each."""

    card: str = field(repr=False)
    """The whole card; Markdown."""

    files: tuple[DataFile, ...] = field(repr=False)
    """Its files, in the order of the file table."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all its files, uncompressed."""
        return sum(file.n_bytes for file in self.files)
