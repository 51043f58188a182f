"""What a held-out folder's files yield when they are damaged or change."""

import json
from pathlib import Path

from kagaku.data.corpora.held_out_files import describe_folder, read_held_out_folder


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
