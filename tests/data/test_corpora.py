"""Shards, their arrays and the manifest: what is written comes back, and damage is told."""

import json
import pickle
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset

from kagaku.data.corpora import VALID, Corpus, Manifest, SourceInfo
from kagaku.data.corpora.encoding import decode_sample, encode_sample
from kagaku.data.corpora.manifest import DescriptorScale, StepCount
from kagaku.data.corpora.shards import EncodedSample, write_shards
from kagaku.data.corpora.storage import save_manifest
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError

FIELD = Field(
    values=np.array([[[1.5, np.nan], [0.25, -3.0]]], dtype=np.float32),
    names=("eastward_wind",),
    units=("m s-1",),
    latitudes=np.array([10.1, -10.0]),
    longitudes=np.array([0.0, 2.5]),
    time=12345.5,
    day_of_year=0.25,
)

left_to_the_collector = pytest.mark.filterwarnings(
    # webdataset does not close the last shard that it opened.
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
)


def encoded(number: int) -> EncodedSample:
    inputs = {"molecule": "C" * (number + 1), "text": f"chain of {number + 1} carbons"}
    return EncodedSample(
        encode_sample(f"chains-{number:09d}", f"chains:{number}", "chains", inputs),
        np.array([number + 3, 7], dtype=np.int32),
        np.array([number, np.nan], dtype=np.float32),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 40 chains in several shards and 3 for validation."""
    folder = tmp_path_factory.mktemp("corpus")
    source = SourceInfo(
        name="chains",
        origin="a test",
        version="1",
        licence="CC0",
        inputs={"molecule": "molecule", "text": "text"},
        steps=(StepCount("read", 43, 43),),
        n_tokens=1000,
        train=write_shards((encoded(i) for i in range(40)), folder, "chains-train", 8_000),
        valid=write_shards((encoded(i) for i in range(40, 43)), folder, "chains-valid", 8_000),
    )
    scale = DescriptorScale(("one", "two"), (0.0, 1.0), (1.0, 2.0))
    save_manifest(Manifest("test", 3, (source,), scale, {"a set": 2}, ("a note",)), folder)
    return folder


@pytest.fixture
def corpus(made: Path, tmp_path: Path) -> Corpus:
    """A copy that a test may damage."""
    shutil.copytree(made, tmp_path / "copy")
    return Corpus.open(tmp_path / "copy")


@pytest.mark.parametrize(
    "value",
    [
        "C[C@H](N)C(=O)O",
        "Ein Text mit „Zeichen“ 分子\nund Zeile",
        Quantity("lead time", 30.436875, "day"),
        np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
        np.arange(16, dtype=np.uint8).reshape(4, 4, 1),
        np.arange(32, dtype=np.float32).reshape(4, 4, 2),
        np.arange(16, dtype=np.uint16).reshape(4, 4, 1),
    ],
    ids=["molecule", "text", "quantity", "colour", "grey", "two channels", "16 bit"],
)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    sample = decode_sample(encode_sample("k", "s:1", "s", {"first": "x", "input": value}))
    assert (sample.id, sample.source, sample.inputs["first"]) == ("s:1", "s", "x")
    back = sample.inputs["input"]
    if isinstance(value, np.ndarray):
        assert back.dtype == value.dtype
        np.testing.assert_array_equal(back, value)
    else:
        assert back == value


def test_a_field_comes_back_with_its_coordinates_and_gaps() -> None:
    back = decode_sample(encode_sample("k", "s:1", "s", {"climate": FIELD, "later": FIELD}))
    for name in ("climate", "later"):
        field = back.inputs[name]
        for told in ("names", "units", "time", "day_of_year"):
            assert getattr(field, told) == getattr(FIELD, told)
        for array in ("values", "latitudes", "longitudes"):
            np.testing.assert_array_equal(getattr(field, array), getattr(FIELD, array))


def test_every_sample_is_read_by_its_index(corpus: Corpus) -> None:
    assert len(corpus.source("chains").train) > 2
    assert (corpus.n_samples("chains"), corpus.n_samples("chains", VALID)) == (40, 3)
    for index in (39, 0, 17):
        sample = corpus.read("chains", index)
        assert sample.inputs["molecule"] == "C" * (index + 1)
        assert corpus.id_of("chains", index) == sample.id == f"chains:{index}"
        assert sample.descriptors is not None
        np.testing.assert_array_equal(sample.descriptors, np.array([index, np.nan], np.float32))
    assert corpus.read("chains", 2, VALID).id == "chains:42"


def test_lengths_stand_in_the_order_of_the_samples(corpus: Corpus) -> None:
    lengths = corpus.lengths("chains")
    assert lengths.dtype == np.int32
    np.testing.assert_array_equal(lengths[:, 0], np.arange(40) + 3)
    assert corpus.lengths("chains", VALID).shape == (3, 2)


def test_a_corpus_that_was_read_from_can_be_sent_to_another_process(corpus: Corpus) -> None:
    corpus.read("chains", 0)
    other = pickle.loads(pickle.dumps(corpus))
    assert other.read("chains", 39).id == "chains:39"
    assert corpus.read("chains", 1).id == "chains:1"


def test_closing_gives_the_files_back(corpus: Corpus) -> None:
    before = _n_open_files()
    corpus.read("chains", 0)
    corpus.close()
    assert _n_open_files() == before
    assert corpus.read("chains", 0).id == "chains:0"


def _n_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@left_to_the_collector
def test_plain_webdataset_reads_the_shards(corpus: Corpus) -> None:
    shards = [str(corpus.folder / one.file) for one in corpus.source("chains").train]
    dataset = webdataset.WebDataset(shards, shardshuffle=False).decode()
    found = [sample["json"]["inputs"]["molecule"] for sample in dataset]
    assert found == ["C" * (i + 1) for i in range(40)]


@left_to_the_collector
def test_arrays_are_members_that_webdataset_decodes(tmp_path: Path) -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    members = encode_sample("k", "s:1", "s", {"climate": FIELD, "image": picture})
    sample = EncodedSample(members, np.array([1, 1], dtype=np.int32), None)
    (shard,) = write_shards(iter([sample]), tmp_path, "s-train", 1_000)
    (read,) = webdataset.WebDataset(str(tmp_path / shard.file), shardshuffle=False).decode("rgb8")
    np.testing.assert_array_equal(read["climate.npy"], FIELD.values)
    np.testing.assert_array_equal(read["image.png"], picture)


def test_members_carry_no_time_and_no_owner(corpus: Corpus) -> None:
    with tarfile.open(corpus.folder / corpus.source("chains").train[0].file) as shard:
        for member in shard:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")


def test_a_wrong_source_part_or_index_is_told(corpus: Corpus) -> None:
    with pytest.raises(InputError, match=r"no source 'chain'. Did you mean 'chains'\?"):
        corpus.read("chain", 0)
    with pytest.raises(InputError, match=r"no part 'test'. Choose from \['train', 'valid'\]"):
        corpus.n_samples("chains", "test")
    with pytest.raises(InputError, match=r"'chains' has no valid sample 3. Use 0 to 2"):
        corpus.read("chains", 3, VALID)
    with pytest.raises(InputError, match=r"'chains' has no train sample -1"):
        corpus.id_of("chains", -1)


def test_a_folder_without_manifest_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest.json.*it goes on where it stopped"):
        Corpus.open(tmp_path)
    with pytest.raises(InputError, match=r"no such folder. Build a corpus first"):
        Corpus.open(tmp_path / "nothing")


def test_a_damaged_manifest_is_told(corpus: Corpus) -> None:
    path = corpus.folder / "manifest.json"
    stored = json.loads(path.read_text())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"manifest.json: the manifest is damaged"):
        Corpus.open(corpus.folder)
    path.write_text(json.dumps(stored | {"format_version": 99}))
    with pytest.raises(InputError, match=r"has format 99, and this kagaku reads format 1"):
        Corpus.open(corpus.folder)
    path.write_text(json.dumps(stored | {"colour": "red"}))
    with pytest.raises(InputError, match=r"unknown entries \['colour'\]"):
        Corpus.open(corpus.folder)


def test_a_missing_cut_or_foreign_file_is_told(corpus: Corpus) -> None:
    shard = corpus.folder / corpus.source("chains").train[1].file
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"000001.tar: the shard has .* bytes, the manifest says"):
        Corpus.open(corpus.folder)
    shard.write_bytes(content)
    offsets = corpus.folder / "chains-train-000001.offsets.npy"
    np.save(offsets, np.arange(3))
    with pytest.raises(InputError, match=r"the offsets do not belong to the shard"):
        Corpus.open(corpus.folder)
    offsets.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"the array is damaged"):
        Corpus.open(corpus.folder)
    offsets.unlink()
    with pytest.raises(InputError, match=r"a file that the manifest lists is missing"):
        Corpus.open(corpus.folder)


def test_a_flipped_byte_is_found_by_checksum_and_while_reading(corpus: Corpus) -> None:
    corpus.verify()
    shard = corpus.folder / corpus.source("chains").train[0].file
    content = bytearray(shard.read_bytes())
    content[512] = ord("x")  # the first letter of the first sample's JSON
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"000000.tar: the checksum is .* the manifest says"):
        corpus.verify()
    with pytest.raises(InputError, match=r"sample 0 is damaged .*--verify"):
        corpus.read("chains", 0)


def test_ten_thousand_molecules_are_read_in_a_second(tmp_path: Path) -> None:
    samples = (
        EncodedSample(
            encode_sample(f"m-{i:09d}", f"m:{i}", "m", {"molecule": "CCOc1ccc2nc(N)sc2c1"}),
            np.array([20], dtype=np.int32),
            np.zeros(100, dtype=np.float32),
        )
        for i in range(5_000)
    )
    shards = write_shards(samples, tmp_path, "m-train", 64_000_000)
    source = SourceInfo("m", "", "", "", {"molecule": "molecule"}, (), 0, shards, ())
    save_manifest(Manifest("m", 0, (source,)), tmp_path)
    # In a process of its own, since the shape checks that tests have take most of the time.
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom kagaku.data.corpora import Corpus\n"
        "corpus = Corpus.open(Path(sys.argv[1]))\nbest = 0.0\n"
        "for start in range(0, 5_000, 500):\n"
        "    began = time.perf_counter()\n"
        "    for index in range(start, start + 500):\n"
        "        corpus.read('m', index)\n"
        "    best = max(best, 500 / (time.perf_counter() - began))\nprint(best)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) > 10_000


def test_builds_of_the_same_samples_are_known_whatever_their_bytes(made: Path) -> None:
    manifest = Corpus.open(made).manifest
    (source,), scale = manifest.sources, manifest.descriptors
    assert scale is not None
    assert manifest.unlike_shards(manifest) == ()
    shards = (replace(source.train[0], sha256="0" * 64, n_bytes=7), *source.train[1:])
    near = replace(scale, mean=tuple(one * (1 + 1e-9) for one in scale.mean))
    other = replace(manifest, sources=(replace(source, train=shards),), descriptors=near)
    assert manifest.unlike_shards(other) == ("chains",)
    assert manifest.digest() != other.digest()
    far = replace(scale, mean=tuple(one + 1 for one in scale.mean))
    fewer = (replace(shards[0], n_samples=shards[0].n_samples - 1), *shards[1:])
    for unlike in (
        replace(manifest, descriptors=None),
        replace(manifest, descriptors=far),
        replace(manifest, descriptors=replace(scale, names=("other", *scale.names[1:]))),
        replace(manifest, seed=manifest.seed + 1),
        replace(manifest, sources=(replace(source, train=fewer),)),
        replace(manifest, sources=(replace(source, version="2"),)),
    ):
        assert manifest.unlike_shards(unlike) is None
