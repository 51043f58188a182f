"""The samples that come with kagaku can be listed and copied."""

from pathlib import Path

import pytest

from kagaku.data import copy_sample, list_samples, read
from kagaku.errors import InputError


def test_every_sample_can_be_copied_and_read(tmp_path: Path) -> None:
    samples = list_samples()
    assert len(samples) >= 6
    for sample in samples:
        path = copy_sample(sample.name, tmp_path / sample.name)
        assert len(read(path)) > 0
        assert (tmp_path / sample.name / sample.card).exists()


def test_copying_twice_is_fine_but_nothing_is_overwritten(tmp_path: Path) -> None:
    path = copy_sample("molecules", tmp_path)
    assert copy_sample("molecules", tmp_path) == path
    path.write_text("mine")
    with pytest.raises(InputError, match="a different file is there already"):
        copy_sample("molecules", tmp_path)
    assert path.read_text() == "mine"


def test_a_file_in_the_folders_place_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="is a file, not a folder"):
        copy_sample("molecules", tmp_path / "out")


def test_a_misspelt_sample_gets_advice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'molecules'"):
        copy_sample("molecule", tmp_path)
