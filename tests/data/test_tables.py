"""Every reader gives back what was written, with the row numbers that the user sees."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from kagaku.data import read, read_table, read_tables, table_from_frame
from kagaku.data.table import CHARACTERS_PER_CHUNK, Table

FRAME = pd.DataFrame({"smiles": ["CCO", "CC", "NA"], "logS [log10(mol/L)]": ["-0.5", "1", None]})


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "A.CSV"])
def test_text_tables_come_back_as_strings(tmp_path: Path, name: str) -> None:
    separator = "\t" if "tsv" in name or "txt" in name else ","
    text = FRAME.to_csv(index=False, sep=separator)
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    table = read_table(path)
    assert table.columns == ["smiles", "logS [log10(mol/L)]"]
    assert table.cells("smiles") == ["CCO", "CC", "NA"]
    assert table.cells("logS [log10(mol/L)]") == ["-0.5", "1", None]
    assert table.rows.tolist() == [2, 3, 4]
    assert table.folder == tmp_path


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx"])
def test_typed_tables_keep_their_types(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"x": ["CCO", None], "n": [1, 2], "f": [0.5, np.nan]})
    path = tmp_path / name
    if name.endswith("xlsx"):
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    table = read_table(path)
    assert [table.cells(column) for column in table.columns] == [
        ["CCO", None],
        [1, 2],
        [0.5, None],
    ]
    assert table.rows.tolist() == [2, 3]


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\r\n1,"two\r\nlines"\r\n\r\n3,4\r\n')
    table = read_table(path)
    assert table.rows.tolist() == [2, 4]
    assert table.cells("b") == ["two\r\nlines", "4"]


def test_semicolons_and_a_byte_order_mark_are_what_spreadsheets_write(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeffname (x, y);wert\na;1,5\nb;2,5\n")
    assert read_table(path).columns == ["name (x, y)", "wert"]
    assert read_table(path).cells("wert") == ["1,5", "2,5"]


def test_trailing_delimiters_and_nameless_columns_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",x\n0,1,,\n1,2,,\n")
    assert read_table(path).columns == ["unnamed column 1", "x"]


def test_fasta_headers_become_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.fasta",
        ">p1 some enzyme OS=Homo sapiens temp=37\nMKT\nAAV\n>p2 temp=25\nMKV\n>p3\nGG\n",
    )
    table = read_table(path)
    assert table.columns == ["id", "sequence", "description", "OS", "temp"]
    assert table.cells("sequence") == ["MKTAAV", "MKV", "GG"]
    assert table.cells("description") == ["some enzyme", None, None]
    assert table.cells("OS") == ["Homo sapiens", None, None]
    assert table.cells("temp") == ["37", "25", None]
    assert table.ids == ("p1", "p2", "p3")
    assert table.rows.tolist() == [1, 2, 3]


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C/C=C/C", "[Na+].CC(=O)[O-]"])
@pytest.mark.parametrize("in_three_dimensions", [False, True])
def test_sdf_structures_keep_their_stereochemistry(
    tmp_path: Path, smiles: str, in_three_dimensions: bool
) -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if in_three_dimensions:
        rdDistGeom.EmbedMolecule(molecule, randomSeed=7)
    else:
        rdDepictor.Compute2DCoords(molecule)
    molecule.SetProp("_Name", "cpd-1")
    molecule.SetProp("logS", "-1.5")
    with Chem.SDWriter(str(tmp_path / "a.sdf")) as writer:
        writer.write(molecule)
    table = read_table(tmp_path / "a.sdf")
    assert table.cells("smiles") == [Chem.MolToSmiles(Chem.MolFromSmiles(smiles))]
    assert table.cells("logS") == ["-1.5"]
    assert table.ids == ("cpd-1",)


def test_broken_sdf_structures_become_bad_cells(tmp_path: Path) -> None:
    good = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    pentavalent = Chem.MolToMolBlock(
        Chem.MolFromSmiles("C(C)(C)(C)(C)C", sanitize=False), kekulize=False
    )
    path = write(
        tmp_path / "a.sdf",
        f"{good}> <y>\n1\n\n$$$$\nnonsense\n$$$$\n{pentavalent}> <y>\n3\n\n$$$$\n",
    )
    table = read_table(path)
    assert table.cells("smiles") == ["CCO", None, None]
    assert table.cells("y") == ["1", None, "3"]
    assert [cell.row for cell in table.bad_cells] == [2, 3]
    assert "damaged" in table.bad_cells[0].reason
    assert "valence" in table.bad_cells[1].reason


def test_a_folder_of_images_is_read_by_its_one_table(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"x")
    (tmp_path / "README.txt").write_text("about")
    write(tmp_path / "labels.csv", "image,cells\none.png,3\n")
    table = read_table(tmp_path)
    assert table.source == "labels.csv"
    assert table.folder == tmp_path


def test_a_dataframe_is_a_table_too() -> None:
    frame = pd.DataFrame({"x": [1.0, None], "flag": [True, False]}, index=[7, 9])
    table = table_from_frame(frame)
    assert table.cells("x") == [1.0, None]
    assert table.cells("flag") == [True, False]
    assert table.rows.tolist() == [0, 1]


def same(chunks: list[Table], whole: Table) -> bool:
    cells = {name: [c for chunk in chunks for c in chunk.cells(name)] for name in whole.columns}
    rows = np.concatenate([chunk.rows for chunk in chunks])
    return all(cells[name] == whole.cells(name) for name in whole.columns) and (
        rows.tolist() == whole.rows.tolist()
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".fasta", ".sdf"])
def test_pieces_make_up_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        write(path, "a,b\n" + "".join(f"{i},x\n" for i in range(25)))
    elif suffix == ".parquet":
        pd.DataFrame({"a": range(25), "b": "x"}).to_parquet(path, row_group_size=7)
    elif suffix == ".fasta":
        write(path, "".join(f">p{i} {'late=1' if i == 24 else ''}\nMKT\n" for i in range(25)))
    else:
        block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
        entries = [f"{block}{'> <late>' if i == 24 else '> <y>'}\n{i}\n\n$$$$\n" for i in range(25)]
        write(path, "".join(entries))
    chunks = list(read_tables(path, rows_per_chunk=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert len({tuple(chunk.columns) for chunk in chunks}) == 1
    assert same(chunks, read_table(path))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".fasta"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str) -> None:
    def peak(n_rows: int) -> int:
        path = tmp_path / f"rows{n_rows}{suffix}"
        entry = ">p{i}\nMKTAAV\n" if suffix == ".fasta" else "{i},CCO\n"
        text = ("" if suffix == ".fasta" else "n,smiles\n") + "".join(
            entry.replace("{i}", str(i)) for i in range(n_rows)
        )
        path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
        del text
        tracemalloc.start()
        assert sum(len(chunk) for chunk in read_tables(path, rows_per_chunk=500)) == n_rows
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1_000)  # imports and caches
    assert peak(10_000) < 1.3 * peak(2_000)


def test_a_row_group_of_a_parquet_file_is_not_read_whole(tmp_path: Path) -> None:
    cells = [f"{number:0200d}" for number in np.random.default_rng(0).permutation(100_000)]
    path = tmp_path / "a.parquet"
    frame = pd.DataFrame({"sequence": cells})
    frame.to_parquet(path, compression=None, row_group_size=len(cells))
    assert path.stat().st_size > 20e6
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in read_tables(path, rows_per_chunk=2_048))
    assert most < 5e6


@pytest.mark.parametrize("suffix", [".csv", ".fasta", ".sdf"])
def test_huge_cells_end_a_piece_before_its_rows_do(tmp_path: Path, suffix: str) -> None:
    size, block = 100_000, Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    entry = {
        ".csv": "{i},{cell}\n",
        ".fasta": ">p{i}\n{cell}\n",
        ".sdf": f"{block}> <y>\n{{cell}}\n\n$$$$\n",
    }[suffix]

    def peak(n_rows: int) -> int:
        path = tmp_path / f"rows{n_rows}{suffix}"
        text = "".join(
            entry.replace("{i}", f"{i}").replace("{cell}", "M" * size) for i in range(n_rows)
        )
        path.write_text(("n,cell\n" if suffix == ".csv" else "") + text)
        del text
        tracemalloc.start()
        sizes = [len(chunk) for chunk in read_tables(path, rows_per_chunk=2_048)]
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(sizes) == n_rows
        assert max(sizes) == CHARACTERS_PER_CHUNK // size
        return used

    peak(80)  # imports and caches
    assert peak(240) < 1.3 * peak(80)


def test_what_is_read_is_told_by_the_ending(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,y\n1,2\n")
    assert isinstance(read(path), Table)
