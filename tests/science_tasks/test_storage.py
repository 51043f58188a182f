"""Fitted models on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from kagaku.errors import InputError
from kagaku.science_tasks import storage
from kagaku.science_tasks.storage import load_state, save_state

STATE = {
    "name": "gp",
    "count": 3,
    "share": 0.1,
    "none": None,
    "flags": [True, False],
    "text": "tree\nnode=1\n",
    "nested": {"values": np.arange(6.0).reshape(2, 3), "list": [np.array([True, False])]},
    "scalar": np.float64(2.5),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "zero_dimensional": np.array(7),
}


def test_a_nested_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save_state(STATE, tmp_path / "deep" / "model.safetensors")
    back = load_state(tmp_path / "deep" / "model.safetensors")
    assert set(back) == set(STATE)
    assert (back["name"], back["count"], back["share"]) == ("gp", 3, 0.1)
    assert back["none"] is None
    assert back["flags"] == [True, False]
    assert back["text"] == "tree\nnode=1\n"
    assert back["scalar"] == 2.5
    np.testing.assert_array_equal(back["nested"]["values"], np.arange(6.0).reshape(2, 3))
    assert back["nested"]["list"][0].dtype == bool
    assert back["empty"].shape == (0, 4)
    assert back["zero_dimensional"].shape == ()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model.safetensors"]


def test_a_state_without_arrays_can_be_stored(tmp_path: Path) -> None:
    save_state({"mean": 1.5}, tmp_path / "model.safetensors")
    assert load_state(tmp_path / "model.safetensors") == {"mean": 1.5}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.safetensors: there is no fitted model here"):
        load_state(tmp_path / "model.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 200])
def test_a_cut_off_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    save_state(STATE, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="the fitted model cannot be read") as error:
        load_state(path)
    assert error.value.fix == "Copy the run folder again, or fine-tune again."


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"PK\x03\x04" + bytes(500))
    with pytest.raises(InputError, match="the fitted model cannot be read"):
        load_state(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(InputError, match="a safetensors file, but not a fitted model of kagaku"):
        load_state(path)


def write(path: Path, version: str, tree: str) -> None:
    metadata = {"format": storage.FORMAT, "format_version": version, "state": tree}
    save_file({}, path, metadata=metadata)


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, "99", "{}")
    with pytest.raises(InputError, match="has format 99, and this kagaku reads up to 1") as error:
        load_state(path)
    assert "Upgrade kagaku" in error.value.fix


@pytest.mark.parametrize(
    ("version", "tree", "message"),
    [
        ("one", "{}", "the fitted model is damaged"),
        ("1", "{oops", "the fitted model is damaged"),
        (
            "1",
            json.dumps({"a": {"__array__": "/a", "shape": [2]}}),
            "the fitted model lacks the array '/a'",
        ),
    ],
)
def test_damaged_contents_are_refused(
    tmp_path: Path, version: str, tree: str, message: str
) -> None:
    write(tmp_path / "model.safetensors", version, tree)
    with pytest.raises(InputError, match=message):
        load_state(tmp_path / "model.safetensors")


def test_a_full_disk_leaves_the_old_file_and_no_partial_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_state({"mean": 1.5}, path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "save_file", full)
    with pytest.raises(InputError, match=r"cannot be written .*No space left") as error:
        save_state({"mean": 2.5}, path)
    assert error.value.fix.startswith("Free some disk space")
    assert load_state(path) == {"mean": 1.5}
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_plain_value_is_our_own_bug(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot hold an array of object at '/bad'"):
        save_state({"bad": np.array([object()])}, tmp_path / "model.safetensors")
    with pytest.raises(AssertionError, match="cannot hold set at '/bad'"):
        save_state({"bad": {1, 2}}, tmp_path / "model.safetensors")
