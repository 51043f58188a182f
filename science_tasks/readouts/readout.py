"""Readouts: small models fitted on features of records, for laboratory-sized tables."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kagaku.data.records import TargetValues
from kagaku.data.schema import Kind
from kagaku.registry import Registry
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction


class Readout(ABC):
    """One kind of small model, for one target.

    A readout sees feature blocks and measured values only, so the same Gaussian process serves
    molecules, proteins and climate fields. Nothing of it is ever pickled: `state` gives plain
    values and arrays.
    """

    name: ClassVar[str]
    """The word that names this readout in recipes and result tables."""

    kinds: ClassVar[frozenset[Kind]]
    """The kinds of target it can predict."""

    @abstractmethod
    def fit(
        self,
        blocks: Sequence[FeatureBlock],
        target: TargetValues,
        kind: Kind,
        n_classes: int,
        *,
        seed: int,
    ) -> None:
        """Fit to records whose target is present; censored values count as bounds.

        Args:
            blocks: Features of the training records; all blocks have the same records.
            target: Measured values of the same records.
            kind: What kind of answer is predicted; one of `kinds`.
            n_classes: How many classes there are; 0 for regression and fields.
            seed: Fixes whatever is random.
        """

    @abstractmethod
    def predict(self, blocks: Sequence[FeatureBlock]) -> Prediction:
        """Return predictions for records with the same blocks as in `fit`."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return the fitted model: JSON values, NumPy arrays and dictionaries of these."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""


READOUTS: Registry[Readout] = Registry("readout")
