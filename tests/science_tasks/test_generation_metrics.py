"""Scores of generated molecules, against examples worked by hand and the reference package."""

import builtins
import math
from typing import Any

import numpy as np
import pytest
from fcd import calculate_frechet_distance

from kagaku.errors import InputError
from kagaku.science_tasks.generation_metrics import (
    canonical_or_none,
    chemnet,
    frechet_chemnet_distance,
    frechet_distance,
    generation_scores,
    internal_diversity,
)


def test_scores_are_as_worked_out_by_hand() -> None:
    generated = ["CCO", "OCC", "c1ccccc1", "C1CC", "", "CC(C)(C)(C)C", "N"]
    scores = generation_scores(generated, training={"c1ccccc1", "CCCC"})
    assert scores.n_generated == 7
    assert scores.validity == pytest.approx(4 / 7)
    assert scores.uniqueness == pytest.approx(3 / 4)
    assert scores.novelty == pytest.approx(2 / 3)
    # Three molecules without a common environment: only the pairs with themselves are alike.
    assert scores.internal_diversity == pytest.approx(1 - 3 / 9)


def test_nothing_valid_gives_no_number() -> None:
    scores = generation_scores(["C1CC", "("], training=set())
    assert scores.validity == 0
    assert math.isnan(scores.uniqueness)
    assert math.isnan(scores.novelty)
    assert math.isnan(scores.internal_diversity)


def test_a_set_of_one_molecule_has_no_diversity() -> None:
    assert internal_diversity(["CCO"] * 5) == pytest.approx(0, abs=1e-12)


def test_a_molecule_is_canonical_or_none() -> None:
    assert canonical_or_none("OCC") == "CCO"
    assert canonical_or_none("caffeine") is None


def test_the_distance_of_two_normals_is_as_in_the_formula() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0.0, 1.0, (200_000, 1))
    second = rng.normal(3.0, 2.0, (200_000, 1))
    # (0 - 3)^2 + (1 - 2)^2; sampling errors of a mean and a spread are a few thousandths.
    assert frechet_distance(first, second) == pytest.approx(10.0, abs=0.1)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_distance_is_that_of_the_reference_package() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(60, 8)), 0.3 + 1.5 * rng.normal(size=(50, 8))
    expected = calculate_frechet_distance(
        first.mean(axis=0), np.cov(first.T), second.mean(axis=0), np.cov(second.T)
    )
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-6)


def test_alcohols_are_nearer_to_alcohols_than_to_arenes() -> None:
    alcohols = ["CO", "CCO", "CCCO", "CC(C)O", "CCCCO", "CCC(C)O", "OCC(C)C", "CC(O)CC"]
    arenes = ["c1ccccc1", "Cc1ccccc1", "Clc1ccccc1", "Fc1ccccc1", "Brc1ccccc1", "Nc1ccccc1"]
    features = chemnet()
    near = frechet_chemnet_distance(alcohols[::2], alcohols[1::2], features)
    far = frechet_chemnet_distance(alcohols, [*arenes, "no molecule"], features)
    assert 0 <= near < far


def test_one_molecule_has_no_distribution() -> None:
    with pytest.raises(InputError, match=r"at least 2 molecules, got 1.*Generate more"):
        frechet_chemnet_distance(["CCO", "C1CC"], ["C", "CC"])
    with pytest.raises(InputError, match=r"at least 2 molecules, got 1"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "fcd":
            raise ImportError(name)
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs the package fcd.*kagaku\[generation\]"):
        chemnet()
