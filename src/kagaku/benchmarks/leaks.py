"""What test parts share with what was learnt from, kept in a benchmark's folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.bases import DEFAULT, UNTRAINED, weights_folder
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, TrainedOn
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.leaks import Leaks, audit
from kagaku.science_tasks.benchmark.running import Cases, Plan


def fingerprints(base: str | None) -> tuple[TrainedOn | None, str]:
    """Return what the base was pretrained on, or why nobody can tell."""
    name = base or DEFAULT
    if name == UNTRAINED:
        return None, f"{name} was pretrained on nothing."
    unknown = (
        f"{name} has no {TRAINED_ON_FILE} beside it, so whether it was pretrained on test items "
        "cannot be told."
    )
    try:
        path = weights_folder(name) / TRAINED_ON_FILE
    except InputError:  # a public model by its id, or a name that only matters where it is used
        return None, unknown
    return (TrainedOn.load(path), "") if path.is_file() else (None, unknown)


def kept_leaks(
    cases: Cases, plan: Plan, output: Path, trained_on: TrainedOn | None, why_not: str
) -> dict[str, Leaks]:
    """Return the leaks of each split of a task, from the folder where they are known already.

    Args:
        cases: Of the task.
        plan: Which splits.
        output: The folder of the benchmark; what is found is kept there.
        trained_on: Fingerprints of what the base was pretrained on.
        why_not: Why there are none.
    """
    found = {}
    mark = f"{_identity(trained_on, plan)} {plan.made_by} {why_not}".rstrip()
    for split in cases.names(plan.splits):
        path = output / cases.task.name / f"{split}.leaks.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if stored.get("of") != mark or stored.get("n_test") != cases.all()[split].n_test:
            leaks = audit(cases.all()[split], trained_on, why_not)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json({"of": mark, **_stored(leaks)}, path)
            stored = json.loads(path.read_text(encoding="utf-8"))
        found[split] = _restored(stored)
    return found


def _identity(trained_on: TrainedOn | None, plan: Plan) -> str:
    sizes = {} if trained_on is None else {one: len(keys) for one, keys in trained_on.keys.items()}
    sums = 0
    if trained_on is not None:
        sums = sum(int(np.bitwise_xor.reduce(one)) for one in trained_on.keys.values() if len(one))
    return f"{sorted(sizes.items())} {sums} {plan.quick}"


def _stored(leaks: Leaks) -> dict[str, Any]:
    def rows(flags: np.ndarray | None) -> list[int] | None:
        return None if flags is None else np.flatnonzero(flags).tolist()

    return {
        "n_test": len(leaks.within),
        "within": rows(leaks.within),
        "within_near": rows(leaks.within_near),
        "corpus": rows(leaks.corpus),
        "corpus_near": rows(leaks.corpus_near),
        "note": leaks.note,
        "is_compared": leaks.is_compared,
    }


def _restored(stored: dict[str, Any]) -> Leaks:
    def flags(name: str) -> np.ndarray:
        there = np.zeros(stored["n_test"], dtype=bool)
        there[stored[name]] = True
        return there

    known = stored["corpus"] is not None
    return Leaks(
        flags("within"),
        flags("within_near"),
        flags("corpus") if known else None,
        flags("corpus_near") if known else None,
        stored["note"],
        stored["is_compared"],
    )
