"""The report and the card, made from small run folders with made-up but realistic figures."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from kagaku.data.schema import Ignored, Input, Kind, Schema, Target
from kagaku.errors import InputError
from kagaku.reporting.model_card import write_card
from kagaku.reporting.report import write_report
from kagaku.reporting.results import read_results
from kagaku.reporting.tables import score_table
from kagaku.reporting.verdict import (
    baseline_sentence,
    headline,
    interval,
    number,
    run_notes,
    sentence,
    target_notes,
    verdict_label,
    verdict_level,
)

MOLECULE = Input("smiles", "smiles", "molecule", None, "RDKit reads 50 of 50 sampled cells")


def score(value: float, spread: float) -> dict[str, float]:
    return {"value": value, "lower": value - spread, "upper": value + spread}


def found(kind: Kind, **changes: Any) -> dict[str, Any]:
    """Return one target's entry in metrics.json."""
    entry: dict[str, Any] = {
        "kind": kind,
        "unit": None,
        "n_train": 902,
        "n_test": 226,
        "n_censored": 0,
        "chosen": "gp",
        "chosen_reason": "The Gaussian process has the lowest RMSE in 5-fold cross-validation.",
        "metric": "RMSE",
        "lower_is_better": True,
        "candidates": [
            {
                "name": name,
                "score": value,
                "standard_error": 0.021,
                "seconds": seconds,
                "chosen": name == "gp",
                "note": note,
            }
            for name, value, seconds, note in [
                ("linear", 0.702, 0.4, ""),
                ("trees", 0.655, 3.1, ""),
                ("gp", 0.583, 14.2, ""),
                ("full", None, 0.0, "not started: over the time budget"),
            ]
        ],
        "test": {
            "RMSE": score(0.613, 0.062),
            "MAE": score(0.452, 0.04),
            "R2": score(0.912, 0.019),
            "Spearman": score(0.951, 0.012),
        },
        "baselines": [
            {"name": name, "test": {"RMSE": score(value, 0.07), "MAE": score(0.8 * value, 0.05)}}
            for name, value in [("mean", 2.081), ("nearest neighbour", 0.934), ("forest", 0.702)]
        ],
        "versus_best_baseline": {
            "baseline": "forest",
            "metric": "RMSE",
            "difference": -0.089,
            "lower": -0.15,
            "upper": -0.03,
            "verdict": "better",
            "sentence": "",
        },
        "learned": {
            "sentence": "The learned embeddings did not help here: RMSE 0.58 with or without."
        },
        "coverage": {
            "confidence": 0.9,
            "measured": 0.907,
            "lower": 0.862,
            "upper": 0.938,
            "mean_width": 2.03,
            "note": "",
        },
        "in_domain_share": 0.88,
    }
    return entry | changes


def write_run(
    folder: Path,
    schema: Schema,
    targets: dict[str, dict[str, Any]],
    predictions: pd.DataFrame | None = None,
    fields: xr.Dataset | None = None,
    split: str = "scaffold",
) -> Path:
    folder.mkdir(parents=True)
    metrics = {
        "format_version": 1,
        "confidence": 0.9,
        "method": "auto",
        "split": {
            "kind": split,
            "reason": "418 scaffolds among 1,128 molecules.",
            "n_train": 902,
            "n_test": 226,
            "seed": 0,
        },
        "n_rows": 1128,
        "n_skipped": 3,
        "seconds": 41.2,
        "targets": targets,
    }
    provenance = {
        "started": "2026-11-21T22:59:10+00:00",
        "seconds": 41.2,
        "files": [{"name": "lab.csv", "bytes": 96_231, "sha256": "b222dd50" * 8}],
        "packages": {"kagaku": "0.1.0", "torch": "2.14.1", "missing": None},
        "python": "3.11.7",
        "platform": "Linux x86_64",
        "machine": {"cpu": "a CPU", "cores": 2, "memory_bytes": 25_276_502_016, "gpus": []},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "schema.json").write_text(json.dumps(schema.to_json()))
    (folder / "provenance.json").write_text(json.dumps(provenance))
    (folder / "config.yaml").write_text("data: ../lab.csv\ntarget:\n- logS [log10(mol/L)]\n")
    if predictions is not None:
        predictions.to_parquet(folder / "predictions.parquet")
    if fields is not None:
        fields.to_netcdf(folder / "test_fields.nc")
    return folder


