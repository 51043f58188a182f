"""The benchmark tasks of weather and climate."""

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scores.continuous import rmse as scores_rmse
from scores.functions import create_latitude_weights

from kagaku.bases import load_base
from kagaku.data import area_weights
from kagaku.data.catalogue import FolderSource
from kagaku.errors import InputError
from kagaku.models import Encoder, untrained_encoder
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Case, Context, Method, Rows
from kagaku.science_tasks.climate.advection import carried, motion, tile_starts
from kagaku.science_tasks.climate.downscaling import (
    FACTOR,
    PatchReadout,
    coarsened,
    downscaling_case,
    inside,
    interpolated,
    neighbourhoods,
)
from kagaku.science_tasks.climate.field_case import (
    CLIMATOLOGY,
    UNBIASED,
    FieldCase,
    usual,
)
from kagaku.science_tasks.climate.field_forecast import Together
from kagaku.science_tasks.climate.field_learning import (
    EmbeddingRidge,
    FieldProcess,
    FineTuned,
    records_of,
)
from kagaku.science_tasks.climate.field_ridge import Choice, FieldRidge, as_good_as_the_best
from kagaku.science_tasks.climate.forecasting import (
    Damped,
    MeanOf,
    PatternScaling,
    Reference,
    folds_of,
)
from kagaku.science_tasks.climate.indices import (
    InverseModel,
    ReadIndex,
    climatology,
    damped_persistence,
    persistence,
)
from kagaku.science_tasks.climate.netcdf import dataset
from kagaku.science_tasks.climate.nowcasting import (
    MEASURES,
    RadarCase,
    RainReadout,
    advection,
    dry,
    radar_answers,
    read_pgm,
    reflectivity,
)
from kagaku.science_tasks.climate.nowcasting import persistence as last_image
from kagaku.science_tasks.climate.scenarios import recent, scenario_case
from kagaku.science_tasks.climate.sea_surface import hindcasts_of
from kagaku.science_tasks.climate.temperature import before, temperature_case
from kagaku.science_tasks.climate.verification import (
    anomaly_correlation,
    field_answers,
    field_measures,
)
from kagaku.science_tasks.tasks import TASKS

LATITUDES = np.array([60.0, 0.0])


def no_base() -> Encoder:
    raise AssertionError("a plain method asked for the base")


PLAIN = Context(no_base)


def measured(answers: pd.DataFrame, name: str) -> float:
    (measure,) = [one for one in field_measures("K") if one.name == name]
    return measure.of(answers)


def small_case(n_items: int = 80, seed: int = 0) -> FieldCase:
    """A wave whose strength persists by 0.8 from item to item, on a cycle of four phases."""
    rng = np.random.default_rng(seed)
    strength = np.zeros(n_items)
    for i in range(1, n_items):
        strength[i] = 0.8 * strength[i - 1] + rng.standard_normal()
    latitudes = np.linspace(60.0, 30.0, 8)
    pattern = np.add.outer(np.sin(np.arange(8)), np.cos(np.arange(8)))
    phase = np.arange(n_items) % 4
    fields = 280 + 3.0 * phase[:, None, None] + strength[:, None, None] * pattern
    fields += 0.1 * rng.standard_normal(fields.shape)
    every = np.arange(n_items)
    n_test, n_valid = n_items // 4, n_items // 8
    first_valid = n_items - n_test - n_valid
    return FieldCase(
        truth=fields,
        phase=phase,
        inputs={"now": before(fields, phase, 1), "earlier": before(fields, phase, 4)},
        weights=np.repeat(area_weights(latitudes)[:, None], 8, axis=1),
        rows=Rows(every[:first_valid], every[-n_test:], every[first_valid:-n_test]),
        blocks=every // 5,
        latitudes=latitudes,
        longitudes=np.arange(8.0),
        variable="air_temperature",
        unit="K",
        day_of_year=every / 365,
    )


# ---- cases


def test_what_is_usual_is_the_mean_of_the_learnt_items_of_the_same_phase() -> None:
    values = np.array([1.0, 10.0, 3.0, 30.0, 500.0])[:, None, None]
    phase = np.array([0, 1, 0, 1, 2])
    found = usual(values, phase, np.arange(4))[:, 0, 0]
    # Nobody learnt phase 2, so the mean of all four stands in.
    assert found.tolist() == [2.0, 20.0, 2.0, 20.0, 11.0]


