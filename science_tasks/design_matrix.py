"""All feature blocks side by side, for models that read plain columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock


class DesignMatrix:
    """Turns feature blocks into one matrix, with the columns that vary in training.

    Blocks for kernels alone are left out. Counts enter as log(1 + count). Each block adds a column
    that is 1 where the input was there, so that a missing input (whose features are 0) can be told
    from a true 0.
    """

    def fit(self, blocks: Sequence[FeatureBlock]) -> Float[np.ndarray, "record column"]:
        """Learn which columns vary, and return the matrix of the training records."""
        blocks = _of_columns(blocks)
        self.shape = [[block.name, block.values.shape[1]] for block in blocks]
        full = _side_by_side(blocks)
        varies = (full != full[:1]).any(axis=0)
        self.columns = np.flatnonzero(varies)
        return full[:, self.columns]

    def transform(self, blocks: Sequence[FeatureBlock]) -> Float[np.ndarray, "record column"]:
        """Return the matrix of other records.

        Raises:
            InputError: The blocks are not those of the fit.
        """
        blocks = _of_columns(blocks)
        given = [[block.name, block.values.shape[1]] for block in blocks]
        if given != self.shape:
            raise InputError(
                f"the model was fitted on the features {self.shape}, but got {given}",
                fix="Predict with the same inputs as in fitting.",
            )
        return _side_by_side(blocks)[:, self.columns]

    def state(self) -> dict[str, Any]:
        """Return what `fit` learnt."""
        return {"shape": self.shape, "columns": self.columns}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.shape, self.columns = state["shape"], state["columns"]


def _of_columns(blocks: Sequence[FeatureBlock]) -> list[FeatureBlock]:
    return [block for block in blocks if not block.for_kernels]


def _side_by_side(blocks: Sequence[FeatureBlock]) -> Float[np.ndarray, "record column"]:
    parts: list[np.ndarray] = []
    for block in blocks:
        counts = block.kernel == "tanimoto"
        values = np.log1p(np.maximum(block.values, 0)) if counts else block.values
        parts += [values.astype(np.float32), block.present.astype(np.float32)[:, None]]
    return np.concatenate(parts, axis=1)