def regression_run(folder: Path, name: str = "logS", n_rows: int = 226) -> Path:
    random = np.random.default_rng(7)
    measured = np.round(random.normal(-3.0, 2.1, n_rows), 2)
    distance = random.gamma(4, 0.09, n_rows)
    spread = 0.3 + 0.8 * distance
    predicted = measured + random.normal(0, spread)
    frame = pd.DataFrame(
        {
            "row": np.sort(random.choice(np.arange(2, 6 * n_rows), n_rows, replace=False)),
            f"{name}_measured": measured,
            name: predicted,
            f"{name}_lower": predicted - 1.68 * spread,
            f"{name}_upper": predicted + 1.68 * spread,
            f"{name}_in_domain": distance < 0.6,
            f"{name}_distance": distance,
            f"{name}_censoring": np.where(np.arange(n_rows) % 40 == 3, -1, 0),
        }
    )
    unit = "log10(mol/L)"
    schema = Schema(
        inputs=(
            MOLECULE,
            Input("temp", "temp [degC]", "quantity", "degC", "numbers, unit in brackets"),
        ),
        targets=(Target(name, f"{name} [{unit}]", "regression", unit, unit, reason="named"),),
        ignored=(Ignored("compound_id", "every value occurs once"),),
    )
    inside = float((np.abs(predicted - measured) <= 1.68 * spread).mean())
    coverage = {"confidence": 0.9, "measured": inside, "lower": inside - 0.04}
    coverage["upper"] = inside + 0.04
    entry = found("regression", unit=unit, n_censored=6, coverage=coverage)
    return write_run(folder, schema, {name: entry}, frame)


CLASS_TEST = {"ROC-AUC": score(0.88, 0.03), "accuracy": score(0.81, 0.04), "MCC": score(0.6, 0.08)}
CLASS_ENTRY = {
    "metric": "ROC-AUC",
    "lower_is_better": False,
    "test": CLASS_TEST,
    "baselines": [
        {"name": "majority", "test": {"ROC-AUC": score(0.5, 0.0)}},
        {"name": "forest", "test": {"ROC-AUC": score(0.87, 0.04), "MCC": score(0.58, 0.1)}},
    ],
    "versus_best_baseline": {
        "baseline": "forest",
        "metric": "ROC-AUC",
        "difference": 0.01,
        "lower": -0.02,
        "upper": 0.04,
        "verdict": "no better",
        "sentence": "",
    },
    "candidates": [],
}


