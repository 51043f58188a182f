"""Making data by running a program in an environment of its own, which is thrown away after.

Nothing enters the user's environment: the package and all that it needs go into a virtual
environment beside the cache, the program writes files, and the environment is removed. Stopped, the
same command goes on with the environment and the files that are there.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from kagaku.data.corpora.sources import Package
from kagaku.errors import InputError

VERSION_FILE = ".version"
"""Beside the files: the version of the package, and of the program."""

READY_FILE = "ready"
"""In the environment: that the package is installed whole."""

Call = Callable[[Sequence[str], Path], None]
"""Runs a command in a folder, and raises InputError if it fails."""


def simulation_folder(package: Package, cache: Path) -> Path:
    """Return where a simulation's files lie; another program has another folder."""
    return cache / package.manager / f"{package.name}-{package.version}-{_checksum(package)}"


def version_of(package: Package) -> str:
    """Return what the manifest says of a simulation's version."""
    return f"{package.version}, program {_checksum(package)}"


def simulate(package: Package, folder: Path, call: Call) -> None:
    """Run a package's program until all of its files are there.

    Args:
        package: What to run.
        folder: Where the files shall lie; see `simulation_folder`.
        call: Runs a command.

    Raises:
        InputError: The environment cannot be made, or the program fails or writes too little.
    """
    building = folder.with_name(f"{folder.name}.building")
    environment, made = building / "environment", building / "made"
    made.mkdir(parents=True, exist_ok=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (environment / READY_FILE).is_file():
        shutil.rmtree(environment, ignore_errors=True)
        call([sys.executable, "-m", "venv", str(environment)], building)
        wanted = f"{package.name}=={package.version}"
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        call([str(python), *pip, wanted], building)
        (environment / READY_FILE).touch()
    call([str(python), str(_program(package)), str(made)], building)
    for pattern in package.files:
        if not any(made.glob(pattern)):
            raise InputError(
                f"{package.program} wrote no file {pattern!r}",
                fix="Run the same command again, or leave its sources out of the recipe.",
                where=str(made),
            )
    (made / VERSION_FILE).write_text(version_of(package) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    made.replace(folder)
    shutil.rmtree(building, ignore_errors=True)


def _checksum(package: Package) -> str:
    return hashlib.sha256(_program(package).read_bytes()).hexdigest()[:8]


def _program(package: Package) -> Path:
    return Path(str(files("kagaku.data.corpora.sources") / package.program))
