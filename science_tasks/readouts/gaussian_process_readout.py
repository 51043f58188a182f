"""Gaussian process regression and classification as a readout: what it is given, what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import EXACT, TargetValues
from kagaku.data.schema import Kind
from kagaku.science_tasks.censoring import ROUNDS, expected_beyond
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.gaussian_process import GaussianProcess, GaussianProcessConfig
from kagaku.science_tasks.readouts.readout import READOUTS, Readout


def dirichlet_targets(
    classes: Int[np.ndarray, " record"], n_classes: int, epsilon: float = 0.01
) -> tuple[Float[np.ndarray, "choice record"], Float[np.ndarray, "choice record"]]:
    """Return regression targets and their noise variances that stand for class labels.

    Each label is a draw from a Dirichlet distribution with concentrations 1 + epsilon for its
    class and epsilon for the others, whose gamma variables are matched by log-normal ones. Source,
    also of epsilon: Milios et al. (2018), https://arxiv.org/abs/1805.10915
    """
    concentration = epsilon + (np.arange(n_classes)[:, None] == classes[None, :])
    variance = np.log(1 / concentration + 1)
    return np.log(concentration) - variance / 2, variance


@READOUTS.register("gp")
class GaussianProcessReadout(Readout):
    """Gaussian process regression, and classification by regression on Dirichlet labels.

    Classification follows Milios et al. (2018), https://arxiv.org/abs/1805.10915: each class
    gets a regression target and a known noise, so that inference stays exact. Several labels are
    one binary problem each. Censored values are replaced, three times, by their expectation under
    the leave-one-out posterior, and their remaining variance is added to the noise.

    Args:
        config: Limits; see `GaussianProcessConfig`.
    """

    name: ClassVar[str] = "gp"
    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"regression", "binary", "multiclass", "multilabel"}
    )

    def __init__(self, config: GaussianProcessConfig | None = None) -> None:
        self.config = config or GaussianProcessConfig()

    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit one process, or one per class; see `Readout.fit`."""
        self.kind = kind
        if kind == "regression":
            self._fit_regression(blocks, target, seed)
        elif kind == "multilabel":
            labels = [target.values[:, i] for i in range(n_classes)]
            self._parts = [self._fit_classes(blocks, one, 2, seed) for one in labels]
        else:
            n_labels = 2 if kind == "binary" else n_classes
            self._parts = [self._fit_classes(blocks, target.values, n_labels, seed)]

    def _fit_regression(
        self, blocks: Sequence[FeatureBlock], target: TargetValues, seed: int
    ) -> None:
        values = target.values.astype(np.float64)
        mean, std = float(values.mean()), float(values.std())
        std = std if std > 1e-12 else 1.0
        scaled = (values - mean) / std
        process = GaussianProcess(self.config)
        process.fit(blocks, scaled[None], np.zeros((1, len(scaled))), seed=seed)
        censoring, bound = target.censoring[process.rows], scaled[process.rows]
        for _ in range(ROUNDS if bool((censoring != EXACT).any()) else 0):
            centre, variance = process.leave_one_out()
            expected, extra = expected_beyond(bound, censoring, centre[0], np.sqrt(variance[0]))
            process.condition(expected[None], extra[None])
        self._parts = [_Part(process, np.array([mean]), np.array([std]), np.arange(1))]

    def _fit_classes(
        self, blocks: Sequence[FeatureBlock], labels: np.ndarray, n_classes: int, seed: int
    ) -> "_Part":
        measured = np.flatnonzero(~np.isnan(labels))
        codes = labels[measured].astype(np.int64)
        seen, positions = np.unique(codes, return_inverse=True)
        targets, noise = dirichlet_targets(positions, len(seen))
        mean, std = targets.mean(axis=1), max(float(targets.std()), 1e-6)
        process = GaussianProcess(self.config)
        process.fit(
            [block.subset(measured) for block in blocks],
            (targets - mean[:, None]) / std,
            noise / std**2,
            seed=seed,
        )
        return _Part(process, mean, np.full(len(mean), std), seen, n_classes)

    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return mean and spread, or probabilities; see `Readout.predict`."""
        if self.kind == "regression":
            mean, variance = self._parts[0].latent(blocks)
            return Prediction(mean=mean[0], spread=np.sqrt(variance[0]))
        tables = [part.probabilities(blocks) for part in self._parts]
        if self.kind == "multilabel":
            return Prediction(probabilities=np.stack([table[:, 1] for table in tables], axis=1))
        return Prediction(probabilities=tables[0])

    def state(self) -> dict[str, Any]:
        """Return every process with its scaling."""
        return {"kind": self.kind, "parts": [part.state() for part in self._parts]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.kind = state["kind"]
        self._parts = [_Part.from_state(one, self.config) for one in state["parts"]]


@dataclass
class _Part:
    """One Gaussian process with the scaling of its outputs and the classes that they stand for."""

    process: GaussianProcess
    mean: np.ndarray
    std: np.ndarray
    seen: np.ndarray
    n_classes: int = 0

    def latent(self, blocks: Sequence[FeatureBlock]) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = self.process.predict(blocks)
        return mean * self.std[:, None] + self.mean[:, None], variance * self.std[:, None] ** 2

    def probabilities(
        self, blocks: Sequence[FeatureBlock], n_samples: int = 512
    ) -> Float[np.ndarray, "record choice"]:
        """Return the expected class probabilities, over fixed samples of the latent functions."""
        mean, variance = self.latent(blocks)
        table = np.zeros((mean.shape[1], self.n_classes))
        draws = np.random.default_rng(0).standard_normal((n_samples // 2, len(mean)))
        for sample in np.concatenate([draws, -draws]):
            logits = mean + np.sqrt(variance) * sample[:, None]
            weights = np.exp(logits - logits.max(axis=0))
            table[:, self.seen] += (weights / weights.sum(axis=0)).T
        return table / n_samples

    def state(self) -> dict[str, Any]:
        return {
            "process": self.process.state(),
            "mean": self.mean,
            "std": self.std,
            "seen": self.seen,
            "n_classes": self.n_classes,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], config: GaussianProcessConfig) -> "_Part":
        process = GaussianProcess(config)
        process.load_state(state["process"])
        return cls(process, state["mean"], state["std"], state["seen"], state["n_classes"])
