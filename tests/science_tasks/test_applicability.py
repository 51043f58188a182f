"""In-domain verdicts."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.errors import InputError
from kagaku.science_tasks import applicability
from kagaku.science_tasks.applicability import Applicability, tanimoto_distances
from kagaku.science_tasks.features import FeatureBlock, KernelName
from kagaku.science_tasks.storage import load_state, save_state


def block(
    name: str, values: np.ndarray, kernel: KernelName = "rbf", present: list[bool] | None = None
) -> FeatureBlock:
    there = np.ones(len(values), dtype=bool) if present is None else np.array(present)
    return FeatureBlock(name, np.where(there[:, None], values, 0).astype(np.float32), kernel, there)


def clouds(n_records: int, *, shift: float = 0.0, seed: int = 0) -> list[FeatureBlock]:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.3 + shift, size=(n_records, 64))
    return [
        block("smiles:ecfp", counts, "tanimoto"),
        block("temperature:value", shift + rng.normal(size=(n_records, 4))),
    ]


def test_tanimoto_of_counts_divides_the_product_by_squares_less_the_product() -> None:
    a, b = np.array([[3.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 2.0]])
    # a.b = 3, a.a = 10, b.b = 5
    assert tanimoto_distances(a, b)[0, 0] == pytest.approx(1 - 3 / (10 + 5 - 3))


def test_tanimoto_distance_is_jaccard_on_bits_zero_on_equals_and_one_on_strangers() -> None:
    rng = np.random.default_rng(0)
    bits = rng.random((6, 40)) < 0.4
    union = (bits[:, None] | bits[None]).sum(-1)
    jaccard = 1 - (bits[:, None] & bits[None]).sum(-1) / union
    np.testing.assert_allclose(tanimoto_distances(bits * 1.0, bits * 1.0), jaccard, atol=1e-12)
    assert tanimoto_distances(np.eye(2), np.eye(2)).tolist() == [[0, 1], [1, 0]]
    assert tanimoto_distances(np.zeros((1, 3)), np.zeros((1, 3))).tolist() == [[0]]


def test_a_distance_is_the_mean_over_the_three_nearest_training_records() -> None:
    counts = np.array([[4, 0], [4, 0], [4, 0], [0, 4], [2, 2]])
    domain = Applicability.fit([block("x:ecfp", counts, "tanimoto")])
    # Three training records equal the first; the second's nearest are itself, then (2, 2).
    expected = tanimoto_distances(np.array([[0.0, 4.0]]), counts.astype(float))[0]
    distances = domain.distance([block("x:ecfp", np.array([[4, 0], [0, 4]]), "tanimoto")])
    assert distances.tolist() == pytest.approx([0.0, np.sort(expected)[:3].mean()])


def test_the_threshold_is_the_percentile_of_left_out_training_distances() -> None:
    train = clouds(80)
    domain = Applicability.fit(train)
    left_out = [
        Applicability.fit([b.subset(np.delete(np.arange(80), i)) for b in train[:1]]).distance(
            [train[0].subset([i])]
        )[0]
        for i in range(80)
    ]
    alone = Applicability.fit(train[:1])
    assert alone.threshold == pytest.approx(np.percentile(left_out, 95.0))
    assert 0 < domain.threshold < 2


def test_records_like_the_training_records_are_in_the_domain_and_others_are_not() -> None:
    domain = Applicability.fit(clouds(400))
    alike = domain.in_domain(domain.distance(clouds(400, seed=1)))
    shifted = domain.in_domain(domain.distance(clouds(400, shift=4.0, seed=2)))
    assert 0.85 < alike.mean() <= 1.0
    assert shifted.mean() < 0.02


def test_two_unrelated_dense_records_are_at_distance_one() -> None:
    # In 2,000 dimensions all independent pairs are about equally far, so the nearest are typical.
    rng = np.random.default_rng(0)
    domain = Applicability.fit([block("x:descriptors", rng.normal(size=(10, 2_000)) * 50)])
    new = block("x:descriptors", rng.normal(size=(10, 2_000)) * 50)
    assert domain.distance([new]).mean() == pytest.approx(1.0, abs=0.05)


def test_distances_are_averaged_over_the_inputs_that_are_present() -> None:
    same, far = np.full((4, 2), 1.0), np.array([[5.0, 0], [5, 0], [5, 0], [0, 5]])
    train = [block("a:value", same), block("b:ecfp", far, "tanimoto")]
    domain = Applicability.fit(train)
    new = [
        block("a:value", np.full((3, 2), 1.0), present=[True, True, False]),
        block("b:ecfp", np.array([[0, 0], [0, 5], [0, 5]]), "tanimoto", [False, True, True]),
    ]
    second = (0 + 1 + 1) / 3
    assert domain.distance(new).tolist() == pytest.approx([0.0, second / 2, second])


def test_an_input_that_a_training_record_lacks_counts_as_unlike() -> None:
    counts = np.array([[1.0, 0.0]] * 3)
    domain = Applicability.fit([block("x:ecfp", counts, "tanimoto", [True, False, False])])
    new = block("x:ecfp", np.array([[1.0, 0.0]]), "tanimoto")
    assert domain.distance([new]).tolist() == pytest.approx([2 / 3])


def test_a_record_without_any_input_is_infinitely_far() -> None:
    domain = Applicability.fit(clouds(20))
    empty = [block(b.name, np.zeros((1, b.values.shape[1])), b.kernel, [False]) for b in clouds(1)]
    distances = domain.distance(empty)
    assert np.isinf(distances).all()
    assert not domain.in_domain(distances).any()


def test_an_absent_block_of_a_present_input_does_not_count() -> None:
    rng = np.random.default_rng(0)
    onehot, composition = rng.normal(size=(10, 3)), rng.normal(size=(10, 5))
    both = Applicability.fit([block("p:onehot", onehot), block("p:composition", composition)])
    alone = Applicability.fit([block("p:composition", composition)])
    new = [
        block("p:onehot", onehot[:2], present=[False, False]),
        block("p:composition", composition[:2]),
    ]
    np.testing.assert_allclose(both.distance(new), alone.distance(new[1:]))


def test_chunks_and_their_order_change_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    train, new = clouds(50), clouds(30, seed=1)
    whole = Applicability.fit(train).distance(new)
    monkeypatch.setattr(applicability, "_PAIRS", 150)
    domain = Applicability.fit(train)
    np.testing.assert_allclose(domain.distance(new), whole, atol=1e-9)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(
        domain.distance([b.subset(order) for b in new]), whole[order], atol=1e-9
    )


def test_large_training_sets_are_represented_by_spaced_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = clouds(300)
    full = Applicability.fit(train)
    monkeypatch.setattr(applicability, "MAX_REFERENCES", 150)
    monkeypatch.setattr(applicability, "MAX_LEFT_OUT", 60)
    spaced = Applicability.fit(train)
    assert len(spaced.state()["blocks"][0]["present"]) == 150
    assert spaced.threshold == pytest.approx(full.threshold, rel=0.25)


def test_a_stored_domain_gives_the_same_distances_and_verdicts(tmp_path: Path) -> None:
    domain, new = Applicability.fit(clouds(40)), clouds(25, shift=0.5, seed=3)
    save_state(domain.state(), tmp_path / "domain.safetensors")
    restored = Applicability()
    restored.load_state(load_state(tmp_path / "domain.safetensors"))
    distances = domain.distance(new)
    np.testing.assert_array_equal(restored.distance(new), distances)
    np.testing.assert_array_equal(restored.in_domain(distances), domain.in_domain(distances))


@pytest.mark.parametrize("n_records", [1, 2, 3])
def test_a_handful_of_training_records_is_enough(n_records: int) -> None:
    train = clouds(n_records)
    domain = Applicability.fit(train)
    distances = domain.distance(train)
    assert np.isfinite(distances).all()
    assert domain.in_domain(domain.distance([b.subset([0]) for b in train])).all()


def test_features_other_than_those_of_training_are_refused() -> None:
    domain = Applicability.fit(clouds(5))
    with pytest.raises(InputError, match=r"domain was fitted on the features \[\('smiles:ecfp'"):
        domain.distance(clouds(5)[:1])
    with pytest.raises(InputError, match="no training features to measure distances to"):
        Applicability.fit([])


def test_replicates_of_training_records_do_not_make_the_domain_narrow() -> None:
    once, new = clouds(60), clouds(40, seed=1)
    replicated = [one.subset(np.tile(np.arange(60), 4)) for one in once]
    groups = np.tile(np.arange(60), 4)
    naive = Applicability.fit(replicated)
    grouped = Applicability.fit(replicated, groups)
    assert naive.in_domain(naive.distance(new)).mean() < 0.1
    assert grouped.in_domain(grouped.distance(new)).mean() > 0.8
