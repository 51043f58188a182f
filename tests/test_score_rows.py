"""Scores of finished benchmarks: kept as a table, merged, and shown on a page."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kagaku.benchmarks.score_rows import (
    merged,
    read_rows,
    rows_of_folder,
    write_rows,
)
from kagaku.benchmarks.stored import SCORES_FILE
from kagaku.errors import InputError

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "score_page.py"


def score(mean: float, spread: float | None = None) -> dict[str, float | None]:
    ends = (None, None) if spread is None else (mean - spread, mean + spread)
    return {"mean": mean, "low": ends[0], "high": ends[1]}


def method(name: str, mean: float, **how: Any) -> dict[str, Any]:
    return {
        "name": name,
        "is_baseline": False,
        "is_for_reference": False,
        "scores": {"RMSE": score(mean, 0.1)},
        "n_runs": 6,
        "splits": ["a", "b", "c"],
        "made_by": ["0123456789", "abcdefghij"],
        "base": None,
        "versus_baseline": None,
        **how,
    }


VERSUS = {
    "other": "plain", "difference": -0.2, "low": -0.3, "high": -0.1, "verdict": "better",
}  # fmt: skip
FOUND: dict[str, Any] = {
    "task": "esol",
    "quick": None,
    "splits": ["a", "b", "c"],
    "judged": "auto",
    "measures": [{"name": "RMSE"}, {"name": "coverage"}],
    "methods": [
        method("constant", 2.0, is_baseline=True, versus_baseline={**VERSUS, "verdict": "worse"}),
        method("plain", 0.7, is_baseline=True),
        method(
            "auto",
            0.5,
            base="kagaku-tiny",
            versus_baseline=VERSUS,
            scores={"RMSE": score(0.5, 0.1), "coverage": score(0.91)},
        ),
        method("linear-embeddings", 0.8, splits=["a"], n_runs=2, versus_baseline=VERSUS),
        method("all-knowing", 0.1, is_for_reference=True),
        method("unscored", 0.1, scores={}),
    ],
}


def folder_of(path: Path, **tasks: dict[str, Any]) -> Path:
    path.mkdir()
    (path / SCORES_FILE).write_text(json.dumps({"tasks": tasks}))
    return path


def test_rows_tell_roles_intervals_and_what_was_better(tmp_path: Path) -> None:
    quick = {**FOUND, "task": "bace", "quick": {"n_train": 1}}
    rows = rows_of_folder(folder_of(tmp_path / "bench", esol=FOUND, bace=quick))
    assert [(one.method, one.role) for one in rows] == [
        ("constant", "baseline"),
        ("plain", "baseline"),
        ("auto", "judged"),
        ("linear-embeddings", ""),
        ("all-knowing", "reference"),
    ]
    auto = rows[2]
    assert (auto.task, auto.base, auto.splits, auto.n_seeds) == ("esol", "kagaku-tiny", "a,b,c", 2)
    assert (auto.score, auto.coverage) == (0.5, 0.91)
    assert (auto.low, auto.high) == pytest.approx((0.4, 0.6))
    assert (auto.other, auto.difference, auto.verdict) == ("plain", -0.2, "better")
    assert auto.code == "01234567,abcdefgh"
    assert (rows[3].splits, rows[3].n_seeds) == ("a", 2)
    with pytest.raises(InputError, match="holds no benchmark"):
        rows_of_folder(tmp_path)
    old = {name: value for name, value in FOUND.items() if name != "judged"}
    with pytest.raises(InputError, match="the scores of esol are of an older version") as caught:
        rows_of_folder(folder_of(tmp_path / "old", esol=old))
    assert "kept answers are scored anew" in str(caught.value)


def test_a_table_is_read_as_it_was_written_and_others_are_refused(tmp_path: Path) -> None:
    rows = rows_of_folder(folder_of(tmp_path / "bench", esol=FOUND))
    write_rows(rows, tmp_path / "scores.tsv")
    again = read_rows(tmp_path / "scores.tsv")
    assert [one.method for one in again] == [one.method for one in rows]
    assert again[1].difference is None
    assert again[2] == replace(rows[2], low=0.4, high=0.6)
    (tmp_path / "other.tsv").write_text("task\tmethod\n")
    with pytest.raises(InputError, match="no table of scores"):
        read_rows(tmp_path / "other.tsv")
    text = (tmp_path / "scores.tsv").read_text().replace("0.91", "much")
    (tmp_path / "other.tsv").write_text(text)
    with pytest.raises(InputError, match=r"holds what is no number .*'much'"):
        read_rows(tmp_path / "other.tsv")


def test_all_rows_of_a_task_come_from_its_last_folder(tmp_path: Path) -> None:
    old = rows_of_folder(folder_of(tmp_path / "old", esol=FOUND, bace={**FOUND, "task": "bace"}))
    few = {**FOUND, "methods": FOUND["methods"][:1]}
    rows = merged(old, rows_of_folder(folder_of(tmp_path / "new", esol=few)))
    assert [one.method for one in rows if one.task == "esol"] == ["constant"]
    assert len([one for one in rows if one.task == "bace"]) == 5
    assert [one.task for one in rows] == sorted(one.task for one in rows)


def run_script(monkeypatch: pytest.MonkeyPatch, *arguments: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["score_page.py", *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_page_shows_the_best_baseline_and_all_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    bench = folder_of(tmp_path / "bench", esol=FOUND)
    run_script(monkeypatch, bench, Path("--docs"), docs)
    page = (docs / "scores.md").read_text(encoding="utf-8")
    assert "1 of 100 tasks were measured" in page
    assert "baseline on 1 (1 of them with pretrained weights), worse on 0" in page
    assert "On 0 it was not blind" in page
    lines = [line for line in page.splitlines() if line.startswith("| `esol`") or "| |" in line]
    assert lines[0].startswith(
        "| `esol`, RMSE, log10(mol/L); 3 splits, 2 seeds | `plain`, baseline |  | 0.700 (0.600 to"
    )
    rows = [line for line in page.splitlines() if line.startswith("|  |")]
    assert rows[0] == (
        "|  | **`auto`** | kagaku-tiny | 0.500 (0.400 to 0.600) | better: -0.2 (-0.3 to -0.1) "
        "| 91.0% |  |"
    )
    assert rows[1].startswith("|  | `linear-embeddings`, 1 of 3 splits |")
    assert rows[2].startswith("|  | `all-knowing`, reference |")
    assert len(rows) == 3  # the worse baseline is in the table alone
    again = page
    run_script(monkeypatch, Path("--docs"), docs)
    assert (docs / "scores.md").read_text(encoding="utf-8") == again


def test_the_shipped_page_is_made_from_the_shipped_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = ROOT / "docs"
    (tmp_path / "scores.tsv").write_bytes((shipped / "scores.tsv").read_bytes())
    run_script(monkeypatch, Path("--docs"), tmp_path)
    for name in ("scores.md", "scores.tsv"):
        assert (tmp_path / name).read_bytes() == (shipped / name).read_bytes(), name
