"""Data sets from a folder, from the cache, and from a server; and the verb that lists them."""

import bz2
import gzip
import hashlib
import lzma
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kagaku import dataset_verbs, datasets
from kagaku.cache import cache_folder, offline_variable
from kagaku.cli import app
from kagaku.data.catalogue import DataFile, Source, find_dataset, listing, locate
from kagaku.data.catalogue import contents as catalogue_contents
from kagaku.datasets import DatasetSource
from kagaku.downloading import Downloader
from kagaku.errors import InputError

KEY = "made/table.csv"
DERIVED = "made/results.csv"
CONTENT = b"smiles,y\n" + b"CCO,1\n" * 20_000
RESULTS = b"property,mae\nmp_mu_b,1\nphonons,2\n"
KEPT = b"property,mae\nmp_mu_b,1\n"
COMMIT = "0" * 40
BENCHMARKS = os.environ.get("KAGAKU_DATA", "")
"""As it was before a test changes it."""


def made_file(key: str, source: str, content: bytes, derivation: str = "") -> DataFile:
    digits = hashlib.sha256(content).hexdigest()
    return DataFile(key, "esol", len(content), digits, "a/b", COMMIT, (source,), derivation)


PLAIN = made_file(KEY, "data/table.csv", CONTENT)
PACKED = made_file("made/packed.csv", "data/packed.csv.gz", CONTENT)
FILTERED = made_file(DERIVED, "data/results.csv", KEPT, "crabnet-results")
SELF_DERIVED = made_file("made/again.csv", "data/table.csv", CONTENT, "crabnet-results")


