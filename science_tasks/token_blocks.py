"""Per-token targets: the tokens of each record that carry a label, and features of them."""

import numpy as np
from jaxtyping import Int

from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts.token_readout import token_windows


def per_token_blocks(records: Records, target: Target) -> list[FeatureBlock]:
    """Return features of every labelled token, the tokens of all records one after the other."""
    assert target.labels is not None
    return [token_windows(target.labels, records.inputs[target.labels])]


def token_counts(records: Records, target: Target) -> Int[np.ndarray, " record"]:
    """Return how many tokens of each record carry a label: one per residue; 0 if it is missing."""
    assert target.labels is not None
    values = records.inputs[target.labels]
    return np.array([0 if value is None else len(value) for value in values], dtype=np.int64)
