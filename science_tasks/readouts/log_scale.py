"""Readouts of the logarithm of positive, skewed values: moduli, lifetimes, concentrations.

A few large values decide a squared error, and a model of the values themselves spends itself on
them; on a log scale a factor of two counts the same everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.stats import skew

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.gaussian_process_readout import GaussianProcessReadout
from kagaku.science_tasks.readouts.readout import READOUTS, Readout
from kagaku.science_tasks.readouts.trees import TreesReadout

FEWEST_ROWS = 50
"""Below this, whether values are skewed cannot be told."""

LEAST_SKEW = 1.0
"""Skewness of values (a normal distribution has 0, an exponential one 2) that a logarithm may
mend."""

LARGEST_SPREAD = 1.5
"""Spread of the logarithm above which the mean of what it stands for is no longer believed."""


def suits_log_scale(target: TargetValues) -> bool:
    """Return whether values are positive and skewed, and their logarithms much less so."""
    values = target.values.astype(np.float64)
    if len(values) < FEWEST_ROWS or not bool((values > 0).all()):
        return False
    skewness, of_logs = float(skew(values)), float(skew(np.log(values)))
    return skewness > LEAST_SKEW and abs(of_logs) < skewness / 2


class LogScaleReadout(Readout):
    """Fits another readout to logarithms, and answers with mean and spread of the values."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"regression"})

    inner: Readout

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit; all values must be positive. See `Readout.fit`."""
        logs = replace(target, values=np.log(target.values.astype(np.float64)))
        self.inner.fit(blocks, logs, kind, n_classes, seed=seed)

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread of the log-normal distribution that the readout foretells."""
        given = self.inner.predict(blocks)
        assert given.mean is not None
        assert given.spread is not None
        variance = np.square(np.minimum(given.spread, LARGEST_SPREAD))
        mean = np.exp(given.mean + variance / 2)
        return Prediction(mean=mean, spread=mean * np.sqrt(np.expm1(variance)))

    def state(self) -> dict[str, Any]:
        """Return what the inner readout learnt."""
        return self.inner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.inner.load_state(state)


@READOUTS.register("log-gp")
class LogScaleGaussianProcess(LogScaleReadout):
    """A Gaussian process of the logarithm."""

    name: ClassVar[str] = "log-gp"

    def __init__(self) -> None:
        self.inner = GaussianProcessReadout()


@READOUTS.register("log-trees")
class LogScaleTrees(LogScaleReadout):
    """Boosted trees of the logarithm."""

    name: ClassVar[str] = "log-trees"

    def __init__(self) -> None:
        self.inner = TreesReadout()
