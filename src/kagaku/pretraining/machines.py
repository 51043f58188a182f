"""On which machines, by which code, a run was trained: one that stops may go on elsewhere."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kagaku.data.whole_files import write_json
from kagaku.provenance import commit, machine, package_versions

MACHINES_FILE = "machines.json"


def note_machine(folder: Path, first_step: int) -> None:
    """Write down where and by which code a run goes on, unless the same did the steps before.

    Args:
        folder: The run's folder.
        first_step: Steps done before this call.
    """
    known = machine()
    here = {
        **{name: known[name] for name in ("cpu", "cores", "gpus")},
        "python": platform.python_version(),
        "torch": package_versions(["torch"])["torch"],
        "commit": commit(),
    }
    # A call that was stopped before its first step trained nothing.
    before = [one for one in _told(folder) if one["first_step"] < first_step]
    if not before or {**before[-1], **here} != before[-1]:
        before.append({"first_step": first_step, **here})
    write_json({"machines": before}, folder / MACHINES_FILE)


def where_trained(folder: Path, steps: int) -> str:
    """Return on what and with which torch a run was trained, and how many steps on each.

    Empty if nothing tells.

    Args:
        folder: Of the run, or of its release.
        steps: Of the whole run.
    """
    told = _told(folder)
    ends = [*(one["first_step"] for one in told[1:]), steps]
    places = [(_place(one), end - one["first_step"]) for one, end in zip(told, ends, strict=False)]
    if len({place for place, _ in places}) == 1:
        return places[0][0]
    return " and ".join(f"{place} ({count:,} steps)" for place, count in places)


def _place(told: Mapping[str, Any]) -> str:
    device = ", ".join(told["gpus"]) or f"{told['cores']} cores of {told['cpu']}"
    return f"{device} with torch {told['torch']}"


def _told(folder: Path) -> list[dict[str, Any]]:
    path = folder / MACHINES_FILE
    if not path.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["machines"]
    return found