def test_a_reference_is_the_climatology_an_input_or_an_unbiased_input() -> None:
    case = small_case()
    warm = replace(case.inputs["now"], values=case.inputs["now"].values + 7.0)
    case = replace(case, inputs={**case.inputs, "warm": warm})
    learnt = case.rows.train
    assert np.array_equal(case.reference(CLIMATOLOGY, learnt), case.climatology(learnt))
    assert np.array_equal(case.reference("warm", learnt)[1:], warm.values[1:])
    unbiased = case.reference(f"warm{UNBIASED}", learnt)
    same = case.complete(learnt, ["warm"])
    assert np.mean(unbiased[same] - case.truth[same]) == pytest.approx(0.0, abs=1e-9)


def test_no_answer_of_the_test_part_reaches_a_forecast() -> None:
    case = small_case()
    # The test fields are another's, but what is known before each forecast stays.
    other = case.truth.copy()
    other[case.rows.test] += 50.0
    changed = replace(case, truth=other)
    methods: list[Method] = [Reference(), Damped("now"), FieldRidge((("now",),))]
    methods.append(FieldProcess(("now",)))
    methods.append(Together((FieldRidge((("now",),)), FieldProcess(("now",)))))
    for method in methods:
        first, second = method(case, PLAIN), method(changed, PLAIN)
        assert np.allclose(first["error"] - second["error"], 50.0), method


def test_a_cut_case_keeps_the_last_items_to_learn_from_and_the_first_to_answer() -> None:
    case = small_case()
    cut = case.cut(20, 5, seed=0)
    assert (cut.n_train, cut.n_test) == (20, 5)
    assert cut.rows.test.tolist() == case.rows.test[:5].tolist()
    assert cut.rows.valid is not None
    assert cut.rows.train[-1] == case.rows.train[-1]


def test_a_coarser_field_stands_over_the_same_region() -> None:
    case = small_case()
    field = case.as_field(np.zeros((2, 1)), 3)
    assert field.latitudes.tolist() == [case.latitudes[:4].mean(), case.latitudes[4:].mean()]
    assert field.longitudes.tolist() == [3.5]


def test_earlier_fields_are_those_of_so_many_steps_before() -> None:
    found = before(np.arange(5.0)[:, None, None], np.array([0, 1, 0, 1, 0]), 2)
    assert np.isnan(found.values[:2]).all()
    assert found.values[2:, 0, 0].tolist() == [0.0, 1.0, 2.0]
    assert found.phase[2:].tolist() == [0, 1, 0]


# ---- measures


def one_row_case(truth: np.ndarray) -> FieldCase:
    """Two rows of one cell at 60 N and the equator, which weigh 1 to 2; the first item teaches."""
    weights = np.cos(np.deg2rad(LATITUDES))[:, None]
    zeros = np.zeros(len(truth), dtype=np.int64)
    rows = Rows(np.array([0]), np.arange(1, len(truth)))
    return FieldCase(truth, zeros, {}, weights, rows, zeros, LATITUDES, np.zeros(1), "t", "K")


def test_errors_are_weighted_by_area_as_computed_by_hand() -> None:
    case = one_row_case(np.array([[[0.0], [0.0]], [[0.0], [0.0]], [[0.0], [0.0]]]))
    given = np.array([[[3.0], [0.0]], [[1.0], [-2.0]]])
    answers = field_answers(case, given)
    # (1 * 9 + 2 * 0) / 3 and (1 * 1 + 2 * 4) / 3
    assert answers["squared_error"].tolist() == pytest.approx([3.0, 3.0])
    assert answers["error"].tolist() == pytest.approx([1.0, -1.0])
    assert measured(answers, "RMSE") == pytest.approx(np.sqrt(3))
    assert measured(answers, "bias") == pytest.approx(0.0)


def test_the_two_root_mean_squares_differ_where_fields_are_unequally_hard() -> None:
    case = one_row_case(np.zeros((3, 2, 1)))
    answers = field_answers(case, np.stack([np.full((2, 1), 1.0), np.full((2, 1), 3.0)]))
    assert measured(answers, "mean RMSE") == pytest.approx(2.0)
    assert measured(answers, "RMSE") == pytest.approx(np.sqrt(5.0))