def classes_run(folder: Path, kind: Kind, classes: tuple[str, ...], n_rows: int = 300) -> Path:
    random = np.random.default_rng(3)
    truth = random.integers(0, len(classes), n_rows)
    logits = random.normal(0, 1, (n_rows, len(classes)))
    logits[np.arange(n_rows), truth] += 1.8
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(classes, dtype=object)
    sets = ["|".join(names[row > 0.15]) for row in probabilities]
    measured = names[truth].copy()
    measured[5] = None
    columns: dict[str, Any] = {
        "row": np.arange(2, n_rows + 2),
        "phase_measured": measured,
        "phase": names[probabilities.argmax(axis=1)],
        "phase_set": sets,
        "phase_in_domain": random.random(n_rows) < 0.9,
        "phase_distance": random.gamma(3, 0.1, n_rows),
    }
    columns |= {f"phase_p_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    schema = Schema((MOLECULE,), (Target("phase", "phase", kind, classes=classes),))
    entry = found(kind, **CLASS_ENTRY, classes=list(classes))
    return write_run(folder, schema, {"phase": entry}, pd.DataFrame(columns))


def multilabel_run(folder: Path) -> Path:
    random = np.random.default_rng(4)
    classes = ("sweet", "fruity", "woody")
    truth = random.random((120, 3)) < 0.4
    given = np.clip(0.5 * truth + random.random((120, 3)) * 0.5, 0, 1)

    def joined(rows: np.ndarray) -> list[str | None]:
        return [";".join(np.array(classes)[row]) or None for row in rows]

    columns: dict[str, Any] = {
        "row": np.arange(2, 122),
        "smell_measured": joined(truth),
        "smell": joined(given > 0.5),
        "smell_set": ["|".join(np.array(classes)[row > 0.3]) for row in given],
        "smell_in_domain": True,
        "smell_distance": random.random(120),
    }
    columns |= {f"smell_p_{name}": given[:, place] for place, name in enumerate(classes)}
    schema = Schema((MOLECULE,), (Target("smell", "smell", "multilabel", classes=classes),))
    entry = found("multilabel", **CLASS_ENTRY, classes=list(classes))
    return write_run(folder, schema, {"smell": entry}, pd.DataFrame(columns))


def tokens_run(folder: Path) -> Path:
    random = np.random.default_rng(5)
    letters = np.array(list("HEC"))
    real = ["".join(random.choice(letters, 40)) for _ in range(30)]
    guess = ["".join(c if random.random() < 0.8 else "C" for c in one) for one in real]
    frame = pd.DataFrame({"row": np.arange(1, 31), "ss_measured": real, "ss": guess})
    schema = Schema(
        (Input("sequence", "sequence", "protein"),),
        (Target("ss", "ss", "per-token", classes=("H", "E", "C"), labels="sequence"),),
    )
    return write_run(folder, schema, {"ss": found("per-token", **CLASS_ENTRY)}, frame)


def field_run(folder: Path, times: int = 36) -> Path:
    random = np.random.default_rng(1)
    latitudes, longitudes = np.linspace(30, -30, 25), np.linspace(150, 285, 46)
    wave = np.sin(np.deg2rad(longitudes))[None, :] * np.cos(np.deg2rad(3 * latitudes))[:, None]
    months = np.arange(times)
    real = 1.5 * np.sin(months / 5)[:, None, None] * wave + random.normal(0, 0.2, (times, 25, 46))
    real[:, :4, :6] = np.nan
    guess = 0.8 * real + 0.1 + random.normal(0, 0.2, real.shape)
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {
            "tos_measured": (dims, real.astype(np.float32)),
            "tos": (dims, guess.astype(np.float32)),
            "tos_lower": (dims, (guess - 0.5).astype(np.float32)),
            "tos_upper": (dims, (guess + 0.5).astype(np.float32)),
        },
        {"time": months * 30.0, "lat": latitudes, "lon": longitudes},
    )
    data["time"].attrs = {"units": "days since 2001-01-16", "calendar": "360_day"}
    schema = Schema(
        (Input("fields", "fields", "climate", reason="a NetCDF grid"),),
        (Target("tos", "tos", "field", "K"),),
        time="time",
    )
    entry = found("field", unit="K", n_test=times, test={"RMSE": score(0.42, 0.03)})
    return write_run(folder, schema, {"tos": entry}, fields=data, split="time")


RUNS: dict[str, Callable[[Path], Path]] = {
    "regression": regression_run,
    "binary": lambda folder: classes_run(folder, "binary", ("inactive", "active")),
    "multiclass": lambda folder: classes_run(folder, "multiclass", ("fcc", "bcc", "hcp")),
    "multilabel": multilabel_run,
    "per-token": tokens_run,
    "field": field_run,
}


