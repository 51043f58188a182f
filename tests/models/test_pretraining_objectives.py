"""Settings of the objectives: checked where they are made, and back from JSON."""

import json
from typing import Any

import numpy as np
import pytest

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.records import Quantity
from kagaku.errors import InputError
from kagaku.models.pretraining.fitting import fit_pretraining_modalities, restored_modality
from kagaku.models.pretraining.objectives import OBJECTIVES, ObjectiveConfig
from kagaku.models.pretraining.properties import (
    PROPERTIES,
    fitted_properties,
    property_quantities,
)

SCALE = DescriptorScale(("TPSA", "NumHBD", "NumHDonors", "Chi0n"), (0.0,) * 4, (1.0,) * 4)


def test_settings_come_back_from_json() -> None:
    config = ObjectiveConfig(hidden={"protein": 0.3}, weights={"masked": 2.0}, aligned=0.1)
    assert ObjectiveConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert ObjectiveConfig.from_json({}) == ObjectiveConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": {"protein": 1.5}}, r"hidden of protein must lie between 0 and 1, got 1.5"),
        ({"hidden": {"protien": 0.5}}, r"no modality named 'protien'. Did you mean 'protein'"),
        ({"generated": {"text": -0.1}}, r"generated of text must lie between 0 and 1, got -0.1"),
        ({"joint": 2.0}, r"joint must lie between 0 and 1, got 2.0. Give a share"),
        ({"span_length": 0.5}, r"span_length must be at least 1, got 0.5"),
        ({"projected": 0}, r"projected must be at least 1, got 0"),
        ({"temperature": 0.0}, r"temperature must lie between 0.01 and 1, got 0.0"),
        ({"weights": {"mask": 1.0}}, r"no objective named 'mask'. Did you mean 'masked'"),
        ({"weights": {"masked": -1.0}}, r"weight of masked must be 0 or more, got -1.0"),
        ({"alined": 0.1}, r"no objective setting named 'alined'. Did you mean 'aligned'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ObjectiveConfig.from_json(settings)


def test_losses_take_the_weight_of_their_objective() -> None:
    config = ObjectiveConfig(weights={"masked": 2.0, "aligned": 0.5})
    assert config.weight("masked/protein") == 2.0
    assert config.weight("aligned/molecule-text") == 0.5
    assert config.weight("descriptors") == 1.0
    assert set(ObjectiveConfig().weights) == set(OBJECTIVES)


def test_properties_are_named_once_and_only_where_they_are_defined() -> None:
    values = np.array([20.2, 1.0, 1.0, 5.0])
    assert property_quantities(values, SCALE) == [
        Quantity("polar surface area", 20.2, "angstrom**2"),
        Quantity("hydrogen-bond donors", 1.0, "dimensionless"),
    ]
    values[0] = np.nan
    assert [one.name for one in property_quantities(values, SCALE)] == ["hydrogen-bond donors"]


def test_fitting_learns_the_scales_of_lead_times_and_properties() -> None:
    inputs = {"climate": {"lead": "quantity"}, "molecules": {"molecule": "molecule"}}
    samples = {
        "climate": [
            CorpusSample(
                f"climate/{i}", "climate", {"lead": Quantity("lead time", 30.0 * i, "day")}
            )
            for i in range(1, 5)
        ],
        "molecules": [
            CorpusSample(
                f"molecules/{i}",
                "molecules",
                {"molecule": "C" * (i + 1)},
                np.array([20.0 * i, i, i, 1.0], dtype=np.float32),
            )
            for i in range(5)
        ],
    }
    fitted = fit_pretraining_modalities(samples, inputs, SCALE)
    assert sorted(fitted) == ["molecule", "quantity"]
    known = {"polar surface area", "hydrogen-bond donors"}
    assert fitted_properties(fitted["quantity"]) == known
    assert fitted_properties(None) == frozenset()
    assert known < {one.name for one in PROPERTIES.values()}
    state = fitted["quantity"].state()
    assert "lead time" in state["scales"]
    again = restored_modality("quantity", json.loads(json.dumps(state)))
    area = Quantity("polar surface area", 40.0, "angstrom**2")
    np.testing.assert_array_equal(
        again.tokenize(area).values, fitted["quantity"].tokenize(area).values
    )
    assert float(again.tokenize(area).values[0, 0]) == pytest.approx(0.0, abs=1e-6)