def test_the_root_mean_square_is_that_of_the_scores_package() -> None:
    case = small_case()
    rows = case.rows.test
    given = case.truth[rows] + np.random.default_rng(1).standard_normal(case.truth[rows].shape)
    dims = ("item", "lat", "lon")
    weights = xr.DataArray(create_latitude_weights(case.latitudes), dims=["lat"])
    theirs = scores_rmse(
        xr.DataArray(given, dims=dims), xr.DataArray(case.truth[rows], dims=dims), weights=weights
    )
    assert measured(field_answers(case, given), "RMSE") == pytest.approx(float(theirs))


def test_cells_without_truth_do_not_count() -> None:
    case = one_row_case(np.array([[[np.nan], [1.0]], [[np.nan], [1.0]]]))
    answers = field_answers(case, np.array([[[9.0], [3.0]]]), np.array([[[5.0], [1.0]]]))
    assert answers["squared_error"].tolist() == [4.0]
    assert answers["variance"].tolist() == [1.0]
    assert answers["inside"].tolist() == [0.0]


def test_anomaly_correlation_is_one_for_a_multiple_and_zero_for_no_anomaly() -> None:
    seen = np.array([[[1.0, -1.0]], [[1.0, -1.0]], [[1.0, 1.0]], [[1.0, 0.0]]])
    given = np.array([[[2.0, -2.0]], [[0.0, 0.0]], [[-1.0, -1.0]], [[1.0, 1.0]]])
    found = anomaly_correlation(given, seen, np.ones((1, 2)))
    assert found.tolist() == pytest.approx([1.0, 0.0, -1.0, np.sqrt(0.5)])


def test_spread_over_skill_is_one_for_errors_as_large_as_told() -> None:
    case = one_row_case(np.zeros((3, 2, 1)))
    answers = field_answers(case, np.full((2, 2, 1), 2.0), np.full((2, 2, 1), 2.0))
    assert measured(answers, "spread / skill") == pytest.approx(1.0)
    assert measured(answers, "in 90% interval") == pytest.approx(1.0)


# ---- forecasts


@pytest.mark.parametrize("kind", ["forward", "around"])
def test_folds_hold_out_whole_blocks_and_forward_ones_learn_from_the_past(kind: str) -> None:
    case = small_case()
    rows = case.rows.learnt()
    folds = folds_of(case, rows, kind)  # type: ignore[arg-type]  # a parameter is a str
    assert len(folds) == 5
    for learnt, held in folds:
        assert not set(case.blocks[learnt]) & set(case.blocks[held])
        assert len(held)
        if kind == "forward":
            assert learnt.max() < held.min()
        else:  # a block's width lies between
            assert np.abs(learnt[:, None] - held[None]).min() > 5
    every = np.concatenate([held for _, held in folds])
    assert len(np.unique(every)) == len(every)


def test_damping_finds_how_much_persists() -> None:
    answers = Damped("now")(small_case(400), PLAIN)
    share = float(str(answers.attrs["chosen"]).split()[0])
    assert share == pytest.approx(0.8, abs=0.11)  # 300 items tell it to about 0.04


def test_ridge_beats_climatology_persistence_and_their_mean_where_anomalies_persist() -> None:
    case = small_case(400)
    ridge = measured(FieldRidge((("now",), ("now", "earlier")))(case, PLAIN), "RMSE")
    plain: list[Method] = [Reference(), Reference("now"), MeanOf((CLIMATOLOGY, "now"))]
    assert ridge < min(measured(one(case, PLAIN), "RMSE") for one in plain)


def test_ridge_knows_how_sure_it_is() -> None:
    answers = FieldRidge((("now",),))(small_case(400), PLAIN)
    assert 0.8 < measured(answers, "spread / skill") < 1.25
    assert 0.8 < measured(answers, "in 90% interval") < 0.97