@pytest.fixture(autouse=True)
def small_catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {one.key: one for one in (PLAIN, PACKED, FILTERED, SELF_DERIVED)}
    monkeypatch.setattr(listing, "_files", lambda: files)
    catalogue_contents._verified.clear()
    for name in ("KAGAKU_DATA", "KAGAKU_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGAKU_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def where(server: Any, tmp_path: Path) -> DatasetSource:
    server.contents[f"/a/b/{COMMIT}/data/table.csv"] = CONTENT
    server.contents[f"/a/b/{COMMIT}/data/packed.csv.gz"] = gzip.compress(CONTENT)
    server.contents[f"/a/b/{COMMIT}/data/results.csv"] = RESULTS
    downloader = Downloader(server.base, attempts=3, wait_seconds=0.001, timeout_seconds=1.0)
    return DatasetSource((tmp_path / "folder",), tmp_path / "cache", None, downloader)


def left(folder: Path) -> set[str]:
    paths = (one for one in folder.rglob("*") if one.is_file() and one.suffix != ".lock")
    return {one.relative_to(folder).as_posix() for one in paths}


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_file_is_fetched_once_and_kept(where: DatasetSource, server: Any, tmp_path: Path) -> None:
    assert isinstance(where, Source)
    assert where(KEY) == CONTENT
    assert where(KEY) == CONTENT
    assert len(server.asked) == 1
    assert left(tmp_path) == {f"cache/{KEY}"}


def test_two_that_want_the_same_file_fetch_it_once(where: DatasetSource, server: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(where, [KEY] * 4)) == [CONTENT] * 4
    assert len(server.asked) == 1


def test_what_the_source_has_compressed_is_kept_so(where: DatasetSource, tmp_path: Path) -> None:
    assert where("made/packed.csv") == CONTENT
    assert left(tmp_path) == {"cache/made/packed.csv.gz"}


@pytest.mark.parametrize(
    ("ending", "pack"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)],
)
def test_the_folder_comes_first_however_the_content_is_packed(
    ending: str, pack: Callable[[bytes], bytes], where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    put(tmp_path / "folder", KEY + ending, pack(CONTENT))
    assert where(KEY) == CONTENT
    assert server.asked == []
    assert left(tmp_path) == {f"folder/{KEY}{ending}"}


def test_a_wrong_file_in_the_folder_stops_and_is_not_fetched_over(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    wrong = b"smiles,y\nCCO,2\n"
    path = put(tmp_path / "folder", KEY, wrong)
    with pytest.raises(InputError) as caught:
        where(KEY)
    told = str(caught.value)
    assert told.startswith(f"{path}: the content is not that of {KEY}: its sha256 is ")
    assert hashlib.sha256(wrong).hexdigest() in told
    assert PLAIN.sha256 in told
    assert "kagaku datasets esol --fetch" in told
    assert path.read_bytes() == wrong
    assert server.asked == []


def test_garbage_from_the_server_is_told_with_both_checksums_and_leaves_nothing(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    garbage = b"<html>Please log in</html>"
    server.contents[f"/a/b/{COMMIT}/data/table.csv"] = garbage
    with pytest.raises(InputError) as caught:
        where(KEY)
    told = str(caught.value)
    assert told.startswith(f"{server.base}/a/b/{COMMIT}/data/table.csv: the content is not that")
    assert hashlib.sha256(garbage).hexdigest() in told
    assert PLAIN.sha256 in told
    assert "Nothing was kept of it" in told
    assert left(tmp_path) == set()
    server.contents[f"/a/b/{COMMIT}/data/table.csv"] = CONTENT
    assert where(KEY) == CONTENT


def test_garbage_in_place_of_a_compressed_file_leaves_nothing(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    server.contents[f"/a/b/{COMMIT}/data/packed.csv.gz"] = b"<html>"
    with pytest.raises(InputError, match=r"packed\.csv\.gz: the compressed file is damaged"):
        where("made/packed.csv")
    assert left(tmp_path) == set()


def test_a_cut_connection_gives_the_right_file_all_the_same(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    server.moods[f"/a/b/{COMMIT}/data/table.csv"] = ["cut 50000"]
    assert where(KEY) == CONTENT
    assert [wanted for _, wanted in server.asked] == ["", "bytes=50000-"]
    assert left(tmp_path) == {f"cache/{KEY}"}


def test_a_derived_file_is_made_of_its_source_which_is_not_kept(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    assert where(DERIVED) == KEPT
    assert left(tmp_path) == {f"cache/{DERIVED}"}
    assert where(DERIVED) == KEPT
    assert len(server.asked) == 1


def test_a_derived_file_that_comes_out_otherwise_is_told_and_not_kept(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    server.contents[f"/a/b/{COMMIT}/data/results.csv"] = b"property,mae\nother,1\n"
    found = hashlib.sha256(b"property,mae\nother,1\n").hexdigest()
    with pytest.raises(
        InputError, match=f"what was made of its source has sha256 {found}.*is {FILTERED.sha256}"
    ):
        where(DERIVED)
    assert left(tmp_path) == set()


def test_a_source_that_is_catalogued_itself_is_taken_from_the_folder(
    where: DatasetSource, server: Any, tmp_path: Path
) -> None:
    put(tmp_path / "folder", KEY, CONTENT)
    assert where("made/again.csv") == CONTENT
    assert server.asked == []


def test_a_source_outside_of_its_repository_is_refused(where: DatasetSource) -> None:
    fetch = where._fetch_into(where.cache / "incoming", FILTERED, None)
    with pytest.raises(InputError, match=r"names a file '\.\./\.\./x' outside of its repository"):
        fetch("../../x")


def test_offline_says_which_files_to_put_where(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("KAGAKU_DATA", str(folder))
    monkeypatch.setenv("KAGAKU_OFFLINE", "1")
    with pytest.raises(
        InputError,
        match=rf"^{folder}: 1 file is in no folder, and KAGAKU_OFFLINE forbids to fetch\. Copy "
        rf"there (?s:.*){KEY}  \(from https://github.com/a/b/tree/{COMMIT}/data/table.csv\)",
    ):
        datasets.read(KEY)
    assert server.asked == []
    put(folder, KEY, CONTENT)
    assert datasets.read(KEY) == CONTENT


def test_the_environment_is_read_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    found = datasets.source(
        {"KAGAKU_DATA": f"{one}{os.pathsep}{two}", "XDG_CACHE_HOME": str(tmp_path)}
    )
    assert found.folders == (one, two)
    assert found.cache == tmp_path / "kagaku" / "datasets"
    assert found.forbidden_by is None
    assert cache_folder("datasets", {"KAGAKU_CACHE": "/x"}) == Path("/x/datasets")
    assert offline_variable({"HF_HUB_OFFLINE": "true"}) == "HF_HUB_OFFLINE"
    assert offline_variable({"HF_HUB_OFFLINE": "0"}) is None
    monkeypatch.setenv("KAGAKU_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"KAGAKU_DATA: there is no folder '.*none'"):
        datasets.source({"KAGAKU_DATA": str(tmp_path / "none")})


def run(*words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["datasets", *words])
    if isinstance(answer.exception, InputError):
        return 1, str(answer.exception)
    return answer.exit_code, " ".join(answer.stderr.split())


@pytest.mark.usefixtures("real_catalogue")
def test_the_verb_lists_all_sets_or_those_of_a_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, told = run()
    assert code == 0
    assert "46 data sets" in told
    code, told = run("--domain", "genomes")
    assert "3 data sets" in told
    assert "crispr-doench2016 genomes how well they cut 5,310 0.5" in told
    assert "not here" in told
    assert run("--domain", "genome")[1].endswith("Did you mean 'genomes'?")
    assert run("esoll")[1] == "the catalogue has no data set 'esoll'. Did you mean 'esol'?"
    assert run("esol", "--domain", "genomes")[1].startswith("'esol' is one data set")


@pytest.mark.usefixtures("real_catalogue")
def test_the_verb_shows_a_card_with_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, told = run("bace")
    assert code == 0
    assert "## Traps" in told
    file = find_dataset("bace").files[0]
    assert f"{file.key} {file.n_bytes:,} {file.sha256[:16]}" in told


@pytest.fixture
def real_catalogue(monkeypatch: pytest.MonkeyPatch, small_catalogue: None) -> None:
    del small_catalogue
    monkeypatch.undo()
    monkeypatch.delenv("KAGAKU_DATA", raising=False)


@pytest.fixture
def small_set(monkeypatch: pytest.MonkeyPatch, where: DatasetSource) -> DatasetSource:
    (where.folders[0]).mkdir()
    made = replace(find_dataset("esol"), files=(PLAIN, PACKED))
    monkeypatch.setattr(dataset_verbs, "find_dataset", lambda _: made)
    monkeypatch.setattr(dataset_verbs, "source", lambda: where)
    monkeypatch.setenv("COLUMNS", "300")
    return where


def test_verifying_tells_each_wrong_and_missing_file_and_fails(small_set: DatasetSource) -> None:
    path = put(small_set.folders[0], KEY, b"wrong")
    code, told = run("esol", "--verify")
    assert code == 1
    assert f"WRONG {path}: the content is not that of {KEY}" in told
    assert "MISSING made/packed.csv (kagaku datasets esol --fetch)" in told
    assert told.endswith("0 files right, 1 wrong, 1 missing.")
    put(small_set.folders[0], KEY, CONTENT)
    put(small_set.folders[0], "made/packed.csv.gz", gzip.compress(CONTENT, 1))
    assert run("esol", "--verify") == (0, "2 files right, 0 wrong, 0 missing.")


def test_verifying_looks_again_at_what_was_compared_before(small_set: DatasetSource) -> None:
    path = put(small_set.folders[0], KEY, CONTENT)
    before = path.stat()
    assert small_set(KEY) == CONTENT
    path.write_bytes(CONTENT.replace(b"CCO", b"CCN"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    code, told = run("esol", "--verify")
    assert code == 1
    assert "1 wrong" in told


def test_fetching_brings_what_is_missing_and_then_nothing(
    small_set: DatasetSource, server: Any
) -> None:
    code, told = run("esol", "--fetch", "--verify")
    assert code == 0
    assert "2 files fetched into" in told
    assert told.endswith("2 files right, 0 wrong, 0 missing.")
    assert "0 files fetched" in run("esol", "--fetch")[1]
    assert len(server.asked) == 2
    assert locate(PLAIN, [small_set.cache]) is not None


@pytest.mark.benchmark_data
@pytest.mark.usefixtures("real_catalogue")
def test_every_catalogued_file_of_the_folder_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGAKU_DATA", BENCHMARKS)
    assert run("--verify") == (0, "204 files right, 0 wrong, 0 missing.")
