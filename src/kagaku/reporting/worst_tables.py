"""The worst predictions of each kind: where mistyped values and odd samples gather."""

import numpy as np
import pandas as pd

from kagaku.data.schema import Target
from kagaku.reporting.class_panels import class_rows
from kagaku.reporting.figures import with_unit
from kagaku.reporting.map_panels import field_errors
from kagaku.reporting.results import Results
from kagaku.reporting.tables import Table
from kagaku.reporting.verdict import number, percent, rows_word, unit_label

WORST = 10
"""How many of the worst predictions are listed."""


def worst_table(results: Results, target: Target) -> Table:
    """Return the held-out rows that a target was predicted worst for."""
    tables = {
        "regression": _worst_numbers,
        "binary": _worst_classes,
        "multiclass": _worst_classes,
        "multilabel": _worst_labels,
        "per-token": _worst_tokens,
        "field": _worst_fields,
    }
    return tables[target.kind](results, target)


def _worst_numbers(results: Results, target: Target) -> Table:
    """Return the exact measurements that were missed by most."""
    columns = {
        name: results.numbers(target, suffix)
        for name, suffix in (
            ("measured", "_measured"),
            ("predicted", ""),
            ("lower", "_lower"),
            ("upper", "_upper"),
            ("distance", "_distance"),
        )
    }
    frame = pd.DataFrame(columns, index=results.predictions["row"])
    frame["domain"] = np.where(results.flags(target, "_in_domain"), "yes", "no")
    frame["error"] = frame["predicted"] - frame["measured"]
    frame = frame[results.numbers(target, "_censoring") == 0].dropna(subset="error")
    worst = frame.loc[frame["error"].abs().sort_values(ascending=False).index].head(WORST)
    scale = float(frame["error"].abs().median()) / 5 if len(frame) else None
    rows = tuple(
        (
            str(row),
            number(one["measured"], scale),
            number(one["predicted"], scale),
            f"{number(one['lower'], scale)} to {number(one['upper'], scale)}",
            number(one["error"], scale),
            "inside" if one["lower"] <= one["measured"] <= one["upper"] else "outside",
            one["domain"],
            number(one["distance"], 0.1),
        )
        for row, one in worst.iterrows()
    )
    headings = ("row", "measured", "predicted", "interval", "error")
    return Table((*headings, "measured is", "in domain", "distance"), rows, words=frozenset({5, 6}))


def _worst_classes(results: Results, target: Target) -> Table:
    """Return wrong classes, those given with the highest probability first."""
    rows = class_rows(results, target)
    present = results.measured(target)
    frame = rows.assign(
        domain=np.where(results.flags(target, "_in_domain")[present], "yes", "no")
        if f"{target.name}_in_domain" in results.predictions
        else ""
    )
    frame["probability"] = _given_probability(results, target, rows, present)
    wrong = frame[frame["measured"] != frame["predicted"]]
    worst = wrong.sort_values("probability", ascending=False, kind="stable").head(WORST)
    return Table(
        ("row", "measured", "predicted", "probability of it", "in domain"),
        tuple(
            (
                str(row),
                _cut(one["measured"]),
                _cut(one["predicted"]),
                percent(one["probability"]),
                str(one["domain"]),
            )
            for row, one in worst.iterrows()
        ),
        words=frozenset({1, 2, 4}),
    )


def _worst_labels(results: Results, target: Target) -> Table:
    """Return the rows with the most labels missed or wrongly given."""
    frame = class_rows(results, target)
    real = [set(cell.split(";")) - {""} for cell in frame["measured"]]
    guess = [set(cell.split(";")) - {""} for cell in frame["predicted"]]
    missed = [sorted(one - other) for one, other in zip(real, guess, strict=True)]
    extra = [sorted(other - one) for one, other in zip(real, guess, strict=True)]
    wrong = np.array([len(one) + len(other) for one, other in zip(missed, extra, strict=True)])
    order = [place for place in np.argsort(-wrong, kind="stable")[:WORST] if wrong[place]]
    rows = tuple(
        (
            str(frame.index[place]),
            _cut("; ".join(missed[place])),
            _cut("; ".join(extra[place])),
            str(wrong[place]),
        )
        for place in order
    )
    return Table(("row", "missed", "wrongly given", "wrong labels"), rows, words=frozenset({1, 2}))


def _worst_tokens(results: Results, target: Target) -> Table:
    """Return the rows with the smallest share of right tokens."""
    frame = class_rows(results, target)
    same = frame[frame["measured"].str.len() == frame["predicted"].str.len()]
    shares = np.array(
        [
            float(np.mean([a == b for a, b in zip(real, guess, strict=True)]))
            for real, guess in zip(same["measured"], same["predicted"], strict=True)
        ]
    )
    order = [place for place in np.argsort(shares, kind="stable")[:WORST] if shares[place] < 1]
    rows = tuple(
        (str(same.index[place]), f"{len(same['measured'].iloc[place]):,}", percent(shares[place]))
        for place in order
    )
    return Table(("row", "tokens", "right"), rows, words=frozenset())


def _worst_fields(results: Results, target: Target) -> Table:
    """Return the fields with the largest error over the area."""
    names, errors = field_errors(results, target)
    order = np.argsort(np.where(np.isfinite(errors), -errors, np.inf))[:WORST]
    heading = with_unit("RMSE over the area", unit_label(target))
    rows = tuple((names[place], number(errors[place])) for place in order)
    return Table((rows_word(target), heading), rows)


def _given_probability(
    results: Results, target: Target, rows: pd.DataFrame, present: np.ndarray
) -> np.ndarray:
    """Return the probability of each row's predicted class; NaN where none is stored."""
    found = np.full(len(rows), np.nan)
    for name in target.classes:
        if f"{target.name}_p_{name}" in results.predictions:
            chosen = (rows["predicted"] == name).to_numpy()
            found[chosen] = results.numbers(target, f"_p_{name}")[present][chosen]
    return found


def _cut(text: str, length: int = 40) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