def test_choices_that_cannot_be_told_apart_are_all_kept() -> None:
    good, equal, bad = (Choice(("now",), (CLIMATOLOGY,), n, 1.0) for n in (1, 2, 3))
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(40)
    losses = {bad: 5.0 + noise, equal: 1.0 + noise[::-1], good: 1.0 + noise - 1e-3}
    assert as_good_as_the_best(losses, np.arange(40) // 4) == [good, equal]


def test_pattern_scaling_finds_the_line_of_each_cell() -> None:
    years = np.arange(240)
    slope = np.array([[1.0, 2.0], [0.5, 0.1]])
    fields = 280 + 0.02 * years[:, None, None] * slope
    case = scenario_case(
        fields, fields + 1.0, np.array([20.0, 10.0]), np.arange(2.0), knows_mean=True
    )
    answers = PatternScaling("mean")(case, PLAIN)
    assert answers["squared_error"].max() < 1e-12


def test_what_the_year_itself_is_like_is_known_only_where_it_is_given() -> None:
    fields = np.random.default_rng(0).standard_normal((240, 2, 2))
    cells = (np.array([20.0, 10.0]), np.arange(2.0))
    blind = scenario_case(fields, fields + 1.0, *cells, knows_mean=False)
    later = fields.copy()
    later[200:] += 9.0
    changed = scenario_case(later, fields + 1.0, *cells, knows_mean=False)
    for name, one in blind.inputs.items():
        assert np.array_equal(one.values[200], changed.inputs[name].values[200], equal_nan=True)
    assert "mean" not in blind.inputs


def test_the_recent_climate_is_the_mean_of_the_ten_years_before() -> None:
    found = recent(np.arange(12.0)[:, None, None])
    assert np.isnan(found[:10]).all()
    assert found[10:, 0, 0].tolist() == [4.5, 5.5]


def test_hindcasts_are_found_by_the_year_they_start_in() -> None:
    fields = np.array([[[1.0]], [[2.0]]])
    found = hindcasts_of(fields, np.array([1954, 1955]), np.array([1953, 1955, 1954]))
    assert np.isnan(found[0]).all()
    assert found[1:, 0, 0].tolist() == [2.0, 1.0]


def test_temperature_forecasts_read_the_field_of_the_lead_before_and_a_day_before() -> None:
    fields = np.arange(744.0)[:, None, None] + np.zeros((1, 2, 2))
    hours = np.arange(744)
    stamps = 2000010100 + hours // 24 * 100 + hours % 24  # the whole of January
    case = temperature_case(fields, stamps, np.array([58.0, 57.0]), np.array([0.0, 1.0]), 6)
    assert case.times is not None
    np.testing.assert_allclose(case.times - case.times[0], hours / 24, atol=1e-9)
    assert case.times[0] == 10957  # days from 1970 to 2000
    target = int(case.rows.test[0])
    assert target == 600
    assert case.inputs["now"].values[target, 0, 0] == 594
    assert case.inputs["6 h ago"].values[target, 0, 0] == 588
    assert case.inputs["yesterday"].values[target, 0, 0] == 576
    assert case.rows.valid is not None
    assert (case.rows.train.max(), case.rows.valid.min()) == (503, 504)


# ---- the network


def test_records_hold_anomalies_and_the_departure_from_the_plain_forecast() -> None:
    case = small_case()
    learnt = case.complete(case.rows.learnt(), ["now"])
    records = records_of(case, ("now",), (CLIMATOLOGY,), learnt)
    assert records.inputs["now"][0] is None  # nothing came before
    departure = records.targets["departure"].values
    assert np.mean(departure[learnt]) == pytest.approx(0.0, abs=1e-9)
    field = records.inputs["now"][5]
    assert np.allclose(field.values[0], case.anomaly("now", learnt)[5], atol=1e-4)


def test_readouts_and_fine_tuning_answer_every_item() -> None:
    case = small_case(48)
    context = Context(lambda: untrained_encoder())
    quick = replace(FineTuned(("now",)).config, epochs=1)
    methods: dict[str, Method] = {
        "joined": EmbeddingRidge(FieldRidge((("now",),)), is_joined=True),
        "process": FieldProcess(("now",), readout="linear", has_embeddings=True, every=2),
        "tuned": FineTuned(("now", "earlier"), config=quick),
    }
    # An untrained base and a single epoch promise no skill, but nothing absurd either.
    worst = float(case.truth.std())
    for name, method in methods.items():
        answers = method(case, context)
        assert len(answers) == case.n_test, name
        assert measured(answers, "RMSE") < worst, name
        assert (answers["variance"] > 0).all(), name


def test_methods_together_give_their_mean_and_know_their_disagreement() -> None:
    case = small_case()
    ridge, process = FieldRidge((("now",),)), FieldProcess(("now",))
    methods = (ridge, process, Together((ridge, process)))
    forecasts = [method.forecast(case, PLAIN) for method in methods]
    means, spreads = [], []
    for one in forecasts:
        assert one.prediction.mean is not None
        assert one.prediction.spread is not None
        means.append(one.prediction.mean)
        spreads.append(one.prediction.spread)
    np.testing.assert_allclose(means[2], (means[0] + means[1]) / 2)
    expected = (spreads[0] ** 2 + spreads[1] ** 2) / 2 + (means[0] - means[1]) ** 2 / 4
    np.testing.assert_allclose(spreads[2] ** 2, expected)
    assert forecasts[2].chosen == forecasts[0].chosen
    assert forecasts[2].answers(case).attrs["chosen"] == forecasts[0].chosen


# ---- indices


def index_case(lead: int) -> Mapping[str, Case]:
    """A series that decays by 0.7 a month, with a cycle of the year on top."""
    rng = np.random.default_rng(0)
    values = np.zeros(600)
    for i in range(1, 600):
        values[i] = 0.7 * values[i - 1] + 0.3 * rng.standard_normal()
    values += 25 + 2 * np.sin(2 * np.pi * np.arange(600) / 12)
    content = io.BytesIO()
    file = xr.Dataset({"sst": (("time",), values)}, coords={"time": np.arange(600)})
    content = io.BytesIO(bytes(file.to_netcdf(None, format="NETCDF3_64BIT", engine="scipy")))
    read = ReadIndex("x.nc", "sst", (1950, 1), 1985, "index", "K", leads=(lead,))
    return read(lambda _: content.getvalue())


def test_an_index_is_told_from_the_months_before_it_and_from_no_later_one() -> None:
    (case,) = index_case(3).values()
    assert case.n_test == 600 - 35 * 12
    answers = persistence(case, PLAIN)  # type: ignore[arg-type]  # a case of records
    truth, given = answers["truth"].to_numpy(), answers["given"].to_numpy()
    assert np.allclose(truth[:-3], given[3:])
    assert np.abs(truth).max() < 3  # the cycle of the year is gone


def test_months_that_were_not_measured_are_neither_asked_nor_read() -> None:
    values = np.random.default_rng(0).standard_normal(600)
    values[[100, 550]] = np.nan
    read = ReadIndex("x.nc", "sst", (1950, 1), 1985, "index", "K")
    case = read.case(values, 1950 * 12 + np.arange(600), 2)
    # The month itself, and the six whose forecast would read it.
    assert case.n_test == 600 - 35 * 12 - 7
    assert np.isfinite(InverseModel(2)(case, PLAIN)["given"]).all()


def test_the_inverse_model_and_damping_find_the_decay() -> None:
    (case,) = index_case(2).values()
    now = persistence(case, PLAIN)["given"]  # type: ignore[arg-type]  # a case of records
    for method in (damped_persistence, InverseModel(1)):
        share = method(case, PLAIN)["given"] / now  # type: ignore[arg-type]
        assert share.iloc[0] == pytest.approx(0.49, abs=0.12), method  # 0.7 twice; 400 months
    none = climatology(case, PLAIN)  # type: ignore[arg-type]
    assert (none["given"] == 0).all()


# ---- downscaling


def test_coarse_cells_are_area_weighted_means() -> None:
    latitudes = np.array([60.0, 60.0, 60.0, 60.0, 0.0, 0.0, 60.0, 60.0])
    fields = np.zeros((1, 8, 4))
    fields[0, 4:6] = 3.0
    found = coarsened(fields, latitudes)
    assert found.shape == (1, 2, 1)
    # Rows at the equator weigh 1, those at 60 degrees 0.5: 3 * 2 / 3.
    assert found.ravel().tolist() == pytest.approx([0.0, 2.0])


def test_interpolation_keeps_what_is_linear_and_goes_round_the_globe() -> None:
    coarse = np.tile(np.arange(8.0), (1, 8, 1)).transpose(0, 2, 1)
    fine = interpolated(coarse, 1, is_global=False)
    inner = fine[0, 8:-8, 4]
    assert np.diff(inner) == pytest.approx(1 / FACTOR)
    ring = np.zeros((1, 4, 8))
    ring[0, :, -1] = 8.0
    assert interpolated(ring, 1, is_global=True)[0, 0, 0] == pytest.approx(3.0)
    assert interpolated(ring, 0, is_global=True)[0, 0, 0] == 0.0


def test_neighbourhoods_and_insides_stand_in_the_same_order() -> None:
    coarse = np.arange(6.0).reshape(1, 2, 3)
    fine = coarse.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
    assert (inside(fine) == np.arange(6.0)[:, None]).all()
    around = neighbourhoods(coarse)
    assert around.shape == (6, 24)
    assert np.isin(around[0] + 0.0, coarse).all()


def test_the_patch_readout_beats_splines_and_keeps_block_means() -> None:
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((24, 32, 32))
    smooth = np.fft.irfft2(
        np.fft.rfft2(waves)
        * np.exp(-((np.add.outer(np.r_[0:17, -15:0] ** 2, np.r_[0:17] ** 2)) / 18)),
        s=(32, 32),
    )
    every = np.arange(24)
    latitudes = np.linspace(10.0, -10.0, 32)
    case = downscaling_case(
        smooth,
        latitudes,
        np.arange(32.0),
        0 * every,
        every,
        Rows(every[:16], every[16:]),
        ("t", "K"),
    )
    readout = PatchReadout()
    spline = measured(Reference("bicubic")(case, PLAIN), "RMSE")
    assert measured(readout(case, PLAIN), "RMSE") < spline
    kept = readout._corrected(case, case.rows.test, readout._fit(case, case.rows.train))
    assert np.allclose(coarsened(kept, latitudes), case.inputs["coarse"].values[case.rows.test])


# ---- nowcasting


def moving_rain(n_images: int = 20, size: int = 160) -> RadarCase:
    """Blobs that move 3 pixels down and 2 to the left at each step, as bytes."""
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    rng = np.random.default_rng(0)
    centres = rng.uniform(-60, size + 60, (40, 2))
    images = []
    for time in range(n_images):
        places = centres + time * np.array([3.0, -2.0])
        near = [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 60) for r, c in places]
        images.append(64 + 2 * 30 * np.max(near, axis=0))
    bytes_ = np.array(images).astype(np.uint8)
    bytes_[:, :5, :5] = 255
    return RadarCase(bytes_, np.arange(12, 16), 4)


