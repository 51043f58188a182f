"""What is recorded about where a run came from, and what is not."""

import getpass
import hashlib
import json
import platform
import re
import subprocess
import time
from pathlib import Path

import pytest

from kagaku.errors import InputError
from kagaku.provenance import (
    collect,
    commit,
    cpu_name,
    describe_file,
    gpu_names,
    package_versions,
)


def test_a_file_is_known_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    path.write_bytes(b"smiles,logS\nCCO,1.1\n")
    assert describe_file(path) == {
        "name": "lab.csv",
        "bytes": 20,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(b"one")
    (folder / "b.png").write_bytes(b"two!")
    first = describe_file(folder)
    assert (first["name"], first["files"], first["bytes"]) == ("images", 2, 7)
    assert describe_file(folder) == first
    (folder / "b.png").rename(folder / "c.png")
    renamed = describe_file(folder)
    (folder / "c.png").write_bytes(b"two?")
    assert len({first["sha256"], renamed["sha256"], describe_file(folder)["sha256"]}) == 3


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("the file cannot be read (No such file")) as e:
        collect([tmp_path / "gone.csv"], time.time())
    assert "gone.csv" in e.value.where
    assert e.value.fix


def test_a_record_is_json_with_versions_machine_and_time(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    path.write_text("x")
    record = collect([path], time.time() - 12)
    assert json.loads(json.dumps(record)) == record
    assert record["packages"]["torch"]
    assert record["packages"]["kagaku"] == "0.1.0"
    assert record["python"] == platform.python_version()
    assert 12 <= record["seconds"] < 60
    assert record["started"].endswith("+00:00")
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["memory_bytes"] > 2**28


def test_the_commit_is_that_of_the_code_and_of_nobody_elses(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        name = ("-c", "user.name=x", "-c", "user.email=x")
        told = ["git", "-C", str(tmp_path), *name, *words]
        return subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()

    for one in ("code.py", "changed.py", "installed.py"):
        (tmp_path / one).write_text("x = 1\n")
    assert commit(tmp_path / "code.py") is None
    git("init", "--quiet")
    git("add", "code.py", "changed.py")
    git("commit", "--quiet", "-m", "All")
    assert commit(tmp_path / ".." / tmp_path.name / "code.py") == git("rev-parse", "HEAD")
    assert commit(tmp_path / "installed.py") is None
    (tmp_path / "code.py").write_text("x = 2\n")
    assert commit(tmp_path / "changed.py") == f"{git('rev-parse', 'HEAD')}-changed"


def test_a_record_says_nothing_about_the_user(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    path.write_text("x")
    record = collect([path], time.time())
    words = set(re.findall(r"[\w.-]+", json.dumps(record)))
    assert not {getpass.getuser(), platform.node()} & words
    assert str(tmp_path) not in json.dumps(record)
    assert record["files"][0]["name"] == "lab.csv"


def test_a_clock_set_back_gives_no_negative_time() -> None:
    assert collect([], time.time() + 3600)["seconds"] == 0


def test_packages_that_are_not_installed_have_no_version() -> None:
    assert package_versions(["no-such-package-anywhere"]) == {"no-such-package-anywhere": None}


def test_the_machine_has_a_processor_name() -> None:
    assert cpu_name()
    assert isinstance(gpu_names(), list)
