"""The file table and the cards, read from the package."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from kagaku.data.catalogue.cards import read_card
from kagaku.data.catalogue.dataset import DOMAINS, ENDINGS, DataFile, Dataset
from kagaku.errors import InputError
from kagaku.registry import did_you_mean


def list_files() -> tuple[DataFile, ...]:
    """Return every file of the catalogue."""
    return tuple(_files().values())


def data_file(key: str) -> DataFile:
    """Return the file with a key.

    Args:
        key: Such as ``molecules/moleculenet/ESOL.csv``; the ending of a compression may follow.

    Raises:
        InputError: There is none; says which key is the nearest.
    """
    plain = re.sub(r"\.(gz|zst|xz|bz2)$", "", key)
    if plain in _files():
        return _files()[plain]
    raise InputError(f"the catalogue has no file {key!r}", fix=_nearest(plain))


def list_datasets(domain: str | None = None) -> tuple[Dataset, ...]:
    """Return the data sets, by domain and name.

    Args:
        domain: Only those of this domain; None means all.

    Raises:
        InputError: There is no such domain.
    """
    if domain is not None and domain not in DOMAINS:
        raise InputError(f"there is no domain {domain!r}", fix=did_you_mean(domain, DOMAINS))
    found = [one for one in _datasets().values() if domain in (None, one.domain)]
    return tuple(sorted(found, key=lambda one: (DOMAINS.index(one.domain), one.name)))


def find_dataset(name: str) -> Dataset:
    """Return the data set with a name.

    Raises:
        InputError: There is none; says which name is the nearest.
    """
    if name not in _datasets():
        raise InputError(
            f"the catalogue has no data set {name!r}", fix=did_you_mean(name, _datasets())
        )
    return _datasets()[name]


def _nearest(key: str) -> str:
    folder = key.rpartition("/")[0]
    there = [one for one in _files() if one.rpartition("/")[0] == folder]
    return did_you_mean(key, there or _files()) if there or len(key) > len(ENDINGS) else ""


@cache
def _files() -> Mapping[str, DataFile]:
    """Return the files by key."""
    table = files("kagaku.data.catalogue").joinpath("files.tsv").read_text(encoding="utf-8")
    heading, *lines = table.splitlines()
    names = heading.split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines]
    return MappingProxyType({row["key"]: _file(row) for row in rows})


def _file(row: Mapping[str, str]) -> DataFile:
    return DataFile(
        key=row["key"],
        dataset=row["dataset"],
        n_bytes=int(row["n_bytes"]),
        sha256=row["sha256"],
        repository=row["repository"],
        commit=row["commit"],
        sources=tuple(filter(None, row["sources"].split(";"))),
        derivation=row["derivation"],
        source_sha256=tuple(filter(None, row["source_sha256"].split(";"))),
    )


@cache
def _datasets() -> Mapping[str, Dataset]:
    """Return the data sets by name."""
    names = dict.fromkeys(file.dataset for file in _files().values())
    cards = files("kagaku.data.catalogue.cards")
    found = {}
    for name in names:
        text = cards.joinpath(f"{name}.md").read_text(encoding="utf-8")
        found[name] = read_card(
            text, name, tuple(one for one in _files().values() if one.dataset == name)
        )
    return MappingProxyType(found)