def test_bytes_become_reflectivity_and_what_nobody_sees_becomes_dry() -> None:
    image = np.array([[64, 104, 0, 255]], dtype=np.uint8)
    assert reflectivity(image).tolist() == [[0.0, 20.0, 0.0, 0.0]]


def test_motion_is_found_and_carries_rain_where_it_goes() -> None:
    case = moving_rain()
    moved = motion(np.stack([case.dbz(time) for time in range(4)]))
    # Where images end rain comes and goes, which costs some accuracy.
    assert np.abs(moved.mean(axis=(1, 2)) - [3.0, -2.0]).max() < 0.3
    block = np.zeros((160, 160))
    block[40:60, 80:100] = 30.0
    still = np.zeros((2, len(tile_starts(160)), len(tile_starts(160))))
    assert np.array_equal(carried(block, still, 3), block)
    still[0], still[1] = 3.0, -2.0
    there = carried(block, still, 5)
    assert there[55:75, 70:90].min() == pytest.approx(30.0)
    assert there.sum() == pytest.approx(block.sum(), rel=1e-6)


def test_advection_beats_the_last_image_and_no_rain() -> None:
    case = moving_rain()
    (fss, *_), (*_, rmse) = MEASURES, MEASURES
    carried_on, last = advection(case, PLAIN), last_image(case, PLAIN)
    assert fss.of(carried_on) > fss.of(last) + 0.1
    assert rmse.of(carried_on) < rmse.of(last)
    assert fss.of(dry(case, PLAIN)) == 0.0
    assert rmse.of(RainReadout(every=7)(case, PLAIN)) < rmse.of(last)


