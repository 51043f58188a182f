"""Fields told by the network: readouts on its frozen embeddings, and fine-tuning it on a region."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Input, Schema, Target
from kagaku.modalities.checking import fit_modalities
from kagaku.models import Encoder
from kagaku.models.multitask import FinetuningConfig
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.climate.field_case import CLIMATOLOGY, FieldCase
from kagaku.science_tasks.climate.field_forecast import FieldForecast
from kagaku.science_tasks.climate.field_ridge import COMPONENTS, FieldRidge, patterns
from kagaku.science_tasks.climate.verification import field_answers
from kagaku.science_tasks.embeddings import EmbeddingFeatures
from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers
from kagaku.science_tasks.full import fit_full
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.field_readout import FieldReadout

TARGET = "departure"
"""What the network is asked for: how far the truth lies from a plain forecast."""

CONFIG = FinetuningConfig(epochs=12, patience=4, learning_rate=3e-4)
"""Settings of fine-tuning: a month of weather or a century of years wants few passes."""


def records_of(
    case: FieldCase, inputs: tuple[str, ...], start: tuple[str, ...], learnt: np.ndarray
) -> Records:
    """Return a case as records: each input's anomaly is a grid, the target is the departure.

    Args:
        case: The case.
        inputs: What is read.
        start: The plain forecasts whose mean is taken off the truth.
        learnt: The items that everything usual is computed from; they and the test items have
            their inputs filled.
    """
    schema = Schema(
        tuple(Input(name, case.variable, "climate") for name in inputs),
        (Target(TARGET, case.variable, "field", case.unit, case.unit),),
    )
    plain = np.mean([case.reference(one, learnt) for one in start], axis=0)
    is_used = np.zeros(len(plain), dtype=bool)
    is_used[learnt] = is_used[case.rows.test] = True
    columns = {}
    for name in inputs:
        cells = case.anomaly(name, learnt)
        there = is_used & ~np.isnan(cells).all(axis=(1, 2))
        columns[name] = [case.as_field(one, i) if there[i] else None for i, one in enumerate(cells)]
    return Records(
        schema=schema,
        inputs=columns,
        targets={TARGET: TargetValues(case.truth - plain, np.full(len(plain), EXACT))},
        rows=np.arange(1, len(plain) + 1),
        source=case.variable,
    )


def embedded(
    encoder: Encoder,
    context: Context,
    case: FieldCase,
    inputs: tuple[str, ...],
    learnt: np.ndarray,
) -> list[np.ndarray]:
    """Return the principal components of the frozen embeddings of each input.

    Scaled as `patterns` are, so that both can be read by one regression.
    """
    records = records_of(case, inputs, (CLIMATOLOGY,), learnt)
    known = fit_modalities(records.subset(learnt))
    _, blocks = EmbeddingFeatures.fit(
        encoder,
        known,
        records,
        learnt,
        memory=context.memory,
        progress=context.reporter("embedding"),
    )
    found = []
    for block in blocks:
        values = block.values.astype(np.float64)
        values = values - values[learnt].mean(axis=0)
        _, strengths, axes = np.linalg.svd(values[learnt], full_matrices=False)
        scale = max(float(strengths[0]) / np.sqrt(len(learnt)), 1e-12)
        found.append(values @ axes[: max(COMPONENTS)].T / scale)
    return found


@dataclass(frozen=True)
class EmbeddingRidge:
    """Answers as `FieldRidge` does, from frozen embeddings instead of, or beside, patterns.

    The embeddings of an input are made once, standardised on all training items, and then serve
    every held-out stretch: only inputs of these stretches, no answers, enter their scale.
    """

    ridge: FieldRidge
    """What is chosen from."""

    is_joined: bool = False
    """Whether the patterns are read too."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        made: dict[str, np.ndarray] = {}
        encoder = context.own_encoder()

        def read(case: FieldCase, inputs: tuple[str, ...], learnt: np.ndarray) -> list[np.ndarray]:
            for name in inputs:
                if name not in made:
                    every = case.complete(case.rows.learnt(), [name])
                    (made[name],) = embedded(encoder, context, case, (name,), every)
            found = [made[name] for name in inputs]
            return [*patterns(case, inputs, learnt), *found] if self.is_joined else found

        ridge = FieldRidge(self.ridge.inputs, self.ridge.start, self.ridge.folds, read)
        return ridge(case, context)


@dataclass(frozen=True)
class FieldProcess:
    """Answers with kagaku's field readout: a Gaussian process for each pattern of the departure."""

    inputs: tuple[str, ...]
    """What is read."""

    start: tuple[str, ...] = (CLIMATOLOGY,)
    """The plain forecasts whose mean is corrected."""

    readout: str = "gp"
    """Registered name of the readout of each pattern."""

    has_embeddings: bool = False
    """Whether frozen embeddings stand beside the classical features."""

    every: int = 1
    """Learn from each so-many-th item only: an hour is much like the next, and a Gaussian process
    grows with the cube of the items."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return self.forecast(case, context).answers(case)

    def forecast(self, case: FieldCase, context: Context) -> FieldForecast:
        """Return the forecast of the test items."""
        learnt = case.complete(case.rows.learnt(), self.inputs)
        records = records_of(case, self.inputs, self.start, learnt)
        blocks = feature_blocks(records, fit_featurizers(records.subset(learnt)))
        if self.has_embeddings:
            known = fit_modalities(records.subset(learnt))
            blocks += EmbeddingFeatures.fit(
                context.encoder(), known, records, learnt, memory=context.memory
            )[1]
        readout = FieldReadout(
            READOUTS[self.readout].name, case.weights[:, 0] / case.weights[:, 0].mean()
        )
        some = learnt[:: self.every]
        readout.fit(
            [one.subset(some) for one in blocks],
            records.targets[TARGET].subset(some),
            "field",
            0,
            seed=context.seed,
        )
        test = case.rows.test
        found = readout.predict([one.subset(test) for one in blocks])
        assert found.mean is not None
        plain = np.mean([case.reference(one, learnt) for one in self.start], axis=0)[test]
        return FieldForecast(Prediction(plain + found.mean, found.spread))


@dataclass(frozen=True)
class FineTuned:
    """Answers with the whole network fine-tuned on the region.

    As ClimaX is brought from global fields to a region, https://arxiv.org/abs/2301.10343: the
    embedders and the backbone start from the base, a new head gives one value for each cell, and
    everything is trained. The best epoch is chosen on training items.
    """

    inputs: tuple[str, ...]
    """What is read; the tokens of the first carry the answer, so its grid is that of the truth."""

    start: tuple[str, ...] = (CLIMATOLOGY,)
    """The plain forecasts whose mean is corrected."""

    config: FinetuningConfig = CONFIG
    """Settings."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        learnt = case.complete(case.rows.learnt(), self.inputs)
        records = records_of(case, self.inputs, self.start, learnt)
        trained = records.subset(learnt)
        model = fit_full(
            context.own_encoder(),
            fit_modalities(trained),
            trained,
            self.config,
            folder=context.work,
            report=context.report,
        )
        test = case.rows.test
        found = model.predict(records.subset(test))[TARGET]
        assert found.mean is not None
        plain = np.mean([case.reference(one, learnt) for one in self.start], axis=0)[test]
        return field_answers(case, plain + found.mean, found.spread)
