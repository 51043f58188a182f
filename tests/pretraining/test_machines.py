"""A run that went on elsewhere tells on which machines it was trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from kagaku.pretraining import machines
from kagaku.pretraining.machines import MACHINES_FILE, note_machine, where_trained

LAPTOP = {"cpu": "a laptop's processor", "cores": 2, "memory_bytes": 1, "gpus": []}
CLUSTER = {"cpu": "a server's processor", "cores": 16, "memory_bytes": 2, "gpus": ["NVIDIA H100"]}


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(machines, "package_versions", lambda _: {"torch": "2.9"})
    return lambda known: monkeypatch.setattr(machines, "machine", lambda: known)


def first_steps(folder: Path) -> list[int]:
    stored = json.loads((folder / MACHINES_FILE).read_text(encoding="utf-8"))
    return [one["first_step"] for one in stored["machines"]]


def test_a_run_on_one_machine_names_it_once(on: Any, tmp_path: Path) -> None:
    on(LAPTOP)
    for step in (0, 10, 20):
        note_machine(tmp_path, step)
    assert first_steps(tmp_path) == [0]
    assert where_trained(tmp_path, 30) == "2 cores of a laptop's processor with torch 2.9"


def test_a_run_that_moved_names_the_steps_of_each(on: Any, tmp_path: Path) -> None:
    on(CLUSTER)
    note_machine(tmp_path, 0)
    on(LAPTOP)
    note_machine(tmp_path, 948)
    assert first_steps(tmp_path) == [0, 948]
    assert where_trained(tmp_path, 950) == (
        "NVIDIA H100 with torch 2.9 (948 steps) and "
        "2 cores of a laptop's processor with torch 2.9 (2 steps)"
    )


def test_a_call_without_a_step_is_forgotten(on: Any, tmp_path: Path) -> None:
    for known in (LAPTOP, CLUSTER):
        on(known)
        note_machine(tmp_path, 0)
    assert first_steps(tmp_path) == [0]
    assert where_trained(tmp_path, 5) == "NVIDIA H100 with torch 2.9"


def test_a_run_of_an_older_version_tells_nothing(tmp_path: Path) -> None:
    assert where_trained(tmp_path, 5) == ""
