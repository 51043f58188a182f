"""Where a run came from: data checksums, versions, machine and time, and nothing about the user."""

import hashlib
import importlib.util
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from kagaku.errors import InputError

FORMAT_VERSION = 1
"""Layout of provenance.json; goes up when a reader would have to change."""

ROOMS = ("data", "modalities", "models", "science_tasks")
"""The rooms whose code can change a result, beside the front door's."""

PACKAGES = (
    "kagaku",
    "torch",
    "lightning",
    "transformers",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "gpytorch",
    "mapie",
    "rdkit",
    "biopython",
    "xarray",
    "timm",
    "tokenizers",
    "pint",
    "safetensors",
)
"""The packages whose versions can change a result."""


def collect(files: Sequence[Path], started: float) -> dict[str, Any]:
    """Return what a run was made from and on, as JSON values.

    Holds no user name, host name or absolute path, so that a run folder can be shared.

    Args:
        files: The data files; a folder is hashed with everything in it.
        started: When the run began, seconds since the epoch as `time.time` gives them.

    Raises:
        InputError: A file is gone or cannot be read.
    """
    now = time.time()
    return {
        "format_version": FORMAT_VERSION,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(max(now - started, 0.0), 3),
        "files": [describe_file(Path(one)) for one in files],
        "packages": package_versions(PACKAGES),
        "commit": commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "machine": machine(),
    }


def describe_file(path: Path) -> dict[str, Any]:
    """Return a file's (or folder's) name, size in bytes and sha256.

    A folder's checksum is that of the sorted list of ``sha256  relative/name`` lines of its files.

    Raises:
        InputError: It is gone or cannot be read.
    """
    try:
        if path.is_dir():
            return {"name": path.resolve().name, **_describe_folder(path)}
        return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror})",
            fix="Leave the data where it is while the run goes on.",
            where=str(path),
        ) from None


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, read piece by piece."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_fingerprint() -> str:
    """Return what tells one state of kagaku's own code from another: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for room in ("kagaku", *(f"kagaku.{one}" for one in ROOMS)):
        spec = importlib.util.find_spec(room)
        assert spec is not None, room
        for folder in spec.submodule_search_locations or ():
            for path in sorted(
                _own_code(Path(folder)) if room == "kagaku" else Path(folder).rglob("*.py")
            ):
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


GIT_SECONDS = 10.0
"""After which git is not waited for."""


@cache
def commit(file: Path = Path(__file__)) -> str | None:
    """Return the commit of kagaku's own code; None where it was installed as a package.

    ``-changed`` stands behind it if any file that git follows differs from it. Files that git does
    not follow do not count.

    Args:
        file: Of the code.
    """
    place = file.resolve()

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "--no-optional-locks", "-C", str(place.parent), *words],
                capture_output=True,
                text=True,
                check=True,
                timeout=GIT_SECONDS,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # An environment may lie inside of somebody else's repository.
    if ask("ls-files", "--error-unmatch", place.name) is None:
        return None
    changed = ask("status", "--porcelain", "--untracked-files=no")
    found = ask("rev-parse", "HEAD")
    return f"{found}-changed" if found and changed != "" else found


def _own_code(package: Path) -> list[Path]:
    """Return the files of the front door, whose folder also holds links to the other rooms."""
    folders = [one for one in package.iterdir() if one.is_dir() and one.name not in ROOMS]
    return [*package.glob("*.py"), *(file for one in folders for file in one.rglob("*.py"))]


def package_versions(names: Sequence[str]) -> dict[str, str | None]:
    """Return the installed version of each package; None where it is not installed."""
    return {name: _version(name) for name in names}


def machine() -> Mapping[str, Any]:
    """Return the machine's processor, cores, memory and accelerators."""
    return {
        "cpu": cpu_name(),
        "cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpu_names(),
    }


def available_cores() -> int:
    """Return how many cores this process may use, which containers set below the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """Return the processor's name as its maker spells it, or its architecture."""
    system = platform.system()
    if system == "Linux":
        info = Path("/proc/cpuinfo")
        lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return names[0] if names else platform.machine()
    if system == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


def gpu_names() -> list[str]:
    """Return the names of the CUDA devices and Apple GPUs that torch can use."""
    import torch  # here, so that this module can be imported without waiting for torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [*names, "Apple GPU (mps)"] if torch.backends.mps.is_available() else names


def _describe_folder(folder: Path) -> dict[str, Any]:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    lines = [f"{sha256(one)}  {one.relative_to(folder).as_posix()}\n" for one in files]
    return {
        "files": len(files),
        "bytes": sum(one.stat().st_size for one in files),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        if name == "kagaku":
            from kagaku import __version__  # run from a checkout that is not installed

            return __version__
        return None
