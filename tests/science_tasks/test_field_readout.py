"""Fields through their principal components."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.data.records import TargetValues
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts import gaussian_process_readout, linear
from kagaku.science_tasks.readouts.field_readout import FieldReadout
from kagaku.science_tasks.storage import load_state, save_state

INNER = (gaussian_process_readout.GaussianProcessReadout.name, linear.LinearReadout.name)
AREA = np.cos(np.deg2rad(np.array([-60.0, -20.0, 20.0, 60.0])))


def waves(n_records: int) -> tuple[list[FeatureBlock], np.ndarray]:
    """Two patterns whose strengths the features tell, with noise, and one masked cell."""
    rng = np.random.default_rng(0)
    drivers = rng.standard_normal((n_records, 2)).astype(np.float32)
    lat, lon = np.meshgrid(np.arange(4), np.arange(6), indexing="ij")
    patterns = np.stack([np.sin(lon), np.cos(lat + 0.5 * lon)])
    fields = 280 + np.einsum("rp,pyx->ryx", drivers, patterns)
    fields += 0.1 * rng.standard_normal(fields.shape)
    fields[:, 0, 0] = np.nan
    fields[3, 1, 1] = np.nan
    present = np.ones(n_records, dtype=bool)
    return [FeatureBlock("sst:eof", drivers, "rbf", present)], fields


def known(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


def exact(values: np.ndarray) -> TargetValues:
    return TargetValues(values, np.zeros(len(values), dtype=np.int64))


@pytest.mark.parametrize("inner", INNER)
def test_fields_are_predicted_to_their_noise_and_masked_cells_stay_missing(inner: str) -> None:
    blocks, fields = waves(120)
    readout = FieldReadout(inner, AREA)
    train, test = np.arange(80), np.arange(80, 120)
    readout.fit([b.subset(train) for b in blocks], exact(fields[:80]), "field", 0, seed=0)
    given = readout.predict([b.subset(test) for b in blocks])
    assert given.mean is not None
    assert given.spread is not None
    assert given.mean.shape == (40, 4, 6)
    assert np.isnan(given.mean[:, 0, 0]).all()
    error = given.mean - fields[80:]
    # The noise is 0.1; the rest is what 80 records do not tell.
    assert np.sqrt(np.nanmean(np.square(error))) < 0.13
    assert 0.7 < np.sqrt(np.nanmean(np.square(error / given.spread))) < 1.4


def test_a_stored_field_readout_predicts_the_same_bits(tmp_path: Path) -> None:

    path = tmp_path / "field.safetensors"
    blocks, fields = waves(40)
    readout = FieldReadout("linear", AREA)
    readout.fit(blocks, exact(fields), "field", 0, seed=0)
    save_state(readout.state(), path)
    loaded = FieldReadout()
    loaded.load_state(load_state(path))
    before, after = readout.predict(blocks), loaded.predict(blocks)
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.spread, after.spread)


def test_a_field_that_never_changes_is_predicted_as_it_is() -> None:
    blocks, fields = waves(10)
    same = np.repeat(fields[:1], 10, axis=0)
    readout = FieldReadout()
    readout.fit(blocks, exact(same), "field", 0, seed=0)
    given = readout.predict(blocks)
    np.testing.assert_allclose(known(given.mean), same)
    assert given.spread is not None
    assert (given.spread[:, 1:] > 0).all()


def test_one_training_field_is_enough_to_answer() -> None:
    blocks, fields = waves(5)
    readout = FieldReadout("linear")
    readout.fit([b.subset([0]) for b in blocks], exact(fields[:1]), "field", 0, seed=0)
    np.testing.assert_allclose(
        known(readout.predict(blocks).mean), np.repeat(fields[:1], 5, axis=0)
    )


def test_area_weights_decide_what_counts_as_the_main_pattern() -> None:
    rng = np.random.default_rng(0)
    fields = np.zeros((50, 2, 8))
    fields[:, 0] = 2.0 * rng.standard_normal((50, 1))
    fields[:, 1] = 1.5 * rng.standard_normal((50, 1))
    present = np.ones(50, dtype=bool)
    block = FeatureBlock("x:eof", np.zeros((50, 1), dtype=np.float32), "rbf", present)
    polar, equal = FieldReadout("linear", np.array([0.1, 1.9])), FieldReadout("linear")
    for readout in (polar, equal):
        readout.fit([block], exact(fields), "field", 0, seed=0)
    assert np.abs(equal.axes[:8, 0]).mean() > np.abs(equal.axes[8:, 0]).mean()
    assert np.abs(polar.axes[:8, 0]).mean() < np.abs(polar.axes[8:, 0]).mean()
