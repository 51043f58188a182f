"""Embedding files of any length: pieces, order, stops, bad rows, workers, and what is refused."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import PIL.Image
import pyarrow.parquet as pq
import pytest
import xarray as xr
from rdkit import Chem
from typer.testing import CliRunner

import kagaku
from kagaku import bad_cells
from kagaku.api import embed_to_file
from kagaku.cli import app
from kagaku.computing import Computing
from kagaku.data import BadCell, infer_schema
from kagaku.embedding import bulk as bulk_embedding
from kagaku.embedding import output as embedding_output
from kagaku.embedding import pieces as embedding_pieces
from kagaku.embedding import windows as embedding_windows
from kagaku.embedding.bulk import embed_file
from kagaku.embedding.parts import Parts
from kagaku.embedding.survey import MOST_VALUES, Thinned
from kagaku.embedding.vectors import Embedded
from kagaku.embedding.workers import Workforce
from kagaku.models.embedding import embed_columns
from kagaku.terminal import Terminal

Make = Callable[[str], Any]
QUIET = Terminal(quiet=True)
MODEL = "untrained-tiny"


def embedded(source: Path, output: Path, **asked: Any) -> np.ndarray:
    """Embed a file into another, and return what was written."""
    embed_to_file(source, output, terminal=QUIET, **{"model": MODEL, **asked})
    return written(output)


def written(output: Path) -> np.ndarray:
    if output.suffix == ".npy":
        return np.asarray(np.load(output))
    if output.suffix == ".csv":
        return pd.read_csv(output).filter(regex=r"^e\d+$").to_numpy(np.float32)
    return embedding_output.vectors_of(pq.read_table(output))


def in_pieces(rows: int) -> Any:
    return patch.object(embedding_pieces, "ROWS", rows)


@pytest.fixture
def fasta(samples: Path, tmp_path: Path) -> Path:
    """Return 23 pieces of GB1 of very different lengths."""
    whole = pd.read_csv(samples / "proteins.csv")["sequence"]
    cut = [one[i % 5 : 6 + (i * 17) % 50] for i, one in enumerate(whole.iloc[::80].head(23))]
    path = tmp_path / "p.fasta"
    path.write_text("".join(f">p{i} part\n{one}\n" for i, one in enumerate(cut)))
    return path


def _molecules(samples: Path, folder: Path, ending: str) -> Path:
    frame = pd.read_csv(samples / "molecules_new.csv").head(11)[["smiles"]]
    path = folder / f"m{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".parquet":
        frame.to_parquet(path)
    else:
        with Chem.SDWriter(str(path)) as writer:
            for smiles in frame["smiles"]:
                writer.write(Chem.MolFromSmiles(smiles))
    return path


def _images(samples: Path, folder: Path) -> Path:
    labels = pd.read_csv(samples / "images/labels.csv").head(5)
    (folder / "plate").mkdir()
    for name in labels["image"]:
        shutil.copyfile(samples / "images" / name, folder / "plate" / name)
    labels[["image"]].to_csv(folder / "plate/labels.csv", index=False)
    return folder / "plate"


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npy"])
def test_sequences_in_pieces_give_what_memory_gives_in_order(
    fasta: Path, tmp_path: Path, ending: str
) -> None:
    output = tmp_path / f"deep/v{ending}"
    with in_pieces(4):
        vectors = embedded(fasta, output)
    np.testing.assert_allclose(vectors, kagaku.embed(fasta, model=MODEL), atol=1e-5)
    if ending == ".parquet":
        table = pq.read_table(output)
        assert [str(one.type) for one in table.schema] == [
            "int64",
            "string",
            "fixed_size_list<element: float>[256]",
        ]
        assert table["id"].to_pylist() == [f"p{i}" for i in range(23)]
        assert table["row"].to_pylist() == list(range(1, 24))
    assert [one.name for one in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".sdf"])
def test_molecules_of_every_format_give_what_memory_gives(
    samples: Path, tmp_path: Path, ending: str
) -> None:
    source = _molecules(samples, tmp_path, ending)
    with in_pieces(4):
        vectors = embedded(source, tmp_path / "v.npy")
    assert len(vectors) == 11
    np.testing.assert_allclose(vectors, kagaku.embed(source, model=MODEL), atol=1e-5)


def test_a_folder_of_images_gives_what_memory_gives(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _images(samples, tmp_path)
    monkeypatch.chdir(tmp_path)
    with patch.dict(embedding_pieces.COST_OF_FILE, image=500_000):  # two images a piece
        vectors = embedded(Path("plate"), Path("v.parquet"))
    assert len(vectors) == 5
    np.testing.assert_allclose(vectors, kagaku.embed(source, model=MODEL), atol=1e-5)


def test_a_folder_of_images_needs_no_table(samples: Path, tmp_path: Path) -> None:
    source = _images(samples, tmp_path)
    by_table = dict(zip(*_named(source, tmp_path / "t.parquet"), strict=True))
    (source / "labels.csv").unlink()
    names, vectors = _named(source, tmp_path / "v.parquet", "id")
    assert names == sorted(by_table)
    for name, vector in zip(names, vectors, strict=True):
        np.testing.assert_allclose(vector, by_table[name], atol=1e-5)


def _named(source: Path, output: Path, column: str | None = None) -> tuple[list[str], np.ndarray]:
    """Embed a folder and return the images' names, those of the table or of a column."""
    vectors = embedded(source, output)
    if column is not None:
        return pq.read_table(output)[column].to_pylist(), vectors
    return pd.read_csv(source / "labels.csv")["image"].tolist(), vectors


