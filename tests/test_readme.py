"""README.md must be true: its commands and Python run, its paths and links exist.

All blocks run in the order of the page, in one temporary folder. So that this takes seconds and
not minutes, three things differ from a user's terminal: what `kagaku samples` copied is cut to
`ROWS` rows, fine-tuning uses two folds and starts no new candidate after a second, and intervals of
scores rest on 50 resamples.
"""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kagaku
import kagaku.finetuning.verb
from kagaku.cli import main
from kagaku.data import Split
from kagaku.experiment import FinetuneConfig
from kagaku.finetuning.verb import fit_settings
from kagaku.science_tasks import resampling
from kagaku.science_tasks.fit_settings import FitSettings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ROWS = 130
ROOMS = ("src/kagaku", "data", "modalities", "models", "science_tasks", "configs", "tests")

FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block of the page."""

    line: int
    language: str
    body: str


def blocks() -> list[Block]:
    text = README.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start()) + 2, found["language"], found["body"])
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    return [line for line in block.body.replace("\\\n", " ").splitlines() if line.strip()]


def cut(path: Path) -> None:
    """Keep every so many-th row of a table, and the first times of a grid."""
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        kept = np.unique(np.linspace(0, len(table) - 1, min(ROWS, len(table))).astype(int))
        table.iloc[kept].to_csv(path, index=False)
    elif path.suffix == ".nc":
        with xr.open_dataset(path) as stored:
            few = stored.isel(time=slice(0, ROWS)).load()
        few.to_netcdf(path)


def cut_samples(folder: Path) -> None:
    """Cut every table and grid in a folder; a second time changes nothing."""
    for path in [*folder.rglob("*.csv"), *folder.rglob("*.nc")]:
        cut(path)


def brief_settings(config: FinetuneConfig, split: Split) -> FitSettings:
    return replace(fit_settings(config, split), folds=2, max_seconds=1.0)


def run(block: Block) -> None:
    """Run one block; a failure names the line of the page."""
    try:
        if block.language == "python":
            exec(compile(block.body, f"README.md:{block.line}", "exec"), {"__name__": "readme"})
        for command in commands(block) if block.language == "bash" else []:
            sys.argv = shlex.split(command)
            main()
            if command.startswith("kagaku samples"):
                cut_samples(Path(shlex.split(command)[-1]))
    except (Exception, SystemExit) as error:
        raise AssertionError(f"README.md, line {block.line}:\n{block.body}") from error


def run_all() -> None:
    """Run every block of the page in the present folder."""
    assert vars(kagaku.finetuning.verb)["fit_settings"] is fit_settings
    vars(kagaku.finetuning.verb)["fit_settings"] = brief_settings
    resampling.BOOTSTRAPS = 50
    for block in blocks():
        run(block)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which every block of the page has run."""
    folder = tmp_path_factory.mktemp("readme")
    # A process of its own, as a user has it: without shape checks, with warnings shown.
    done = subprocess.run(
        [sys.executable, __file__], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Warning" not in done.stderr, done.stderr[-4_000:]
    return folder


def test_every_command_and_python_block_runs(workspace: Path) -> None:
    asked = {
        words[words.index("--output") + 1]
        for block in blocks()
        if block.language == "bash"
        for words in map(shlex.split, commands(block))
        if "--output" in words
    }
    assert len(asked) > 10
    for output in asked:
        assert (workspace / output).exists(), output
        if output.startswith("runs/"):
            assert (workspace / output / "report.html").exists()
            assert not (workspace / output / "UNFINISHED").exists()
            metrics = json.loads((workspace / output / "metrics.json").read_text("utf-8"))
            assert metrics["n_rows"] <= ROWS, "the samples were not cut: this test takes minutes"


def test_every_block_is_of_a_language_that_is_checked() -> None:
    # console: shown with its output, or too long to run here; text: the tree.
    assert {block.language for block in blocks()} == {"bash", "python", "console", "text"}
    for block in blocks():
        if block.language == "bash":
            assert all(command.startswith("kagaku ") for command in commands(block)), block.line


def test_every_make_command_of_the_page_is_in_the_makefile() -> None:
    targets = re.findall(r"^\$ make ([\w-]+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_predictions_have_the_columns_that_the_page_lists(workspace: Path) -> None:
    numbers = pd.read_csv(workspace / "solubility.csv")
    own = ["name", "smiles"]
    answer = ["logS", "logS_lower", "logS_upper", "logS_in_domain", "problem"]
    assert list(numbers.columns) == own + answer
    texts = pd.read_csv(workspace / "try" / "text.csv").head(5)
    loaded = kagaku.load(workspace / "runs" / "units")
    assert isinstance(loaded, kagaku.Run)
    labels = loaded.predict(texts, abstain=True)
    assert isinstance(labels, pd.DataFrame)
    name = "canonical_units"
    assert {name, f"{name}_set", f"{name}_p_K", f"{name}_abstained", f"{name}_in_domain"} <= set(
        labels.columns
    )


def test_the_run_folder_holds_what_the_page_lists(workspace: Path) -> None:
    listed = re.search(r"^The run folder: (.*?)\n\n", README.read_text("utf-8"), re.M | re.S)
    assert listed is not None
    names = re.findall(r"`([\w.]+/?)`", listed[1])
    assert len(names) >= 8
    folder = workspace / "runs" / "solubility"
    assert {path.name for path in folder.iterdir()} == {name.rstrip("/") for name in names}


def test_the_file_tree_names_only_paths_that_exist() -> None:
    tree = next(block for block in blocks() if block.language == "text")
    folder, named = ROOT, set[Path]()
    for line in tree.body.splitlines():
        words = [word for word in line.split() if re.fullmatch(r"[\w./]+(/|\.(py|yaml))", word)]
        if not line.startswith(" "):
            folder = ROOT / words[0] if words[0].endswith("/") else ROOT
            named.add(ROOT / words[0])
        for word in words:
            path = folder / word if (folder / word).exists() else ROOT / word
            assert path.exists(), f"{line!r} names {word}, which does not exist"
    assert {ROOT / room for room in ROOMS} <= named | {path.parent for path in named}


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}


def test_every_link_resolves() -> None:
    targets = LINK.findall(README.read_text(encoding="utf-8"))
    assert len(targets) > 5
    for target in targets:
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            page = ROOT / name if name else README
            assert page.is_file(), target
            assert not anchor or anchor in anchors_of(page), target


def test_pictures_are_small_and_self_contained() -> None:
    pictures = ROOT / "docs" / "pictures"
    assert (pictures / "report.png").stat().st_size < 300_000
    drawing = (pictures / "data_way.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in drawing
    assert "href=" not in drawing
    assert "<image" not in drawing


if __name__ == "__main__":
    run_all()
