"""The catalogue: its file table, its cards, and reading from a folder."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from kagaku.data import catalogue
from kagaku.data.catalogue import DataFile, Dataset, FolderSource, Source, contents, listing
from kagaku.data.catalogue.cards import HEADINGS, read_card
from kagaku.data.catalogue.derivations import DERIVATIONS
from kagaku.errors import InputError

DATASETS = catalogue.list_datasets()
WITHOUT_PUBLICATION = {"bccd", "liver-clearance", "sarscov2-pango", "southern-oscillation"}
CONTENT = b"smiles,y\n" + b"CCO,1\n" * 1000


def packed_as(ending: str) -> Callable[[bytes], bytes]:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".bz2": bz2.compress,
        ".zst": lambda content: bytes(pa.Codec("zstd").compress(content)),
    }
    return packers[ending]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> DataFile:
    made = DataFile(
        "made/table.csv", "esol", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(),
        "a/b", "0" * 40, ("data/table.csv",),
    )  # fmt: skip
    monkeypatch.setattr(listing, "_files", lambda: {made.key: made})
    contents._verified.clear()
    return made


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_file_is_pinned_by_commit_and_checksum() -> None:
    files = catalogue.list_files()
    assert len(files) == 204
    for one in files:
        assert re.fullmatch(r"[0-9a-f]{64}", one.sha256), one.key
        assert re.fullmatch(r"[0-9a-f]{40}", one.commit), one.key
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", one.repository), one.key
        assert one.n_bytes > 0
        assert not one.key.endswith((".gz", ".zst", ".xz", ".bz2"))
        assert one.derivation in {"", *DERIVATIONS}
        assert one.derivation or len(one.sources) == 1, one.key


def test_every_derivation_is_used() -> None:
    assert {one.derivation for one in catalogue.list_files()} == {"", *DERIVATIONS}


def test_only_pickles_have_checksums_of_their_sources_and_all_of_them_do() -> None:
    for one in catalogue.list_files():
        pickles = [path for path in one.sources if path.endswith(".pkl")]
        assert len(one.source_sha256) == len(pickles), one.key


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
def test_a_card_and_the_file_table_tell_the_same_story(dataset: Dataset) -> None:
    source = dataset.card.split("## Source")[1].split("## Licence")[0]
    derived = " ".join(dataset.card.split("## How it is derived")[1].split())
    repositories = {file.repository for file in dataset.files}
    for repository in repositories:
        assert repository in source or repository in derived, repository
    for file in dataset.files:
        name = Path(file.key).name
        if file.derivation and "archive" not in file.derivation:
            assert name in derived, name
    if not any(file.derivation for file in dataset.files):
        assert derived.startswith("The content is the source's own")
    for name in re.findall(
        r"`([\w.-]+\.(?:csv|json|txt|tsv|fasta|nc|npz|zip|xlsx))`", dataset.columns
    ):
        assert any(Path(file.key).name == name for file in dataset.files) or "archive" in (
            dataset.columns
        ), name


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda one: one.name)
def test_a_card_says_what_a_scientist_must_know(dataset: Dataset) -> None:
    assert dataset.description.endswith(".")
    assert 20 < len(dataset.description) < 200
    assert len(dataset.traps) >= 2
    assert dataset.unit
    assert dataset.n_rows > 0
    assert "licence" in dataset.licence.lower() or re.search(
        r"MIT|Apache|BSD|GPL|CC0|CC BY|AFL|not stated", dataset.licence
    )
    assert bool(dataset.references) == (dataset.name not in WITHOUT_PUBLICATION)
    assert all(re.fullmatch(r"https://doi\.org/10\.\S+", one) for one in dataset.references)
    assert all(heading in dataset.card for heading in HEADINGS)


def test_data_sets_are_found_by_name_and_domain() -> None:
    assert {one.domain for one in DATASETS} == set(catalogue.DOMAINS)
    assert [one.name for one in catalogue.list_datasets("microscopy")] == ["bccd", "pneumoniamnist"]
    assert sum(len(one.files) for one in DATASETS) == 204
    with pytest.raises(InputError, match=r"no data set 'esoll'\. Did you mean 'esol'\?"):
        catalogue.find_dataset("esoll")
    with pytest.raises(InputError, match=r"no domain 'genome'\. Did you mean 'genomes'\?"):
        catalogue.list_datasets("genome")


def test_a_key_may_carry_the_ending_of_a_compression_and_a_misspelt_one_is_told() -> None:
    file = catalogue.data_file("molecules/moleculenet/ESOL.csv.gz")
    assert file is catalogue.data_file("molecules/moleculenet/ESOL.csv")
    with pytest.raises(InputError, match=r"Did you mean 'molecules/moleculenet/ESOL\.csv'\?"):
        catalogue.data_file("molecules/moleculenet/ESOl.csv")


def test_a_broken_card_is_our_bug() -> None:
    card = catalogue.find_dataset("esol").card
    with pytest.raises(AssertionError, match=r"made: the sections are"):
        read_card(card.replace("## Traps", "## Pitfalls"), "made", ())
    with pytest.raises(AssertionError, match=r"made: the facts are"):
        read_card(card.replace("| unit |", "| units |"), "made", ())
    with pytest.raises(AssertionError, match=r"made: the domain is 'alchemy'"):
        read_card(card.replace("| chemistry |", "| alchemy |"), "made", ())


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".xz", ".bz2"])
def test_the_content_counts_and_not_how_it_is_packed(
    ending: str, file: DataFile, tmp_path: Path
) -> None:
    put(tmp_path, file.key + ending, packed_as(ending)(CONTENT))
    source: Source = FolderSource([tmp_path / "none", tmp_path])
    assert source(file.key) == CONTENT
    with catalogue.open_stream(file.key, [tmp_path]) as stream:
        assert stream.readline() == b"smiles,y\n"
        assert stream.read() == CONTENT[9:]


def test_a_wrong_content_stops_with_both_checksums(file: DataFile, tmp_path: Path) -> None:
    path = put(tmp_path, file.key + ".gz", gzip.compress(CONTENT[:-1]))
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    told = (
        rf"^{re.escape(str(path))}: the content is not that of made/table\.csv: its sha256 is "
        rf"{found} \(6,008 bytes\), the catalogue's is {file.sha256} \(6,009 bytes\)\. Delete it "
        r"and run `kagaku datasets esol --fetch`, or replace it by the file from https://github"
    )
    with pytest.raises(InputError, match=told):
        catalogue.open_file(file.key, [tmp_path])
    with (
        pytest.raises(InputError, match=told),
        catalogue.open_stream(file.key, [tmp_path]),
    ):
        pass


def test_a_content_that_never_ends_is_read_no_further_than_needed(
    file: DataFile, tmp_path: Path
) -> None:
    put(tmp_path, file.key + ".gz", gzip.compress(bytes(50_000_000)))
    with pytest.raises(InputError, match=r"\(more than 6,009 bytes\), the catalogue's is"):
        catalogue.open_file(file.key, [tmp_path])


@pytest.mark.parametrize("ending", [".gz", ".zst", ".xz", ".bz2"])
@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_damaged_compressed_file_is_told(
    ending: str, damage: str, file: DataFile, tmp_path: Path
) -> None:
    content = packed_as(ending)(CONTENT)
    put(tmp_path, file.key + ending, content[: len(content) // 2] if damage == "cut" else b"<html>")
    with pytest.raises(InputError, match=rf"made/table\.csv{ending}: .*{file.sha256}"):
        catalogue.open_file(file.key, [tmp_path])


def test_a_missing_file_says_where_it_was_looked_for(file: DataFile, tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=rf"'{tmp_path}': made/table\.csv is neither there nor as \.gz, .*Put it there: it is "
        r"in data set 'esol', from https://github\.com/a/b/tree/0{40}/data/table\.csv",
    ):
        catalogue.open_file(file.key, [tmp_path])
    with pytest.raises(InputError, match=r"no folder was given: made/table\.csv is neither"):
        catalogue.open_file(file.key, [])


def test_a_file_is_compared_once_until_it_changes(
    file: DataFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(contents, "_compare", lambda found, *_: calls.append(found))
    path = put(tmp_path, file.key, CONTENT)
    for _ in range(3):
        catalogue.open_file(file.key, [tmp_path])
    assert len(calls) == 1
    os.utime(path, ns=(1, 1))
    catalogue.open_file(file.key, [tmp_path])
    assert len(calls) == 2
    assert catalogue.locate(file, [tmp_path]) == path
    assert catalogue.locate(replace(file, key="made/other.csv"), [tmp_path]) is None


def test_listing_the_catalogue_loads_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from kagaku.data.catalogue import list_datasets; list_datasets(); "
        "sys.exit(bool({'torch', 'pandas', 'pyarrow', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_traps_on_the_page_are_those_of_the_cards() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", page.split("## Traps")[1], re.MULTILINE)
    assert len(rows) > 15
    for name, trap in rows:
        assert trap in catalogue.find_dataset(name).traps, name


@pytest.mark.benchmark_data
def test_the_additives_held_out_in_buchwald_hartwig_begin_where_the_card_says() -> None:
    folder = Path(os.environ["KAGAKU_DATA"])
    book = catalogue.open_file(
        "molecules/reaction_yields/Dreher_and_Doyle_input_data.xlsx", [folder]
    )
    for sheet, n_train in {"Test1": 3057, "Test2": 3055, "Test3": 3058, "Test4": 3055}.items():
        additives = pd.read_excel(io.BytesIO(book), sheet_name=sheet)["Additive"]
        assert not set(additives[:n_train]) & set(additives[n_train:]), sheet
        assert set(additives[: n_train + 1]) & set(additives[n_train + 1 :]), sheet
        assert f"{n_train:,}" in catalogue.find_dataset("buchwald-hartwig").split
