"""ARCHITECTURE.md, CONTRIBUTING.md and docs/ name only what exists."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BEWARE = ROOT / "docs" / "beware.md"

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
# What a page names in backticks: a path with a folder, or a file of the front door.
NAMED = re.compile(r"`(?P<path>[\w./-]+(?:/|\.(?:py|yaml|yml|toml|md|jinja|csv|json)))`")
MADE_BY_A_RUN = {
    "steps.csv",
    "machines.json",
    "metrics.json",
    "evaluation.json",
    "held_out.csv",
    "predictions.parquet",
    "report.html",
    "rejected.csv",
    "vectors.rejected.csv",
    "config.yaml",
    "schema.json",
}


def exists(named: str) -> bool:
    """Return whether a path of a page exists, from the root or in the front door."""
    return any((start / named).exists() for start in (ROOT, ROOT / "src" / "kagaku"))


def named_paths(page: Path) -> list[str]:
    found = NAMED.findall(page.read_text(encoding="utf-8"))
    return [path for path in found if path not in MADE_BY_A_RUN and not path.startswith(".venv")]


def test_the_page_of_tasks_is_the_one_that_is_made() -> None:
    spec = importlib.util.spec_from_file_location("task_page", ROOT / "scripts" / "task_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert made == module.page(), "run python scripts/task_page.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_resolves(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = named_paths(page)
    assert named, "the page names no file, so this test would check nothing"
    for path in named:
        assert exists(path), path


def test_every_warning_names_the_file_where_it_is_decided() -> None:
    text = BEWARE.read_text(encoding="utf-8")
    warnings = re.findall(r"^- \*\*.*?(?=^- \*\*|^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(warnings) > 15
    for warning in warnings:
        assert re.search(r"`[\w/]+/\w+\.py`", warning), warning


def test_every_domain_with_features_is_warned_about() -> None:
    text = BEWARE.read_text(encoding="utf-8")
    for path in sorted((ROOT / "science_tasks").glob("*/features.py")):
        domain = path.parent.name
        assert f"science_tasks/{domain}/features.py" in text, domain
    for modality in (
        "Molecules",
        "Proteins",
        "Nucleotides",
        "Materials",
        "Text",
        "Images",
        "Grids",
        "Quantities",
    ):
        assert f"- **{modality}.**" in text
