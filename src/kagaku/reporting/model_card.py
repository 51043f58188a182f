"""card.md: what a model is for, what it learnt from, how good it is and where not to use it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kagaku.data.schema import Target
from kagaku.data.whole_files import write_whole
from kagaku.reporting.results import Results, is_number, read_results
from kagaku.reporting.tables import package_line
from kagaku.reporting.verdict import (
    count,
    headline,
    interval,
    metric_unit,
    number,
    percent,
    run_notes,
    sentence,
    target_notes,
    unit_label,
)

_PIPELINES = {
    "regression": "tabular-regression",
    "field": "other",
    "per-token": "token-classification",
}
"""Task names of the Hugging Face hub by kind of target; all other kinds are classification."""


def write_card(folder: Path | str) -> Path:
    """Write card.md into a run folder, from its other files alone.

    Returns:
        The card's path.

    Raises:
        InputError: The folder is no run folder, or a file in it is damaged or newer.
    """
    results = read_results(folder)
    path = results.folder / "card.md"
    write_whole(card(results), path)
    return path


def card(results: Results) -> str:
    """Return the card as Markdown with a YAML header that the Hugging Face hub reads."""
    header = yaml.safe_dump(_metadata(results), sort_keys=False, allow_unicode=True, width=1_000)
    names = ", ".join(_plain(target.name) for target in results.targets())
    body = "\n\n".join(
        [
            f"# Predicting {names}",
            *(_plain(_headline(results, target)) for target in results.targets()),
            "## Intended use",
            _intended_use(results),
            "## Training data",
            _training_data(results),
            "## Results on held-out rows",
            "No held-out row took part in fitting or choosing. Brackets are 95% bootstrap "
            "intervals.",
            *(_scores(results, target) for target in results.targets()),
            "## Limits",
            _limits(results),
            "## How to get these figures again",
            _recompute(results),
        ]
    )
    return f"---\n{header}---\n\n{body}\n"


def _metadata(results: Results) -> dict[str, Any]:
    """Return the hub's header: library, tags and results; the licence is the owner's to choose."""
    modalities = sorted({one.modality for one in results.schema.inputs})
    return {
        "library_name": "kagaku",
        "tags": ["kagaku", "science", *modalities],
        "model-index": [
            {
                "name": "kagaku run",
                "results": [
                    entry
                    for target in results.targets()
                    for entry in _results_entry(results, target)
                ],
            }
        ],
    }


def _results_entry(results: Results, target: Target) -> list[dict[str, Any]]:
    """Return the header's figures of one target; nothing where none could be computed."""
    found = results.metrics["targets"][target.name]
    split = results.metrics.get("split") or {}
    metrics = [
        {"type": name.lower(), "name": _with_unit(name, target), "value": float(score["value"])}
        for name, score in (found.get("test") or {}).items()
        if score and is_number(score.get("value"))
    ]
    if not metrics:
        return []
    files = results.provenance.get("files") or []
    return [
        {
            "task": {
                "type": _PIPELINES.get(target.kind, "tabular-classification"),
                "name": f"predict {target.name}",
            },
            "dataset": {
                "name": ", ".join(str(one.get("name")) for one in files) or "private",
                "type": "private",
                "split": f"held-out rows ({split.get('kind') or 'unknown'} split)",
            },
            "metrics": metrics,
        }
    ]


def _headline(results: Results, target: Target) -> str:
    return headline(target, results.metrics["targets"][target.name])


def _intended_use(results: Results) -> str:
    inputs = ", ".join(f"{_plain(one.name)} ({one.modality})" for one in results.schema.inputs)
    targets = ", ".join(
        _plain(f"{target.name} [{unit}]" if (unit := unit_label(target)) else target.name)
        for target in results.targets()
    )
    return (
        f"Predicts {targets} from {inputs}, for records like those it learnt from. Every "
        "prediction comes with an interval or set and with a verdict on whether the record is in "
        "domain: use both. Not for decisions about the health or safety of people without "
        "measurements that confirm them."
    )


def _training_data(results: Results) -> str:
    metrics, split = results.metrics, results.metrics.get("split") or {}
    lines = [
        f"- {_plain(str(one.get('name')))}: {int(one.get('bytes') or 0):,} bytes, "
        f"sha256 `{one.get('sha256')}`"
        for one in results.provenance.get("files") or []
    ]
    lines += [
        f"- {count(int(metrics.get('n_rows') or 0), 'row')}, of which "
        f"{int(split.get('n_train') or 0):,} to learn from and "
        f"{int(split.get('n_test') or 0):,} held out",
        f"- split: {split.get('kind') or 'unknown'}. {_plain(sentence(split.get('reason')))}",
    ]
    lines += [f"- {_plain(note.text)}" for note in run_notes(results.schema, metrics)]
    return "\n".join(lines)


def _scores(results: Results, target: Target) -> str:
    """Return one target's metrics beside each baseline, as a Markdown table."""
    found = results.metrics["targets"][target.name]
    own = found.get("test") or {}
    metrics = sorted(own, key=lambda name: name != found.get("metric"))
    rows: list[tuple[str, Mapping[str, Any]]] = [(f"this model ({found.get('chosen')})", own)]
    rows += [(str(one.get("name")), one.get("test") or {}) for one in found.get("baselines") or []]
    lines = [
        _row([_plain(target.name), *(_with_unit(name, target) for name in metrics)]),
        _row(["---"] * (1 + len(metrics))),
        *(
            _row([_plain(name), *(interval(scores.get(metric)) for metric in metrics)])
            for name, scores in rows
        ),
    ]
    coverage = found.get("coverage") or {}
    if is_number(coverage.get("mean_width")):
        unit = unit_label(target)
        lines.append(
            f"\nMean width of the {percent(coverage.get('confidence'))} intervals or sets: "
            f"{number(coverage['mean_width'])}{f' {unit}' if unit else ''}."
        )
    return "\n".join(lines)


def _limits(results: Results) -> str:
    """Return every warning of the report, and what holds for any such model."""
    several = len(results.targets()) > 1
    lines = [
        f"- {f'{_plain(target.name)}: ' if several else ''}{_plain(note.text)}"
        for target in results.targets()
        for note in target_notes(target, results.metrics["targets"][target.name])
    ]
    lines += [
        "- The promised coverage holds for records drawn like the training rows. Records out of "
        "domain are marked; their intervals may be too narrow.",
        "- The figures include the measurement error of the held-out rows.",
    ]
    return "\n".join(lines)


def _recompute(results: Results) -> str:
    versions = package_line(results.provenance)
    lines = [
        "With the same data, in this folder:",
        "```\nkagaku finetune --recipe config.yaml --output again/\n```",
    ]
    if results.recipe:
        fence = "`" * 4  # a recipe cannot hold this many in a row by accident
        lines.append(f"{fence}yaml\n{results.recipe.replace(fence, '')}{fence}")
    if versions:
        lines.append(f"Made with Python {results.provenance.get('python')}, {versions}.")
    return "\n\n".join(lines)


def _with_unit(metric: str, target: Target) -> str:
    unit = metric_unit(metric, target)
    return f"{metric} [{unit}]" if unit else metric


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, whatever a column's name holds."""
    for mark in ("\\", "`", "*", "_", "|", "<", ">", "#"):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
