"""`kagaku benchmark --estimate`: minutes come from finished folders and the table made of them."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from kagaku.bases import DEFAULT
from kagaku.benchmarks.estimating import estimate
from kagaku.benchmarks.minutes import (
    TABLE,
    Minutes,
    minutes_of_folder,
    newest,
    read_minutes,
    write_minutes,
)
from kagaku.benchmarks.request import LONG_MINUTES, BenchmarkRequest
from kagaku.benchmarks.stored import SCORES_FILE
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.results import Quick, Result, save_result
from kagaku.science_tasks.tasks import TASKS

ANSWERS = pd.DataFrame({"truth": [1.0, 2.0], "given": [1.0, 2.5]})
ESOL = TASKS["esol"]
UNMEASURED = next(name for name in TASKS if TASKS[name].long)
MACHINE = {"cpu": "Some  CPU", "cores": 2, "memory_bytes": 1, "gpus": []}


def result(method: str, split: str, seconds: float, **how: object) -> Result:
    plain = Result("esol", method, split, 0, 2, 2, 0, seconds, 100, None, None, "", None, ANSWERS)
    return replace(plain, **how)  # type: ignore[arg-type]


def folder_of(path: Path, *results: Result) -> Path:
    """Write a benchmark's folder with results, as the verb leaves it."""
    for one in results:
        save_result(one, path / one.task / one.method / f"{one.split}-seed{one.seed}.json")
    scores = {"tasks": {one.task: {} for one in results}, "machine": MACHINE}
    (path / SCORES_FILE).write_text(json.dumps(scores))
    return path


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return folder_of(
        tmp_path / "bench",
        result("constant", "random1", 60.0),
        result("constant", "random1", 120.0, seed=1),
        result("constant", "random2", 30.0),
        result("plain", "random1", 6.0),
        result("linear-embeddings", "random1", 20.0, base="f", base_name=DEFAULT),
        result("linear-embeddings", "random2", 40.0, base="f", base_name=DEFAULT),
        result("auto", "random1", 2.0, quick=Quick()),
    )


def asked(*methods: str, **how: object) -> BenchmarkRequest:
    return BenchmarkRequest(names=("esol",), methods=methods, **how)  # type: ignore[arg-type]


def test_minutes_are_of_all_splits_and_one_seed(finished: Path) -> None:
    # plain was stopped after one split, auto was a quick look.
    assert minutes_of_folder(finished) == [
        Minutes("esol", "constant", "", 2, 2.0, "2 cores, Some CPU"),
        Minutes("esol", "linear-embeddings", DEFAULT, 2, 1.0, "2 cores, Some CPU"),
    ]
    (quick,) = minutes_of_folder(finished, Quick())
    assert (quick.method, quick.minutes) == ("auto", 0.033)


def test_a_task_without_scores_was_not_finished(finished: Path) -> None:
    (finished / SCORES_FILE).write_text(json.dumps({"tasks": {}}))
    assert minutes_of_folder(finished) == []


def test_an_estimate_counts_seeds_and_splits_and_runs_nothing(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(finished.rglob("*"))
    found = estimate(asked("constant", "linear-embeddings", n_seeds=2), (finished,))
    assert found["esol"] == pytest.approx(6.0)
    assert "2 cores, Some CPU" in " ".join(capsys.readouterr().err.split())
    assert estimate(asked("constant", splits=("random1",)), (finished,)) == {"esol": 1.0}
    assert sorted(finished.rglob("*")) == before


def test_the_nearest_folder_is_believed_first(finished: Path, tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", result("constant", "random1", 600.0))
    assert estimate(asked("constant"), (other, finished)) == {"esol": 10.0}
    assert estimate(asked("constant"), (finished, other)) == {"esol": 2.0}


def test_times_with_other_weights_do_not_count(finished: Path) -> None:
    assert estimate(asked("linear-embeddings"), (finished,)) == {"esol": 1.0}
    other = asked("linear-embeddings", base="some/other-weights")
    assert estimate(other, (finished,)) == {"esol": None}


def test_what_was_never_measured_is_said(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = BenchmarkRequest(names=("esol", UNMEASURED), with_long=True)
    found = estimate(request, (finished,))
    assert found == {"esol": None, UNMEASURED: None}
    told = " ".join(capsys.readouterr().err.split())
    assert "not measured" in told
    assert "2 of 2 tasks were not measured, or not all of their methods" in told


def test_a_folder_without_a_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no benchmark") as error:
        estimate(asked("constant"), (tmp_path,))
    assert error.value.fix == "Name a folder that kagaku benchmark wrote, with its scores.json."


def test_a_misspelt_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"the task 'esol' has no method 'constnat'. Did you mean"):
        estimate(asked("constnat"))


def test_the_shipped_table_is_asked_last(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "minutes.tsv"
    rows = [Minutes("esol", name, "", 2, 7.0, "other") for name in ("constant", "plain")]
    write_minutes(rows, table)
    monkeypatch.setattr("kagaku.benchmarks.minutes.TABLE", table)
    assert estimate(asked("constant", "plain"), (finished,)) == {"esol": 9.0}
    assert estimate(asked("constant", "plain")) == {"esol": 14.0}
    assert estimate(asked("constant", is_quick=True)) == {"esol": None}


def test_the_shipped_table_is_sorted_and_speaks_of_registered_methods() -> None:
    rows = read_minutes(TABLE)
    assert rows == newest([], rows)
    for one in rows:
        TASKS[one.task].method(one.method)
        assert one.minutes >= 0  # a constant takes no time
        assert one.machine


def test_no_usual_run_was_seen_to_take_far_longer_than_promised() -> None:
    """On one core with other work beside it may take twice the twenty minutes of two idle ones."""
    minutes = {(one.task, one.method): one.minutes for one in read_minutes()}
    expected = {
        name: sum(minutes.get((name, one), 0.0) for one in task.usual(with_long=False))
        for name, task in TASKS.items()
    }
    assert {name: one for name, one in expected.items() if one > 2 * LONG_MINUTES} == {}
    assert max(expected.values()) > 10


def test_a_broken_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "minutes.tsv").write_text("task\tminutes\nesol\t2\n")
    with pytest.raises(InputError, match="the file is no table of minutes"):
        read_minutes(tmp_path / "minutes.tsv")


def test_new_rows_replace_old_ones_unless_of_fewer_splits() -> None:
    old = [Minutes("esol", "plain", "", 2, 7.0, "a"), Minutes("esol", "constant", "", 2, 1.0, "a")]
    fewer, more = (Minutes("esol", "plain", "", n, 9.0, "b") for n in (1, 3))
    assert newest(old, [fewer]) == [old[1], old[0]]
    assert newest(old, [more]) == [old[1], more]


def test_the_script_writes_the_same_table_twice(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parents[1] / "scripts" / "benchmark_minutes.py"
    table = tmp_path / "minutes.tsv"
    written = []
    monkeypatch.setattr(sys, "argv", [str(script), str(finished), "--table", str(table)])
    for _ in range(2):
        runpy.run_path(str(script), run_name="__main__")
        written.append(table.read_text())
    assert written[0] == written[1]
    assert [one.method for one in read_minutes(table)] == ["constant", "linear-embeddings"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--busy"])
    runpy.run_path(str(script), run_name="__main__")
    assert {one.machine for one in read_minutes(table)} == {"2 cores, Some CPU, other work beside"}
