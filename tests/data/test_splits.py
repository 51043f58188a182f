"""Splits: reproducible, honest about duplicates, and told in words."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.data import (
    Input,
    Records,
    Schema,
    SplitConfig,
    Target,
    TargetValues,
    cross_validation_folds,
    identity_keys,
    split_records,
)
from kagaku.data.folds import SplitKind
from kagaku.data.grouping import sequence_groups
from kagaku.data.splits import SPLIT_KINDS
from kagaku.errors import InputError

RINGS = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccoc1", "c1ccsc1", "C1CCNCC1", "c1cnccn1",
         "C1CCOC1", "c1ccc2ccccc2c1", "c1ccc2[nH]ccc2c1", "C1CC1", "C1CCC1"]  # fmt: skip
RESIDUES = list("ACDEFGHIKLMNPQRSTVWY")


def records_of(values: list[object], modality: str = "text", **more: object) -> Records:
    n_records = len(values)
    group, times, classes = more.get("groups"), more.get("times"), more.get("classes")
    lead = more.get("lead")
    assert lead is None or isinstance(lead, str)
    target = Target("y", "y", "binary" if classes is not None else "regression", classes=("0", "1"))
    measured = np.arange(n_records) if classes is None else np.asarray(classes)
    return Records(
        schema=Schema((Input("x", "x", modality),), (target,), group="g", time="t", lead=lead),
        inputs={"x": values},
        targets={"y": TargetValues(measured.astype(float), np.zeros(n_records, dtype=np.int64))},
        rows=np.arange(2, n_records + 2),
        source="lab.csv",
        groups=None if group is None else np.array(group, dtype=object),
        times=None if times is None else np.asarray(times, dtype=float),
    )


def molecules(n_records: int = 120) -> Records:
    chains = ["C" * length for length in range(1, 12)]
    return records_of(
        [f"{chains[i % 11]}{RINGS[i % 12]}" for i in range(n_records)], modality="molecule"
    )


def proteins(seed: int = 0) -> tuple[Records, np.ndarray]:
    """Return 15 families of 4 sequences that differ in two residues, and the family of each."""
    rng = np.random.default_rng(seed)
    sequences: list[object] = []
    for family in range(15):
        parent = rng.choice(RESIDUES, 60 + family)
        for _ in range(4):
            child = parent.copy()
            child[rng.integers(len(child), size=2)] = rng.choice(RESIDUES, 2)
            sequences.append("".join(child))
    return records_of(sequences, modality="protein"), np.repeat(np.arange(15), 4)


def straddling(records: Records, first: np.ndarray, second: np.ndarray) -> set[str]:
    keys = np.array(identity_keys(records))
    return set(keys[first]) & set(keys[second])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), min_size=12, max_size=60),
    st.integers(0, 10),
    st.sampled_from(["random", "group", "time"]),
)
def test_duplicates_never_straddle_a_split(values: list[str], seed: int, kind: str) -> None:
    if len(set(values)) < 3:
        values += ["a", "b", "c"]
    groups = [f"g{i // 2}" for i in range(len(values))] if kind == "group" else None
    records = records_of(list(values), groups=groups, times=range(len(values)))
    wanted = next(known for known in SPLIT_KINDS if known == kind)
    try:
        split = split_records(records, SplitConfig(wanted, 0.25, seed))
    except InputError as error:
        assert "belong together" in str(error) or "no record is left" in str(error)  # noqa: PT017
        return
    assert not straddling(records, split.train, split.test)
    assert not set(split.train.tolist()) & set(split.test.tolist())
    again = split_records(records, SplitConfig(wanted, 0.25, seed))
    assert again.test.tolist() == split.test.tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(2, 5), st.integers(0, 9))
def test_folds_are_a_partition_without_straddling(
    values: list[int], n_folds: int, seed: int
) -> None:
    values += list(range(6))
    records = records_of([str(value) for value in values])
    indices = np.arange(3, len(values))
    folds = cross_validation_folds(records, indices, n_folds, seed)
    assert sorted(np.concatenate(folds).tolist()) == indices.tolist()
    for fold in folds:
        assert not straddling(records, fold, np.setdiff1d(indices, fold))


def test_two_smiles_of_one_molecule_are_one_sample() -> None:
    records = records_of(["OCC", "CCO", "C(C)O", "CCN", "C*C", "not a molecule"], "molecule")
    keys = identity_keys(records)
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == 4


def test_the_seed_decides_and_nothing_else() -> None:
    records = records_of([str(i) for i in range(100)])
    tests = [
        split_records(records, SplitConfig("random", seed=seed)).test.tolist() for seed in (0, 0, 1)
    ]
    assert tests[0] == tests[1] != tests[2]
    assert len(tests[0]) == 20


def test_scaffolds_stay_on_one_side_and_the_seed_changes_which() -> None:
    records = molecules()
    first, second = (split_records(records, SplitConfig("scaffold", seed=seed)) for seed in (0, 1))
    rings = np.arange(120) % 12
    assert not set(rings[first.train]) & set(rings[first.test])
    assert set(rings[first.test]) != set(rings[second.test])
    assert len(first.test) == pytest.approx(24, abs=10)


def test_families_of_sequences_stay_on_one_side() -> None:
    records, family = proteins()
    split = split_records(records, SplitConfig("sequence"))
    assert not set(family[split.train]) & set(family[split.test])
    assert len(split.test) == pytest.approx(12, abs=4)


def test_minhash_families_are_the_true_ones() -> None:
    records, family = proteins()
    groups = sequence_groups(records.inputs["x"])
    assert groups.tolist() == family.tolist()
    assert sequence_groups([None, "MK", "MK", None, "MA"]).tolist() == [0, 1, 1, 2, 3]


VARIANTS = records_of([f"MKTAYIAK{a}{b}" for a in RESIDUES for b in "ACD"], "protein")
CHAINS = records_of(["C" * i for i in range(1, 30)], "molecule")


@pytest.mark.parametrize(
    ("records", "kind", "reason"),
    [
        (molecules(), "scaffold", "12 molecular scaffolds"),
        (proteins()[0], "sequence", "15 families"),
        (VARIANTS, "random", "aligned variants"),
        (CHAINS, "random", "1 molecular scaffolds"),
        (records_of(list("abcdefghij"), times=range(10)), "time", "the last ones are the test"),
        (records_of(list("abcdefghij"), groups=list("aabbccddee")), "group", "groups the rows"),
        (records_of(list("abcdefghij")), "random", "nothing in the inputs"),
    ],
)  # fmt: skip
def test_auto_chooses_by_the_data_and_says_why(records: Records, kind: str, reason: str) -> None:
    split = split_records(records)
    assert split.kind == kind
    assert reason in split.reason


def test_groups_stay_on_one_side_and_empty_cells_stand_alone() -> None:
    groups = [None if i % 10 == 0 else f"g{i // 5}" for i in range(60)]
    split = split_records(
        records_of([str(i) for i in range(60)], groups=groups), SplitConfig("group")
    )
    sides = [{groups[i] for i in side} - {None} for side in (split.train, split.test)]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize("kind", ["random", "scaffold"])
def test_a_group_column_is_kept_together_whatever_the_split(kind: SplitKind) -> None:
    smiles = list(molecules().inputs["x"])
    patients = [f"p{i % 12 // 2}" for i in range(len(smiles))]  # each has two scaffolds
    records = records_of(smiles, modality="molecule", groups=patients)
    split = split_records(records, SplitConfig(kind))
    sides = [{patients[i] for i in side} for side in (split.train, split.test)]
    assert not sides[0] & sides[1]
    assert "rows of one 'g' stay on one side" in split.reason


def test_both_sides_get_their_share_of_a_rare_class() -> None:
    classes = [1 if i % 20 == 0 else 0 for i in range(200)]
    records = records_of([str(i) for i in range(200)], classes=classes)
    for seed in range(5):
        test = split_records(records, SplitConfig("random", seed=seed)).test
        assert np.asarray(classes)[test].sum() == 2
        folds = cross_validation_folds(records, np.arange(200), 5, seed)
        assert [int(np.asarray(classes)[fold].sum()) for fold in folds] == [2] * 5


def test_a_split_by_time_leaves_a_gap_of_the_lead() -> None:
    times = np.arange(40) * 30.5
    records = records_of([str(i) for i in range(40)], times=times, lead="3 months")
    split = split_records(records, SplitConfig("time", test_fraction=0.25))
    assert split.test.tolist() == list(range(30, 40))
    assert times[split.train[-1]] + 92 < times[30]
    assert "targets lie in it" in split.reason
    steps = records_of([str(i) for i in range(40)], times=times, lead="2 steps")
    assert split_records(steps, SplitConfig("time", 0.25)).train.tolist() == list(range(28))


def test_folds_of_a_grid_are_blocks_of_time() -> None:
    records = records_of([str(i) for i in range(20)], times=range(20))
    folds = cross_validation_folds(records, np.arange(20), 4, kind="time")
    assert [fold.tolist() for fold in folds] == [list(range(i, i + 5)) for i in range(0, 20, 5)]


def split_file(tmp_path: Path, content: object, **options: str) -> SplitConfig:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(content))
    return SplitConfig("file", path=path, name=options.get("name"))


def test_a_file_of_indices_is_kept_and_duplicates_are_told(tmp_path: Path) -> None:
    records = records_of(["a", "b", "c", "d", "a", "e"])
    config = split_file(tmp_path, {"train": [0, 1], "valid": [2], "test": [4, 3]})
    split = split_records(records, config)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 2], [3, 4])
    assert "1 test records have a duplicate" in split.reason
    assert "1 records are in neither" in split.reason


def ringed(n_records: int) -> Records:
    """Return molecules of many scaffolds, two of each."""
    rings: list[object] = [
        f"C1{'C' * size}1{'C' * tail}" for size in range(2, 42) for tail in (0, 1)
    ]
    return records_of(rings[:n_records], modality="molecule")


def test_folds_mimic_the_scaffolds_that_a_file_keeps_apart(tmp_path: Path) -> None:
    apart = {"train": list(range(40)), "test": list(range(40, 80))}
    split = split_records(ringed(80), split_file(tmp_path, apart))
    assert (split.kind, split.keeps_apart) == ("file", "scaffold")
    assert "scaffolds of 'x' do not stand on both sides" in split.reason


def test_folds_are_random_where_a_file_mixes_scaffolds_or_holds_too_few(tmp_path: Path) -> None:
    mixed = {"train": list(range(0, 80, 2)), "test": list(range(1, 80, 2))}
    assert split_records(ringed(80), split_file(tmp_path, mixed)).keeps_apart == "random"
    few = {"train": list(range(60)), "test": list(range(60, 80))}
    assert split_records(ringed(80), split_file(tmp_path, few)).keeps_apart == "random"


def test_folds_mimic_the_families_and_the_groups_that_a_file_keeps_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lone: list[object] = ["".join(rng.choice(RESIDUES, size=50)) for _ in range(50)]
    sides = {"train": list(range(25)), "test": list(range(25, 50))}
    records = records_of(lone, modality="protein")
    assert split_records(records, split_file(tmp_path, sides)).keeps_apart == "sequence"
    batches = ["a"] * 25 + ["b"] * 25
    texts = records_of([f"text {i}" for i in range(50)], groups=batches)
    assert split_records(texts, split_file(tmp_path, sides)).keeps_apart == "group"


def test_a_file_counts_positions_also_after_rows_were_dropped(tmp_path: Path) -> None:
    records = records_of(list("abcdef")).subset([0, 2, 3, 5])
    split = split_records(records, split_file(tmp_path, {"train": [0, 1, 2], "test": [3, 5]}))
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2, 3])


def test_a_file_may_hold_several_splits_by_name(tmp_path: Path) -> None:
    several = {"one": {"train": [0], "test": [1]}, "two": {"train": [1], "test": [0]}}
    records = records_of(list("ab"))
    assert split_records(records, split_file(tmp_path, several, name="two")).test.tolist() == [0]
    with pytest.raises(InputError, match="holds 2 splits"):
        split_records(records, split_file(tmp_path, several))
    with pytest.raises(InputError, match="Did you mean 'two'"):
        split_records(records, split_file(tmp_path, several, name="tow"))


def test_a_column_of_a_table_may_give_the_split(tmp_path: Path) -> None:
    path = tmp_path / "lab.csv"
    pd.DataFrame({"x": list("abc"), "set": ["train", "valid", "test"]}).to_csv(path, index=False)
    split = split_records(records_of(list("abc")), SplitConfig("file", path=path))
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"train": [0, 9], "test": [1]}, "the index 9 lies outside the records 0 to 3"),
        ({"train": [-1], "test": [1]}, "the index -1 lies outside"),
        ({"train": [0, 1], "test": [1]}, "1 records are in train and in test"),
        ({"train": [0, 0], "test": [1]}, "an index comes twice"),
        ({"train": [0, 1]}, "no record is left for test"),
        ({"train": "0-3", "test": [1]}, "no list of whole numbers"),
        ([0, 1], "no lists by name"),
    ],
)
def test_wrong_split_files_are_refused(tmp_path: Path, content: object, text: str) -> None:
    with pytest.raises(InputError, match=text):
        split_records(records_of(list("abcd")), split_file(tmp_path, content))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("scaffold", "needs a molecule"),
        ("sequence", "needs a protein or nucleotide"),
        ("group", "needs a group column"),
        ("time", "needs a time column"),
    ],
)
def test_splits_that_the_data_do_not_allow_are_refused(kind: str, text: str) -> None:
    wanted = next(known for known in SPLIT_KINDS if known == kind)
    with pytest.raises(InputError, match=text):
        split_records(records_of(list("abcdefghijkl")), SplitConfig(wanted))


def test_records_that_all_belong_together_cannot_be_split() -> None:
    with pytest.raises(InputError, match="all of them belong together"):
        split_records(records_of(["same"] * 10), SplitConfig("random"))
    with pytest.raises(InputError, match="1 different records cannot be dealt into 2 folds"):
        cross_validation_folds(records_of(["same"] * 10), np.arange(10), 2, 0)


def test_settings_are_checked_where_they_are_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test_fraction is 1.5"):
        SplitConfig(test_fraction=1.5)
    with pytest.raises(InputError, match="needs the path"):
        SplitConfig("file")
    with pytest.raises(InputError, match="needs the path"):
        SplitConfig("random", path=tmp_path)


def test_with_few_scaffolds_each_fold_holds_out_one_of_them() -> None:
    rings = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CCOC1"]
    smiles: list[object] = [f"{'C' * (1 + i)}{ring}" for ring in rings for i in range(8)]
    folds = cross_validation_folds(
        records_of(smiles, "molecule"), np.arange(len(smiles)), 5, kind="scaffold"
    )
    assert len(folds) == len(rings)
    for fold in folds:
        assert len({int(index) // 8 for index in fold}) == 1
