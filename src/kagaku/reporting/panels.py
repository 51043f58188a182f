"""The figures of one target: the main score beside the baselines, then what its kind allows."""

from collections.abc import Iterator

from kagaku.data.schema import Target
from kagaku.reporting import figures
from kagaku.reporting.class_panels import class_panels, label_panels, token_panels
from kagaku.reporting.map_panels import map_panels
from kagaku.reporting.number_panels import number_panels
from kagaku.reporting.panel import Panel, make_panel
from kagaku.reporting.results import Results, is_number
from kagaku.reporting.verdict import metric_unit


def target_panels(results: Results, target: Target) -> list[Panel]:
    """Return every figure that a target's kind and rows allow, the most telling first."""
    panels = {
        "regression": number_panels,
        "binary": class_panels,
        "multiclass": class_panels,
        "multilabel": label_panels,
        "per-token": token_panels,
        "field": map_panels,
    }[target.kind]
    return [*_scores(results, target), *panels(results, target)]


def _scores(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the main score beside every baseline."""
    found = results.metrics["targets"][target.name]
    metric = str(found.get("metric"))
    rows = [("this model", (found.get("test") or {}).get(metric))]
    rows += [
        (str(one.get("name")), (one.get("test") or {}).get(metric))
        for one in found.get("baselines") or []
    ]
    shown = [(name, score) for name, score in rows if score and is_number(score.get("value"))]
    if len(shown) < 2:
        return
    direction = "lower" if found.get("lower_is_better") else "higher"
    yield make_panel(
        target,
        "scores",
        "Beside the baselines",
        figures.scores(
            shown,
            f"{figures.with_unit(metric, metric_unit(metric, target))}, {direction} is better",
        ),
        "Dots are scores on the held-out rows, bars their 95% bootstrap intervals.",
    )
