"""Predicting new files: columns and order, units, missing and bad cells, long files, stops."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import kagaku
from kagaku import streaming
from kagaku.cli import app
from kagaku.terminal import Terminal

Make = Callable[[str], Any]
ANSWER = ["logS", "logS_lower", "logS_upper", "logS_in_domain"]


@pytest.fixture
def run(made: Make) -> kagaku.Run:
    one = made("regression").run
    assert isinstance(one, kagaku.Run)
    return one


@pytest.fixture
def new(samples: Path) -> pd.DataFrame:
    """Return molecules that the run has not seen, with a temperature."""
    frame = pd.read_csv(samples / "molecules_new.csv")
    frame["temperature [degC]"] = 22.0
    return frame


def predicted(run: kagaku.Run, source: Path, output: Path, **asked: bool) -> pd.DataFrame:
    streaming.predict_file(run, source, output, terminal=Terminal(quiet=True), **asked)
    return pd.read_csv(output) if output.suffix == ".csv" else pd.read_parquet(output)


def test_a_quantity_in_another_unit_is_converted(run: kagaku.Run, new: pd.DataFrame) -> None:
    kelvin = new.rename(columns={"temperature [degC]": "temperature [K]"})
    kelvin["temperature [K]"] += 273.15
    own = new.assign(**{"temperature [degC]": "295.15 K"})
    expected = run.predict(new)
    for other in (kelvin, own):
        table = run.predict(other)
        np.testing.assert_allclose(table[ANSWER[:3]], expected[ANSWER[:3]], rtol=1e-6)


def test_a_unit_of_another_kind_is_refused(run: kagaku.Run, new: pd.DataFrame) -> None:
    wrong = new.rename(columns={"temperature [degC]": "temperature [mol/L]"})
    with pytest.raises(kagaku.InputError, match=r"column 'temperature \[mol/L\]'.*converted"):
        run.predict(wrong)


def test_missing_inputs_are_predicted_and_change_the_answer(
    run: kagaku.Run, new: pd.DataFrame
) -> None:
    fewer = new.copy()
    fewer.loc[::2, "temperature [degC]"] = np.nan
    fewer.loc[1, "smiles"] = None
    table = run.predict(fewer)
    assert np.isfinite(table[ANSWER[:3]]).all(axis=None)
    assert (table["logS_lower"] < table["logS_upper"]).all()


def test_extra_columns_order_and_index_change_nothing(run: kagaku.Run, new: pd.DataFrame) -> None:
    expected = run.predict(new)
    shuffled = new[new.columns[::-1]].assign(note="spam")
    shuffled.index = pd.Index([f"s{i}" for i in range(len(new))])
    table = run.predict(shuffled)
    assert list(table.columns) == ANSWER
    assert list(table.index) == list(shuffled.index)
    pd.testing.assert_frame_equal(table.reset_index(drop=True), expected)


def test_neighbours_and_order_of_rows_change_no_answer(run: kagaku.Run, new: pd.DataFrame) -> None:
    expected = run.predict(new)
    backwards = run.predict(new.iloc[::-1])
    np.testing.assert_allclose(backwards[ANSWER[:3]].iloc[::-1], expected[ANSWER[:3]], rtol=1e-9)
    alone = run.predict(new.iloc[[5]])
    np.testing.assert_allclose(alone[ANSWER[:3]], expected[ANSWER[:3]].iloc[[5]], rtol=1e-9)


def test_missing_columns_are_told_as_a_difference(run: kagaku.Run, new: pd.DataFrame) -> None:
    renamed = new.rename(columns={"smiles": "structure"})
    with pytest.raises(kagaku.InputError) as caught:
        run.predict(renamed)
    told = str(caught.value)
    assert "expected ['smiles', 'temperature [degC]']" in told
    assert "found ['name', 'structure', 'temperature [degC]']" in told
    assert "missing ['smiles']" in told


def test_a_measured_column_may_stand_in_the_file_and_is_kept(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new["logS"] = -1.0
    new.to_csv(tmp_path / "new.csv", index=False)
    table = predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    assert list(table.columns) == [
        *("name", "smiles", "temperature [degC]", "input_logS", *ANSWER, "problem")
    ]
    assert (table["input_logS"] == -1).all()
    assert not (table["logS"] == -1).any()


def test_abstaining_leaves_the_strange_ones_empty(run: kagaku.Run, new: pd.DataFrame) -> None:
    new.loc[3, "smiles"] = "[Pt](Cl)(Cl)([NH3])[NH3]." * 5 + "[U]"
    table, sure = run.predict(new), run.predict(new, abstain=True)
    strange = ~table["logS_in_domain"]
    assert strange[3]
    assert not strange.all()
    assert list(sure["logS_abstained"]) == list(strange)
    assert sure.loc[strange, ["logS", "logS_lower", "logS_upper"]].isna().all(axis=None)
    pd.testing.assert_series_equal(sure.loc[~strange, "logS"], table.loc[~strange, "logS"])


def test_abstaining_leaves_classes_empty_that_the_set_does_not_settle(made: Make) -> None:
    one = made("binary")
    table, sure = one.run.predict(one.data), one.run.predict(one.data, abstain=True)
    settled = table["soluble_in_domain"] & ~table["soluble_set"].str.contains("|", regex=False)
    assert list(sure["soluble"].notna()) == list(settled)
    assert list(sure["soluble_abstained"]) == list(~settled)


def test_bad_rows_stop_a_prediction_before_any_work(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new.loc[[2, 7], "smiles"] = ["C1CC", "c1ccccc"]
    new.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(kagaku.InputError, match=r"2 of \d+ rows cannot be used") as caught:
        predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    assert "new.csv, row 4, column 'smiles'" in str(caught.value)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.csv", "out.rejected.csv"]
    assert list(pd.read_csv(tmp_path / "out.rejected.csv")["row"]) == [4, 9]


def test_bad_rows_are_left_empty_with_their_reason_when_asked(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    good = run.predict(new)
    new.loc[2, "smiles"] = "C1CC"
    table = run.predict(new, skip_bad_rows=True)
    assert len(table) == len(new)
    assert table.loc[2, ANSWER].isna().all()
    assert "row 2, column 'smiles'" in str(table.loc[2, "problem"])
    rest = [i for i in range(len(new)) if i != 2]
    assert (table.loc[rest, "problem"] == "").all()
    np.testing.assert_allclose(
        table.loc[rest, ANSWER[:3]].astype(float), good.loc[rest, ANSWER[:3]], rtol=1e-9
    )
    new.to_csv(tmp_path / "new.csv", index=False)
    written = predicted(run, tmp_path / "new.csv", tmp_path / "out.csv", skip_bad_rows=True)
    assert written["logS"].isna()[2]
    assert "row 4, column 'smiles'" in str(written.loc[2, "problem"])


def test_a_file_of_bad_rows_only_gives_empty_answers_when_asked(
    run: kagaku.Run, tmp_path: Path
) -> None:
    bad = pd.DataFrame({"smiles": ["C1CC"] * 3, "temperature [degC]": [20.0] * 3})
    table = run.predict(bad, skip_bad_rows=True)
    assert table[ANSWER[:3]].isna().all(axis=None)
    bad.to_csv(tmp_path / "bad.csv", index=False)
    written = predicted(run, tmp_path / "bad.csv", tmp_path / "out.parquet", skip_bad_rows=True)
    assert len(written) == 3
    assert (written["problem"] != "").all()


def test_an_empty_table_is_refused(run: kagaku.Run, tmp_path: Path) -> None:
    with pytest.raises(kagaku.InputError, match="the table has no rows"):
        run.predict(pd.DataFrame({"smiles": [], "temperature [degC]": []}))
    (tmp_path / "new.csv").write_text("smiles,temperature [degC]\n")
    with pytest.raises(kagaku.InputError, match="a heading but no rows"):
        predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_file_in_pieces_gives_what_memory_gives(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path, ending: str
) -> None:
    # The first piece has no name at all, the last no temperature.
    new.loc[:6, "name"] = None
    new.loc[20:, "temperature [degC]"] = np.nan
    new.to_csv(tmp_path / "new.csv", index=False)
    with patch.object(streaming, "ROWS_PER_CHUNK", 7):
        table = predicted(run, tmp_path / "new.csv", tmp_path / f"out{ending}")
    whole = run.predict(tmp_path / "new.csv")
    np.testing.assert_allclose(table[ANSWER[:3]], whole[ANSWER[:3]], rtol=1e-9)
    assert list(table["logS_in_domain"]) == list(whole["logS_in_domain"])
    assert list(table["smiles"]) == list(new["smiles"])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.csv", f"out{ending}"]


@pytest.mark.parametrize("ending", [".tsv", ".parquet", ".xlsx"])
def test_other_kinds_of_table_are_read_and_keep_their_columns(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path, ending: str
) -> None:
    notes: list[object] = [1.5, "n/a"]  # as a spreadsheet may mix them
    new["note"] = pd.Series((notes * len(new))[: len(new)], dtype=object)
    path = tmp_path / f"new{ending}"
    if ending == ".xlsx":
        new.to_excel(path, index=False)
    elif ending == ".tsv":
        new.to_csv(path, index=False, sep="\t")
    else:
        new.astype({"note": str}).to_parquet(path)
    table = predicted(run, path, tmp_path / "out.csv")
    np.testing.assert_allclose(table[ANSWER[:3]], run.predict(new)[ANSWER[:3]], rtol=1e-9)
    assert "note" in table


def test_a_stopped_prediction_goes_on_and_gives_the_same_file(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new.to_csv(tmp_path / "new.csv", index=False)
    with patch.object(streaming, "ROWS_PER_CHUNK", 5):
        whole = predicted(run, tmp_path / "new.csv", tmp_path / "whole.csv")
        predict, calls = run.model.predict, list[int]()

        def stopping(*given: Any, **named: Any) -> Any:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return predict(*given, **named)

        with patch.object(run.model, "predict", stopping):
            with pytest.raises(KeyboardInterrupt):
                predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
            assert not (tmp_path / "out.csv").exists()
            assert (tmp_path / "out.csv.parts").is_dir()
            predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    n_pieces = -(-len(new) // 5)
    assert len(calls) == n_pieces + 1  # the piece that was stopped came twice, no other
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "out.csv.parts").exists()
    assert len(whole) == len(new)


@pytest.fixture
def stopped(run: kagaku.Run, new: pd.DataFrame, tmp_path: Path) -> Path:
    """Return an output whose prediction was stopped before its parts were joined."""
    new.to_csv(tmp_path / "new.csv", index=False)
    stop = patch.object(streaming, "_join", side_effect=KeyboardInterrupt)
    with stop, pytest.raises(KeyboardInterrupt):
        predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    return tmp_path / "out.csv"


def test_parts_of_another_prediction_are_refused_and_kept(
    run: kagaku.Run, stopped: Path, new: pd.DataFrame
) -> None:
    source, parts = stopped.with_name("new.csv"), stopped.with_name("out.csv.parts")
    before = sorted(parts.iterdir())
    told = r"out.csv.parts: the folder keeps the finished parts of other settings.*choose another"
    with pytest.raises(kagaku.InputError, match=told):
        predicted(run, source, stopped, abstain=True)
    with (
        patch.object(streaming, "ROWS_PER_CHUNK", 7),
        pytest.raises(kagaku.InputError, match=told),
    ):
        predicted(run, source, stopped)
    with (
        patch.object(run.model, "fingerprint", lambda: "another"),
        pytest.raises(kagaku.InputError, match="finished parts of other weights"),
    ):
        predicted(run, source, stopped)
    new.head(5).to_csv(source, index=False)
    with pytest.raises(kagaku.InputError, match="finished parts of another input"):
        predicted(run, source, stopped)
    assert sorted(parts.iterdir()) == before


def test_a_folder_of_other_things_in_the_place_of_the_parts_is_refused(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new.to_csv(tmp_path / "new.csv", index=False)
    parts = tmp_path / "out.parquet.parts"
    parts.mkdir()
    (parts / "embedding.json").write_text("hours of work")
    told = "the folder holds other files, which a prediction would mix with"
    with pytest.raises(kagaku.InputError, match=told):
        predicted(run, tmp_path / "new.csv", tmp_path / "out.parquet")
    assert (parts / "embedding.json").exists()


def test_a_prediction_inside_the_folder_that_it_reads_is_refused(
    run: kagaku.Run, tmp_path: Path
) -> None:
    with pytest.raises(kagaku.InputError, match="would replace the input or lie in it"):
        predicted(run, tmp_path, tmp_path / "deep/out.csv")


def test_bad_rows_that_were_mended_are_no_longer_listed(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new.to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "out.rejected.csv").write_text("file,row\n")
    predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.csv", "out.csv"]


def test_the_command_writes_what_python_gives(
    run: kagaku.Run, new: pd.DataFrame, tmp_path: Path
) -> None:
    new.to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / "deep/out.parquet"
    asked = ["predict", str(run.folder), str(tmp_path / "new.csv"), "--output", str(output)]
    answer = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert answer.exit_code == 0
    assert f"Wrote {len(new)} predictions to {output}" in " ".join(answer.stderr.split())
    pd.testing.assert_frame_equal(pd.read_parquet(output)[ANSWER], run.predict(new))


def test_images_that_a_table_names_belong_to_the_input(made: Make, tmp_path: Path) -> None:
    run = made("images").run
    shutil.copytree(made("images").data, tmp_path / "plate")
    source, output = tmp_path / "plate/labels.csv", tmp_path / "out.csv"
    with (
        patch.object(streaming, "_predict_chunk", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        predicted(run, source, output)
    first, second = (source.parent / one for one in pd.read_csv(source)["image"].head(2))
    kept = first.stat()
    shutil.copyfile(second, first)
    told = "finished parts of another input: files that its cells name have changed"
    with pytest.raises(kagaku.InputError, match=told):
        predicted(run, source, output)
    shutil.copyfile(made("images").data / first.name, first)
    os.utime(first, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    predicted(run, source, output)
    assert output.exists()


def test_a_folder_of_images_is_predicted_by_the_command(made: Make, tmp_path: Path) -> None:
    one = made("images")
    output = tmp_path / "out.csv"
    asked = ["predict", str(one.run.folder), str(one.data), "--output", str(output)]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    table = pd.read_csv(output)
    assert list(table["image"]) == list(pd.read_csv(one.data / "labels.csv")["image"])


def test_fields_are_written_as_a_grid_and_series_as_a_table(made: Make, tmp_path: Path) -> None:
    field, series = made("field"), made("series")
    for one, name in ((field, "out.nc"), (series, "out.csv")):
        asked = ["predict", str(one.run.folder), str(one.data), "--output", str(tmp_path / name)]
        assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    with xr.open_dataset(tmp_path / "out.nc") as written:
        assert written["sst_anomaly"].dims == ("time", "lat", "lon")
        assert str(written["valid_time"].values[-1])[:10] == "1987-05-01"
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["time"][0].startswith("1979-01-01")
    assert table["valid_time"][0].startswith("1979-04-01")


def test_a_dataset_in_memory_predicts_like_its_file(made: Make) -> None:
    one = made("field")
    with xr.open_dataset(one.data) as dataset:
        table = one.run.predict_fields(dataset.load())
    xr.testing.assert_allclose(table, one.run.predict_fields(one.data))


def test_fields_without_any_value_keep_their_place(made: Make) -> None:
    one = made("field")
    with xr.open_dataset(one.data) as dataset:
        holey = dataset.load().copy(deep=True)
    holey["sst_anomaly"][3, 2:4, 5:8] = np.nan
    table = one.run.predict_fields(holey)
    assert table.sizes["time"] == 100
    assert bool(table["sst_anomaly"].isel(time=3).notnull().any())
