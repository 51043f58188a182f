"""What a run's figures mean, in words: the headline, the warnings and how numbers are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kagaku.data.schema import Schema, Target
from kagaku.reporting.results import is_number

Level = Literal["good", "note", "warn", "bad"]

FEW_TEST_ROWS = 30
"""Below this many held-out rows, the figures are called rough."""

IN_DOMAIN_EXPECTED = 0.7
"""Below this share of held-out rows like the training rows, the report warns. By construction of
the threshold, about 0.95 of rows drawn like the training rows are in domain."""

DASH, MINUS = "\u2013", "\u2212"

COVERAGE_TOLERANCE = 0.02
"""Coverage this close to the promise is not worth a warning, however many rows there are."""

_LOWER_IS_BETTER = {"RMSE", "MAE", "log loss", "Brier"}
_IN_TARGET_UNIT = {"rmse", "mae", "bias", "median absolute error", "max error", "mean width"}


@dataclass(frozen=True)
class Note:
    """One thing that the reader must know before using the predictions."""

    level: Level
    """``"bad"``: do not rely on it. ``"warn"``: be careful. ``"note"``: good to know."""

    text: str
    """One or two sentences."""


def number(value: object, scale: float | None = None) -> str:
    """Return a number as a reader wants it: three digits, or as precise as its uncertainty allows.

    Args:
        value: The number; anything else gives a dash.
        scale: Width of its interval, which sets the decimals: the first digit of its half is
            shown, and the second too where the first is 1.

    Example:
        >>> number(0.61348, 0.129), number(12345.6), number(0.00000123)
        ('0.61', '12,346', '1.23e-06')
    """
    if not is_number(value):
        return DASH
    real = float(value)
    if real == 0:
        return "0"
    if not 1e-4 <= abs(real) < 1e7:
        return f"{real:.3g}".replace("-", MINUS, 1) if real < 0 else f"{real:.3g}"
    width = scale if is_number(scale) and scale > 0 else abs(real) / 25
    decimals = min(max(0, math.ceil(-math.log10(width / 4))), 6)
    text = f"{real:,.{decimals}f}"
    is_zero = not text.strip("-0.,")
    return text.replace("-", "" if is_zero else MINUS)


def interval(score: Mapping[str, Any] | None, unit: str = "") -> str:
    """Return a score with its interval, such as ``"0.61 (0.55 to 0.68) log10(mol/L)"``."""
    if not score or not is_number(score.get("value")):
        return DASH
    low, high = score.get("lower"), score.get("upper")
    tail = f" {unit}" if unit else ""
    if not (is_number(low) and is_number(high)):
        return number(score["value"]) + tail
    scale = float(high) - float(low)
    return f"{number(score['value'], scale)} ({number(low, scale)} to {number(high, scale)}){tail}"


def percent(share: object) -> str:
    """Return a share as whole percent, such as ``"91%"``; a dash where there is none."""
    return f"{100 * float(share):.0f}%" if is_number(share) else DASH


def count(how_many: int, noun: str) -> str:
    """Return a count with its noun, such as ``"226 rows"`` or ``"1 row"``."""
    return f"{how_many:,} {noun}" if how_many == 1 else f"{how_many:,} {noun}s"


def sentence(text: object) -> str:
    """Return a clause as a sentence: a capital in front, a full stop behind; "" stays empty."""
    clause = str(text or "").strip()
    if not clause:
        return ""
    return clause[0].upper() + clause[1:] + ("" if clause[-1] in ".!?" else ".")


def unit_label(target: Target) -> str:
    """Return a target's unit as it is printed; empty for classes and dimensionless numbers."""
    return "" if target.unit in (None, "", "dimensionless") else str(target.unit)


def metric_unit(metric: str, target: Target) -> str:
    """Return the unit that a metric is in; empty for dimensionless ones."""
    return unit_label(target) if metric.lower() in _IN_TARGET_UNIT else ""


def rows_word(target: Target) -> str:
    """Return what the held-out samples of a target are called, in the singular."""
    return "field" if target.kind == "field" else "row"


