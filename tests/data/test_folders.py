"""Folders without labels: images alone, or one table in several files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from kagaku.data import read_table, read_tables
from kagaku.errors import InputError


def read_folder(folder: Path) -> list[tuple[int, str]]:
    """Return rows and the cells of the first column that is no name."""
    table = read_table(folder, is_unlabelled=True)
    column = next(one for one in table.columns if one != "id")
    return list(zip(table.rows.tolist(), table.cells(column), strict=True))


def test_images_alone_become_a_column_of_paths(tmp_path: Path) -> None:
    others = (".hidden.png", "notes.md", ".cache/d.png", "__MACOSX/e.png", "README.txt")
    (tmp_path / "folder.png").mkdir()
    for name in ("b.png", "a.TIF", "well/c.png", *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    chunks = list(read_tables(tmp_path, rows_per_chunk=2, is_unlabelled=True))
    assert [one.cells("image") for one in chunks] == [["a.TIF", "b.png"], ["well/c.png"]]
    assert [one.rows.tolist() for one in chunks] == [[1, 2], [3]]
    assert chunks[1].ids == ("well/c.png",)
    assert chunks[0].folder == tmp_path


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    with pytest.raises(InputError, match="neither a table nor images") as error:
        read_table(tmp_path, is_unlabelled=True)
    assert "'.png'" in str(error.value.fix)


def test_one_table_beside_images_is_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "labels.csv").write_text("image,n\na.png,3\n")
    whole, labelled = read_table(tmp_path, is_unlabelled=True), read_table(tmp_path)
    pd.testing.assert_frame_equal(whole.frame, labelled.frame)
    assert whole.source == labelled.source == "labels.csv"


def test_files_of_one_format_are_read_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "1.fasta").write_text(">a\nMKT\n>b temp=3\nMK\n")
    (tmp_path / "2.fa").write_text(">c os=x\nGG\n>d\nGV\n>e\nGA\n")
    found = read_folder(tmp_path)
    assert found == [(1, "MKT"), (2, "MK"), (3, "GG"), (4, "GV"), (5, "GA")]
    chunks = list(read_tables(tmp_path, rows_per_chunk=2, is_unlabelled=True))
    assert [len(one) for one in chunks] == [2, 2, 1]
    together = list(read_tables(tmp_path, rows_per_chunk=4, is_unlabelled=True))
    assert [len(one) for one in together] == [2, 3]  # no file is cut for another's sake
    assert len(list(read_tables(tmp_path, rows_per_chunk=5, is_unlabelled=True))) == 1
    assert {tuple(one.columns) for one in chunks} == {("id", "sequence", "description", "temp")}
    assert {one.source for one in chunks} == {tmp_path.name}
    assert [name for one in chunks for name in one.ids or ()] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_are_counted_as_in_one_file(tmp_path: Path, suffix: str) -> None:
    whole = pd.DataFrame({"smiles": ["C" * n for n in range(1, 8)], "n": np.arange(7)})
    for number, part in enumerate((whole[:3], whole[3:4], whole[4:][["n", "smiles"]])):
        path = tmp_path / f"part{number}{suffix}"
        part.to_csv(path, index=False) if suffix == ".csv" else part.to_parquet(path)
    assert read_folder(tmp_path) == [(row + 2, "C" * (row + 1)) for row in range(7)]


def test_bad_entries_are_told_by_their_row_in_the_folder(tmp_path: Path) -> None:
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    (tmp_path / "1.sdf").write_text(f"{block}$$$$\n" * 3)
    (tmp_path / "2.sdf").write_text(f"{block}$$$$\nbroken\n$$$$\n")
    table = read_table(tmp_path, is_unlabelled=True)
    (bad,) = table.bad_cells
    assert (bad.row, bad.file, len(table)) == (5, tmp_path.name, 5)


@pytest.mark.parametrize(
    ("second", "text", "message"),
    [
        ("b.csv", "smiles,m\nC,1\n", r"its columns are \['smiles', 'm'\], and those before it"),
        ("b.fasta", ">p\nMK\n", r"the folder has tables of 2 formats: \['a.csv', 'b.fasta'\]"),
    ],
)
def test_files_that_are_not_parts_of_one_table_are_refused(
    tmp_path: Path, second: str, text: str, message: str
) -> None:
    (tmp_path / "a.csv").write_text("smiles,n\nC,1\n")
    (tmp_path / second).write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path, is_unlabelled=True)
    with pytest.raises(InputError, match="the folder has 2 tables"):
        read_table(tmp_path)  # with labels it has to be one


def test_residues_and_bases_are_not_joined(tmp_path: Path) -> None:
    (tmp_path / "genes.fna").write_text(">a\nACGT\n")
    (tmp_path / "proteins.faa").write_text(">a\nMKT\n")
    with pytest.raises(InputError, match="has tables of 2 formats"):
        read_table(tmp_path, is_unlabelled=True)


def test_texts_alone_are_parts_of_a_table(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text(f"smiles\tn\nCC\t{number}\n")
    assert read_folder(tmp_path) == [(2, "CC"), (3, "CC")]
