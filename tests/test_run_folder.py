"""A run folder: whole, portable, safe to load, and able to go on after a stop."""

import errno
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import kagaku
from kagaku.finetuning import verb as train
from kagaku.science_tasks import full
from kagaku.science_tasks.evaluation import evaluate
from kagaku.terminal import Terminal

Make = Callable[[str], Any]
Quickly = Callable[[], ExitStack]

OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise OSError("the network is off")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
import kagaku
run, new, output = sys.argv[1:]
kagaku.load(run).predict(new).to_parquet(output)
"""


def test_a_copied_run_predicts_the_same_offline_after_the_original_is_gone(
    made: Make, tmp_path: Path
) -> None:
    one = made("regression, full")
    expected = one.run.predict(one.data)
    first, second = tmp_path / "first", tmp_path / "elsewhere/second"
    shutil.copytree(one.run.folder, first)
    shutil.copytree(first, second)
    shutil.rmtree(first)
    new = tmp_path / "new.csv"
    shutil.copy(one.data, new)
    command = [sys.executable, "-c", OFFLINE, str(second), str(new), str(tmp_path / "out.parquet")]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=300)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), expected)


def test_everything_that_is_loaded_is_plain_or_safetensors(made: Make) -> None:
    for name in ("regression", "regression, full", "field"):
        endings = {one.suffix for one in made(name).run.folder.rglob("*") if one.is_file()}
        assert endings <= {".json", ".yaml", ".safetensors", ".parquet", ".html", ".md", ".nc"}


def test_others_may_read_a_run_folder_as_the_umask_says(made: Make) -> None:
    folder = made("regression").run.folder
    plain = (folder / "metrics.json").stat().st_mode
    for one in folder.rglob("*"):
        if one.is_file():
            assert one.stat().st_mode == plain, one


@pytest.fixture
def copied(made: Make, tmp_path: Path) -> Path:
    """Return a copy of a run that may be damaged."""
    shutil.copytree(made("regression").run.folder, tmp_path / "run")
    return tmp_path / "run"


NEEDED = ("metrics.json", "schema.json", "model/model.safetensors")


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("damage", ["cut", "garbled", "emptied", "removed", "another's"])
def test_a_damaged_run_is_refused_with_the_file_and_the_remedy(
    copied: Path, name: str, damage: str
) -> None:
    path = copied / name
    content = path.read_bytes()
    damages: dict[str, Callable[[], object]] = {
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "garbled": lambda: path.write_bytes(bytes(255 - byte for byte in content)),
        "emptied": lambda: path.write_bytes(b""),
        "removed": path.unlink,
        "another's": lambda: path.write_text('{"format_version": 1, "spam": [1, 2, 3]}'),
    }
    damages[damage]()
    with pytest.raises(kagaku.InputError) as caught:
        kagaku.Run.load(copied).predict(pd.DataFrame({"smiles": ["CCO"], "temperature": [25.0]}))
    told = str(caught.value)
    assert str(copied) in told
    assert "again" in told or "Point to a run folder" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "name", ["config.yaml", "card.md", "provenance.json", "predictions.parquet", "report.html"]
)
def test_what_is_only_read_by_people_is_not_needed_to_predict(copied: Path, name: str) -> None:
    (copied / name).write_bytes(b"\x00garbled")
    table = kagaku.Run.load(copied).predict(pd.DataFrame({"smiles": ["CCO"], "temperature": [25]}))
    assert np.isfinite(table["logS"]).all()


def test_a_run_of_a_newer_version_is_refused(copied: Path) -> None:
    metrics = json.loads((copied / "metrics.json").read_text())
    metrics["format_version"] = 99
    (copied / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(kagaku.InputError, match=r"format version 99.*Install a newer kagaku"):
        kagaku.load(copied)


def test_an_unfinished_run_says_how_to_go_on(copied: Path) -> None:
    (copied / "UNFINISHED").touch()
    with pytest.raises(kagaku.InputError, match=r"has not finished.*same `kagaku finetune`"):
        kagaku.load(copied)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing/here", "there is no folder 'nothing/here', and no model of that id"),
        ("kagaku-huge", "there are no weights named"),
    ],
)
def test_loading_what_is_not_there_is_told(name: str, told: str) -> None:
    with pytest.raises(kagaku.InputError, match=told):
        kagaku.load(name)
    with pytest.raises(kagaku.InputError, match="there is no run folder"):
        kagaku.Run.load(name)


class Stop:
    """A Ctrl-C at the n-th call of a function."""

    def __init__(self, at: int, then: Callable[..., Any]) -> None:
        self.left, self.then = at, then

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.then(*given, **named)


def without_seconds(run: kagaku.Run) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(json.dumps(run.metrics))
    del kept["seconds"]
    for target in kept["targets"].values():
        for candidate in target["candidates"]:
            del candidate["seconds"]
    return kept


@pytest.mark.parametrize("at", [2, 7])
def test_a_stopped_comparison_goes_on_and_comes_to_the_same_figures(
    made: Make, quickly: Quickly, tmp_path: Path, at: int
) -> None:
    one = made("regression")
    fits = "kagaku.science_tasks.candidates.ReadoutCandidate.fit"
    from kagaku.science_tasks.candidate_kinds import ReadoutCandidate

    fit = ReadoutCandidate.fit
    counted: list[int] = []

    def counting(candidate: ReadoutCandidate, index: np.ndarray) -> Any:
        counted.append(1)
        if len(counted) == at + 1:
            raise KeyboardInterrupt
        return fit(candidate, index)

    with quickly(), patch(fits, counting), pytest.raises(KeyboardInterrupt):
        kagaku.finetune(one.data, "logS", tmp_path / "run", method="readout", quiet=True)
    assert (tmp_path / "run/UNFINISHED").exists()
    with quickly(), patch(fits, counting):
        run = kagaku.finetune(one.data, "logS", tmp_path / "run", method="readout", quiet=True)
    assert without_seconds(run) == without_seconds(one.run)
    assert not (tmp_path / "run/work").exists()
    n_folds = 5 * len(
        [row for row in run.metrics["targets"]["logS"]["candidates"] if row["seconds"]]
    )
    # Every fold was fitted once, the stopped one twice, and the winner once more.
    assert len(counted) <= n_folds + 2 + 3


def test_a_stopped_network_training_goes_on_to_the_same_figures(tmp_path: Path, made: Make) -> None:
    data = made("regression").data
    frame = pd.read_csv(data)
    settings = {"epochs": 2, "confidence": 0.8}
    given: dict[str, Any] = {"method": "full", "quiet": True, "settings": settings}
    whole = kagaku.finetune(frame, "logS", tmp_path / "whole", **given)
    from kagaku.models import finetuning
    from kagaku.models.training_state import save_training_state

    keep, before = save_training_state, signal.getsignal(signal.SIGINT)
    with (
        patch.object(finetuning, "save_training_state", Stop(1, keep)),
        pytest.raises(KeyboardInterrupt),
    ):
        kagaku.finetune(frame, "logS", tmp_path / "run", **given)
    assert signal.getsignal(signal.SIGINT) is before  # a second Ctrl-C still works
    run = kagaku.finetune(frame, "logS", tmp_path / "run", **given)
    kept, expected = without_seconds(run), without_seconds(whole)
    assert kept == expected
    pd.testing.assert_frame_equal(run.predict(frame), whole.predict(frame))


def test_changed_data_do_not_go_on_from_the_old_work(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    frame = pd.read_csv(made("regression").data)
    changed = frame.copy()
    changed["smiles"] = frame["smiles"].to_numpy()[::-1]
    given: dict[str, Any] = {"method": "readout", "quiet": True}
    with quickly():
        fresh = kagaku.finetune(changed, "logS", tmp_path / "fresh", **given)
        with (
            patch.object(train, "evaluate", Stop(0, evaluate)),
            pytest.raises(KeyboardInterrupt),
        ):
            kagaku.finetune(frame, "logS", tmp_path / "run", **given)
        run = kagaku.finetune(changed, "logS", tmp_path / "run", **given)
    assert without_seconds(run) == without_seconds(fresh)


def test_a_network_is_not_trained_on_from_other_data_or_weights(made: Make) -> None:
    from kagaku.models import untrained_encoder
    from kagaku.models.multitask import FinetuningConfig

    one = made("regression")
    records, _ = one.run.records(kagaku.data.read(one.data))
    encoder, config = untrained_encoder(), FinetuningConfig()
    own = full._fingerprint(encoder, records, config)
    assert full._fingerprint(untrained_encoder(), records, config) == own
    assert full._fingerprint(untrained_encoder(seed=1), records, config) != own
    backwards = records.subset(np.arange(len(records))[::-1])
    turned = type(records)(**{**vars(records), "inputs": backwards.inputs})
    assert full._fingerprint(encoder, turned, config) != own


def test_a_full_disk_is_told_and_nothing_looks_finished(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    one = made("regression")
    no_space = OSError(errno.ENOSPC, "No space left on device")
    with (
        quickly(),
        patch.object(train, "write_report", side_effect=no_space),
        pytest.raises(kagaku.InputError, match=r"No space left on device.*goes on where"),
    ):
        kagaku.finetune(one.data, "logS", tmp_path / "run", method="readout", quiet=True)
    with pytest.raises(kagaku.InputError, match="has not finished"):
        kagaku.load(tmp_path / "run")
    with quickly():
        run = kagaku.finetune(one.data, "logS", tmp_path / "run", method="readout", quiet=True)
    assert without_seconds(run) == without_seconds(one.run)


def test_the_progress_that_is_shown_never_passes_its_total(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []

    class Watching(Terminal):
        def progress(self, title: str) -> Any:
            del title
            from contextlib import nullcontext

            return nullcontext(lambda done, total, label: seen.append((done, total, label)))

    from kagaku.api import finetune_config

    config = finetune_config(
        None,
        {
            "data": str(made("regression").data),
            "target": ("logS",),
            "output": str(tmp_path / "run"),
            "method": "readout",
        },
    )
    with quickly():
        train.train(config, terminal=Watching(quiet=True))
    assert seen
    assert all(0 <= done <= total for done, total, _ in seen)
    assert {"embedding", "done"} <= {label for _, _, label in seen}
