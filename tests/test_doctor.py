"""What doctor finds, how it says what to do, and what it thinks a table would cost."""

import io
import os
import re
import shutil
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import xarray as xr
from rich.console import Console

from kagaku import cost as cost_module
from kagaku import doctor
from kagaku.cache import OFFLINE_VARIABLES
from kagaku.cost import Cost, estimate
from kagaku.doctor import (
    Finding,
    broken_requirements,
    cost_rows,
    duration,
    examine,
    memory_limit,
    show,
    size,
)
from kagaku.errors import InputError
from kagaku.terminal import Terminal

SMILES = ("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CCN(CC)CC")


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return examine()


@pytest.fixture
def known_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put fixed speeds in the place of the benchmark, which takes seconds."""
    monkeypatch.setattr(cost_module, "_token_speeds", lambda *_: (5_000.0, 1_500.0))
    monkeypatch.setattr(cost_module, "_seconds_of", lambda _: 0.01)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = [f"{SMILES[i % 4]},{20 + i % 30},{-0.1 * i:.1f}" for i in range(200)]
    path = tmp_path / "lab.csv"
    path.write_text("smiles,temp [degC],logS\n" + "\n".join(lines) + "\n")
    return path


class Recorder(Terminal):
    """A terminal that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = io.StringIO()

    def say(self, text: str = "", *, path: Path | None = None) -> None:
        self.stream.write(f"{text} {path or ''}\n")

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:  # type: ignore[override]
        Console(file=self.stream, width=200).print(title, columns, *rows, markup=False)


# The machine


def test_every_layer_is_looked_at_in_order(findings: list[Finding]) -> None:
    assert [one.name for one in findings] == [
        "kagaku and Python",
        "processor",
        "accelerator",
        "memory",
        "disk",
        "packages",
        "requirements",
        "compiled parts",
        "cache",
        "network",
        "weights",
    ]
    assert all(one.value for one in findings)


def test_whatever_is_not_well_says_what_to_do(findings: list[Finding]) -> None:
    assert all(one.fix for one in findings if one.level != "ok")
    assert by_name(findings)["compiled parts"].level == "ok"
    assert "torch" in by_name(findings)["packages"].value


def test_a_package_of_the_wrong_version_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {
        "kagaku": SimpleNamespace(version="1", requires=["timm>=1", "colour; extra == 'nice'"]),
        "timm": SimpleNamespace(version="1.1", requires=["torchvision", "absent>2"]),
        "torchvision": SimpleNamespace(version="0.29", requires=["torch==2.14.1"]),
        "torch": SimpleNamespace(version="2.9.0", requires=None),
    }
    monkeypatch.setattr(doctor, "_installed", installed.get)
    assert broken_requirements("kagaku") == [
        "timm needs absent, which is not installed",
        "torchvision needs torch==2.14.1, but 2.9.0 is installed",
    ]
    found = doctor._requirements()
    assert found.level == "fail"
    assert "torchvision needs torch==2.14.1" in found.value
    assert found.fix == "Run: pip install --upgrade kagaku"


def test_a_checkout_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "distribution", nothing)
    assert doctor._requirements().fix == "Install it: pip install ."


def test_a_broken_compiled_part_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nmore")
        if name == "rdkit.Chem":
            raise ModuleNotFoundError("No module named 'rdkit'", name="rdkit")

    monkeypatch.setattr(doctor, "import_module", load)
    found = doctor._imports()
    assert found.level == "fail"
    assert "torchvision: operator torchvision::nms does not exist" in found.value
    assert "more" not in found.value
    assert found.fix == "Run: pip install --force-reinstall rdkit torchvision"


def test_a_missing_torchvision_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        if name == "torchvision":
            raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")

    monkeypatch.setattr(doctor, "import_module", load)
    assert doctor._imports().level == "ok"


@pytest.mark.parametrize(
    ("total", "free", "level"), [(1, 1, "fail"), (16, 1, "warn"), (16, 8, "ok")]
)
def test_little_memory_is_said(
    monkeypatch: pytest.MonkeyPatch, total: int, free: int, level: str
) -> None:
    memory = SimpleNamespace(total=total * 2**30, available=free * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(doctor, "memory_limit", lambda: total * 2**30)
    found = doctor._memory()
    assert found.level == level
    assert found.value == f"{free}.0 GiB free of {total}.0 GiB"


def test_a_container_limits_the_memory() -> None:
    assert 2**28 < memory_limit() <= psutil.virtual_memory().total


def test_a_full_disk_and_a_folder_without_rights_are_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert doctor._disk()[0].level == "warn"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert doctor._disk()[0].level == "fail"


def test_a_driver_without_a_usable_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "gpu_names", list)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert doctor._accelerator().level == "warn"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert doctor._accelerator().level == "ok"
    monkeypatch.setattr(doctor, "gpu_names", lambda: ["NVIDIA H100"])
    assert doctor._accelerator().value == "NVIDIA H100"


def test_a_torch_that_does_not_load_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise ImportError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "gpu_names", broken)
    found = doctor._accelerator()
    assert (found.level, found.fix) == ("fail", "Install torch again: pip install torch")


