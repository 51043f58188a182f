"""What a benchmark found about one task, in plain values, for table, JSON and page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from kagaku.science_tasks.benchmark.leaks import Leaks
from kagaku.science_tasks.benchmark.measures import COVERAGE
from kagaku.science_tasks.benchmark.results import Result
from kagaku.science_tasks.benchmark.summary import (
    best_baseline,
    compare_runs,
    runs_of,
    summarise,
)
from kagaku.science_tasks.benchmark.task import Published, Task

FEWEST_LEFT = 10
"""Test items that must be left without the matches for a score of them to say anything."""


def task_scores(
    task: Task,
    results: Sequence[Result],
    leaks: Mapping[str, Leaks],
    published: Sequence[Published] | None = None,
) -> dict[str, Any]:
    """Return everything that is told about a task.

    Args:
        task: The question.
        results: Of all its methods, splits and seeds that were run.
        leaks: By split, what the test part shares with what was learnt from.
        published: Scores of others, of which those of the splits that were run are told; None takes
            the task's own.
    """
    published = task.published if published is None else published
    splits = {one.split for one in results}
    summaries = summarise(task, results)
    baseline = best_baseline(task, results)
    left = _left(results, leaks)
    methods = []
    for name in dict.fromkeys(one.method for one in summaries):
        own = [one for one in results if one.method == name]
        versus = _versus(task, results, name, task.baselines)
        methods.append(
            {
                "name": name,
                "is_baseline": name in task.baselines,
                "is_for_reference": name in task.for_reference,
                "scores": {
                    one.measure: _plain(asdict(one)) for one in summaries if one.method == name
                },
                "n_runs": len(own),
                "splits": list(dict.fromkeys(one.split for one in own)),
                "made_by": sorted({one.made_by for one in own}),
                "n_dropped": max(one.n_dropped for one in own),
                "seconds": round(sum(one.seconds for one in own), 2),
                "peak_megabytes": max(one.peak_megabytes for one in own),
                "base": own[0].base_name,
                "chosen": sorted({one.chosen for one in own if one.chosen}),
                "without_matches": _without(task, left, name, baseline),
                "versus_baseline": None if baseline is None else versus.get(baseline),
                "versus_baselines": versus,
            }
        )
    return {
        "task": task.name,
        "domain": task.domain,
        "question": task.question,
        "dataset": task.dataset,
        "quick": next((asdict(one.quick) for one in results if one.quick is not None), None),
        "splits": list(dict.fromkeys(one.split for one in results)),
        "seeds": sorted({one.seed for one in results}),
        "n_train": {one.split: one.n_train for one in results},
        "n_test": {one.split: one.n_test for one in results},
        "measures": [
            {
                "name": one.name,
                "unit": one.unit,
                "smaller_is_better": one.smaller_is_better,
                "ideal": one.ideal,
                "needs": one.needs,
            }
            for one in (*task.measures, COVERAGE)
        ],
        "best_baseline": baseline,
        "judged": task.judged,
        "seen": task.seen,
        "methods": methods,
        "published": [asdict(one) for one in published if one.split is None or one.split in splits],
        "leaks": {name: {**one.shares(), "note": one.note} for name, one in leaks.items()},
        "traps": list(task.traps),
    }


def _versus(
    task: Task, results: Sequence[Result], name: str, baselines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return by plain baseline the paired comparison with it, by the leading measure."""
    if name in task.for_reference:
        return {}
    ran = {one.method for one in results}
    compared = {}
    for baseline in baselines:
        if baseline not in ran or baseline == name:
            continue
        found = compare_runs(
            task.leading,
            runs_of(results, name),
            runs_of(results, baseline),
            (name, baseline),
            group=task.group,
        )
        if found is not None:
            told = {**asdict(found), "sentence": found.sentence(task.leading.unit)}
            compared[baseline] = _plain(told)
    return compared


def _left(results: Sequence[Result], leaks: Mapping[str, Leaks]) -> list[Result]:
    """Return answers to the items that match nothing learnt from; none if all items do not.

    Splits with fewer than `FEWEST_LEFT` such items are left out.
    """
    if not any(one.any.any() for one in leaks.values()):
        return []
    kept = {name: ~one.any for name, one in leaks.items()}
    return [
        replace(one, answers=one.answers[kept[one.split]])
        for one in results
        if one.split in kept and kept[one.split].sum() >= FEWEST_LEFT
    ]


def _without(
    task: Task, left: Sequence[Result], name: str, baseline: str | None
) -> dict[str, Any] | None:
    """Return what a method reaches on the items that match nothing; None if nothing is left.

    Mean scores by measure, on how many splits, and the paired comparison with the best plain
    baseline on the same items.
    """
    own = [one for one in left if one.method == name]
    if not own:
        return None
    scores = {
        measure.name: float(np.mean([measure.of(one.answers) for one in own]))
        for measure in task.measures
    }
    best = [] if baseline is None or name in task.baselines else [baseline]
    versus = next(iter(_versus(task, left, name, best).values()), None)
    return {
        "scores": _plain(scores),
        "n_splits": len({one.split for one in own}),
        "versus_baseline": versus,
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: no NaN."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
