"""Embedding files, frames and lists: one vector per record, in order, the same every time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import kagaku
from kagaku.cli import app

Make = Callable[[str], Any]


@pytest.fixture(scope="module")
def molecules(samples: Path) -> pd.DataFrame:
    return pd.read_csv(samples / "molecules_new.csv").head(12)


def test_a_list_gives_one_vector_each_in_order(molecules: pd.DataFrame) -> None:
    listed = molecules["smiles"].tolist()
    vectors = kagaku.embed(listed)
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == len(listed)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(kagaku.embed(listed[::-1])[::-1], vectors, atol=1e-5)
    np.testing.assert_allclose(kagaku.embed([listed[4], listed[4]])[0], vectors[4], atol=1e-5)


def test_a_frame_and_its_file_give_the_same(molecules: pd.DataFrame, tmp_path: Path) -> None:
    molecules.to_csv(tmp_path / "new.csv", index=False)
    whole = kagaku.embed(molecules, inputs=["smiles"])
    np.testing.assert_array_equal(kagaku.embed(tmp_path / "new.csv", inputs=["smiles"]), whole)
    np.testing.assert_array_equal(kagaku.embed(str(tmp_path / "new.csv"), inputs=["smiles"]), whole)


def test_two_ways_to_write_a_molecule_give_one_vector() -> None:
    first, second, other = kagaku.embed(["CCO", "OCC", "CCCCCCCC"], inputs=["molecule"])
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("one", ["CC(=O)Nc1ccccc1O", "MAYKLILNGKTLKGETTTEAV", "a warm wet wind"])
def test_one_value_alone_is_embedded_as_what_it_is(one: str) -> None:
    (alone,) = kagaku.embed([one])
    np.testing.assert_allclose(kagaku.embed([one, one]), [alone, alone], atol=1e-5)
    others = pd.DataFrame({"smiles": ["CCO", one]})
    if one.startswith("CC("):
        np.testing.assert_allclose(kagaku.embed(others)[1], alone, atol=1e-5)


def test_a_fasta_file_is_embedded_with_its_names(tmp_path: Path) -> None:
    (tmp_path / "p.fasta").write_text(">one first\nMKVLAAGIC\n>two\nMAYKLILNGK\n")
    asked = ["embed", str(tmp_path / "p.fasta"), "--output", str(tmp_path / "v.csv")]
    answer = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert answer.exit_code == 0
    assert "Wrote 2 vectors of width" in " ".join(answer.stderr.split())
    table = pd.read_csv(tmp_path / "v.csv")
    assert list(table["id"]) == ["one", "two"]
    assert list(table["row"]) == [1, 2]
    np.testing.assert_allclose(
        table.filter(regex=r"^e\d+$").to_numpy(), kagaku.embed(tmp_path / "p.fasta"), atol=1e-6
    )


@pytest.mark.parametrize("odd", ["MKT--AAYIAKQR", "MKT*AAYIAKQR"])
def test_odd_letters_of_a_fasta_file_are_bad_cells_and_not_words(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "p.fasta"
    path.write_text(f">one\n{odd}\n>two\n{odd}AV\n")
    told = (
        r"2 of 2 rows cannot be used.*row 1, column 'sequence': the protein sequence has \['[-*]'\]"
    )
    with pytest.raises(kagaku.InputError, match=f"(?s){told}"):
        kagaku.embed(path)
    asked = ["embed", str(path), "--output", str(tmp_path / "v.npy")]
    answer = CliRunner().invoke(app, asked)
    assert isinstance(answer.exception, kagaku.InputError)
    assert not (tmp_path / "v.npy").exists()
    as_words = CliRunner().invoke(app, [*asked, "--input", "sequence: text"])
    assert as_words.exit_code == 0
    assert "Reading sequence as text" in as_words.stderr


def test_what_each_input_is_read_as_is_told(
    molecules: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = molecules[["smiles"]].assign(**{f"x{i} [K]": np.arange(12) * 1.5 + i for i in range(7)})
    frame.to_csv(tmp_path / "new.csv", index=False)
    told = "Reading smiles as molecule; x0, x1, x2, x3, x4 and 2 more as quantity"
    asked = ["embed", str(tmp_path / "new.csv"), "--output", str(tmp_path / "v.npy")]
    answer = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert told in " ".join(answer.stderr.split())
    kagaku.embed(frame, quiet=False)
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("ending", [".npy", ".parquet"])
def test_vectors_are_written_whole(molecules: pd.DataFrame, tmp_path: Path, ending: str) -> None:
    molecules[["smiles"]].to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / f"v{ending}"
    asked = ["embed", str(tmp_path / "new.csv"), "--output", str(output)]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    vectors = kagaku.embed(tmp_path / "new.csv")
    if ending == ".npy":
        np.testing.assert_array_equal(np.load(output), vectors)
    else:
        kept = pd.read_parquet(output)
        assert list(kept.columns) == ["row", "embedding"]
        np.testing.assert_array_equal(np.stack(list(kept["embedding"])), vectors)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.csv", output.name]


def test_a_missing_input_is_left_out_of_the_mean() -> None:
    both = pd.DataFrame({"smiles": ["CCO", "CCN", None], "sequence": ["MKVLAAGIC", None, "MAYKLI"]})
    vectors = kagaku.embed(both, inputs=["smiles: molecule", "sequence: protein"])
    assert vectors.shape[0] == 3
    assert np.isfinite(vectors).all()
    assert (np.abs(vectors).sum(axis=1) > 0).all()


def test_a_fine_tuned_run_embeds_with_its_own_encoder(made: Make) -> None:
    run = made("regression, full").run
    frame = pd.DataFrame({"smiles": ["CCO", "CCCCCC"]})
    own, plain = kagaku.embed(frame, model=str(run.folder)), kagaku.embed(frame)
    assert own.shape == plain.shape
    assert np.abs(own - plain).max() > 1e-4


def test_a_run_without_an_encoder_says_so(made: Make) -> None:
    run = made("regression").run
    assert run.model.encoder is None, "the classical readout won"
    with pytest.raises(kagaku.InputError, match="holds no encoder"):
        kagaku.embed(["CCO"], model=str(run.folder))


def test_bad_cells_are_told_with_their_row() -> None:
    with pytest.raises(kagaku.InputError, match=r"row 1, column 'smiles'"):
        kagaku.embed(pd.DataFrame({"smiles": ["CCO", "C1CC"]}), inputs=["smiles: molecule"])
    with pytest.raises(kagaku.InputError, match="a list of values must hold strings only"):
        kagaku.embed(["CCO", None])  # type: ignore[list-item]
    with pytest.raises(kagaku.InputError, match="the table has no rows"):
        kagaku.embed([])