def test_rain_is_scored_by_counts_as_by_hand_and_where_it_is_seen() -> None:
    images = np.full((20, 40, 40), 64, dtype=np.uint8)
    images[:, :20, :20] = 64 + 2 * 25  # 25 dBZ on a quarter
    images[:, 39, :] = 255
    case = RadarCase(images, np.array([12]), 4)

    def half(_: int) -> np.ndarray:
        given = np.zeros((40, 40))
        given[:20, 10:30] = 25.0  # half hits, half false alarms
        given[39] = 60.0  # where nobody sees it
        return given

    by_name = {one.name: one.of(radar_answers(case, half)) for one in MEASURES}
    assert by_name["CSI 20 dBZ"] == pytest.approx(200 / 600)
    assert np.isnan(by_name["CSI 30 dBZ"])
    assert by_name["MAE"] == pytest.approx(400 * 25 / (39 * 40))


def test_forecasts_of_rain_never_see_what_comes_later() -> None:
    case = moving_rain()
    later = case.images.copy()
    later[13:] = 64
    changed = replace(case, images=later, starts=case.starts[:1])
    first, second = replace(case, starts=case.starts[:1]), changed
    seen = [carried(one.dbz(12), one.motion(12), one.steps) for one in (first, second)]
    assert np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda: read_pgm(b"P5 nothing", "x.pgm"), "x.pgm: the content is no image"),
        (lambda: dataset(lambda _: b"no grid", "x.nc"), "x.nc: the content is no NetCDF file"),
    ],
)
def test_damaged_files_are_named(read: object, told: str) -> None:
    assert callable(read)
    with pytest.raises(InputError, match=told):
        read()


