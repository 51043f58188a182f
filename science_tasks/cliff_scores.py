"""How a model fares on activity cliffs: what a run tells of them, in plain values."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Target
from kagaku.data.units import LN_OF_BASE, parse_unit
from kagaku.science_tasks.chemistry.cliffs import MOST_MOLECULES, TENFOLD, CliffPairs, cliff_pairs
from kagaku.science_tasks.choosing import finite
from kagaku.science_tasks.held_out_scores import share_interval
from kagaku.science_tasks.property import TargetPrediction

FEWEST_MOLECULES = 20
"""Of fewer measured molecules, what is far apart cannot be told."""

SHOWN_PAIRS = 6
"""The steepest pairs are told in full."""

_LOGARITHM = re.compile(
    r"(log(10|P|D(7(\.\d)?)?|S|K|BB|Kow|Pow|IC50|EC50|Papp)|p(K[a-z]?|[A-Z]{1,3}\d\d|MIC|A2))(?![A-Za-z0-9])",
    re.ASCII,
)
"""How names of dimensionless decadic logarithms begin: logP, log10 activity, pIC50, pKi, pMIC."""


def step_of(target: Target, values: np.ndarray) -> tuple[float, str]:
    """Return the difference above which two values of a target are far apart, and why it is.

    Of logarithms it is a factor of ten, of other values their standard deviation.
    """
    parsed = parse_unit(target.unit or "dimensionless")
    if parsed.log is not None:
        return TENFOLD * LN_OF_BASE["log10"] / LN_OF_BASE[parsed.log], "tenfold"
    if parsed.dimension == "dimensionless" and _LOGARITHM.match(target.name):
        return TENFOLD, "tenfold"
    return float(np.std(values)), "one standard deviation of all values"


def cliff_scores(
    target: Target, records: Records, test_index: Int[np.ndarray, " test"], given: TargetPrediction
) -> dict[str, Any] | None:
    """Return what metrics.json holds about cliffs; None where there is no telling.

    They are looked for among all molecules with an exact value, held-out and training ones
    together. Other inputs than one molecule may explain why values differ, so there must be none.

    Args:
        target: What is predicted.
        records: All of them.
        test_index: The held-out ones.
        given: The calibrated predictions of these.
    """
    inputs = records.schema.inputs
    if target.kind != "regression" or [one.modality for one in inputs] != ["molecule"]:
        return None
    molecules, values = records.inputs[inputs[0].name], records.targets[target.name]
    is_known = values.present() & (values.censoring == EXACT)
    kept = np.array([one for one in np.flatnonzero(is_known) if molecules[one]], dtype=np.int64)
    if not FEWEST_MOLECULES <= len(kept) <= MOST_MOLECULES:
        return None
    numbers = values.values[kept].astype(np.float64)
    step, why = step_of(target, numbers)
    if step <= 0:
        return None
    pairs = cliff_pairs([molecules[one] for one in kept], numbers, step)
    on_cliff = np.zeros(len(records), dtype=bool)
    on_cliff[kept] = pairs.on_cliff
    is_scored = np.isin(test_index, kept)
    return {
        "step": step,
        "step_reason": why,
        "n_molecules": len(kept),
        "n_on": int(on_cliff.sum()),
        "n_pairs": pairs.n_pairs,
        "on": _side(values, test_index, given, is_scored & on_cliff[test_index]),
        "off": _side(values, test_index, given, is_scored & ~on_cliff[test_index]),
        "steepest": _steepest(pairs, kept, records, inputs[0].name, numbers, test_index),
    }


def _side(
    values: TargetValues,
    test_index: Int[np.ndarray, " test"],
    given: TargetPrediction,
    chosen: Bool[np.ndarray, " test"],
) -> dict[str, Any]:
    """Return the error and the coverage of some held-out records."""
    assert given.prediction.mean is not None
    assert given.lower is not None
    assert given.upper is not None
    n = int(chosen.sum())
    if not n:
        return {"n_test": 0, "rmse": None, "held": None, "held_lower": None, "held_upper": None}
    truth = values.values[test_index[chosen]].astype(np.float64)
    errors = given.prediction.mean[chosen] - truth
    held = float(((given.lower[chosen] <= truth) & (truth <= given.upper[chosen])).mean())
    lower, upper = share_interval(held, n)
    return {
        "n_test": n,
        "rmse": finite(float(np.sqrt(np.mean(errors**2)))),
        "held": finite(held),
        "held_lower": finite(lower),
        "held_upper": finite(upper),
    }


def _steepest(
    pairs: CliffPairs,
    kept: Int[np.ndarray, " molecule"],
    records: Records,
    column: str,
    numbers: np.ndarray,
    test_index: Int[np.ndarray, " test"],
) -> list[dict[str, Any]]:
    """Return the steepest pairs, and both molecules of each."""
    is_test = np.zeros(len(records), dtype=bool)
    is_test[test_index] = True

    def molecule(place: int) -> Mapping[str, Any]:
        record = int(kept[place])
        return {
            "row": int(records.rows[record]),
            "smiles": records.inputs[column][record],
            "measured": float(numbers[place]),
            "side": "held out" if is_test[record] else "training",
        }

    return [
        {
            "view": pairs.view[one],
            "difference": float(pairs.difference[one]),
            "molecules": [molecule(int(pairs.first[one])), molecule(int(pairs.second[one]))],
        }
        for one in range(min(SHOWN_PAIRS, len(pairs.first)))
    ]
