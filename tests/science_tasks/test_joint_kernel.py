"""Records of several inputs: a joint kernel learns what one input does depends on another."""

import numpy as np
import pytest
import torch

from kagaku.data.records import EXACT, TargetValues
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.kernels import (
    Component,
    components_of,
    inputs_of,
    mean_kernel,
    n_lengthscales,
    term_bases,
    term_kernel,
    term_missing,
)

RNG = np.random.default_rng(0)
N = 240


def blocks(n: int = N) -> list[FeatureBlock]:
    there = np.ones(n, dtype=bool)
    dense = RNG.standard_normal((n, 2)).astype(np.float32)
    counts = RNG.integers(0, 3, (n, 6)).astype(np.float32)
    return [
        FeatureBlock("ligand:ecfp", counts, "tanimoto", there),
        FeatureBlock("ligand:descriptors", counts[:, :2] - 1, "rbf", there),
        FeatureBlock("temperature:value", dense[:, :1], "rbf", there),
    ]


JOINT = Component(None, "rbf")


def kernel(of: list[FeatureBlock]) -> np.ndarray:
    lengthscales = torch.ones(n_lengthscales(JOINT, of), dtype=torch.float64)
    found: np.ndarray = term_kernel(JOINT, term_bases(JOINT, of, of), lengthscales).numpy()
    return found


def test_a_single_input_has_no_joint_kernel() -> None:
    assert inputs_of(blocks()) == ("ligand", "temperature")
    assert JOINT in components_of(blocks())
    assert JOINT not in components_of(blocks()[:2])
    assert n_lengthscales(JOINT, blocks()) == 2


def test_the_joint_kernel_is_positive_definite_and_no_higher_than_any_input() -> None:
    of = blocks()
    matrix = kernel(of)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    np.testing.assert_allclose(np.diag(matrix), 1)
    temperature = np.exp(-np.square(of[2].values - of[2].values.T) / 2)
    assert (matrix <= temperature + 1e-6).all()


def test_a_record_without_one_input_is_like_no_other() -> None:
    of = blocks(5)
    there = np.array([True, True, False, True, True])
    of[2] = FeatureBlock(of[2].name, of[2].values, "rbf", there)
    assert kernel(of)[2].max() == 0
    assert term_missing(JOINT, of).tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("name", ["gp", "svm"])
def test_an_interaction_is_learnt(name: str) -> None:
    of = blocks()
    values = (of[0].values[:, 0] - 1) * of[2].values[:, 0]
    values = values + 0.05 * RNG.standard_normal(N)
    train, test = np.arange(180), np.arange(180, N)
    readout = READOUTS[name]()
    target = TargetValues(values[train], np.full(len(train), EXACT))
    readout.fit([block.subset(train) for block in of], target, "regression", 0, seed=0)
    given = readout.predict([block.subset(test) for block in of]).mean
    assert given is not None
    explained = 1 - np.square(given - values[test]).mean() / values[test].var()
    # A sum of what each input does by itself explains nothing of a product of centred ones.
    assert explained > 0.6

    again = READOUTS[name]()
    again.load_state(readout.state())
    repeated = again.predict([block.subset(test) for block in of]).mean
    assert repeated is not None
    np.testing.assert_allclose(repeated, given, rtol=1e-6)


def test_similarity_for_neighbours_stays_a_mean() -> None:
    of = blocks(4)
    plain, joint = mean_kernel(of, of), mean_kernel(of, of, is_joint=True)
    np.testing.assert_allclose(joint, (plain + kernel(of)) / 2)


def test_neighbours_are_told_without_the_fingerprints_for_fitted_kernels() -> None:
    of = blocks(60)
    extra = FeatureBlock(
        "ligand:pairs",
        RNG.integers(0, 3, (60, 9)).astype(np.float32),
        "tanimoto",
        np.ones(60, dtype=bool),
        for_kernels=True,
    )
    answers = []
    for several in (of, [*of, extra]):
        readout = READOUTS["nearest"]()
        target = TargetValues(np.arange(60.0), np.full(60, EXACT))
        readout.fit(several, target, "regression", 0, seed=0)
        mean = readout.predict(several).mean
        assert mean is not None
        answers.append(mean)
    np.testing.assert_array_equal(answers[0], answers[1])