def test_the_offline_switch_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFFLINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert doctor._network().value.startswith("allowed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert doctor._network().value.startswith("off by HF_HUB_OFFLINE")


def test_the_cache_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert doctor._cache().value.startswith("empty")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "weights").write_bytes(b"0" * 3 * 2**20)
    assert doctor._cache().value.startswith("3 MiB in ")


# The cost of a table


def test_a_table_is_costed_in_seconds(table: Path) -> None:
    cost = estimate(table, ["logS"])
    assert cost.rows == 200
    assert set(cost.tokens) == {"smiles", "temp"}
    assert cost.tokens["temp"] == 1
    assert 5 < cost.tokens["smiles"] < 25
    assert cost.total_tokens == pytest.approx(200 * sum(cost.tokens.values()), rel=0.02)
    assert 0 < cost.readout_seconds < cost.full_seconds < 1e5
    assert 2**28 < cost.readout_bytes < 2**33
    assert cost.full_bytes > cost.readout_bytes
    assert cost.unreadable_rows == 0


def test_the_benchmark_repeats_quick_work_and_never_slow_work() -> None:
    calls: list[float] = []

    def work() -> None:
        calls.append(0.0)
        time.sleep(pause)

    pause = cost_module.BENCHMARK_SECONDS / 8
    assert cost_module._seconds_of(work) == pytest.approx(pause, rel=0.5)
    assert 2 <= len(calls) <= 9
    calls.clear()
    pause = cost_module.BENCHMARK_SECONDS * 1.1
    cost_module._seconds_of(work)
    assert len(calls) == 1


@pytest.mark.usefixtures("known_speeds")
def test_a_longer_table_costs_more(table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines()
    longer = tmp_path / "longer.csv"
    longer.write_text("\n".join([*lines, *(10 * lines[1:])]) + "\n")
    short, long = estimate(table, ["logS"]), estimate(longer, ["logS"])
    assert long.rows == 11 * short.rows
    assert long.total_tokens == pytest.approx(11 * short.total_tokens, rel=0.1)
    assert long.readout_seconds > 3 * short.readout_seconds
    assert long.readout_bytes > short.readout_bytes


@pytest.mark.usefixtures("known_speeds")
def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    rows = [f"{'C1CC' if i % 4 == 1 else SMILES[i % 4]},{i}.5" for i in range(40)]
    path.write_text("smiles,y\n" + "\n".join(rows) + "\n")
    cost = estimate(path, ["y"], inputs=["smiles: molecule"])
    assert cost.unreadable_rows == 10
    assert ("rows that cannot be read", "10 of those sampled") in cost_rows(cost)


@pytest.mark.usefixtures("known_speeds")
def test_a_table_without_one_usable_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    path.write_text("smiles,y\n" + "\n".join(f"C1CC,{i}.5" for i in range(12)) + "\n")
    message = re.escape("none of the 12 sampled rows can be used. Run kagaku finetune on it")
    with pytest.raises(InputError, match=message):
        estimate(path, ["y"], inputs=["smiles: molecule"])


@pytest.mark.usefixtures("known_speeds")
def test_a_grid_is_costed_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(30, 8, 12))
    grid = xr.Dataset(
        {
            "tos": (("time", "lat", "lon"), values, {"units": "K"}),
            "nino": ("time", values[:, 0, 0]),
        },
        {
            "time": ("time", np.arange(30.0), {"units": "days since 2001-01-01"}),
            "lat": ("lat", np.linspace(-35, 35, 8), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(12) * 30.0, {"units": "degrees_east"}),
        },
    )
    grid.to_netcdf(tmp_path / "grid.nc")
    cost = estimate(tmp_path / "grid.nc", ["nino"])
    assert cost.rows == 30
    assert cost.longest_record > 1


def test_a_cost_beyond_the_free_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(available=2**30, total=2**34)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    cost = Cost(10, {"smiles": 24.4}, 60, 244, 3.0, 7200.0, 2**29, 2**32, 1000.0, 400.0, 0)
    rows = dict(cost_rows(cost))
    assert rows["method readout"] == "about 3 s, 0.5 GiB"
    assert rows["method full"] == "at most about 2.0 h, 4.0 GiB"
    assert rows["free memory"] == "1.0 GiB: too little for all of this"


@pytest.mark.usefixtures("known_speeds")
def test_what_doctor_prints_has_findings_and_cost(
    monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    failed = Finding("memory", "fail", "1.0 GiB free", "Give it more.")
    monkeypatch.setattr(doctor, "examine", lambda: [failed])
    terminal = Recorder()
    show(terminal, table, ["logS"])
    printed = terminal.stream.getvalue()
    assert "FAIL" in printed
    assert "Give it more." in printed
    assert "1 to mend before kagaku can work here." in printed
    assert "Fine-tuning on lab.csv" in printed
    assert "tokens per smiles" in printed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (42.0, "42 s"), (600.0, "10 min"), (9000.0, "2.5 h")]
)
def test_times_are_rounded_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_are_rounded_for_people() -> None:
    assert (size(3 * 2**20), size(3 * 2**29)) == ("3 MiB", "1.5 GiB")
