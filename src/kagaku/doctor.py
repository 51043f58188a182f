"""Whether this machine is ready for kagaku, and what is in the way if it is not."""

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import psutil
from packaging.requirements import InvalidRequirement, Requirement

from kagaku.cache import offline_variable
from kagaku.cost import Cost, estimate
from kagaku.provenance import available_cores, cpu_name, gpu_names, package_versions
from kagaku.terminal import Terminal

__all__ = ["Cost", "Finding", "estimate", "examine", "show"]

Level = Literal["ok", "warn", "fail"]

GIB = 2**30
"""Bytes in a gibibyte."""

NEEDED_MEMORY, COMFORTABLE_MEMORY = 2 * GIB, 4 * GIB
"""Below the first, torch and a small table do not fit; below the second, larger tables do not."""

NEEDED_DISK = GIB
"""Run folders are small, but weights and caches are not."""

SHOWN_PACKAGES = ("torch", "lightning", "transformers", "rdkit", "lightgbm", "gpytorch", "mapie")
"""The packages whose versions are listed."""

IMPORTED = (
    "torch",
    "rdkit.Chem",
    "lightgbm",
    "tokenizers",
    "netCDF4",
    "safetensors",
    "torchvision",
)
"""Packages with compiled parts that break when another package was replaced underneath them."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """What was looked at."""

    level: Level
    """``"ok"``; ``"warn"``: works, but slowly or not for everything; ``"fail"``: must be mended."""

    value: str
    """What was found."""

    fix: str = ""
    """What to do about it; empty if all is well."""


def examine() -> list[Finding]:
    """Return everything worth knowing about this machine, in the order of its layers."""
    return [
        _python(),
        _processor(),
        _accelerator(),
        _memory(),
        *_disk(),
        _versions(),
        _requirements(),
        _imports(),
        _cache(),
        _network(),
        _weights(),
    ]


def show(
    terminal: Terminal,
    data: Path | None = None,
    targets: Sequence[str] = (),
    inputs: Sequence[str] | None = None,
    base: str | None = None,
) -> None:
    """Print what `examine` finds and, for a table, what `estimate` says.

    Args:
        terminal: Where to print.
        data: The table or grid that would be fine-tuned on, if one is in question.
        targets: What would be predicted.
        inputs: What it would be predicted from; None takes all that looks like an input.
        base: The weights that it would start from; None takes the default.

    Raises:
        InputError: The table cannot be read or used.
    """
    marks = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}
    found = examine()
    terminal.table(
        "This machine",
        ["", "what", "found", "what to do"],
        [[marks[one.level], one.name, one.value, one.fix] for one in found],
    )
    failed = sum(one.level == "fail" for one in found)
    if failed:
        terminal.say(f"{failed} to mend before kagaku can work here.")
    if data is not None:
        cost = estimate(data, targets, inputs=inputs, base=base)
        terminal.table(f"Fine-tuning on {data.name}", ["what", "estimate"], cost_rows(cost))
        terminal.say("Times are good to a factor of about three; memory to a factor of two.")


def cost_rows(cost: Cost) -> list[tuple[str, str]]:
    """Return a cost as lines of a table: what, and how much."""
    rows = [("rows", f"{cost.rows:,}")]
    rows += [(f"tokens per {name}", f"{mean:,.0f}") for name, mean in cost.tokens.items()]
    rows += [
        ("longest record seen", f"{cost.longest_record:,} tokens"),
        ("tokens in all", f"{cost.total_tokens:,}"),
        ("speed here, embedding", f"{cost.embed_tokens_per_second:,.0f} tokens/s"),
        ("speed here, training", f"{cost.train_tokens_per_second:,.0f} tokens/s"),
        ("method readout", f"about {duration(cost.readout_seconds)}, {size(cost.readout_bytes)}"),
        ("method full", f"at most about {duration(cost.full_seconds)}, {size(cost.full_bytes)}"),
    ]
    if cost.unreadable_rows:
        rows.append(("rows that cannot be read", f"{cost.unreadable_rows} of those sampled"))
    free = psutil.virtual_memory().available
    if max(cost.readout_bytes, cost.full_bytes) > free:
        rows.append(("free memory", f"{size(free)}: too little for all of this"))
    return rows


def duration(seconds: float) -> str:
    """Return a time span in the unit that suits it, such as ``"20 s"`` or ``"1.5 h"``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n_bytes: int) -> str:
    """Return an amount of memory or disk, such as ``"3.2 GiB"``."""
    return f"{n_bytes / GIB:.1f} GiB" if n_bytes >= 0.1 * GIB else f"{n_bytes / 2**20:.0f} MiB"


def broken_requirements(root: str) -> list[str]:
    """Return every requirement in a package's dependency tree that is not met, as sentences.

    This is how a torchvision built for another torch shows: its wheel pins the torch it needs.

    Args:
        root: Name of an installed package.
    """
    problems: list[str] = []
    queue, seen = [root], {root}
    while queue:
        name = queue.pop()
        owner = _installed(name)
        for line in (owner.requires if owner else None) or []:
            requirement = _applies(line)
            if requirement is None:
                continue
            needed = _installed(requirement.name)
            if needed is None:
                problems.append(f"{name} needs {requirement.name}, which is not installed")
            elif not requirement.specifier.contains(needed.version, prereleases=True):
                problems.append(
                    f"{name} needs {requirement.name}{requirement.specifier}, "
                    f"but {needed.version} is installed"
                )
            if requirement.name.lower() not in seen:
                seen.add(requirement.name.lower())
                queue.append(requirement.name)
    return sorted(problems)


