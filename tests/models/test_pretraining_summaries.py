"""Summaries of values as targets: what is shown is what is summarised, and it can be learnt."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from kagaku.data.corpora import CorpusSample
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError
from kagaku.modalities.protein import Protein
from kagaku.models import Encoder, EncoderConfig
from kagaku.models.backbone import BackboneConfig
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.evaluation import evaluate
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.models.pretraining.scaling_plan import sizes_of
from kagaku.models.pretraining.stored import load_pretrained, save_pretrained
from kagaku.models.pretraining.summaries import FARTHEST, Shown, Summary, fit_summaries
from kagaku.pretraining.summaries import SUMMARIES, summary_widths
from kagaku.science_tasks.climate.summary import field_summary
from kagaku.science_tasks.proteins.composition import composition

INPUTS: dict[str, dict[str, str]] = {
    "proteins": {"protein": "protein"},
    "genomes": {"nucleotide": "nucleotide"},
    "compounds": {"material": "material", "gap": "quantity"},
    "pictures": {"image": "image", "text": "text"},
    "weather": {"climate": "climate", "lead": "quantity", "later": "climate"},
}
LATITUDES, LONGITUDES = np.linspace(60.0, 30.0, 12), np.linspace(0.0, 45.0, 16)


def field(index: int) -> Field:
    rng = np.random.default_rng(index)
    values = 280 + 0.5 * LATITUDES[:, None] * (index % 3) + rng.normal(size=(12, 16))
    return Field(values[None], ("air_temperature",), ("K",), LATITUDES, LONGITUDES, day_of_year=0.3)


def inputs_of(source: str, index: int) -> dict[str, Any]:
    rng = np.random.default_rng(index)
    if source == "proteins":
        return {"protein": "".join(rng.choice(list("ACDEFGHIKL"), 30 + 4 * index))}
    if source == "genomes":
        return {"nucleotide": "".join(rng.choice(list("ACGT"), 90 + 3 * index))}
    if source == "compounds":
        return {
            "material": ("NaCl", "SrTiO3", "MgO", "Fe2O3")[index % 4],
            "gap": Quantity("gap", 1.0 + index, "eV"),
        }
    if source == "pictures":
        pixels = rng.integers(0, 20 * index + 30, (32, 32, 1)).astype(np.uint8)
        return {"image": pixels, "text": f"picture number {index}"}
    return {
        "climate": field(index), "lead": Quantity("lead time", 6.0 + index, "hour"),
        "later": field(index + 1),
    }  # fmt: skip


SAMPLES = {
    source: [
        CorpusSample(f"{source}/{index}", source, inputs_of(source, index), None)
        for index in range(12)
    ]
    for source in INPUTS
}
MODALITIES = fit_pretraining_modalities(SAMPLES, INPUTS)
FITTED = fit_summaries(SUMMARIES, SAMPLES, INPUTS, MODALITIES)


def composer(**settings: Any) -> Composer:
    return Composer(MODALITIES, INPUTS, None, ObjectiveConfig(**settings), FITTED)


def network(summaries: Mapping[str, Summary] = FITTED) -> PretrainingNetwork:
    config = EncoderConfig(
        modalities=tuple(sorted({*MODALITIES, "molecule"})),
        backbone=BackboneConfig(dim=32, depth=1, heads=2, hidden=48),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PretrainingNetwork(
            Encoder(config),
            ObjectiveConfig(),
            0,
            {name: len(one) for name, one in summaries.items()},
        )


def test_every_modality_but_molecules_texts_and_numbers_is_summarised() -> None:
    assert set(FITTED) == {"climate", "image", "material", "nucleotide", "protein"}
    assert set(FITTED) == set(ObjectiveConfig().summarised)
    for name, summary in FITTED.items():
        assert len(summary) >= 9, name
        assert (summary.std > 0).all(), name
        assert pickle.loads(pickle.dumps(summary)).compute is not None
    assert summary_widths() == {name: len(one) for name, one in FITTED.items()}


def test_planned_sizes_count_the_heads() -> None:
    net = network()
    widths = {name: len(one) for name, one in FITTED.items()}
    backbone = net.encoder.config.backbone
    sizes = sizes_of(
        backbone, [*MODALITIES], ObjectiveConfig(), OptimiserConfig(name="adamw"), 0, widths
    )
    assert sizes.network == sum(one.numel() for one in net.parameters())


def test_targets_are_standardised_over_what_they_were_fitted_to() -> None:
    modality, summary = MODALITIES["protein"], FITTED["protein"]
    values = [sample.inputs["protein"] for sample in SAMPLES["proteins"]]
    shown = [Shown(modality, value, modality.tokenize(value), is_whole=True) for value in values]
    rows = np.stack([found for one in shown if (found := summary(one)) is not None])
    assert len(rows) == len(values)
    assert rows.dtype == np.float32
    assert np.abs(rows).max() <= FARTHEST
    varies = rows.std(axis=0) > 1e-3
    assert varies.sum() > 20
    np.testing.assert_allclose(rows[:, varies].mean(axis=0), 0, atol=0.1)


def test_of_a_cropped_sequence_the_shown_part_is_summarised() -> None:
    modality, value = Protein(), "A" * 200 + "W" * 200
    crop = modality.crop(modality.tokenize(value), 50, np.random.default_rng(0))
    shown = SUMMARIES["protein"](Shown(modality, value, crop, is_whole=False))
    assert shown is not None
    letters = modality.decode(crop.ids[:, 0].tolist())
    assert 0 < len(letters) <= 50
    np.testing.assert_allclose(shown, composition(letters))


def test_of_a_part_of_an_image_nothing_is_said() -> None:
    modality, value = MODALITIES["image"], SAMPLES["pictures"][3].inputs["image"]
    tokens = modality.tokenize(value)
    assert SUMMARIES["image"](Shown(modality, value, tokens, is_whole=True)) is not None
    assert SUMMARIES["image"](Shown(modality, value, tokens, is_whole=False)) is None


def test_a_field_is_told_by_level_and_slope_whatever_the_season() -> None:
    modality = MODALITIES["climate"]

    def told(index: int) -> np.ndarray:
        found = field_summary(modality, modality.tokenize(field(index)))
        assert found is not None
        return found

    flat, steep = told(0), told(2)  # 0 and 1 K for each degree towards the north
    assert steep[0] > flat[0] + 1
    assert abs(flat[5]) < 0.1 < steep[5]
    assert abs(steep[6]) < 0.1  # nothing rises towards the east
    later = field_summary(modality, modality.tokenize(replace(field(0), day_of_year=0.8)))
    np.testing.assert_array_equal(later, flat)


@pytest.mark.parametrize("source", sorted(INPUTS))
def test_summaries_are_asked_in_every_source(source: str) -> None:
    made = composer(generated={}, joint=1.0, forecast=0.0, aligned=0.5)
    asked = 0
    for seed in range(6):
        batch = made.compose([[one] for one in SAMPLES[source]], row_length=160, seed=seed)
        for name, targets in batch.summaries.items():
            assert targets.values.shape == (len(targets.record), len(FITTED[name]))
            assert targets.values.abs().nan_to_num(0).max() <= FARTHEST
            column = batch.packed.column[batch.packed.record == targets.record[0]]
            assert targets.column[0] in column
            asked += len(targets.record)
    assert asked


def test_a_share_of_none_asks_for_none() -> None:
    made = composer(summarised={}, generated={})
    batch = made.compose([[one] for one in SAMPLES["proteins"]], row_length=160, seed=0)
    assert batch.summaries == {}


def test_summaries_are_learnt_and_measured() -> None:
    made, net = composer(generated={}, unmasked=1.0), network()
    batch = made.compose([[one] for one in SAMPLES["proteins"]], row_length=160, seed=1)
    before = evaluate(net, [batch])
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(80):
        optimiser.zero_grad()
        losses = net(batch)
        assert set(losses) == {"summaries/protein"}
        net.total(losses).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = evaluate(net, [batch])
    assert after["summaries/protein"] < 0.5 * before["summaries/protein"]
    assert after["summaries/protein explained"] > 0.5 > before["summaries/protein explained"]


def test_heads_for_summaries_come_back(tmp_path: Any) -> None:
    net = network().eval()
    save_pretrained(net, MODALITIES, None, tmp_path, name="kagaku-test")
    back = load_pretrained(tmp_path).network
    batch = composer().compose([[one] for one in SAMPLES["proteins"]], row_length=160, seed=2)
    for name, loss in net(batch).items():
        torch.testing.assert_close(back(batch)[name], loss)


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(InputError, match="there is no modality named 'proteins'"):
        ObjectiveConfig(summarised={"proteins": 1.0})
    with pytest.raises(InputError, match="summarised of protein must lie between 0 and 1, got 2"):
        ObjectiveConfig(summarised={"protein": 2.0})


def test_an_objective_of_weight_0_is_not_asked() -> None:
    made = composer(generated={}, weights={"summaries": 0.0}, unmasked=1.0)
    batch = made.compose([[one] for one in SAMPLES["proteins"]], row_length=160, seed=0)
    assert batch.summaries == {}
    assert len(batch.masked["protein"].token)  # so tokens are asked for instead


def test_texts_and_numbers_do_not_tell_each_other() -> None:
    inputs = {"cells": {"image": "image", "text": "text", "count": "quantity"}}
    counts = [{"count": Quantity("count", 1.0 + index, "dimensionless")} for index in range(12)]
    samples = [
        CorpusSample(f"cells/{index}", "cells", inputs_of("pictures", index) | count, None)
        for index, count in enumerate(counts)
    ]
    modalities = fit_pretraining_modalities({"cells": samples}, inputs)
    config = ObjectiveConfig(aligned=0.0, joint=1.0, apart=0.0)
    made = Composer(modalities, inputs, None, config)
    seen = set()
    for seed in range(4):
        packed = made.compose([[one] for one in samples], row_length=160, seed=seed).packed
        for record in range(packed.n_records):
            kinds = set(packed.modality[packed.record == record].tolist())
            seen.add(frozenset(packed.modalities[kind] for kind in kinds))
    assert seen == {frozenset({"image", "text"}), frozenset({"image", "quantity"})}


def test_a_region_across_greenwich_has_the_slopes_of_any_other() -> None:
    def told(west: float) -> np.ndarray:
        east = west + np.linspace(0, 45, 16)
        values = np.tile(280 + 0.2 * np.arange(16.0), (12, 1))
        value = Field(values[None], ("air_temperature",), ("K",), LATITUDES, east % 360)
        found = field_summary(MODALITIES["climate"], MODALITIES["climate"].tokenize(value))
        assert found is not None
        return found

    np.testing.assert_allclose(told(340.0), told(20.0), atol=1e-5)
    assert told(340.0)[6] > 0.03
