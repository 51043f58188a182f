"""What `auto` tries for a target."""

import numpy as np

from kagaku.data import Input, Records, Schema, Target, TargetValues
from kagaku.science_tasks.candidates import readout_candidates
from kagaku.science_tasks.features import FeatureBlock

TARGET = Target("y", "y", "regression")


def names(modality: str, blocks: list[str]) -> list[str]:
    records = Records(
        schema=Schema((Input("x", "x", modality),), (TARGET,)),
        inputs={"x": ["a", "b"]},
        targets={"y": TargetValues(np.zeros(2), np.zeros(2, dtype=np.int64))},
        rows=np.array([2, 3]),
        source="lab.csv",
    )
    present = np.ones(2, dtype=bool)
    made = [FeatureBlock(name, np.zeros((2, 3)), "rbf", present) for name in blocks]
    return [
        one.name for one in readout_candidates(records, TARGET, made, is_pretrained=False, seed=0)
    ]


def test_the_classical_model_of_the_domain_is_tried_on_its_own_features() -> None:
    assert "forest on ecfp alone" in names("molecule", ["x:ecfp", "x:descriptors"])
    assert "linear on onehot alone" in names("protein", ["x:onehot", "x:kmers"])


def test_nothing_is_tried_twice_where_the_classical_features_are_all_there_are() -> None:
    found = names("text", ["x:tfidf"])
    assert not any("alone" in name for name in found)
    assert len(found) == len(set(found))
