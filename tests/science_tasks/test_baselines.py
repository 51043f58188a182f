"""The simple answers that stand beside every result."""

from typing import Any

import numpy as np
import pytest

from kagaku.data.records import Field, Records, TargetValues
from kagaku.data.schema import Input, Kind, Schema, Target
from kagaku.science_tasks.baselines import baseline_candidates
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.selection import Candidate

N = 60
RNG = np.random.default_rng(0)


def known(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


def records(modality: str, target: Target, values: TargetValues, cells: list[Any]) -> Records:
    schema = Schema((Input("x", "x", modality),), (target,))
    return Records(schema, {"x": cells}, {target.name: values}, np.arange(2, N + 2), "lab.csv")


def block(name: str, kernel: Any = "rbf") -> FeatureBlock:
    rng = np.random.default_rng(len(name))
    if kernel == "tanimoto":
        values = rng.poisson(1.0, (N, 12)).astype(np.float32)
    else:
        values = rng.standard_normal((N, 4)).astype(np.float32)
    return FeatureBlock(f"x:{name}", values, kernel, np.ones(N, dtype=bool))


def made(
    modality: str, blocks: list[FeatureBlock], kind: Kind = "regression"
) -> dict[str, Candidate]:
    target = Target("y", "y", kind, classes=() if kind == "regression" else ("no", "yes"))
    truth = blocks[0].values[:, 0].astype(np.float64)
    values = exact(truth if kind == "regression" else (truth > np.median(truth)).astype(float))
    candidates = baseline_candidates(
        records(modality, target, values, ["?"] * N), target, values, blocks, seed=0
    )
    return {candidate.name: candidate for candidate in candidates}


@pytest.mark.parametrize(
    ("modality", "blocks", "classical"),
    [
        ("molecule", [block("ecfp", "tanimoto"), block("descriptors")], "random forest on ecfp"),
        ("protein", [block("kmers", "tanimoto"), block("onehot")], "ridge on onehot"),
        ("protein", [block("composition"), block("kmers", "tanimoto")], "ridge on kmers"),
        ("text", [block("tfidf")], "ridge on tfidf"),
        ("image", [block("moments"), block("texture")], "random forest on all features"),
        ("quantity", [block("value")], "random forest on all features"),
    ],
)
def test_each_domain_has_its_classical_model(
    modality: str, blocks: list[FeatureBlock], classical: str
) -> None:
    candidates = made(modality, blocks)
    assert list(candidates) == ["mean", "nearest neighbours", classical]
    for candidate in candidates.values():
        given = candidate.fit(np.arange(40)).predict(np.arange(40, N))
        assert given.mean is not None
        assert given.spread is not None
        assert given.mean.shape == (20,)
        assert np.isfinite(given.mean).all()
        assert (given.spread > 0).all()


def test_classes_have_shares_and_a_classical_model() -> None:
    candidates = made("text", [block("tfidf")], "binary")
    assert list(candidates) == [
        "class shares",
        "nearest neighbours",
        "logistic regression on tfidf",
    ]
    for candidate in candidates.values():
        table = candidate.fit(np.arange(40)).predict(np.arange(40, N)).probabilities
        assert table is not None
        np.testing.assert_allclose(table.sum(axis=1), 1)


def test_only_training_records_decide_the_mean() -> None:
    values = exact(np.arange(N, dtype=float))
    target = Target("y", "y", "regression")
    mean = baseline_candidates(
        records("text", target, values, ["?"] * N), target, values, [], seed=0
    )
    assert [one.name for one in mean] == ["mean"]
    given = mean[0].fit(np.arange(10)).predict(np.arange(50, N))
    np.testing.assert_allclose(known(given.mean), 4.5)
    np.testing.assert_allclose(known(given.spread), np.arange(10).std())


def test_tokens_get_the_shares_of_their_classes() -> None:
    labels = np.empty(N, dtype=object)
    labels[:] = [np.array([0, 0, 1]) for _ in range(N)]
    target = Target("ss", "ss", "per-token", classes=("H", "E", "C"))
    values = exact(labels)
    found = baseline_candidates(
        records("protein", target, values, ["MKT"] * N), target, values, [block("kmers")], seed=0
    )
    table = found[0].fit(np.arange(20)).predict(np.array([50, 51])).probabilities
    assert table is not None
    assert table.shape == (6, 3)
    np.testing.assert_allclose(table[0], np.array([41, 21, 1]) / 63)


def test_several_labels_get_a_share_each() -> None:
    table = np.tile([[1.0, 0.0]], (N, 1))
    table[0, 0] = np.nan
    target = Target("tox", "tox", "multilabel", classes=("a", "b"))
    values = exact(table)
    shares = baseline_candidates(
        records("text", target, values, ["?"] * N), target, values, [], seed=0
    )[0]
    given = shares.fit(np.arange(11)).predict(np.arange(2)).probabilities
    np.testing.assert_allclose(known(given), np.array([[11 / 12, 1 / 13]] * 2))


def weather(change: float, season: float) -> tuple[Records, Target, TargetValues]:
    """Fields that persist up to a change, on top of a season."""
    rng = np.random.default_rng(1)
    days = (np.arange(N) / 12) % 1
    base = season * np.sin(2 * np.pi * days)[:, None, None]
    now = base + rng.standard_normal((N, 3, 4))
    later = now + change * rng.standard_normal(now.shape)
    later[:, 0, 0] = np.nan
    grid = (np.array([-10.0, 0.0, 10.0]), np.arange(4) * 10.0)
    cells: list[Field | None] = [
        Field(one[None].astype(np.float32), ("sst",), ("K",), *grid, 30.0 * i, float(days[i]))
        for i, one in enumerate(now)
    ]
    cells[-1] = None
    target = Target("sst", "sst", "field", unit="K")
    return records("climate", target, exact(later), cells), target, exact(later)


def rms(candidate: Candidate, values: TargetValues) -> float:
    given = candidate.fit(np.arange(48)).predict(np.arange(48, N))
    assert given.mean is not None
    assert given.spread is not None
    error = given.mean - values.values[48:]
    assert np.isnan(given.mean[:, 0, 0]).all() or candidate.name == "persistence"
    assert (given.spread[:, 1:] > 0).all()
    return float(np.sqrt(np.nanmean(np.square(error))))


def test_fields_have_climatology_persistence_and_ridge() -> None:
    parts, target, values = weather(0.1, 0.0)
    found = {
        one.name: one for one in baseline_candidates(parts, target, values, [block("eof")], seed=0)
    }
    assert list(found) == ["mean", "climatology", "persistence", "ridge on eof"]
    assert rms(found["ridge on eof"], values) < 2.0
    # The one record without an input is answered by the mean, so a little error stays.
    assert rms(found["persistence"], values) < 0.5 < rms(found["mean"], values)


def test_a_climatology_knows_the_season() -> None:
    parts, target, values = weather(0.5, 5.0)
    found = {one.name: one for one in baseline_candidates(parts, target, values, [], seed=0)}
    assert rms(found["climatology"], values) < 0.5 * rms(found["mean"], values)


def test_no_persistence_without_the_variable_on_the_same_grid() -> None:
    parts, target, values = weather(0.1, 0.0)
    other = Target("rain", "rain", "field", unit="mm")
    names = [one.name for one in baseline_candidates(parts, other, values, [], seed=0)]
    assert names == ["mean", "climatology"]
    coarse = exact(values.values[:, :2])
    names = [one.name for one in baseline_candidates(parts, target, coarse, [], seed=0)]
    assert names == ["mean", "climatology"]
