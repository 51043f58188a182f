"""Candidates, which can be fitted on any records, and what they are once fitted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Target
from kagaku.modalities import Modality
from kagaku.models.multitask import FinetuningConfig
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.full import FullModel, fit_full
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.readouts.terms import TermsReadout
from kagaku.science_tasks.readouts.token_readout import TokenReadout
from kagaku.science_tasks.term_counts import CountedLater
from kagaku.science_tasks.token_blocks import per_token_blocks


@dataclass(frozen=True)
class FittedReadout:
    """A readout fitted on some records, that answers for any of them."""

    readout: Readout
    """The fitted readout."""

    blocks: Sequence[FeatureBlock]
    """Features of all records."""

    def predict(self, index: np.ndarray) -> Prediction:
        """Return predictions for the records at ``index``."""
        return self.readout.predict([block.subset(index) for block in self.blocks])


@dataclass(frozen=True)
class ReadoutCandidate:
    """A readout on some feature blocks."""

    name: str
    """What the result table calls it."""

    make: Callable[[], Readout]
    """Gives a fresh readout."""

    blocks: tuple[FeatureBlock, ...]
    """The features that it reads, of all records."""

    values: TargetValues
    """Measured values of all records."""

    target: Target
    """What is predicted."""

    seed: int
    """Fixes whatever is random."""

    def fit(self, train_index: np.ndarray) -> FittedReadout:
        """Return the readout fitted on the records at ``train_index``."""
        readout = self.make()
        readout.fit(
            [block.subset(train_index) for block in self.blocks],
            self.values.subset(train_index),
            self.target.kind,
            len(self.target.classes),
            seed=self.seed,
        )
        return FittedReadout(readout, self.blocks)


@dataclass
class NetworkTrainer:
    """Fine-tunes the whole network on subsets of the records, each subset once.

    All targets are trained together, so the candidates of several targets share one training.
    """

    encoder: FrozenEncoder
    """Where training starts."""

    modalities: Mapping[str, Modality[Any]]
    """Fitted on the training records."""

    records: Records
    """All records."""

    config: FinetuningConfig
    """Settings of the training."""

    folder: Path | None
    """Where states are kept, so that a stopped training goes on; None keeps none."""

    report: Callable[[int, int, str], None] | None
    """Called after each epoch."""

    trained: dict[bytes, FullModel] = field(default_factory=dict)
    """By the subset trained on."""

    def train(self, train_index: np.ndarray) -> FullModel:
        """Return the network trained on the records at ``train_index``."""
        key = np.asarray(train_index, dtype=np.int64).tobytes()
        if key not in self.trained:
            folder = None if self.folder is None else self.folder / f"network-{len(self.trained)}"
            self.trained[key] = fit_full(
                self.encoder,
                self.modalities,
                self.records.subset(train_index),
                self.config,
                folder=folder,
                report=self.report,
            )
        return self.trained[key]


@dataclass(frozen=True)
class FittedNetwork:
    """The network, trained on some of the records, as seen by one target."""

    model: FullModel
    """The trained network."""

    records: Records
    """All records."""

    target: str
    """Whose predictions are asked for."""

    def predict(self, index: np.ndarray) -> Prediction:
        """Return predictions for the records at ``index``."""
        return self.model.predict(self.records.subset(index))[self.target]


@dataclass(frozen=True)
class NetworkCandidate:
    """Full fine-tuning, as a candidate for one target."""

    trainer: NetworkTrainer
    """Shared by the targets."""

    target: str
    """Whose candidate it is."""

    name: str = "full fine-tuning"
    """What the result table calls it."""

    def fit(self, train_index: np.ndarray) -> FittedNetwork:
        """Return the network trained on the records at ``train_index``."""
        model = self.trainer.train(train_index)
        return FittedNetwork(model, self.trainer.records, self.target)


@dataclass(frozen=True)
class TermCandidate:
    """Logistic or ridge regression on the terms of the records' texts."""

    texts: CountedLater
    """Of all records."""

    values: TargetValues
    """Measured values of all records."""

    target: Target
    """What is predicted."""

    seed: int
    """Fixes whatever is random."""

    name: str = "terms on texts"
    """What the result table calls it."""

    def fit(self, train_index: np.ndarray) -> "FittedTerms":
        """Return the readout fitted on the records at ``train_index``."""
        readout = TermsReadout()
        readout.fit(
            [self.texts.block.subset(train_index)],
            self.values.subset(train_index),
            self.target.kind,
            len(self.target.classes),
            seed=self.seed,
        )
        return FittedTerms(readout, self.texts)


@dataclass(frozen=True)
class FittedTerms:
    """A readout of terms fitted on some records, that answers for any of them."""

    readout: TermsReadout
    """The fitted readout."""

    texts: CountedLater
    """Of all records."""

    def predict(self, index: np.ndarray) -> Prediction:
        """Return predictions for the records at ``index``."""
        return self.readout.predict([self.texts.block.subset(index)])


@dataclass(frozen=True)
class TokenCandidate:
    """A readout on windows around each token, for per-token targets."""

    name: str
    """What the result table calls it."""

    inner: str
    """Registered name of the readout that classifies one token."""

    records: Records
    """All records."""

    target: Target
    """What is predicted."""

    seed: int
    """Fixes whatever is random."""

    def fit(self, train_index: np.ndarray) -> "FittedTokens":
        """Return the readout fitted on the tokens of the records at ``train_index``."""
        readout = TokenReadout(self.inner)
        chosen = self.records.subset(train_index)
        readout.fit(
            per_token_blocks(chosen, self.target),
            chosen.targets[self.target.name],
            "per-token",
            len(self.target.classes),
            seed=self.seed,
        )
        return FittedTokens(readout, self.records, self.target)


@dataclass(frozen=True)
class FittedTokens:
    """A token readout fitted on some records, that answers for any of them."""

    readout: Readout
    """The fitted readout."""

    records: Records
    """All records."""

    target: Target
    """What is predicted."""

    def predict(self, index: np.ndarray) -> Prediction:
        """Return predictions for the tokens of the records at ``index``, one after the other."""
        return self.readout.predict(per_token_blocks(self.records.subset(index), self.target))
