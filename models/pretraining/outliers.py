"""Steps that would harm: gradients that are not finite, or far longer than lately."""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

from kagaku.errors import InputError

WINDOW = 200
"""Steps whose gradient norms are remembered."""

LEAST = 20
"""Steps before a norm is compared with those before it."""

MOST_IN_A_ROW = 25
"""Gradients in a row that may be not finite before the run is given up."""


class OutlierSteps:
    """Tells from its gradient's norm whether a step should be skipped.

    Long but finite norms are remembered as well, so that a lasting change is accepted soon.

    Args:
        factor: How many times the median of the last norms a norm may be.
        norms: Norms of the last steps, from a saved state.
    """

    def __init__(self, factor: float, norms: Sequence[float] = ()) -> None:
        self.factor = factor
        self.norms: deque[float] = deque(norms, maxlen=WINDOW)
        self._bad_in_a_row = 0

    def is_outlier(self, norm: float) -> bool:
        """Tell whether to skip a step whose gradient has this norm, and remember the norm.

        Raises:
            InputError: Too many gradients in a row were not finite.
        """
        if not math.isfinite(norm):
            self._bad_in_a_row += 1
            if self._bad_in_a_row > MOST_IN_A_ROW:
                raise InputError(
                    f"the gradients of {self._bad_in_a_row} steps in a row were not finite",
                    fix="Lower the learning rates, or train with precision 32-true. The last saved "
                    "state is from before.",
                )
            return True
        self._bad_in_a_row = 0
        usual = median(self.norms) if len(self.norms) >= LEAST else math.inf
        self.norms.append(norm)
        return norm > self.factor * usual