def score_sentence(target: Target, found: Mapping[str, Any]) -> str:
    """Return how well a target is predicted on held-out rows."""
    metric = str(found.get("metric") or "")
    held_out = count(int(found.get("n_test") or 0), f"held-out {rows_word(target)}")
    score = (found.get("test") or {}).get(metric)
    if not score or not is_number(score.get("value")):
        return f"{metric or 'The score'} could not be computed on {held_out}."
    low, high = score.get("lower"), score.get("upper")
    scale = float(high) - float(low) if is_number(low) and is_number(high) else None
    unit = metric_unit(metric, target)
    value = f"{number(score['value'], scale)}{f' {unit}' if unit else ''}"
    span = "" if scale is None else f" (95% interval {number(low, scale)} to {number(high, scale)})"
    if metric.upper() == "RMSE":
        return f"Predicts {target.name} with a typical error (RMSE) of {value}{span} on {held_out}."
    return f"Predicts {target.name} with {metric} {value}{span} on {held_out}."


def baseline_sentence(target: Target, found: Mapping[str, Any]) -> str:
    """Return how that compares with the best of the simple baselines."""
    versus = found.get("versus_best_baseline") or {}
    if versus.get("sentence"):
        return str(versus["sentence"])
    if not versus.get("baseline"):
        return "No simple baseline could be computed beside it."
    metric = str(versus.get("metric") or found.get("metric") or "the score")
    unit = metric_unit(metric, target)
    gap = {
        "value": versus.get("difference"),
        "lower": versus.get("lower"),
        "upper": versus.get("upper"),
    }
    verdict = versus.get("verdict") or "not comparable"
    return (
        f"{verdict.capitalize()} than the best simple baseline, {versus['baseline']}: "
        f"difference in {metric} {interval(gap, unit)}."
    )


def coverage_sentence(target: Target, found: Mapping[str, Any]) -> str:
    """Return how often the intervals or sets held the truth, beside what they promise."""
    coverage = found.get("coverage") or {}
    if not is_number(coverage.get("measured")):
        return str(coverage.get("note") or "Coverage could not be measured.")
    what = "intervals" if target.kind in ("regression", "field") else "prediction sets"
    return (
        f"Its {percent(coverage.get('confidence'))} {what} held the measured value in "
        f"{percent(coverage['measured'])} of cases "
        f"(95% interval {percent(coverage.get('lower'))} to {percent(coverage.get('upper'))})."
    )


def headline(target: Target, found: Mapping[str, Any]) -> str:
    """Return the verdict on one target: score, baseline, coverage."""
    parts = (score_sentence, baseline_sentence, coverage_sentence)
    return " ".join(part(target, found) for part in parts)


def verdict_level(found: Mapping[str, Any]) -> Level:
    """Return the colour of a target's verdict: good only if it beats every simple baseline."""
    versus = found.get("versus_best_baseline") or {}
    if not versus.get("baseline"):
        return "note"
    levels: dict[object, Level] = {"better": "good", "no better": "warn", "worse": "bad"}
    return levels.get(versus.get("verdict"), "note")


def verdict_label(found: Mapping[str, Any]) -> str:
    """Return a target's verdict in a few words."""
    versus = found.get("versus_best_baseline") or {}
    if not versus.get("baseline"):
        return "Not compared with a baseline"
    labels = {
        "better": "Better than every simple baseline",
        "no better": f"No better than {versus.get('baseline')}",
        "worse": f"Worse than {versus.get('baseline')}",
    }
    return labels.get(str(versus.get("verdict")), "Not compared with a baseline")


def target_notes(target: Target, found: Mapping[str, Any]) -> list[Note]:
    """Return what must be said about one target, the gravest first."""
    found_notes = [
        *_baseline_notes(found),
        *_coverage_notes(target, found),
        *_row_notes(target, found),
        *_shift_notes(found),
        *_learned_notes(found),
    ]
    order = ("bad", "warn", "note")
    return sorted(found_notes, key=lambda note: order.index(note.level))


def untrained_sentence(base: str, modalities: Sequence[str]) -> str:
    """Return what to know of inputs that a pretrained base was never trained on; "" if none.

    Example:
        >>> untrained_sentence("kagaku-tiny", ["nucleotide"])[:63]
        'The base kagaku-tiny was never trained on nucleotide inputs: it'
    """
    if not modalities:
        return ""
    return (
        f"The base {base} was never trained on {' or '.join(modalities)} inputs: it reads them "
        "with random weights. Rely on their classical features, or fine-tune the whole network on "
        "many rows (method full)."
    )


