"""What methods answered, as files: the answers as Parquet, all else as JSON beside them."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.data.whole_files import write_json, written_whole

FORMAT_VERSION = 1
"""Version of the files of a result."""


@dataclass(frozen=True)
class Quick:
    """A cut of every case, to see that all works; such scores are comparable with nothing."""

    n_train: int = 200
    """Most items to learn from."""

    n_test: int = 100
    """Most items to answer for."""


@dataclass(frozen=True)
class Result:
    """What one method answered on one split with one seed."""

    task: str
    """Name of the task."""

    method: str
    """Name of the method."""

    split: str
    """Name of the official split."""

    seed: int
    """What fixed the random choices."""

    n_train: int
    """Items that were learnt from."""

    n_test: int
    """Items that were answered for."""

    n_dropped: int
    """Items of the published files that cannot be read."""

    seconds: float
    """Wall time, loading the data not counted."""

    peak_megabytes: int
    """Most resident memory of the process while it ran, sampled after each step that reports."""

    base: str | None
    """Fingerprint of the weights that the method used; None if it used none."""

    base_name: str | None
    """What those weights are called."""

    chosen: str
    """Which candidate was chosen, for methods that choose."""

    quick: Quick | None
    """How the case was cut; None where it is the whole."""

    answers: pd.DataFrame
    """One row per test item."""

    made_by: str = ""
    """Fingerprint of the code that answered; empty where it was not kept."""


def save_result(result: Result, path: Path) -> None:
    """Write the answers as Parquet and, when they are whole, the rest as JSON beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = path.with_suffix(".parquet")
    answers = result.answers.copy()
    answers.attrs = {}
    with written_whole(table) as partial:
        answers.to_parquet(partial, index=False)
    stored = {
        name: value
        for name, value in asdict(replace(result, answers=pd.DataFrame())).items()
        if name != "answers"
    }
    write_json({"format_version": FORMAT_VERSION, **stored}, path)


def load_facts(path: Path) -> dict[str, Any] | None:
    """Return a kept result without its answers, by the names of `Result`.

    None if there is none, or another version wrote it.
    """
    if not path.is_file():
        return None
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if stored.pop("format_version", None) != FORMAT_VERSION:
        return None
    quick = stored.pop("quick")
    return {**stored, "quick": None if quick is None else Quick(**quick)}


def load_result(path: Path) -> Result | None:
    """Return a kept result; None if there is none, or another version wrote it."""
    facts = load_facts(path)
    if facts is None:
        return None
    return Result(answers=pd.read_parquet(path.with_suffix(".parquet")), **facts)


def load_results(folder: Path, task: str = "*") -> list[Result]:
    """Return the results of a task, or of all, that are kept in a folder, in a fixed order."""
    found = (load_result(path) for path in sorted(folder.glob(f"{task}/*/*.json")))
    return [one for one in found if one is not None]
