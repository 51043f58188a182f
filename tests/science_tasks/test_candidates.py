"""What `auto` tries for a target."""

import numpy as np

from kagaku.data import Input, Records, Schema, Target, TargetValues
from kagaku.science_tasks.candidate_kinds import ReadoutCandidate
from kagaku.science_tasks.candidates import LARGEST_TABLE, readout_candidates, within_reach
from kagaku.science_tasks.features import FeatureBlock

TARGET = Target("y", "y", "regression")


def names(modality: str, blocks: list[str], *, learned_inputs: tuple[str, ...] = ()) -> list[str]:
    return [one.name for one in candidates(modality, blocks, learned_inputs)]


def candidates(
    modality: str, blocks: list[str], learned_inputs: tuple[str, ...]
) -> list[ReadoutCandidate]:
    records = Records(
        schema=Schema((Input("x", "x", modality), Input("z", "z", modality)), (TARGET,)),
        inputs={"x": ["a", "b"], "z": ["a", "b"]},
        targets={"y": TargetValues(np.zeros(2), np.zeros(2, dtype=np.int64))},
        rows=np.array([2, 3]),
        source="lab.csv",
    )
    present = np.ones(2, dtype=bool)
    made = [FeatureBlock(name, np.zeros((2, 3)), "rbf", present) for name in blocks]
    found = readout_candidates(records, TARGET, made, learned_inputs=learned_inputs, seed=0)
    return [one for one in found if isinstance(one, ReadoutCandidate)]


def test_the_classical_model_of_the_domain_is_tried_on_its_own_features() -> None:
    assert "forest on ecfp alone" in names("molecule", ["x:ecfp", "x:descriptors"])
    assert "linear on onehot alone" in names("protein", ["x:onehot", "x:kmers"])


def test_nothing_is_tried_twice_where_the_classical_features_are_all_there_are() -> None:
    found = names("text", ["x:tfidf"])
    assert not any("alone" in name for name in found)
    assert len(found) == len(set(found))


def test_random_embeddings_are_called_untrained_and_get_one_readout() -> None:
    found = names("text", ["x:tfidf", "x:embedding"])
    assert [name for name in found if "embeddings" in name] == [
        "linear on untrained embeddings",
        "linear on classical features + untrained embeddings",
    ]


def test_beside_learnt_embeddings_random_ones_are_read_only_where_nothing_else_is_known() -> None:
    def read(blocks: list[str]) -> tuple[str, ...]:
        found = {one.name: one for one in candidates("text", blocks, ("x",))}
        return tuple(block.name for block in found["gp on embeddings"].blocks)

    both = ["x:embedding", "z:embedding"]
    assert read(["x:tfidf", "z:tfidf", *both]) == ("x:embedding",)
    assert read(["x:tfidf", *both]) == ("x:embedding", "z:embedding")


def test_without_any_classical_feature_the_embeddings_are_all_that_is_tried() -> None:
    assert names("text", ["x:embedding", "z:embedding"]) == ["linear on untrained embeddings"]


def test_readouts_whose_cost_explodes_are_left_out_of_large_tables_with_the_reason() -> None:
    found = candidates("material", ["x:magpie", "x:fractions"], ())
    assert within_reach(found, 1_000) == (found, {})
    kept, skipped = within_reach(found, 50_000)
    assert [one.name.split()[0] for one in kept if "on classical" in one.name] == [
        "linear", "forest", "trees",
    ]  # fmt: skip
    assert skipped["svm on classical features"] == (
        f"not tried: 50,000 records are more than {LARGEST_TABLE['svm']:,}"
    )
    assert len(kept) + len(skipped) == len(found)


def test_a_log_scale_is_tried_where_training_values_ask_for_one() -> None:
    values = np.exp(np.random.default_rng(0).standard_normal(100) * 2)
    present = np.ones(100, dtype=bool)
    block = FeatureBlock("x:descriptors", np.zeros((100, 3)), "rbf", present)
    records = Records(
        schema=Schema((Input("x", "x", "molecule"),), (TARGET,)),
        inputs={"x": ["a"] * 100},
        targets={"y": TargetValues(values, np.zeros(100, dtype=np.int64))},
        rows=np.arange(100),
        source="lab.csv",
    )

    def tried(train_index: np.ndarray | None) -> set[str]:
        found = readout_candidates(
            records, TARGET, [block], learned_inputs=(), seed=0, train_index=train_index
        )
        return {one.name.partition(" on ")[0] for one in found}

    assert {"log-gp", "log-trees"} <= tried(np.arange(80))
    assert not {"log-gp", "log-trees"} & tried(np.flatnonzero((values > 0.5) & (values < 2)))
    assert not {"log-gp", "log-trees"} & tried(None)


def test_many_labels_count_as_so_many_tables() -> None:
    found = candidates("molecule", ["x:ecfp", "x:descriptors"], ())
    kept, skipped = within_reach(found, 6_264, 12)
    assert {one.name.split()[0] for one in kept} == {"linear", "forest", "trees"}
    assert skipped["gp on classical features"] == (
        "not tried: 6,264 records with 12 labels are more than 8,000"
    )
    assert within_reach(found, 1_141, 27)[1] == {}