def run_notes(schema: Schema, metrics: Mapping[str, Any]) -> list[Note]:
    """Return what must be said about the run as a whole."""
    notes = []
    split = metrics.get("split") or {}
    if skipped := metrics.get("n_skipped"):
        total = int(metrics.get("n_rows") or 0)
        notes.append(
            Note(
                "warn" if skipped > 0.05 * max(total, 1) else "note",
                f"{count(int(skipped), 'row')} could not be read and took no part; rejected.csv "
                "lists them with the reason.",
            )
        )
    base = metrics.get("base") or {}
    if told := untrained_sentence(str(base.get("name")), base.get("not_trained_on") or ()):
        notes.append(Note("note", told))
    if split.get("kind") == "random" and any(
        one.modality in ("molecule", "protein", "nucleotide") for one in schema.inputs
    ):
        notes.append(
            Note(
                "note",
                "The held-out rows were drawn at random, so most have close relatives among the "
                "training rows. Expect larger errors on new series; a scaffold or sequence split "
                "measures them.",
            )
        )
    return notes


def _baseline_notes(found: Mapping[str, Any]) -> list[Note]:
    versus = found.get("versus_best_baseline") or {}
    name = versus.get("baseline")
    if name is None:
        return []
    if versus.get("verdict") == "worse":
        return [Note("bad", f"The simple baseline {name} does better here. Use it instead.")]
    if versus.get("verdict") == "no better":
        return [
            Note(
                "warn",
                f"The difference to the simple baseline {name} may be chance. There is no evidence "
                "yet that the larger model is worth it here; more rows may tell.",
            )
        ]
    return []


def _coverage_notes(target: Target, found: Mapping[str, Any]) -> list[Note]:
    coverage = found.get("coverage") or {}
    promised, low, high = (coverage.get(key) for key in ("confidence", "lower", "upper"))
    measured = coverage.get("measured")
    if not (is_number(promised) and is_number(measured)):
        return []
    if not (is_number(low) and is_number(high)):
        return []
    if abs(measured - promised) <= COVERAGE_TOLERANCE:
        return []
    what = "intervals" if target.kind in ("regression", "field") else "prediction sets"
    if high < promised:
        text = (
            f"The {what} are too narrow on the held-out rows: {percent(coverage.get('measured'))} "
            f"coverage where {percent(promised)} was promised. The held-out rows differ from the "
            "training rows, and new rows may differ more."
        )
        return [Note("warn", text)]
    if low > promised:
        text = (
            f"The {what} are wider than they need be: {percent(coverage.get('measured'))} coverage "
            f"where {percent(promised)} was promised."
        )
        return [Note("note", text)]
    return []


def _row_notes(target: Target, found: Mapping[str, Any]) -> list[Note]:
    notes = []
    n_test = int(found.get("n_test") or 0)
    if n_test < FEW_TEST_ROWS:
        text = f"Only {count(n_test, f'held-out {rows_word(target)}')}: every figure is rough."
        notes.append(Note("bad" if n_test < FEW_TEST_ROWS / 3 else "warn", text))
    share = found.get("in_domain_share")
    if is_number(share) and share < IN_DOMAIN_EXPECTED:
        text = (
            f"Only {percent(share)} of the held-out rows resemble the training rows "
            "(in domain). Trust the figures for rows out of domain less."
        )
        notes.append(Note("warn", text))
    if censored := int(found.get("n_censored") or 0):
        text = (
            f"{count(censored, 'value')} with < or > served as bounds in training; errors are "
            "computed from exact values only."
        )
        notes.append(Note("note", text))
    return notes


def _shift_notes(found: Mapping[str, Any]) -> list[Note]:
    """Return a warning if held-out rows are clearly harder than training rows."""
    # The winner's own score is a little too good; that with the choosing included is not.
    chosen = found.get("choosing") or next(
        (one for one in found.get("candidates") or [] if one.get("chosen")), None
    )
    metric = str(found.get("selection_metric") or found.get("metric"))
    test = ((found.get("test") or {}).get(metric) or {}).get("value")
    if chosen is None or not all(
        is_number(one) for one in (chosen.get("score"), chosen.get("standard_error"), test)
    ):
        return []
    gap = test - chosen["score"] if metric in _LOWER_IS_BETTER else chosen["score"] - test
    if gap <= 3 * max(chosen["standard_error"], 0.02 * abs(chosen["score"])):
        return []
    text = (
        f"The held-out rows are harder than the training rows: {metric} {number(test)} against "
        f"{number(chosen['score'])} in cross-validation. The two parts of the table differ."
    )
    return [Note("warn", text)]


def _learned_notes(found: Mapping[str, Any]) -> list[Note]:
    sentence = (found.get("learned") or {}).get("sentence")
    return [Note("note", str(sentence))] if sentence else []
