"""Benchmark files of every form: what they hold is found, and what is no sample is left."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import imagecodecs
import openpyxl
import pytest

from kagaku.data.corpora.held_out_files import describe_folder, read_held_out_folder
from kagaku.errors import InputError

PROTEIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV"
SENTENCE = "The binding of the ligand was measured at seven temperatures in water."


def found(folder: Path) -> set[tuple[str, str]]:
    return {(one.modality, one.value) for one in read_held_out_folder(folder)}


def test_columns_of_a_table_are_told_by_what_they_hold(tmp_path: Path) -> None:
    rows = "".join(f"{i},CC{'C' * i}O,{i * 0.5},{SENTENCE[:-1]} {i}.\n" for i in range(12))
    (tmp_path / "lab.csv").write_text("id,smiles,logS,note\n" + rows)
    got = found(tmp_path)
    assert ("molecule", "CCCCO") in got
    assert ("text", f"{SENTENCE[:-1]} 3.") in got
    assert len(got) == 24


def test_packed_files_are_looked_into(tmp_path: Path) -> None:
    table = b"sequence,fitness\n" + f"{PROTEIN},1.0\n{PROTEIN[::-1]},2.0\n".encode()
    with zipfile.ZipFile(tmp_path / "splits.zip", "w") as archive:
        archive.writestr("splits/one.csv", table)
    (tmp_path / "more.csv.gz").write_bytes(gzip.compress(table.replace(b"MKT", b"MKTA")))
    (tmp_path / "spike.fasta.zst").write_bytes(
        imagecodecs.zstd_encode(f">a\n{PROTEIN[:40]}\n{PROTEIN[40:]}W\n".encode())
    )
    with tarfile.open(tmp_path / "texts.tar.gz", "w:gz") as archive:
        content = SENTENCE.encode()
        member = tarfile.TarInfo("data/one.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    got = found(tmp_path)
    assert {
        ("protein", PROTEIN),
        ("protein", PROTEIN[::-1]),
        ("protein", PROTEIN.replace("MKT", "MKTA", 1)),
        ("protein", PROTEIN + "W"),
        ("text", SENTENCE),
    } <= got


def test_sheets_with_ragged_rows_or_none_are_looked_through(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["sequence", "fitness"])
    sheet = book.create_sheet("more")
    for row in (["sequence"], [PROTEIN, 1.0, SENTENCE], [PROTEIN[::-1]], [None, 2.0]):
        sheet.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "lab.xlsx")
    values = {("protein", PROTEIN), ("protein", PROTEIN[::-1]), ("text", SENTENCE)}
    assert values <= found(tmp_path)


def test_an_archive_that_is_no_workbook_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("one.txt", SENTENCE)
    with pytest.raises(InputError, match=r"a\.xlsx: the file cannot be read"):
        found(tmp_path)


@pytest.mark.parametrize(
    "name", ["a.zip", "a.csv.gz", "a.tar.gz", "a.xlsx", "a.parquet", "a.csv.zst"]
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match=r"cannot be read .*Fetch it again") as caught:
        found(tmp_path)
    assert name in str(caught.value)


def test_dna_in_fasta_is_no_protein(tmp_path: Path) -> None:
    (tmp_path / "enhancers.fasta").write_text(">a\nACGTACGTACGTACGTACGT\n>short\nACGTACGT\n")
    assert found(tmp_path) == {("nucleotide", "ACGTACGTACGTACGTACGT")}


def test_reactions_are_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "test.smi").write_text("CC(=O)OCC >> CC(=O)O.OCC\n")
    assert found(tmp_path) == {
        ("molecule", "CC(=O)OCC"), ("molecule", "CC(=O)O.OCC"),
        ("molecule", "CC(=O)O"), ("molecule", "OCC"),
    }  # fmt: skip


def test_json_is_read_whole_and_line_by_line(tmp_path: Path) -> None:
    questions = {str(i): {"QUESTION": f"{SENTENCE} {i}", "YEAR": "2011"} for i in range(30)}
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    lines = [json.dumps({"text": f"{SENTENCE} Line {i}", "label": "x"}) for i in range(5)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    ligands = {f"lig{i}": "CC1=CC=CC=C1" + "C" * i + "O" for i in range(30)}
    (tmp_path / "ligands.txt").write_text(json.dumps(ligands))
    got = found(tmp_path)
    assert ("text", f"{SENTENCE} 29") in got
    assert ("text", f"{SENTENCE} Line 4") in got
    assert ("molecule", "CC1=CC=CC=C1CCO") in got
    assert len(got) == 30 + 5 + 30


def test_tagged_words_are_joined_to_sentences(tmp_path: Path) -> None:
    words = SENTENCE.replace(".", " .").split()
    lines = ["-DOCSTART- (123)", "", *(f"{word}\tNOUN\tO\tO" for word in words), ""]
    (tmp_path / "ner.txt").write_text("\n".join(lines * 3))
    assert found(tmp_path) == {("text", " ".join(words))}


def test_doubled_backslashes_of_an_export_are_undone(tmp_path: Path) -> None:
    rows = "".join(f"{i}\tC/C=C\\\\C{'C' * i}\t{SENTENCE}\n" for i in range(5))
    (tmp_path / "test.txt").write_text("CID\tSMILES\tdescription\n" + rows)
    assert ("molecule", "C/C=C\\CCC") in found(tmp_path)


def test_workbooks_are_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Ligand", "Output"])
    for i in range(6):
        sheet.append(["CC(C)P(" + "C" * (i + 1) + ")C(C)C", i * 10.5])
    book.save(tmp_path / "yields.xlsx")
    assert ("molecule", "CC(C)P(CCC)C(C)C") in found(tmp_path)


def test_a_value_is_listed_for_the_first_file_only(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.smi").write_text("CCO\n")
    (tmp_path / "readme.md").write_text(SENTENCE)
    assert [(one.set_name, one.value) for one in read_held_out_folder(tmp_path)] == [
        ("a.smi", "CCO")
    ]


def test_a_changed_folder_is_described_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO\n")
    before = describe_folder(tmp_path)
    (tmp_path / "a.smi").write_text("CCO\nCCC\n")
    assert describe_folder(tmp_path) != before
    assert before.startswith("1 files, ")


@pytest.mark.benchmark_data
def test_the_benchmark_folder_gives_molecules_proteins_and_texts() -> None:
    import os
    from itertools import islice

    kinds = {one.modality for one in islice(read_held_out_folder(
        Path(os.environ["KAGAKU_DATA"]) / "molecules" / "chebi20"), 10_000)}  # fmt: skip
    assert kinds == {"molecule", "text"}