def memory_limit() -> int:
    """Return the bytes of memory this process may use: the machine's, or its container's."""
    limits = [psutil.virtual_memory().total]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = Path(name)
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if text.isdecimal():
            limits.append(int(text))
    return min(limits)


def _python() -> Finding:
    version = platform.python_version()
    value = f"Python {version}, {platform.system()} {platform.machine()}"
    kagaku = package_versions(["kagaku"])["kagaku"]
    return Finding("kagaku and Python", "ok", f"kagaku {kagaku}, {value}")


def _processor() -> Finding:
    """Return the processor, its cores and the vector units that speed up matrix products."""
    flags = _cpu_flags()
    fast = [
        name
        for name, flag in (
            ("AVX2", "avx2"),
            ("AVX-512", "avx512f"),
            ("AVX-512 bf16", "avx512_bf16"),
        )
        if flag in flags
    ] + (["AMX bf16"] if "amx_bf16" in flags else [])
    cores = available_cores()
    value = f"{cpu_name()}, {cores} core{'s' if cores > 1 else ''}"
    if fast:
        value += f", {', '.join(fast)}"
    if cores < 2:
        return Finding("processor", "warn", value, "Everything works, but slowly, on one core.")
    return Finding("processor", "ok", value)


def _cpu_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return set()
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    listed = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return set(listed.partition(":")[2].split())


def _accelerator() -> Finding:
    try:
        names = gpu_names()
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(
            "accelerator", "fail", _first_line(error), "Install torch again: pip install torch"
        )
    if names:
        return Finding("accelerator", "ok", ", ".join(names))
    if shutil.which("nvidia-smi"):
        return Finding(
            "accelerator",
            "warn",
            "an NVIDIA driver is here, but torch sees no GPU",
            "Install a torch that is built for your CUDA driver.",
        )
    return Finding("accelerator", "ok", "none; the CPU is enough for tables of a laboratory")


def _memory() -> Finding:
    total, free = memory_limit(), psutil.virtual_memory().available
    value = f"{size(min(total, free))} free of {size(total)}"
    if total < NEEDED_MEMORY:
        return Finding("memory", "fail", value, f"Give it at least {size(NEEDED_MEMORY)}.")
    if min(total, free) < COMFORTABLE_MEMORY:
        return Finding("memory", "warn", value, "Close other programs before large tables.")
    return Finding("memory", "ok", value)


def _disk() -> list[Finding]:
    """Return free disk here; run folders are written below the current folder."""
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    if not os.access(here, os.W_OK):
        return [Finding("disk", "fail", "this folder cannot be written to", "Go to another one.")]
    if free < NEEDED_DISK:
        return [Finding("disk", "warn", f"{size(free)} free here", "Make some room.")]
    return [Finding("disk", "ok", f"{size(free)} free here")]


def _versions() -> Finding:
    found = package_versions(SHOWN_PACKAGES)
    value = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    missing = [name for name, version in found.items() if version is None]
    if missing:
        fix = f"Install them: pip install {' '.join(missing)}"
        return Finding("packages", "fail", f"{', '.join(missing)} missing; {value}", fix)
    return Finding("packages", "ok", value)


def _requirements() -> Finding:
    if _installed("kagaku") is None:
        return Finding(
            "requirements", "warn", "kagaku runs from a folder", "Install it: pip install ."
        )
    problems = broken_requirements("kagaku")
    if problems:
        value = "; ".join(problems[:5]) + (" ..." if len(problems) > 5 else "")
        return Finding("requirements", "fail", value, "Run: pip install --upgrade kagaku")
    return Finding("requirements", "ok", "every package has the version that the others need")


def _imports() -> Finding:
    problems = []
    for name in IMPORTED:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name or name != "torchvision":  # which only image models need
                problems.append((name, _first_line(error)))
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            problems.append((name, _first_line(error)))
    if problems:
        value = "; ".join(f"{name}: {why}" for name, why in problems)
        broken = " ".join(name.partition(".")[0] for name, _ in problems)
        fix = f"Run: pip install --force-reinstall {broken}"
        return Finding("compiled parts", "fail", value, fix)
    return Finding("compiled parts", "ok", "all load")


def _cache() -> Finding:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    if not folder.is_dir():
        return Finding("cache", "ok", "empty; nothing was downloaded yet")
    files = (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
    return Finding("cache", "ok", f"{size(sum(one.stat().st_size for one in files))} in {folder}")


def _network() -> Finding:
    if set_by := offline_variable():
        return Finding("network", "ok", f"off by {set_by}; only local weights and data are used")
    return Finding(
        "network", "ok", "allowed, and needed only to download what is asked for by name"
    )


def _weights() -> Finding:
    from kagaku.bases import DEFAULT, load_base

    encoder = load_base(None)
    millions = sum(one.numel() for one in encoder.parameters()) / 1e6
    value = f"{DEFAULT}, {millions:.1f} M parameters"
    if encoder.config.is_pretrained:
        return Finding("weights", "ok", value)
    return Finding(
        "weights",
        "warn",
        f"{value}, not pretrained",
        "Predictions rest on classical features; name pretrained weights with --base.",
    )


@runtime_checkable
class _Package(Protocol):
    """An installed package, whichever finder told of it: importlib_metadata brings its own."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def requires(self) -> list[str] | None:
        """What it needs, one requirement a line."""


def _installed(name: str) -> _Package | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _applies(line: str) -> Requirement | None:
    """Return a requirement that holds on this machine without extras, or None."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    return requirement


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
