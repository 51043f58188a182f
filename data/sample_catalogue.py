"""The samples that come with kagaku: small real data sets to try everything on."""

import json
import shutil
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError
from kagaku.registry import did_you_mean


@dataclass(frozen=True)
class Sample:
    """One data set that comes with kagaku."""

    name: str
    """The word that names it."""

    description: str
    """What was measured on what, in a sentence."""

    files: tuple[str, ...]
    """Its files, relative to the samples' folder; the first is the one to read."""

    card: str
    """The file that tells its source, licence and limits."""

    targets: tuple[str, ...]
    """What can be predicted, as written on the command line."""

    command: str
    """A command that fine-tunes on it."""

    n_records: int
    """How many records it has."""

    licence: str
    """Licence of the data."""

    sha256: dict[str, str]
    """Checksum of each file."""


@cache
def _catalogue() -> dict[str, Sample]:
    index = files("kagaku.data").joinpath("samples", "index.json").read_text(encoding="utf-8")
    kept = {one.name for one in fields(Sample)}
    stored = [
        {key: value for key, value in entry.items() if key in kept} for entry in json.loads(index)
    ]
    samples = [
        Sample(**{**entry, "files": tuple(entry["files"]), "targets": tuple(entry["targets"])})
        for entry in stored
    ]
    return {sample.name: sample for sample in samples}


def list_samples() -> list[Sample]:
    """Return the samples that come with kagaku, by name."""
    return [_catalogue()[name] for name in sorted(_catalogue())]


def copy_sample(name: str, folder: str | Path) -> Path:
    """Copy a sample's files and card into a folder, and return the path of the file to read.

    Files that are there already and equal are kept.

    Raises:
        InputError: There is no such sample, or a different file is in the way.
    """
    if name not in _catalogue():
        raise InputError(f"there is no sample {name!r}", fix=did_you_mean(name, _catalogue()))
    sample = _catalogue()[name]
    target = Path(folder)
    wanted = list(dict.fromkeys([*sample.files, sample.card]))
    with as_file(files("kagaku.data").joinpath("samples")) as source:
        for file in wanted:
            _check_free(source / file, target / file)
        for file in wanted:
            _copy(source / file, target / file)
    return target / sample.files[0]


def _check_free(source: Path, target: Path) -> None:
    """Raise InputError if something other than a copy is where the copy should go."""
    for parent in target.parents:
        if parent.exists() and not parent.is_dir():
            raise InputError(
                f"{str(parent)!r} is a file, not a folder", fix="Choose another folder."
            )
    if target.exists() and (target.is_dir() or target.read_bytes() != source.read_bytes()):
        raise InputError(
            "a different file is there already, and kagaku overwrites nothing",
            fix="Choose another folder, or move the file away.",
            where=str(target),
        )


def _copy(source: Path, target: Path) -> None:
    """Copy one file through a temporary name, unless it is there."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as partial:
        shutil.copyfile(source, partial)
