"""Fine-tuning from the front door: every kind of target, input and method, on the samples."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kagaku
from kagaku.bases import load_base
from kagaku.data import Input, Records, Schema
from kagaku.errors import InputError
from kagaku.science_tasks.fit_settings import FitSettings
from kagaku.science_tasks.network_reach import why_no_network

Make = Callable[[str], Any]
Quickly = Callable[[], ExitStack]

WRITTEN = ("card.md", "config.yaml", "metrics.json", "provenance.json", "report.html")

COLUMNS = {
    "regression": ["logS", "logS_lower", "logS_upper", "logS_in_domain"],
    "several": [
        *("logS", "logS_lower", "logS_upper", "logS_in_domain"),
        *("soluble", "soluble_set", "soluble_p_no", "soluble_p_yes", "soluble_in_domain"),
    ],
    "binary": ["soluble", "soluble_set", "soluble_p_no", "soluble_p_yes", "soluble_in_domain"],
    "multiclass": [
        *("canonical_units", "canonical_units_set", "canonical_units_p_W m-2"),
        *("canonical_units_p_kg m-2 s-1", "canonical_units_p_m", "canonical_units_in_domain"),
    ],
    "multilabel": [
        *("topics", "topics_set", "topics_p_flux", "topics_p_mass", "topics_p_other"),
        *("topics_p_sea", "topics_in_domain"),
    ],
    "per-token": ["burial", "burial_confidence", "burial_in_domain"],
    "series": [
        *("time", "valid_time"),
        *("nino34", "nino34_lower", "nino34_upper", "nino34_in_domain"),
    ],
    "images": ["n_nuclei", "n_nuclei_lower", "n_nuclei_upper", "n_nuclei_in_domain"],
    "reactions": ["yield", "yield_lower", "yield_upper", "yield_in_domain"],
    "regression, full": ["logS", "logS_lower", "logS_upper", "logS_in_domain"],
    "per-token, full": ["burial", "burial_confidence", "burial_in_domain"],
}


@pytest.mark.parametrize("name", [*COLUMNS, "multiclass, full", "field", "field, full"])
def test_a_run_is_a_whole_folder_without_leftovers(made: Make, name: str) -> None:
    folder = made(name).run.folder
    written = {one.name for one in folder.iterdir()}
    assert written >= set(WRITTEN)
    assert not [one for one in folder.rglob("*") if "partial" in one.name]
    assert "UNFINISHED" not in written
    assert "work" not in written


@pytest.mark.parametrize("name", COLUMNS)
def test_predictions_have_the_promised_columns_in_order(made: Make, name: str) -> None:
    one = made(name)
    table = one.run.predict(one.data)
    assert list(table.columns) == COLUMNS[name]
    n_rows = 100 if name == "series" else len(kagaku_rows(one.data))
    assert len(table) == n_rows


def kagaku_rows(data: Path) -> pd.DataFrame:
    return pd.read_csv(data / "labels.csv" if data.is_dir() else data)


@pytest.mark.parametrize("name", [*COLUMNS, "multiclass, full"])
def test_a_loaded_run_predicts_bit_for_bit_what_it_did_before_it_was_saved(
    made: Make, name: str
) -> None:
    one = made(name)
    source = kagaku.data.read(one.data)
    records, bad = one.run.records(source)
    assert not bad
    before, after = one.before.predict(records), one.run.model.predict(records)
    assert list(before) == list(after)
    for target in before:
        for part in ("mean", "spread", "probabilities"):
            old = getattr(before[target].prediction, part)
            new = getattr(after[target].prediction, part)
            assert (old is None) == (new is None)
            if old is not None:
                np.testing.assert_array_equal(old, new)
        for part in ("lower", "upper", "sets", "in_domain", "distance"):
            old, new = getattr(before[target], part), getattr(after[target], part)
            assert (old is None) == (new is None)
            if old is not None:
                np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["regression", "images", "reactions", "series"])
def test_intervals_enclose_the_prediction_and_metrics_stand_beside_baselines(
    made: Make, name: str
) -> None:
    one = made(name)
    (target,) = one.run.schema.targets
    table = one.run.predict(one.data)
    assert (table[f"{target.name}_lower"] < table[target.name]).all()
    assert (table[target.name] < table[f"{target.name}_upper"]).all()
    found = one.run.metrics["targets"][target.name]
    assert found["metric"] == "RMSE"
    assert "mean" in {baseline["name"] for baseline in found["baselines"]}
    assert found["coverage"]["note"]
    assert found["versus_best_baseline"]["sentence"]


def test_classes_have_probabilities_that_sum_to_one_and_a_set_with_the_answer(made: Make) -> None:
    one = made("multiclass")
    table = one.run.predict(one.data)
    chances = table[[name for name in table if "_p_" in name]]
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-9)
    for answer, choices in zip(table["canonical_units"], table["canonical_units_set"], strict=True):
        assert answer in choices.split("|")


def test_auto_says_why_full_fine_tuning_was_not_tried(made: Make) -> None:
    found = made("binary").run.metrics["targets"]["soluble"]
    (row,) = [one for one in found["candidates"] if one["name"] == "full fine-tuning"]
    assert re.search(r"not tried: about \d+ minutes; ask for it with --method full", row["note"])
    assert found["classes"] == ["no", "yes"]


def test_the_choosing_is_included_beside_the_winners_own_score(made: Make) -> None:
    found = made("regression").run.metrics["targets"]["logS"]
    choosing = found["choosing"]
    (winner,) = [one for one in found["candidates"] if one["chosen"]]
    assert choosing["own_score"] == winner["score"]
    assert len(choosing["folds"]) == 5
    assert sum(one["chosen"] == found["chosen"] for one in choosing["folds"]) == choosing["n_alike"]
    assert f"{choosing['score']:.3g} log10(mol/L)" in choosing["sentence"]
    assert choosing["sentence"] in made("regression").run.report.read_text().replace("&#39;", "'")
    # A single fold leaves nothing to choose on.
    assert made("regression, full").run.metrics["targets"]["logS"]["choosing"] is None


def test_an_encoder_that_has_learnt_nothing_is_not_trained_on_few_records() -> None:
    schema = Schema((Input("smiles", "smiles", "molecule"),))
    records = Records(schema, {"smiles": []}, {}, np.arange(0), "table.csv")
    untrained = load_base("untrained-tiny")
    why = why_no_network(untrained, records, 500, 0.001, FitSettings())
    assert "untrained-tiny has learnt nothing yet, and 500 records are too few to teach it" in why
    assert not why_no_network(load_base(None), records, 500, 0.001, FitSettings())


def test_bounds_and_gaps_are_counted_and_each_target_keeps_its_own_rows(made: Make) -> None:
    one = made("several")
    targets = one.run.metrics["targets"]
    cells = pd.read_csv(one.data, dtype=str)
    measured = {name: cells[name].notna().sum() for name in ("logS [log10(mol/L)]", "soluble")}
    assert targets["logS"]["n_train"] + targets["logS"]["n_test"] == measured["logS [log10(mol/L)]"]
    assert targets["soluble"]["n_train"] + targets["soluble"]["n_test"] == measured["soluble"]
    held = pd.read_parquet(one.run.folder / "predictions.parquet")
    assert set(held["logS_censoring"]) <= {-1, 0, 1}
    assert targets["logS"]["n_censored"] == (held["logS_censoring"] != 0).sum()


def test_residues_get_one_letter_each(made: Make) -> None:
    for name in ("per-token", "per-token, full"):
        one = made(name)
        table = one.run.predict(one.data)
        sequences = pd.read_csv(one.data)["sequence"]
        assert [len(labels) for labels in table["burial"]] == [len(one) for one in sequences]
        assert set("".join(table["burial"])) <= {"h", "p"}


def test_the_letters_of_residues_are_learnt(made: Make) -> None:
    found = made("per-token").run.metrics["targets"]["burial"]
    assert found["test"]["accuracy"]["value"] > 0.95  # the label is a function of the letter


@pytest.mark.parametrize("name", ["field", "field, full"])
def test_a_field_comes_back_on_its_own_grid_with_the_time_it_is_for(made: Make, name: str) -> None:
    one = made(name)
    table = one.run.predict_fields(one.data)
    with xr.open_dataset(one.data) as given:
        for axis in ("time", "lat", "lon"):
            np.testing.assert_array_equal(table[axis], given[axis])
    assert str(table["valid_time"].values[0])[:10] == "1979-02-01"
    assert table["sst_anomaly"].dims == ("time", "lat", "lon")
    assert table["sst_anomaly"].attrs["units"] == one.run.schema.targets[0].unit
    inside = table["sst_anomaly"].notnull()
    assert inside.any()
    assert (table["sst_anomaly_lower"] <= table["sst_anomaly_upper"]).where(inside, True).all()


def test_a_field_stands_beside_persistence_and_climatology(made: Make) -> None:
    found = made("field").run.metrics["targets"]["sst_anomaly"]
    names = {baseline["name"] for baseline in found["baselines"]}
    assert names >= {"mean", "persistence", "climatology"}


def test_a_series_says_when_it_was_taken_and_for_when_it_holds(made: Make) -> None:
    one = made("series")
    table = one.run.predict(one.data)
    assert str(table["time"].iloc[0]) == "1979-01-01 00:00:00"
    assert str(table["valid_time"].iloc[0]) == "1979-04-01 00:00:00"


def test_held_out_predictions_are_those_that_the_run_gives(made: Make) -> None:
    one = made("regression")
    held = pd.read_parquet(one.run.folder / "predictions.parquet")
    table = one.run.predict(one.data)
    rows = held["row"].to_numpy() - 2
    np.testing.assert_allclose(held["logS"], table["logS"].to_numpy()[rows], rtol=1e-9)
    np.testing.assert_allclose(held["logS_lower"], table["logS_lower"].to_numpy()[rows], rtol=1e-9)


def test_a_recipe_replays_the_same_numbers_elsewhere(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    from kagaku.api import finetune_config
    from kagaku.finetuning.verb import train
    from kagaku.terminal import Terminal

    one = made("regression")
    config = finetune_config(one.run.folder / "config.yaml", {"output": str(tmp_path / "again")})
    with quickly():
        again = train(config, terminal=Terminal(quiet=True))
    assert figures(again) == figures(one.run)
    pd.testing.assert_frame_equal(again.predict(one.data), one.run.predict(one.data))


def figures(run: kagaku.Run) -> dict[str, Any]:
    """Return the metrics of a run without how long anything took, and without row numbers, which
    count from 2 in a file with a heading and from elsewhere in a frame."""
    kept = json.loads(json.dumps(run.metrics))
    del kept["seconds"]
    for target in kept["targets"].values():
        for candidate in target["candidates"]:
            del candidate["seconds"]
        for pair in (target["cliffs"] or {}).get("steepest", ()):
            for molecule in pair["molecules"]:
                del molecule["row"]
    assert isinstance(kept, dict)
    return kept


def test_a_data_frame_trains_like_the_file_and_its_recipe_replays_it(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    frame = pd.read_csv(made("several").data)[["smiles", "logS [log10(mol/L)]"]]
    frame.to_csv(tmp_path / "lab.csv", index=False)
    given: dict[str, Any] = {"method": "readout", "quiet": True}
    # Numbers and bounds in one column, as a spreadsheet gives them.
    mixed = frame.astype(object)
    mixed["logS [log10(mol/L)]"] = mixed["logS [log10(mol/L)]"].map(as_number)
    with quickly():
        expected = kagaku.finetune(tmp_path / "lab.csv", "logS", tmp_path / "file", **given)
        run = kagaku.finetune(mixed, "logS", tmp_path / "run", **given)
        again = kagaku.finetune(run.config.data, "logS", tmp_path / "again", **given)
    assert run.config.data == str(tmp_path / "run/data.parquet")
    assert figures(run)["targets"] == figures(expected)["targets"]
    assert figures(again)["targets"] == figures(expected)["targets"]
    copied = pd.read_parquet(run.config.data)
    assert list(copied.columns) == list(frame.columns)
    assert len(copied) == len(frame)


def as_number(cell: object) -> object:
    try:
        return float(str(cell))
    except ValueError:
        return cell


def test_groups_never_straddle_the_split(made: Make, quickly: Quickly, tmp_path: Path) -> None:
    frame = pd.read_csv(made("regression").data)
    frame["batch"] = [f"b{row // 8}" for row in range(len(frame))]
    with quickly():
        run = kagaku.finetune(
            frame,
            "logS",
            tmp_path / "run",
            method="readout",
            quiet=True,
            settings={"group": "batch"},
        )
    assert run.metrics["split"]["kind"] == "group"
    held = pd.read_parquet(run.folder / "predictions.parquet")["row"].to_numpy()
    trained = np.setdiff1d(np.arange(len(frame)), held)
    assert not set(frame["batch"].iloc[held]) & set(frame["batch"].iloc[trained])


def test_a_split_by_time_holds_out_the_last_rows(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    frame = pd.read_csv(made("regression").data)
    order = np.random.default_rng(0).permutation(len(frame))
    frame["date"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(order, unit="D")
    with quickly():
        run = kagaku.finetune(
            frame,
            "logS",
            tmp_path / "run",
            method="readout",
            split="time",
            quiet=True,
            settings={"time": "date"},
        )
    held = pd.read_parquet(run.folder / "predictions.parquet")["row"].to_numpy()
    assert order[held].min() == len(frame) - len(held)


def test_bad_rows_are_left_out_when_asked_and_counted(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    frame = pd.read_csv(made("regression").data)
    frame.loc[[4, 40], "smiles"] = ["C1CC", "not a molecule"]
    frame.to_csv(tmp_path / "lab.csv", index=False)
    with quickly():
        run = kagaku.finetune(
            tmp_path / "lab.csv",
            "logS",
            tmp_path / "run",
            method="readout",
            quiet=True,
            settings={"skip_bad_rows": True},
        )
    assert run.metrics["n_skipped"] == 2
    assert run.metrics["n_rows"] == len(frame) - 2
    rejected = pd.read_csv(run.folder / "rejected.csv")
    assert list(rejected["row"]) == [6, 42]
    assert list(rejected.columns) == ["file", "row", "column", "value", "reason", "fix"]


def test_a_finished_run_is_replaced_only_when_asked_and_only_by_usable_data(
    made: Make, quickly: Quickly, tmp_path: Path
) -> None:
    one = made("regression")
    folder = tmp_path / "run"
    with quickly():
        first = kagaku.finetune(one.data, "logS", folder, method="readout", quiet=True)
        with pytest.raises(kagaku.InputError, match=r"finished run in this folder.*--overwrite"):
            kagaku.finetune(one.data, "logS", folder, method="readout", quiet=True)
        with pytest.raises(kagaku.InputError, match="there is no column 'logP'"):
            kagaku.finetune(one.data, "logP", folder, quiet=True, overwrite=True)
        with pytest.raises(kagaku.InputError, match="there are no weights named"):
            kagaku.finetune(one.data, "logS", folder, quiet=True, overwrite=True, base="large")
        assert figures(kagaku.load(folder)) == figures(first)  # type: ignore[arg-type]
        second = kagaku.finetune(
            one.data, "temperature", folder, method="readout", quiet=True, overwrite=True
        )
    assert [target.name for target in second.schema.targets] == ["temperature"]
    assert list(second.metrics["targets"]) == ["temperature"]


def test_a_run_of_fields_and_one_of_numbers_are_asked_differently(made: Make) -> None:
    field, table = made("field"), made("regression")
    with pytest.raises(InputError, match=r"which are no table\. Call predict_fields"):
        field.run.predict(field.data)
    with pytest.raises(InputError, match=r"predicts no fields\. Call predict"):
        table.run.predict_fields(table.data)