def test_a_folder_of_fasta_files_is_embedded_as_one(fasta: Path, tmp_path: Path) -> None:
    folder = tmp_path / "proteome"
    folder.mkdir()
    entries = fasta.read_text().split(">")[1:]
    for number, some in enumerate((entries[:9], entries[9:10], entries[10:])):
        (folder / f"{number}.fasta").write_text("".join(f">{one}" for one in some))
    with in_pieces(4):
        vectors = embedded(folder, tmp_path / "v.parquet")
    whole = tmp_path / "w.parquet"
    np.testing.assert_allclose(vectors, embedded(fasta, whole), atol=1e-5)
    for column in ("row", "id"):
        joined = pq.read_table(tmp_path / "v.parquet")[column]
        assert joined.to_pylist() == pq.read_table(whole)[column].to_pylist()
    np.testing.assert_allclose(kagaku.embed(folder, model=MODEL), vectors, atol=1e-5)


def test_a_file_that_is_added_meanwhile_stops_before_joining(fasta: Path, tmp_path: Path) -> None:
    folder = tmp_path / "proteome"
    folder.mkdir()
    shutil.copyfile(fasta, folder / "b.fasta")
    keep = Parts.keep

    def adding(self: Parts, number: int, found: Embedded) -> None:
        keep(self, number, found)
        (folder / "c.fasta").write_text(">late\nMKTAYIAKQR\n")

    with (
        patch.object(Parts, "keep", adding),
        pytest.raises(kagaku.InputError, match="the input has changed while it was embedded"),
    ):
        embedded(folder, tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()


def test_vectors_that_are_not_finite_are_told_and_never_written(
    fasta: Path, tmp_path: Path
) -> None:
    def odd(*given: Any, **named: Any) -> Any:
        means, present = embed_columns(*given, **named)
        means[-1, :, 0] = np.inf
        return means, present

    with (
        in_pieces(10),
        patch.object(embedding_windows, "embed_columns", odd),
        pytest.raises(kagaku.InputError, match=r"vectors of 1 rows are not finite, .* row 10"),
    ):
        embedded(fasta, tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()


def test_an_output_inside_the_folder_of_images_is_refused(samples: Path, tmp_path: Path) -> None:
    source = _images(samples, tmp_path)
    for inside in ("v.parquet", "v.npy", "deep/v.npy"):
        with pytest.raises(kagaku.InputError, match="would replace the input or lie in it"):
            embedded(source, source / inside)
    assert not (source / "deep").exists()
    with pytest.raises(kagaku.InputError, match="would replace the input or lie in it"):
        embedded(source / "labels.csv", source / "labels.csv")
    (tmp_path / "v.npy").mkdir()
    with pytest.raises(kagaku.InputError, match="this is a folder"):
        embedded(source, tmp_path / "v.npy")


def test_a_grid_gives_one_vector_for_each_time(samples: Path, tmp_path: Path) -> None:
    with xr.open_dataset(samples / "climate.nc") as whole:
        box = whole.isel(time=slice(0, 6), lat=slice(5, 11), lon=slice(45, 57))
        box.to_netcdf(tmp_path / "box.nc")
    vectors = embedded(tmp_path / "box.nc", tmp_path / "v.parquet")
    assert len(vectors) == 6
    np.testing.assert_array_equal(vectors, kagaku.embed(tmp_path / "box.nc", model=MODEL))


def test_a_fine_tuned_run_embeds_a_file_as_in_memory(made: Make, tmp_path: Path) -> None:
    one = made("regression, full")
    inputs = ["smiles", "temperature [degC]"]
    with in_pieces(30):
        vectors = embedded(one.data, tmp_path / "v.npy", model=str(one.run.folder), inputs=inputs)
    whole = kagaku.embed(one.data, inputs=inputs, model=str(one.run.folder))
    np.testing.assert_allclose(vectors, whole, atol=1e-5)


def test_statistics_are_those_of_the_whole_file_not_of_a_piece(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "smiles": ["C" * (1 + i) for i in range(12)],
            "temperature [K]": 280.0 + np.arange(12) ** 2,
        }
    )
    frame.loc[3, "temperature [K]"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    with in_pieces(5):
        vectors = embedded(tmp_path / "t.csv", tmp_path / "v.npy")
    np.testing.assert_allclose(vectors, kagaku.embed(tmp_path / "t.csv", model=MODEL), atol=1e-5)


def test_what_statistics_are_learnt_from_is_bounded_and_spread_evenly() -> None:
    thinned = Thinned(10)
    for value in range(1000):
        thinned.add(value)
    assert thinned.values == list(range(0, 1000, 128))
    few = Thinned(10)
    for value in range(10):
        few.add(value)
    assert few.values == list(range(10))
    assert set(MOST_VALUES) == {"climate", "quantity"}, "the modalities that learn statistics"


def test_a_stopped_embedding_goes_on_and_gives_the_same_file(fasta: Path, tmp_path: Path) -> None:
    output, calls = tmp_path / "v.parquet", list[int]()
    embed_piece = embedding_pieces.embed_piece

    def stopping(job: Any, piece: Any, **named: Any) -> Any:
        calls.append(piece.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed_piece(job, piece, **named)

    with in_pieces(5):
        embedded(fasta, tmp_path / "whole.parquet")
        with patch.object(bulk_embedding, "embed_piece", stopping):
            with pytest.raises(KeyboardInterrupt):
                embedded(fasta, output)
            assert not output.exists()
            (tmp_path / "v.parquet.parts/000003.partial").write_text("half a part")
            said = list[str]()
            saying = patch.object(Terminal, "say", lambda _, told, **__: said.append(told))
            with saying, patch.object(bulk_embedding, "survey", side_effect=AssertionError("once")):
                embedded(fasta, output)
            assert said[0] == "Reading sequence as protein"
    assert calls == [0, 1, 2, 2, 3, 4]  # the piece that was stopped came twice, no other
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == ["p.fasta", "v.parquet", "whole.parquet"]


def test_a_stop_while_the_parts_are_removed_does_no_harm(fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "v.npy"
    with (
        patch.object(shutil, "rmtree", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        embedded(fasta, output)
    assert [one.name for one in (tmp_path / "v.npy.parts").iterdir()] == ["embedding.json"]
    before = output.read_bytes()
    embedded(fasta, output)
    assert output.read_bytes() == before
    assert not (tmp_path / "v.npy.parts").exists()


@pytest.fixture
def stopped(fasta: Path, tmp_path: Path) -> Path:
    """Return an output whose embedding was stopped before the first piece was finished."""
    stop = patch.object(bulk_embedding, "embed_piece", side_effect=KeyboardInterrupt)
    with stop, pytest.raises(KeyboardInterrupt):
        embedded(fasta, tmp_path / "v.parquet")
    return tmp_path / "v.parquet"


def test_parts_of_another_input_are_refused(fasta: Path, stopped: Path) -> None:
    fasta.write_text(fasta.read_text().replace("p22", "p99"))
    told = r"v.parquet.parts: the folder keeps the finished parts of another input.*choose another"
    with pytest.raises(kagaku.InputError, match=told):
        embedded(fasta, stopped)
    assert (stopped.with_name("v.parquet.parts") / "embedding.json").exists(), "nothing is removed"


def test_parts_of_other_weights_or_settings_are_refused(fasta: Path, stopped: Path) -> None:
    told = "finished parts of other weights and other settings"
    with pytest.raises(kagaku.InputError, match=told):
        embedded(fasta, stopped, model="kagaku-tiny", skip_bad_rows=True)
    with pytest.raises(kagaku.InputError, match="finished parts of other settings"):
        embedded(fasta, stopped, inputs=["sequence: text"])


def test_parts_of_another_version_are_refused(
    fasta: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagaku.job_folder.__version__", "0.2.0")
    with pytest.raises(kagaku.InputError, match="finished parts of another version of kagaku"):
        embedded(fasta, stopped)


@pytest.mark.parametrize("change", ["another picture", "a picture less"])
def test_images_that_a_table_names_belong_to_the_input(
    samples: Path, tmp_path: Path, change: str
) -> None:
    source, output = _images(samples, tmp_path) / "labels.csv", tmp_path / "v.npy"
    first, second = (source.parent / one for one in pd.read_csv(source)["image"].head(2))
    stop = patch.object(bulk_embedding, "embed_piece", side_effect=KeyboardInterrupt)
    for _ in range(2):  # unchanged, it goes on
        with stop, pytest.raises(KeyboardInterrupt):
            embedded(source, output)
    kept = first.read_bytes()
    if change == "a picture less":
        first.unlink()
    else:
        shutil.copyfile(second, first)
    told = "finished parts of another input: files that its cells name have changed"
    with pytest.raises(kagaku.InputError, match=told):
        embedded(source, output)
    assert (tmp_path / "v.npy.parts/embedding.json").exists(), "nothing is removed"
    shutil.rmtree(tmp_path / "v.npy.parts")
    first.write_bytes(kept)
    assert len(embedded(source, output)) == 5


def test_a_folder_of_other_things_in_the_place_of_the_parts_is_refused(
    fasta: Path, tmp_path: Path
) -> None:
    (tmp_path / "v.parquet.parts").mkdir()
    (tmp_path / "v.parquet.parts/mine.txt").write_text("dear")
    with pytest.raises(kagaku.InputError, match="the folder holds other files"):
        embedded(fasta, tmp_path / "v.parquet")
    assert (tmp_path / "v.parquet.parts/mine.txt").exists()


def test_a_damaged_list_of_parts_is_told(fasta: Path, stopped: Path) -> None:
    (stopped.with_name("v.parquet.parts") / "embedding.json").write_text("{")
    with pytest.raises(kagaku.InputError, match="the file is damaged"):
        embedded(fasta, stopped)


@pytest.fixture
def with_bad(fasta: Path) -> Path:
    """Return sequences of which the third is empty and the tenth has a wrong letter."""
    entries = fasta.read_text().split(">")[1:]
    entries[2] = "p2 part\n\n"
    entries[9] = "p9 part\nMK7V\n"
    fasta.write_text("".join(f">{one}" for one in entries))
    return fasta


def test_bad_rows_stop_an_embedding_before_any_work(with_bad: Path, tmp_path: Path) -> None:
    with in_pieces(4), pytest.raises(kagaku.InputError) as caught:
        embedded(with_bad, tmp_path / "v.parquet")
    told = str(caught.value)
    assert "2 of 23 rows cannot be used" in told
    assert "p.fasta, row 3, column 'sequence': the row has no input at all" in told
    assert "p.fasta, row 10, column 'sequence': the protein sequence has ['7']" in told
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.fasta", "v.rejected.csv"]
    assert list(pd.read_csv(tmp_path / "v.rejected.csv")["row"]) == [3, 10]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npy"])
def test_bad_rows_are_left_empty_when_asked(with_bad: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"v{ending}"
    asked = ["embed", str(with_bad), "--output", str(output), "--skip-bad-rows", "--model", MODEL]
    with in_pieces(4):
        answer = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert answer.exit_code == 0
    told = " ".join(answer.stderr.split())
    assert "Wrote 23 vectors of width 256" in told
    assert "2 of them are empty; what is wrong with their rows stands in" in told
    vectors = written(output)
    assert np.flatnonzero(np.isnan(vectors).all(axis=1)).tolist() == [2, 9]
    assert np.isnan(vectors).sum() == 2 * 256
    in_memory = kagaku.embed(with_bad, model=MODEL, skip_bad_rows=True)
    np.testing.assert_allclose(vectors, in_memory, atol=1e-5)
    if ending == ".parquet":
        assert pq.read_table(output)["embedding"].null_count == 2
    rejected = pd.read_csv(tmp_path / "v.rejected.csv")
    assert list(rejected["row"]) == [3, 10]
    assert list(rejected.columns) == ["file", "row", "column", "value", "reason", "fix"]


def test_bad_rows_of_two_outputs_in_one_folder_are_kept_apart(fasta: Path, tmp_path: Path) -> None:
    good = fasta.read_text()
    for name, row in (("a", 3), ("b", 5)):
        entries = good.split(">")[1:]
        entries[row - 1] = "odd\nMK7V\n"
        fasta.write_text("".join(f">{one}" for one in entries))
        embedded(fasta, tmp_path / f"{name}.npy", skip_bad_rows=True)
    assert list(pd.read_csv(tmp_path / "a.rejected.csv")["row"]) == [3]
    assert list(pd.read_csv(tmp_path / "b.rejected.csv")["row"]) == [5]
    fasta.write_text(good)
    embedded(fasta, tmp_path / "a.npy", skip_bad_rows=True)
    embedded(fasta, tmp_path / "b.npy")
    assert not list(tmp_path.glob("*.rejected.csv")), "what was mended is no longer listed"


def test_more_bad_cells_than_are_listed_are_told_as_such(with_bad: Path, tmp_path: Path) -> None:
    said = list[str]()
    terminal = patch.object(Terminal, "say", lambda _, told, **__: said.append(told))
    few = patch.multiple(bad_cells, KEPT_BAD_CELLS=1, SHOWN=1)
    with in_pieces(4), few, terminal, pytest.raises(kagaku.InputError) as caught:
        embedded(with_bad, tmp_path / "v.parquet")
    assert "at least 1 of 23 rows cannot be used" in str(caught.value)
    assert said == ["Reading sequence as protein", "The first 1 bad cells are listed in"]
    assert len(pd.read_csv(tmp_path / "v.rejected.csv")) == 1


def test_an_output_that_is_being_written_is_refused(fasta: Path, tmp_path: Path) -> None:
    output = tmp_path / "v.parquet"
    embed_piece = embedding_pieces.embed_piece

    def twice(*given: Any, **named: Any) -> Any:
        with pytest.raises(kagaku.InputError, match="another process is writing this output"):
            embed_to_file(fasta, output, model=MODEL, terminal=QUIET)
        return embed_piece(*given, **named)

    with patch.object(bulk_embedding, "embed_piece", twice):
        assert len(embedded(fasta, output)) == 23
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p.fasta", "v.parquet"]


def test_a_piece_of_bad_rows_only_does_no_harm(with_bad: Path, tmp_path: Path) -> None:
    with in_pieces(1):
        vectors = embedded(with_bad, tmp_path / "v.parquet", skip_bad_rows=True)
    assert np.flatnonzero(np.isnan(vectors[:, 0])).tolist() == [2, 9]


def test_what_the_first_rows_told_of_a_column_holds_for_all(tmp_path: Path) -> None:
    rows = ["CCO", "c1ccccc1", "CCN", "CC(=O)O", "MKVLAAGIC", "CCC"]
    (tmp_path / "m.csv").write_text("smiles,note\n" + "".join(f"{one},\n" for one in rows))
    told = "row 6, column 'smiles': .*MKVLAAGIC"
    with in_pieces(2), pytest.raises(kagaku.InputError, match=told):
        embedded(tmp_path / "m.csv", tmp_path / "v.npy")


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """Return a table whose two sequences stand below 2,100 rows without any."""
    path = tmp_path / "late.csv"
    rows = [*([""] * 2_100), "MKVLAAGIC", "MAYKLILNGK"]
    path.write_text("n,sequence\n" + "".join(f"{i},{one}\n" for i, one in enumerate(rows)))
    return path


@pytest.mark.parametrize("inputs", [None, ["sequence"]])
def test_a_column_that_is_empty_in_the_first_rows_is_not_called_empty_in_every_row(
    late: Path, tmp_path: Path, inputs: list[str] | None
) -> None:
    told = "'sequence' is empty in the first 2,048 rows, which tell what a column holds"
    with pytest.raises(kagaku.InputError, match=told):
        embedded(late, tmp_path / "v.npy", inputs=inputs)
    assert not (tmp_path / "v.npy").exists()


def test_a_column_whose_modality_is_named_may_begin_below_the_first_rows(
    late: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"inputs": ["sequence: protein"], "skip_bad_rows": True}
    vectors = embedded(late, tmp_path / "v.npy", **asked)
    assert np.flatnonzero(~np.isnan(vectors[:, 0])).tolist() == [2_100, 2_101]
    np.testing.assert_allclose(vectors, kagaku.embed(late, model=MODEL, **asked), atol=1e-5)
    late.write_text("n,sequence\n1,\n2,\n")
    with pytest.raises(kagaku.InputError, match=r"'sequence' is empty in every row\. Leave"):
        embedded(late, tmp_path / "w.npy", **asked)


def test_windows_of_tokens_are_bounded_and_change_nothing(fasta: Path, tmp_path: Path) -> None:
    sizes = list[int]()

    def watching(encoder: Any, window: Any, *given: Any, **named: Any) -> Any:
        sizes.append(sum(tokens.positions.nbytes for one in window for _, tokens in one.values()))
        return embed_columns(encoder, window, *given, **named)

    with (
        patch.object(embedding_windows, "embed_columns", watching),
        patch.object(embedding_windows, "RECORDS_AT_ONCE", 2),
        patch.object(embedding_windows, "WINDOW_BYTES", 4_000),
    ):
        vectors = embedded(fasta, tmp_path / "v.npy")
    assert len(sizes) > 3
    assert max(sizes) < 4_000
    np.testing.assert_allclose(vectors, kagaku.embed(fasta, model=MODEL), atol=1e-5)


def test_pieces_are_bounded_in_rows_and_characters_and_leave_nothing_out(fasta: Path) -> None:
    schema = infer_schema(embedding_pieces.first_rows(fasta)[0], targets=[])

    def cut() -> Iterator[tuple[int, int, int]]:
        for piece in embedding_pieces.pieces(fasta, schema):
            assert piece.table.columns == ["sequence"]
            assert piece.table.ids == tuple(f"p{row - 1}" for row in piece.table.rows)
            n_characters = int(piece.table.frame["sequence"].str.len().sum())
            yield piece.number, len(piece.table), n_characters

    with in_pieces(6), patch.object(embedding_pieces, "CHARACTERS", 100):
        numbers, rows, characters = zip(*cut(), strict=True)
    assert list(numbers) == list(range(len(numbers)))
    assert sum(rows) == 23
    assert max(rows) <= 6
    assert max(characters) <= 100
    with patch.object(embedding_pieces, "CHARACTERS", 1):
        assert [row for _, row, _ in cut()] == [1] * 23, "a longer row is a piece of its own"


def test_workers_of_a_cluster_give_what_one_process_gives(with_bad: Path, tmp_path: Path) -> None:
    from distributed import Client

    alone = embedded(with_bad, tmp_path / "alone.npy", skip_bad_rows=True)
    with (
        in_pieces(6),
        Client(
            processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as client,
    ):
        force = Workforce("dask", scheduler=client.scheduler.address)
        both = embedded(with_bad, tmp_path / "both.npy", skip_bad_rows=True, workforce=force)
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_killed_workers_are_told_with_what_to_do(fasta: Path, tmp_path: Path) -> None:
    import distributed

    def killed(*_: Any, **__: Any) -> Any:
        raise distributed.KilledWorker("piece", SimpleNamespace(address="tcp://node:1"), 3)

    with (
        distributed.Client(
            processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
        ) as client,
        patch.object(bulk_embedding, "embed_piece", killed),
    ):
        force = Workforce("dask", scheduler=client.scheduler.address)
        with pytest.raises(kagaku.InputError) as caught:
            embedded(fasta, tmp_path / "v.npy", workforce=force)
    assert "worker tcp://node:1: a task was given up: 4 workers" in str(caught.value)
    assert "Take fewer workers or give each more memory" in str(caught.value)


@pytest.mark.parametrize(
    "force", [Workforce("2"), Workforce(scheduler="tcp://head:8786"), Workforce(slurm=1)]
)
def test_a_grid_takes_no_workers(samples: Path, tmp_path: Path, force: Workforce) -> None:
    with pytest.raises(kagaku.InputError, match=r"by this process alone.*Leave out --workers"):
        embedded(samples / "climate.nc", tmp_path / "v.npy", workforce=force)
    assert not (tmp_path / "v.npy").exists()
    assert Workforce().is_here
    assert Workforce("0").is_here


def _gzipped(folder: Path) -> Path:
    (folder / "p.fasta.gz").write_bytes(gzip.compress(b">a\nMKVLAAGIC\n>b\nMAYKLILNGK\n"))
    return folder / "p.fasta.gz"


def _lower_case(folder: Path) -> Path:
    (folder / "p.fasta").write_text(">a\nmkvlaagic\n>b\nMAYKLILngk*\n")
    return folder / "p.fasta"


def _one_id_twice(folder: Path) -> Path:
    (folder / "p.fasta").write_text(">a\nMKVLAAGIC\n>a\nMAYKLILNGK\n")
    return folder / "p.fasta"


def _empty_entry(folder: Path) -> Path:
    (folder / "p.fasta").write_text(">a\nMKVLAAGIC\n>b\nMAYKLILNGK\n>c\n")
    return folder / "p.fasta"


def _unreadable_image(folder: Path) -> Path:
    for name, shade in (("a.png", 40), ("b.png", 200)):
        PIL.Image.fromarray(np.full((32, 32), shade, dtype=np.uint8)).save(folder / name)
    (folder / "c.png").write_bytes(b"no picture")
    (folder / "labels.csv").write_text("image\na.png\nb.png\nc.png\n")
    return folder / "labels.csv"


@pytest.mark.parametrize(
    ("write", "ids", "told"),
    [
        (_gzipped, ["a", "b"], None),
        (_lower_case, ["a", "b"], None),
        (_one_id_twice, ["a", "a"], None),
        (_empty_entry, ["a", "b", "c"], "row 3, column 'sequence': the row has no input at all"),
        (_unreadable_image, None, "row 4, column 'image': .*image"),
    ],
)
def test_odd_files_give_the_vectors_of_their_good_rows(
    tmp_path: Path, write: Callable[[Path], Path], ids: list[str] | None, told: str | None
) -> None:
    (tmp_path / "in").mkdir()
    source, output = write(tmp_path / "in"), tmp_path / "v.parquet"
    if told is not None:
        with pytest.raises(kagaku.InputError, match=told):
            embedded(source, output)
        assert not output.exists()
    vectors = embedded(source, output, skip_bad_rows=told is not None)
    assert np.isfinite(vectors[:2]).all()
    assert np.isnan(vectors[2:]).all()
    if ids is not None:
        assert pq.read_table(output)["id"].to_pylist() == ids
        plain = kagaku.embed(["MKVLAAGIC", "MAYKLILNGK"], inputs=["protein"], model=MODEL)
        np.testing.assert_allclose(vectors[:2], plain, atol=1e-5)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(samples: Path, tmp_path: Path) -> None:
    plate = _images(samples, tmp_path)
    alone = embedded(plate, tmp_path / "alone.parquet")
    with patch.dict(embedding_pieces.COST_OF_FILE, image=500_000):
        both = embedded(plate, tmp_path / "both.parquet", workforce=Workforce("2"))
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_a_row_found_bad_after_the_first_pass_stops_the_embedding(
    fasta: Path, tmp_path: Path
) -> None:
    bad = BadCell("p.fasta", 7, "sequence", "MK", "it is odd", "Drop it.")
    embed_piece = embedding_pieces.embed_piece

    def odd(job: Any, piece: Any, **named: Any) -> Any:
        number, found = embed_piece(job, piece, **named)
        return number, replace(found, bad=(bad,)) if number == 1 else found

    with (
        in_pieces(6),
        patch.object(bulk_embedding, "embed_piece", odd),
        pytest.raises(kagaku.InputError, match="row 7, column 'sequence': it is odd"),
    ):
        embedded(fasta, tmp_path / "v.npy")
    assert (tmp_path / "v.npy.parts/000000.parquet").exists()


def test_a_worker_with_other_weights_is_told(fasta: Path) -> None:
    schema = infer_schema(embedding_pieces.first_rows(fasta)[0], targets=[])
    piece = next(embedding_pieces.pieces(fasta, schema))
    job = embedding_pieces.EmbeddingJob(schema, {"protein": {}}, MODEL, "0" * 64, Computing("cpu"))
    with pytest.raises(kagaku.InputError, match="a worker has other weights under the name"):
        embedding_pieces.embed_piece(job, piece)


def test_vectors_in_bfloat16_are_near_those_in_float32(fasta: Path, tmp_path: Path) -> None:
    exact = embedded(fasta, tmp_path / "exact.npy", model="kagaku-tiny")
    asked = ["embed", str(fasta), "--output", str(tmp_path / "v.npy"), "--precision", "bfloat16"]
    answer = CliRunner().invoke(app, [*asked, "--device", "cpu"], catch_exceptions=False)
    assert answer.exit_code == 0
    rounded = np.load(tmp_path / "v.npy")
    assert rounded.dtype == np.float32
    # It keeps 8 bits, so single products are off by 0.4 %.
    error = np.sqrt(np.square(rounded - exact).mean()) / exact.std()
    assert 1e-4 < error < 0.02
    whole = kagaku.embed(fasta, device="cpu", precision="bfloat16")
    np.testing.assert_array_equal(whole, rounded)


def test_a_worker_computes_as_it_is_told(fasta: Path, tmp_path: Path) -> None:
    from distributed import Client

    rounded = embedded(fasta, tmp_path / "a.npy", computing=Computing("cpu", "bfloat16"))
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as client:
        force = Workforce("dask", scheduler=client.scheduler.address)
        theirs = embedded(
            fasta, tmp_path / "b.npy", workforce=force, computing=Computing("cpu", "bfloat16")
        )
    np.testing.assert_array_equal(theirs, rounded)


def test_parts_of_another_precision_are_refused(fasta: Path, stopped: Path) -> None:
    with pytest.raises(kagaku.InputError, match="finished parts of other settings"):
        embedded(fasta, stopped, computing=Computing(precision="bfloat16"))


def test_a_gpu_that_is_not_there_is_told_before_any_work(fasta: Path, tmp_path: Path) -> None:
    with patch("torch.cuda.is_available", lambda: False):
        assert Computing().settled() == Computing("cpu")
        with (
            patch.object(bulk_embedding, "encoder_of", side_effect=AssertionError("too early")),
            pytest.raises(kagaku.InputError, match=r"no GPU here\. Give --device cpu"),
        ):
            embedded(fasta, tmp_path / "v.npy", computing=Computing("cuda"))
        with pytest.raises(kagaku.InputError, match="torch finds no GPU here"):
            kagaku.embed(fasta, device="cuda")
    with patch("torch.cuda.is_available", lambda: True):
        assert Computing().settled() == Computing("cuda")
    with pytest.raises(kagaku.InputError, match="there is no precision 'float16'"):
        Computing(precision="float16")
    with pytest.raises(kagaku.InputError, match="there is no device 'gpu'"):
        Computing("gpu")


def test_who_works_is_asked_for_in_words() -> None:
    assert Workforce().open() is None
    assert Workforce("0").open() is None
    assert Workforce("2").open() is not None
    assert Workforce("dask", slurm=2).open() is not None
    with pytest.raises(kagaku.InputError, match=r"--workers is 'many'. Give a number of processes"):
        Workforce("many").open()
    with pytest.raises(kagaku.InputError, match=r"no Dask cluster is named. Give --scheduler"):
        Workforce("dask").open()
    import dask

    with dask.config.set({"scheduler-address": "tcp://head:8786"}):
        assert Workforce("dask").open() is not None


@pytest.mark.parametrize(
    ("force", "told"),
    [
        (Workforce("2", slurm=3), "Give only one of --workers, --scheduler and --slurm"),
        (Workforce("dask", scheduler="tcp://no:1"), "'tcp://no:1' does not answer"),
    ],
)
def test_workers_that_cannot_be_had_are_told_before_the_first_pass(
    fasta: Path, tmp_path: Path, force: Workforce, told: str
) -> None:
    import distributed

    with (
        patch.object(bulk_embedding, "survey", side_effect=AssertionError("too early")),
        patch.object(bulk_embedding, "encoder_of", side_effect=AssertionError("too early")),
        patch.object(distributed, "Client", side_effect=OSError("Timed out")),
        pytest.raises(kagaku.InputError, match=told),
    ):
        embedded(fasta, tmp_path / "v.npy", workforce=force)


def test_the_speed_counts_what_this_call_has_done() -> None:
    seen = list[tuple[int, int, str]]()
    meter = bulk_embedding.Meter(lambda *given: seen.append(given), n_rows=100, kept=40)
    meter.show(10, 200)
    assert seen[-1][:2] == (50, 100)
    meter.start -= 10
    assert meter.speed(10, 200) == "1 records/s, 20 tokens/s"
    assert meter.speed(0, 0) == ""
    meter.unit = "characters"
    assert meter.speed(10, 200) == "1 records/s, 20 characters/s"
    assert meter.speed(10, 0) == "1 records/s", "images have no letters"


def test_the_most_memory_is_at_least_what_is_held_now() -> None:
    import psutil

    assert bulk_embedding.peak_memory() >= 0.9 * psutil.Process().memory_info().rss


KILLED = """
import sys
from pathlib import Path
from kagaku.embedding import pieces as embedding_pieces
from kagaku.api import embed_to_file
embedding_pieces.ROWS = 10
embed_to_file(sys.argv[1], sys.argv[2], model="untrained-tiny")
"""


@pytest.mark.slow
def test_a_killed_embedding_goes_on_to_the_same_bytes(samples: Path, tmp_path: Path) -> None:
    sequences = pd.read_csv(samples / "proteins.csv")["sequence"].head(600)
    source, output = tmp_path / "p.fasta", tmp_path / "v.parquet"
    source.write_text("".join(f">p{i}\n{one}\n" for i, one in enumerate(sequences)))
    parts = tmp_path / "v.parquet.parts"
    kept = list[int]()
    for n_parts in (3, 20):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(source), str(output)]) as process:
            while len(list(parts.glob("*.parquet"))) < n_parts and process.poll() is None:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        kept.append(len(list(parts.glob("*.parquet"))))
    assert 3 <= kept[0] < kept[1] < 60
    assert not output.exists()
    with in_pieces(10):
        embed_file(source, tmp_path / "whole.parquet", model=MODEL, terminal=QUIET)
        embed_file(source, output, model=MODEL, terminal=QUIET)
    np.testing.assert_allclose(written(output), written(tmp_path / "whole.parquet"), atol=1e-5)
    assert pq.read_table(output)["id"].to_pylist() == [f"p{i}" for i in range(600)]
    assert not parts.exists()
