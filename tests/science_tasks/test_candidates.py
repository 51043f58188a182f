"""What `auto` tries for a target."""

import numpy as np

from kagaku.data import Input, Records, Schema, Target, TargetValues
from kagaku.science_tasks.candidates import ReadoutCandidate, readout_candidates
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
