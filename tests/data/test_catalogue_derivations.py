"""Deriving files from their sources: from made sources, and back from the real files."""

import hashlib
import io
import json
import os
import pickle
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.data import catalogue
from kagaku.data.catalogue import DataFile
from kagaku.data.catalogue.archives import packed
from kagaku.data.catalogue.derivations import DERIVATIONS, derive
from kagaku.data.catalogue.pickled_splits import pickled_splits, unpickle_lists
from kagaku.errors import InputError

LISTS = [[3, 0, 2], [1], [4, 5]]


def derived(name: str) -> list[DataFile]:
    return [file for file in catalogue.list_files() if file.derivation == name]


def start(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class OldManager:
    """A pickle of the shape that pandas 1.0 wrote: a state of axes and blocks."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __reduce__(self) -> tuple[object, ...]:
        index = pd.RangeIndex(len(self.values))
        blocks = [{"values": self.values, "mgr_locs": slice(0, len(self.values), 1)}]
        state = ([index], [self.values], [index], {"0.14.1": {"axes": [index], "blocks": blocks}})
        return (pd.Series, (), {"_data": state, "name": None})


def old_series(lists: list[list[int]]) -> bytes:
    values = np.empty(len(lists), object)
    values[:] = [np.array(one) for one in lists]
    return pickle.dumps(OldManager(values))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(pd.Series(LISTS)),
        pickle.dumps(pd.Series([np.array(one) for one in LISTS])),
        pickle.dumps(
            pd.Series(LISTS, index=pd.Index(["train", "valid", "test"], dtype=object)), protocol=2
        ),
        old_series(LISTS),
    ],
    ids=["lists", "arrays", "named", "pandas 1"],
)
def test_the_lists_in_a_pickled_series_are_found(content: bytes) -> None:
    assert unpickle_lists(content, 3) == LISTS


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return exec, ("import sys; sys.kagaku_was_here = True",)


@pytest.mark.parametrize("content", [pickle.dumps(Evil()), pickle.dumps(np.load), b"no pickle"])
def test_a_pickle_that_names_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a pickled Series"):
        unpickle_lists(content, 3)
    assert not hasattr(sys, "kagaku_was_here")


def test_a_series_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"without 3 lists of row numbers"):
        unpickle_lists(pickle.dumps(pd.Series([["a"], ["b"], ["c"]])), 3)


def test_nothing_is_read_from_a_pickle_with_another_checksum() -> None:
    file = derived("pickled-splits")[0]
    with pytest.raises(
        InputError,
        match=rf"{file.key}: its source .*\.pkl has sha256 .*'s begins with [0-9a-f]{{16}}\.",
    ):
        pickled_splits(file, lambda _: pickle.dumps(Evil()))
    assert not hasattr(sys, "kagaku_was_here")


def test_row_numbers_are_put_in_order_under_the_split_s_name() -> None:
    content = pickle.dumps(pd.Series(LISTS))
    file = replace(
        derived("pickled-splits")[0],
        sources=("data/ESOL.random7.ind.pkl",),
        source_sha256=(start(content),),
    )
    assert derive(file, lambda _: content) == (
        b'{"random7":{"train":[0,2,3],"valid":[1],"test":[4,5]}}'
    )


def test_a_source_of_another_form_is_told() -> None:
    for name in ("listed-splits", "withheld-answers"):
        file = derived(name)[0]
        with pytest.raises(
            InputError, match=rf"{file.key}: its source .* does not have the form .*Error"
        ):
            derive(file, lambda _: b"<html>")


def test_an_archive_depends_on_nothing_but_its_members() -> None:
    members = [("b/x.txt", b"one"), ("a.txt", b"")]
    assert packed(members) == packed(members)
    with tarfile.open(fileobj=io.BytesIO(packed(members))) as tar:
        assert tar.getnames() == ["b/x.txt", "a.txt"]
        assert {(one.mtime, one.uid, one.uname) for one in tar.getmembers()} == {(0, 0, "")}


def test_matbench_s_folds_are_made_from_the_rule_alone() -> None:
    (file,) = derived("matbench-folds")
    content = derive(file, lambda _: b"")
    assert hashlib.sha256(content).hexdigest() == file.sha256


def read(file: DataFile) -> bytes:
    return catalogue.open_file(file.key, [Path(os.environ["KAGAKU_DATA"])])


def pickles(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    splits = json.loads(content).values()
    made = [pickle.dumps(pd.Series([one[::-1] for one in split.values()])) for split in splits]
    sources = dict(zip(file.sources, made, strict=True))
    return replace(file, source_sha256=tuple(map(start, made))), sources


def lists(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    sources = {}
    for name, split in json.loads(content).items():
        kind = name.partition("_")[0]
        folder = "main" if name == "main" else f"{kind}_extrapolation/{name}"
        for part, rows in split.items():
            text = "".join(f"{row}\n" for row in rows)
            sources[f"{file.sources[0]}/{folder}/{part}.txt"] = text.encode()
    return file, sources


def members(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    root = file.sources[0]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        held = {one.name: tar.extractfile(one) for one in tar.getmembers()}
        sources = {f"{root}/{name}": one.read() for name, one in held.items() if one is not None}
    names = sorted({Path(one).stem for one in held if one.endswith(".jpg")}, reverse=True)
    part = Path(file.key).stem.removeprefix("bccd_")
    sources[f"{root}/ImageSets/Main/{part}.txt"] = "\n".join(names).encode()
    return file, sources


def answered(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    records = json.loads(content)
    test = {number: "maybe" for number, one in records.items() if "final_decision" not in one}
    more = {
        "reasoning_required_pred": "maybe",
        "reasoning_free_pred": "maybe",
        "final_decision": "maybe",
        "LONG_ANSWER": "Nobody knows.",
    }
    full = {number: one | (more if number in test else {}) for number, one in records.items()}
    texts = (json.dumps(one, indent=4).encode() for one in (full, test))
    return file, dict(zip(file.sources, texts, strict=True))


def with_rows(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    heading, *rows = content.splitlines(keepends=True)
    more = [b"CHEMBL1_Ki,SVM,ECFP,0,1,1\n"] if "ACE" in file.key else [b"phonons,1\n"]
    return file, {file.sources[0]: b"".join([heading, *rows[:3], *more, *rows[3:]])}


def grib(file: DataFile, content: bytes) -> tuple[DataFile, dict[str, bytes]]:
    del content
    path = file.sources[0]
    (same,) = [one for one in catalogue.list_files() if one.sources == (path,) and one != file]
    return file, {path: read(same)}


SOURCES = {
    "blood-cell-archive": members,
    "crabnet-results": with_rows,
    "decoded-grib": grib,
    "listed-splits": lists,
    "matbench-folds": lambda file, _: (file, {}),
    "moleculeace-results": with_rows,
    "pickled-splits": pickles,
    "synthesis-archive": members,
    "withheld-answers": answered,
}


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", sorted(DERIVATIONS))
def test_a_derivation_gives_the_catalogued_content_from_a_source_of_the_same_shape(
    name: str,
) -> None:
    files = derived(name)
    assert files
    for file in files:
        changed, sources = SOURCES[name](file, read(file))
        content = derive(changed, sources.__getitem__)
        assert hashlib.sha256(content).hexdigest() == file.sha256, file.key