# ---- public files


def climate_tasks() -> list[str]:
    return [one.name for one in TASKS.chosen("climate")]


def test_every_question_of_the_climate_is_there() -> None:
    assert set(climate_tasks()) == {
        "era-interim-geopotential-downscaling",
        "era-interim-wind-downscaling",
        "era5-uk-downscaling",
        "era5-uk-temperature",
        "fmi-nowcasting",
        "hadcm3-next-year",
        "hadcm3-pattern",
        "nino34",
        "pacific-sst",
        "southern-oscillation",
    }
    # Neighbouring times are alike, so every interval resamples blocks of them.
    assert all(TASKS[one].group == "block" for one in climate_tasks())


def public() -> FolderSource:
    return FolderSource([Path(os.environ["KAGAKU_DATA"])])


@cache
def loaded(task: str) -> Mapping[str, Case]:
    return TASKS[task].load(public())


def scored(task: str, split: str, method: str, measure: str) -> float:
    case = loaded(task)[split]
    return TASKS[task].measure(measure).of(TASKS[task].methods[method](case, PLAIN))


@pytest.mark.benchmark_data
def test_plain_forecasts_of_public_files_have_their_known_scores() -> None:
    known = {
        ("era5-uk-temperature", "6 h", "persistence", "RMSE"): 2.755,
        ("era5-uk-temperature", "12 h", "persistence", "RMSE"): 3.756,
        ("era5-uk-temperature", "24 h", "persistence", "RMSE"): 1.538,
        ("era5-uk-temperature", "6 h", "climatology", "RMSE"): 1.930,
        ("era5-uk-temperature", "6 h", "yesterday", "RMSE"): 1.538,
        ("pacific-sst", "1 year", "persistence", "mean RMSE"): 0.589,
        ("pacific-sst", "1 year", "climatology-all-years", "mean RMSE"): 0.500,
        ("pacific-sst", "1 year", "cesm-dple-all-years", "mean RMSE"): 0.476,
        ("pacific-sst", "2 years", "cesm-dple-all-years", "mean RMSE"): 0.492,
        ("pacific-sst", "3 years", "cesm-dple-all-years", "mean RMSE"): 0.568,
        ("pacific-sst", "5 years", "cesm-dple-all-years", "mean RMSE"): 0.533,
        ("nino34", "1 month", "persistence", "RMSE"): 0.291,
        ("nino34", "1 month", "climatology", "RMSE"): 0.890,
        ("nino34", "6 months", "persistence", "RMSE"): 1.062,
        ("nino34", "12 months", "persistence", "RMSE"): 1.295,
        ("nino34", "6 months", "persistence", "correlation"): 0.279,
        ("hadcm3-next-year", "one year ahead", "climatology", "mean RMSE"): 2.417,
        ("hadcm3-next-year", "one year ahead", "persistence", "mean RMSE"): 0.862,
        ("hadcm3-next-year", "one year ahead", "recent-climate", "mean RMSE"): 0.702,
        ("hadcm3-next-year", "one year ahead", "other-scenario", "mean RMSE"): 1.926,
    }
    found = {key: scored(*key) for key in known}
    assert found == pytest.approx(known, abs=6e-4)  # three digits are known


@pytest.mark.benchmark_data
@pytest.mark.parametrize("name", climate_tasks())
def test_every_default_method_answers_a_cut_of_the_public_files(name: str, tmp_path: Path) -> None:
    task = TASKS[name]
    first = next(iter(loaded(name)))
    plan = Plan(splits=(first,), quick=Quick(n_train=72, n_test=8))
    base = BaseUse(lambda: load_base(None))
    results = list(run_task(task, public(), base, plan, tmp_path))
    assert {one.method for one in results} == set(task.default)
    for one in results:
        assert np.isfinite(task.leading.of(one.answers)), one.method
