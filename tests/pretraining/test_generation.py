"""`kagaku generate`: what is given, what comes out, and what is told."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rdkit import Chem
from typer.testing import CliRunner

from kagaku.cli import app
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.models.pretraining.sampling import SamplingConfig
from kagaku.pretraining.generation import generate, given_value

KNOWN: dict[str, Any] = {name: MODALITIES[name]() for name in ("molecule", "text", "quantity")}


def test_molecules_come_with_whether_they_are_any(run: Path) -> None:
    frame = generate("molecule", weights=str(run), number=5, config=SamplingConfig(most_tokens=12))
    assert frame.columns.tolist() == ["molecule", "is_whole", "canonical", "is_valid"]
    assert len(frame) == 5
    for one in frame.itertuples():
        assert one.is_valid == (bool(one.molecule) and Chem.MolFromSmiles(one.molecule) is not None)


def test_values_that_do_not_end_are_told_from_whole_ones(run: Path) -> None:
    short, long = (
        generate("text", weights=str(run), number=8, config=SamplingConfig(most_tokens=most))
        for most in (2, 400)
    )
    # One token between the start and the cut: only an end at once is whole.
    assert (short["is_whole"] == (short["text"] == "")).all()
    assert long["is_whole"].mean() >= short["is_whole"].mean()


def test_what_is_given_changes_what_comes_out_and_the_seed_fixes_it(run: Path) -> None:
    config = SamplingConfig(most_tokens=12, seed=3)

    def drawn(*given: str) -> list[str]:
        frame = generate("text", weights=str(run), given=given, number=6, config=config)
        values: list[str] = frame["text"].tolist()
        return values

    assert drawn("molecule: CCO") == drawn("molecule: CCO")
    assert drawn("molecule: CCO") != drawn("molecule: c1ccccc1CCCCCCCCCC")


def test_given_words_are_read_as_kinds_and_properties() -> None:
    assert given_value("text: a steroid: large", KNOWN) == ("text", "a steroid: large")
    kind, value = given_value("logP: 2.5", KNOWN)
    assert (kind, value.name, value.value) == ("quantity", "logP", 2.5)
    assert given_value("Molecular Weight: 300", KNOWN)[1].unit == "g/mol"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a steroid", r"does not say what is given.*a colon"),
        ("text:", r"does not say what is given"),
        ("lgP: 2", r"'lgP' is neither a kind of data nor a property.*logP"),
        ("protein: MKV", r"'protein' is neither"),
        ("logP: high", r"the logP 'high' is not a number"),
    ],
)
def test_what_cannot_be_given_is_told(given: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_value(given, KNOWN)


def test_the_verb_writes_a_table_and_a_warning(run: Path, tmp_path: Path) -> None:
    words = ["generate", "molecule", "--base", str(run), "--number", "3", "--output"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "m.csv")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Nobody has made or tested them" in done.stderr
    assert len(pd.read_csv(tmp_path / "m.csv")) == 3
    done = CliRunner().invoke(app, [*words, str(tmp_path / "p.parquet")], catch_exceptions=False)
    assert len(pd.read_parquet(tmp_path / "p.parquet")) == 3


def test_what_cannot_be_written_or_drawn_is_told(run: Path, tmp_path: Path) -> None:
    words = ["generate", "molecule", "--weights", str(run), "--output", str(tmp_path / "m.sdf")]
    with pytest.raises(InputError, match=r"cannot be written as '\.sdf'"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    with pytest.raises(InputError, match="number must be at least 1, got 0"):
        generate("molecule", weights=str(run), number=0)
    with pytest.raises(InputError, match=r"'image' cannot be generated"):
        generate("image", weights=str(run), number=1)
