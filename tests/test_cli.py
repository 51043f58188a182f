"""The command as a user types it: fast help, what it prints, and the way it leaves."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import kagaku
from kagaku.cli import app, main
from kagaku.terminal import Terminal

Make = Callable[[str], Any]


BARE = 0.02
"""Seconds that a bare Python takes to start on an idle modern machine."""


def seconds(code: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *code], check=True, capture_output=True, timeout=120)
    return time.perf_counter() - start


def share_of(limit: float, code: list[str], tries: int = 8) -> float:
    """Return the least share of a limit that a Python takes, which is longer on a busy machine.

    A bare start just before tells how busy it is; stops as soon as a try is good enough.
    """
    best = float("inf")
    for _ in range(tries):
        slack = max(1.0, seconds(["-I", "-S", "-c", ""]) / BARE)
        best = min(best, seconds(code) / (limit * slack))
        if best < 1:
            break
    return best


def test_help_answers_at_once() -> None:
    assert share_of(0.5, ["-m", "kagaku", "--help"]) < 1


def test_importing_kagaku_is_quick_and_loads_nothing_heavy() -> None:
    assert share_of(0.3, ["-c", "import kagaku"]) < 1
    heavy = ("torch", "pandas", "numpy", "rdkit", "sklearn", "xarray", "rich", "lightning")
    check = f"import sys, kagaku; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True, timeout=120
    )
    assert found.stdout.strip() == "[]"


def test_listing_the_samples_loads_no_torch() -> None:
    check = """
import sys
from pathlib import Path
from kagaku.example_data import copy_or_list_samples
copy_or_list_samples(None, Path())
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    "verb",
    [
        "finetune",
        "predict",
        "embed",
        "doctor",
        "samples",
        "datasets",
        "corpus",
        "pretrain",
        "scaling",
    ],
)
def test_every_verb_has_help(verb: str) -> None:
    answer = CliRunner().invoke(app, [verb, "--help"])
    assert answer.exit_code == 0
    assert "Usage" in answer.output


def test_the_version_is_printed() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert answer.exit_code == 0
    assert answer.output.strip() == kagaku.__version__


def test_a_misspelt_option_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kagaku", "finetune", "--targett", "x"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "--targett" in capsys.readouterr().err


def test_a_stop_by_the_user_leaves_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kagaku.doctor.show", stop)
    monkeypatch.setattr(sys, "argv", ["kagaku", "doctor"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    printed = capsys.readouterr()
    assert printed.err == "kagaku: stopped. Run the same command again to go on.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "run/a"), "run/a: No space left on device"),
        (MemoryError(), "the memory ran out"),
    ],
)
def test_what_the_machine_lacks_is_told_in_one_paragraph(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, told: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("kagaku.doctor.show", fail)
    monkeypatch.setattr(sys, "argv", ["kagaku", "doctor"])
    with pytest.raises(SystemExit, match=told):
        main()


def test_samples_are_copied_with_a_command_that_works(in_folder: Path) -> None:
    answer = CliRunner().invoke(app, ["samples", "molecules", "--output", "mine"])
    assert answer.exit_code == 0
    assert (in_folder / "mine/molecules.csv").is_file()
    (command,) = [line for line in answer.stderr.splitlines() if "kagaku finetune" in line]
    words = command.split()
    assert Path(words[2]).is_file()
    assert "--target" in words


def test_a_whole_session_prints_what_a_scientist_needs(
    in_folder: Path, samples: Path, quickly: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pd.read_csv(samples / "molecules.csv").head(70).to_csv("lab.csv", index=False)
    (in_folder / "new.csv").write_bytes((samples / "molecules_new.csv").read_bytes())
    runner = CliRunner()
    words = ["finetune", "lab.csv", "--target", "logS", "--output", "run", "--method", "readout"]
    with quickly():
        answer = runner.invoke(app, words, catch_exceptions=False)
    assert answer.exit_code == 0
    told = answer.stderr
    assert not answer.stdout
    assert all(len(line) <= 80 for line in told.splitlines())
    for needed in (
        "log10(mol/L)",
        "rows to train",
        "cross-validation on training rows",
        "held-out rows",
        "95% interval",
        "90% intervals held",
        "run/report.html",
        "kagaku predict run",
    ):
        assert needed in told
    answer = runner.invoke(
        app, ["predict", "run", "new.csv", "--output", "out.csv"], catch_exceptions=False
    )
    assert answer.exit_code == 0
    assert list(pd.read_csv("out.csv").columns)[:3] == ["name", "smiles", "logS"]
    assert sorted(one.name for one in in_folder.iterdir()) == [
        "lab.csv",
        "new.csv",
        "out.csv",
        "run",
    ]


def test_python_prints_nothing_when_quiet(made: Make, capfd: pytest.CaptureFixture[str]) -> None:
    one = made("regression")
    capfd.readouterr()
    one.run.predict(one.data)
    kagaku.embed(["CCO", "CCN"])
    printed = capfd.readouterr()
    assert not printed.out
    assert not printed.err


def test_a_table_keeps_brackets_and_wraps_words(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["C[C@H](N)C(=O)O", "1.5"], ["[red]no markup[/red]", ""]]
    Terminal().table("T", ["smiles", "yield [percent]"], rows)
    shown = capsys.readouterr().err
    assert "C[C@H](N)C(=O)O" in shown
    assert "[red]no markup[/red]" in shown
    assert "yield [percent]" in shown
