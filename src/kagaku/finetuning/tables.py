"""What a fine-tuning prints: columns, candidates and scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kagaku.data import Schema
from kagaku.science_tasks.evaluation import Evaluation
from kagaku.terminal import Terminal


def show_schema(schema: Schema, terminal: Terminal) -> None:
    """Print what each column was taken for, and why."""
    rows = [
        [one.column, "input", one.modality, one.unit or "", one.reason] for one in schema.inputs
    ]
    rows += [[one.column, "target", one.kind, one.unit or "", one.reason] for one in schema.targets]
    rows += [[one.column, "ignored", "", "", one.reason] for one in schema.ignored]
    terminal.table("Columns", ["column", "used as", "kind", "unit", "why"], rows)


def show_candidates(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print the tables that the methods were chosen from."""
    for name, found in evaluation.targets.items():
        metric = found["selection_metric"]
        rows = [
            [
                ("> " if one["chosen"] else "  ") + one["name"],
                _number(one["score"]),
                _number(one["standard_error"]),
                _number(one["seconds"], 1),
            ]
            for one in found["candidates"]
            if one["score"] is not None
        ]
        if choosing := found["choosing"]:
            scores = [_number(choosing["score"]), _number(choosing["standard_error"])]
            rows.append(["  the choosing included", *scores, ""])
        terminal.table(
            f"{name}: cross-validation on training rows, lower is better",
            ["candidate", f"{metric}{_bracketed(found, metric)}", "standard error", "seconds"],
            rows,
        )
        for one in found["candidates"]:
            if one["note"]:
                terminal.say(f"{one['name']}: {one['note']}")
        if choosing:
            terminal.say(choosing["sentence"])


def show_nested(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print what each outer fold chose and scored, and what the figures mean."""
    for name, found in evaluation.targets.items():
        if (nested := found["nested"]) is None:
            continue
        metric = nested["selection_metric"]
        rows = [
            [
                str(number),
                one["chosen"],
                str(one["n_train"]),
                str(one["n_test"]),
                _number(one["score"]),
                _number(one["seconds"], 1),
            ]
            for number, one in enumerate(nested["folds"], start=1)
        ]
        terminal.table(
            f"{name}: nested cross-validation, each fold predicted without a part in the choosing",
            [
                "fold",
                "chosen",
                "learnt from",
                "predicted",
                metric + _bracketed(found, metric),
                "seconds",
            ],
            rows,
        )
        terminal.say(nested["sentence"])


def show_scores(evaluation: Evaluation, terminal: Terminal) -> None:
    """Print the held-out scores beside the baselines, and the coverage."""
    for name, found in evaluation.targets.items():
        metric = found["metric"]
        rows = [["this run", *_score(found["test"].get(metric))]]
        rows += [[one["name"], *_score(one["test"].get(metric))] for one in found["baselines"]]
        heading = f"{metric}{_bracketed(found, metric)}"
        terminal.table(f"\n{name}: held-out rows", ["", heading, "95% interval"], rows)
        for sentence in (
            found["versus_best_baseline"]["sentence"],
            found["learned"]["sentence"],
            found["coverage"]["note"],
        ):
            if sentence:
                terminal.say(sentence)


def _bracketed(found: Mapping[str, Any], metric: str) -> str:
    """Return the target's unit in brackets, if the metric has it."""
    return f" [{found['unit']}]" if found["unit"] and metric in ("RMSE", "MAE") else ""


def _score(score: Mapping[str, Any] | None) -> list[str]:
    if score is None:
        return ["", ""]
    return [_number(score["value"]), f"{_number(score['lower'])} to {_number(score['upper'])}"]


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"