class _Page(HTMLParser):
    """Collects what a page refers to, its ids, and whether its tags are closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.unclosed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "data"):
                self.links.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.unclosed.append(tag)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the page of one run of each kind."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: write_report(make(folder / kind)).read_text(encoding="utf-8")
        for kind, make in RUNS.items()
    }


@pytest.fixture
def regression(tmp_path: Path) -> Path:
    return regression_run(tmp_path / "run")


@pytest.mark.parametrize("kind", RUNS)
def test_a_page_needs_nothing_but_itself(pages: dict[str, str], kind: str) -> None:
    parsed = _Page()
    parsed.feed(pages[kind])
    outside = [link for link in parsed.links if not link.startswith(("#", "data:"))]
    assert outside == []
    assert "script" not in parsed.tags
    assert not re.search(r"url\((?!#)", pages[kind])
    assert "@import" not in pages[kind]
    assert len(pages[kind]) < 3_000_000


@pytest.mark.parametrize("kind", RUNS)
def test_a_page_is_well_formed_with_unique_ids(pages: dict[str, str], kind: str) -> None:
    parsed = _Page()
    parsed.feed(pages[kind])
    assert parsed.unclosed == []
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    inside = {link[1:] for link in parsed.links if link.startswith("#")}
    inside |= set(re.findall(r"url\(#([^)]+)\)", pages[kind]))
    assert inside <= set(parsed.ids)


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        (
            "regression",
            ["Predicted against measured", "Residuals", "Calibration of the intervals",
             "Coverage by interval width", "Errors by distance to training",
             "Coverage by distance to training"],
        ),
        ("binary", ["Confusion matrix", "Reliability of the probabilities",
                    "Receiver operating characteristic", "Coverage of the prediction sets"]),
        ("multiclass", ["Confusion matrix", "Receiver operating characteristic"]),
        ("multilabel", ["Labels that were found", "Reliability of the probabilities"]),
        ("per-token", ["Confusion matrix"]),
        ("field", ["Measured, 2003-", "Predicted, 2003-", "Predicted minus measured, 2003-",
                   "Mean absolute error", "Error of each field", "Coverage of the intervals"]),
    ],
)  # fmt: skip
def test_every_kind_has_its_figures(pages: dict[str, str], kind: str, titles: list[str]) -> None:
    headings = re.findall(r"<h4>([^<]*)</h4>", pages[kind])
    assert headings[0] == "Beside the baselines"
    for title in titles:
        assert any(heading.startswith(title) for heading in headings), title
    assert pages[kind].count("<svg") == len(headings)


def test_figures_take_their_colours_from_the_page(pages: dict[str, str]) -> None:
    assert "#0072b2" not in pages["regression"].split("</style>", 1)[1].lower()
    assert "var(--blue)" in pages["regression"]
    assert "prefers-color-scheme: dark" in pages["regression"]
    assert "@media print" in pages["regression"]


def test_the_headline_says_score_baseline_and_coverage(pages: dict[str, str]) -> None:
    page = pages["regression"]
    assert (
        "Predicts logS with a typical error (RMSE) of 0.61 log10(mol/L) "
        "(95% interval 0.55 to 0.68) on 226 held-out rows." in page
    )
    assert "Better than the best simple baseline, forest: difference in RMSE" in page
    assert re.search(r"Its 90% intervals held the measured value in \d\d% of cases", page)
    assert "The learned embeddings did not help here" in page


def test_scores_stand_beside_every_baseline_with_intervals(pages: dict[str, str]) -> None:
    page = pages["regression"]
    for text in ("this model (gp)", "nearest neighbour", "2.08 (2.01 to 2.15)", "0.61 (0.55 to"):
        assert text in page
    marked = re.findall(r'<tr class="marked">\s*<td>([^<]*)</td>', page)
    assert marked == ["this model (gp)", "gp"]


def test_a_blend_is_named_in_a_word_beside_its_scores() -> None:
    target = Target("logS", "logS", "regression")
    found = {
        "metric": "RMSE",
        "chosen": "the mean of gp on classical features and forest on ecfp",
        "test": {"RMSE": {"value": 0.5, "lower": 0.4, "upper": 0.6}},
    }
    assert [row[0] for row in score_table(target, found).rows] == ["this model (blend)"]


def test_the_worst_predictions_come_first(regression: Path) -> None:
    frame = pd.read_parquet(regression / "predictions.parquet")
    exact = frame[frame["logS_censoring"] == 0]
    error = (exact["logS"] - exact["logS_measured"]).abs().to_numpy()
    page = write_report(regression).read_text(encoding="utf-8")
    table = page.split("The worst predictions", 1)[1]
    first = re.search(r"<tbody>\s*<tr>\s*<td class=\"number\">(\d+)</td>", table)
    assert first
    assert int(first.group(1)) == exact["row"].to_numpy()[error.argmax()]


def test_html_in_names_and_values_is_escaped(tmp_path: Path) -> None:
    name = "a<script>alert(1)</script>&$x$ b"
    run = regression_run(tmp_path / "run", name=name, n_rows=60)
    results = read_results(run)
    entry = dict(results.metrics["targets"][name])
    entry["chosen_reason"] = "<img src=x onerror=alert(2)>"
    entry["baselines"] = [{"name": "<b>mean</b>", "test": {"RMSE": score(2, 0.1)}}]
    metrics = {**results.metrics, "targets": {name: entry}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(run).read_text(encoding="utf-8")
    parsed = _Page()
    parsed.feed(page)
    assert not {"script", "img", "b>mean"} & set(parsed.tags)
    assert "<b>mean</b>" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    assert "&lt;script&gt;" in page


def test_html_in_class_names_is_escaped(tmp_path: Path) -> None:
    run = classes_run(tmp_path / "run", "multiclass", ("<svg onload=1>", "b&b", "c"), 90)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<svg onload" not in page
    assert "&lt;svg onload" in page


def test_names_in_other_scripts_are_drawn_without_warnings(tmp_path: Path) -> None:
    run = classes_run(tmp_path / "run", "binary", ("不溶", "可溶"), 60)
    assert "可溶" in write_report(run).read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_page(regression: Path) -> None:
    first = write_report(regression).read_bytes()
    assert write_report(regression).read_bytes() == first
    assert not list(regression.glob("*.partial"))


def test_several_targets_get_a_summary_and_a_section_each(tmp_path: Path) -> None:
    folder = regression_run(tmp_path / "run", n_rows=80)
    results = read_results(folder)
    frame = results.predictions.copy()
    for column in [one for one in frame.columns if one.startswith("logS")]:
        frame[column.replace("logS", "logD")] = frame[column]
    (logs,) = results.schema.targets
    schema = replace(results.schema, targets=(logs, replace(logs, name="logD", column="logD")))
    entry = results.metrics["targets"]["logS"]
    metrics = {**results.metrics, "targets": {"logS": entry, "logD": entry}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "schema.json").write_text(json.dumps(schema.to_json()))
    frame.to_parquet(folder / "predictions.parquet")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Every target on its held-out rows" in page
    assert '<a href="#target-2">logD</a>' in page
    assert page.count("Predicted against measured</h4>") == 2
    parsed = _Page()
    parsed.feed(page)
    assert len(parsed.ids) == len(set(parsed.ids))


@pytest.mark.parametrize("n_rows", [1, 2, 11, 4_000])
def test_any_number_of_held_out_rows_makes_a_small_page(tmp_path: Path, n_rows: int) -> None:
    page = write_report(regression_run(tmp_path / "run", n_rows=n_rows))
    assert page.stat().st_size < 3_000_000


def test_many_classes_still_make_a_readable_matrix(tmp_path: Path) -> None:
    run = classes_run(tmp_path / "run", "multiclass", tuple(f"space group {i}" for i in range(40)))
    assert "(all others)" in write_report(run).read_text(encoding="utf-8")


def test_values_that_could_not_be_computed_are_dashes(regression: Path) -> None:
    metrics = json.loads((regression / "metrics.json").read_text())
    entry = metrics["targets"]["logS"]
    entry["test"]["R2"] = {"value": None, "lower": None, "upper": None}
    entry["coverage"] = {"confidence": 0.9, "measured": None, "note": "no exact values"}
    entry["versus_best_baseline"] = None
    entry["baselines"] = []
    (regression / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(regression).read_text(encoding="utf-8")
    assert '<td class="number">\u2013</td>' in page
    assert "No simple baseline could be computed beside it." in page
    assert not re.search(r"\bnan\b", page.lower())


# Verdicts and warnings


LOGS = Target("logS", "logS", "regression", "log10(mol/L)")


def levels(**changes: Any) -> dict[str, str]:
    """Return the notes on a target as level by text."""
    entry = found("regression", learned=None, **changes)
    return {note.text: note.level for note in target_notes(LOGS, entry)}


def test_a_good_run_has_no_warnings() -> None:
    assert levels() == {}
    close = {"confidence": 0.9, "measured": 0.885, "lower": 0.88, "upper": 0.89}
    assert levels(coverage=close) == {}


def test_nothing_to_compare_with_is_no_verdict() -> None:
    nothing = {"baseline": None, "verdict": "no better", "sentence": "Too few held-out rows."}
    entry = found("regression", versus_best_baseline=nothing)
    assert verdict_label(entry) == "Not compared with a baseline"
    assert verdict_level(entry) == "note"
    assert baseline_sentence(LOGS, entry) == "Too few held-out rows."
    assert levels(versus_best_baseline=nothing) == {}


def test_the_metric_that_chose_is_named_beside_its_scores(tmp_path: Path) -> None:
    run = classes_run(tmp_path / "run", "binary", ("no", "yes"), 60)
    metrics = json.loads((run / "metrics.json").read_text())
    row = {"name": "gp", "score": 0.31, "standard_error": 0.02, "seconds": 1.0, "chosen": True}
    changes = {"candidates": [row], "selection_metric": "log loss"}
    metrics["targets"]["phase"] |= changes
    (run / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(run).read_text(encoding="utf-8")
    assert "log loss \u00b1 SE" in page
    assert "harder than the training rows" not in page


CHOOSING = {
    "score": 0.611,
    "standard_error": 0.03,
    "own_score": 0.583,
    "n_alike": 4,
    "folds": [{"chosen": "gp", "score": 0.6}] * 5,
    "sentence": "With the choosing included, cross-validation gives RMSE 0.611.",
}


def test_the_choosing_included_stands_below_the_candidates(regression: Path) -> None:
    metrics = json.loads((regression / "metrics.json").read_text())
    metrics["targets"]["logS"]["choosing"] = CHOOSING
    (regression / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(regression).read_text(encoding="utf-8")
    assert "<td>the choosing included</td>" in page
    assert "4 of 5 folds chose the same" in page
    assert str(CHOOSING["sentence"]) in page
    assert page.index("<td>the choosing included") > page.index("over the time budget")


def test_held_out_rows_are_compared_with_the_choosing_included() -> None:
    rows = {"RMSE": score(0.7, 0.05)}
    (note,) = [
        one for one in target_notes(LOGS, found("regression", test=rows)) if "harder" in one.text
    ]
    assert "0.583" in note.text
    entry = found("regression", test=rows, choosing={**CHOOSING, "score": 0.65})
    notes = target_notes(LOGS, entry)
    assert not [one for one in notes if "harder" in one.text]


def test_a_row_without_any_label_was_still_measured(tmp_path: Path) -> None:
    run = multilabel_run(tmp_path / "run")
    frame = pd.read_parquet(run / "predictions.parquet")
    frame.loc[0, ["smell_measured", "smell"]] = ["", "sweet;fruity;woody"]
    frame.to_parquet(run / "predictions.parquet")
    page = write_report(run).read_text(encoding="utf-8")
    assert "<td>fruity; sweet; woody</td>" in page


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        (
            {"versus_best_baseline": {"baseline": "forest", "verdict": "worse"}},
            "bad",
            "The simple baseline forest does better here. Use it instead.",
        ),
        (
            {"versus_best_baseline": {"baseline": "forest", "verdict": "no better"}},
            "warn",
            "The difference to the simple baseline forest may be chance.",
        ),
        (
            {"coverage": {"confidence": 0.9, "measured": 0.8, "lower": 0.74, "upper": 0.85}},
            "warn",
            "The intervals are too narrow on the held-out rows: 80% coverage where 90% was",
        ),
        (
            {"coverage": {"confidence": 0.9, "measured": 0.99, "lower": 0.96, "upper": 1.0}},
            "note",
            "The intervals are wider than they need be: 99% coverage where 90% was promised.",
        ),
        ({"n_test": 12}, "warn", "Only 12 held-out rows: every figure is rough."),
        ({"n_test": 1}, "bad", "Only 1 held-out row: every figure is rough."),
        ({"in_domain_share": 0.4}, "warn", "Only 40% of the held-out rows resemble"),
        ({"n_censored": 6}, "note", "6 values with < or > served as bounds in training"),
        (
            {"test": {"RMSE": score(0.9, 0.05)}},
            "warn",
            "The held-out rows are harder than the training rows: RMSE 0.900 against 0.583",
        ),
    ],
)
def test_what_the_reader_must_know_is_said(changes: dict[str, Any], level: str, text: str) -> None:
    (note,) = levels(**changes).items()
    assert note[0].startswith(text)
    assert note[1] == level


def test_the_gravest_warning_comes_first() -> None:
    notes = levels(
        n_censored=3,
        in_domain_share=0.2,
        versus_best_baseline={"baseline": "x", "verdict": "worse"},
    )
    assert list(notes.values()) == ["bad", "warn", "note"]


def test_a_random_split_of_molecules_is_called_easy() -> None:
    schema = Schema((MOLECULE,), (LOGS,))
    (note,) = run_notes(schema, {"split": {"kind": "random"}, "n_rows": 10, "n_skipped": 0})
    assert "drawn at random" in note.text
    assert run_notes(schema, {"split": {"kind": "scaffold"}, "n_rows": 10, "n_skipped": 0}) == []


def test_many_skipped_rows_are_a_warning() -> None:
    schema = Schema((MOLECULE,), (LOGS,))
    (few,) = run_notes(schema, {"split": {}, "n_rows": 1000, "n_skipped": 1})
    (many,) = run_notes(schema, {"split": {}, "n_rows": 1000, "n_skipped": 200})
    assert (few.level, many.level) == ("note", "warn")
    assert few.text.startswith("1 row could not be read")


def test_a_headline_never_fails_for_missing_figures() -> None:
    text = headline(LOGS, {"metric": "RMSE", "n_test": 0, "test": {}})
    assert text.startswith("RMSE could not be computed on 0 held-out rows.")
    assert text.endswith("Coverage could not be measured.")


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        (0.61348, 0.129, "0.61"),
        (0.61348, 0.03, "0.613"),
        (0.5, None, "0.500"),
        (12345.6, None, "12,346"),
        (-3.2, 1.0, "\u22123.2"),
        (0.0, None, "0"),
        (-0.002, 1.0, "0.0"),
        (1.5e-9, None, "1.5e-09"),
        (float("nan"), None, "\u2013"),
        (None, None, "\u2013"),
        (True, None, "\u2013"),
    ],
)
def test_numbers_are_as_precise_as_they_are_certain(
    value: object, scale: float | None, text: str
) -> None:
    assert number(value, scale) == text


def test_clauses_become_sentences() -> None:
    assert sentence("lowest RMSE in cross-validation") == "Lowest RMSE in cross-validation."
    assert sentence("Enough.") == "Enough."
    assert sentence(None) == ""


def test_an_interval_shares_its_decimals() -> None:
    assert interval(score(0.6134, 0.0645), "K") == "0.61 (0.55 to 0.68) K"
    assert interval({"value": 2.0, "lower": None, "upper": None}) == "2.00"
    assert interval(None) == "\u2013"


# The card


@pytest.mark.parametrize("kind", RUNS)
def test_a_card_has_a_header_that_the_hub_reads(tmp_path: Path, kind: str) -> None:
    text = write_card(RUNS[kind](tmp_path / "run")).read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    metadata = yaml.safe_load(header)
    assert metadata["library_name"] == "kagaku"
    assert "license" not in metadata  # the owner of the data chooses it
    (result,) = metadata["model-index"][0]["results"]
    assert {"task", "dataset", "metrics"} == set(result)
    for heading in ("Intended use", "Training data", "Results on held-out rows", "Limits"):
        assert f"## {heading}" in body
    assert "kagaku finetune --recipe config.yaml" in body


def test_a_card_gives_scores_beside_baselines(regression: Path) -> None:
    body = write_card(regression).read_text(encoding="utf-8")
    assert "| logS | RMSE [log10(mol/L)] |" in body
    assert "| this model (gp) | 0.61 (0.55 to 0.68) |" in body
    assert "| forest | 0.70 (0.63 to 0.77) |" in body
    assert "sha256 `b222dd50" in body


def test_markup_in_a_name_cannot_change_the_card(tmp_path: Path) -> None:
    run = regression_run(tmp_path / "run", name="a|b <i>*c*</i>\n# d", n_rows=40)
    body = write_card(run).read_text(encoding="utf-8")
    assert "a\\|b \\<i\\>\\*c\\*\\</i\\> \\# d" in body
    assert "\n# d" not in body


# What can be wrong with a run folder


def damage(folder: Path, name: str, content: str | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metrics.json", None, "metrics.json is missing, so this is not a complete run folder"),
        ("schema.json", None, "schema.json is missing, so this is not a complete run folder"),
        ("metrics.json", '{"format_version": 1', "the file is damaged"),
        ("metrics.json", "[1]", "the file is damaged (not a mapping)"),
        ("metrics.json", "{}", "the file has no format version"),
        ("metrics.json", '{"format_version": 1}', "the file lists no targets"),
        (
            "metrics.json",
            '{"format_version": 99, "targets": {}}',
            "the file has format 99, newer than the 1 known here. Upgrade kagaku",
        ),
        ("predictions.parquet", "PAR1 but not really", "the file is damaged"),
        ("test_fields.nc", "CDF but not really", "the file is damaged"),
        ("predictions.parquet", None, "there is no column 'logS_measured'"),
    ],
)
def test_a_damaged_run_folder_is_named(
    regression: Path, name: str, content: str | None, message: str
) -> None:
    damage(regression, name, content)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        write_report(regression)
    assert caught.value.fix
    assert str(regression) in caught.value.where
    assert not (regression / "report.html").exists()


def test_a_missing_run_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("there is no such run folder")):
        write_card(tmp_path / "nowhere")


def test_an_unreadable_parquet_column_says_which(regression: Path) -> None:
    frame = pd.read_parquet(regression / "predictions.parquet").drop(columns="logS_upper")
    frame.to_parquet(regression / "predictions.parquet")
    with pytest.raises(InputError, match=re.escape("there is no column 'logS_upper'")):
        write_report(regression)
