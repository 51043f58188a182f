"""What a held-out folder's files yield when they are damaged or change."""

import json
from pathlib import Path

import pandas as pd

from kagaku.data.corpora.held_out_files import (
    describe_folder,
    read_held_out_folder,
    unread_files,
)

SMILES = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1"]


def found(folder: Path) -> list[str]:
    return [one.value for one in read_held_out_folder(folder) if one.modality == "molecule"]


def test_one_bad_line_does_not_lose_the_other_lines_of_a_file(tmp_path: Path) -> None:
    sentences = [
        f"Sample {n} of the alloy was heated for two hours in dry argon." for n in range(4)
    ]
    lines = [json.dumps({"text": sentence}) for sentence in sentences]
    (tmp_path / "held.jsonl").write_text("\n".join([*lines[:2], '{"text": "cut', *lines[2:]]))
    assert [one.value for one in read_held_out_folder(tmp_path)] == sentences


def test_a_folder_with_other_contents_of_the_same_size_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "held.smi").write_text("CCO")
    before = describe_folder(tmp_path)
    (tmp_path / "held.smi").write_text("CCN")
    assert describe_folder(tmp_path) != before


def test_semicolons_parquet_and_structure_files_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"smiles": SMILES, "pIC50": [5.1, 6.2, 7.3]})
    folders = {name: tmp_path / name for name in ("csv", "parquet", "smiles", "sdf")}
    for folder in folders.values():
        folder.mkdir()
    frame.to_csv(folders["csv"] / "a.csv", sep=";", decimal=",", index=False)
    frame.to_parquet(folders["parquet"] / "a.parquet")
    (folders["smiles"] / "a.smiles").write_text("\n".join(SMILES))
    block = "\n  made\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n"
    atom = "    0.0000    0.0000    0.0000 C   0  0\nM  END\n$$$$\n"
    (folders["sdf"] / "a.sdf").write_text(block + atom)
    for name in ("csv", "parquet", "smiles"):
        assert found(folders[name]) == SMILES, name
    assert found(folders["sdf"]) == ["C"]


def test_files_without_a_reader_are_told_and_grids_are_not(tmp_path: Path) -> None:
    for name in ("a.docx", "b.csv.gz", "c.nc", "d.pkl.gz", "e.tar.gz", "f.fasta", "radar.pgm.gz"):
        (tmp_path / name).write_bytes(b"")
    assert unread_files(tmp_path) == ["a.docx", "d.pkl.gz"]
