"""Methods that answer any case of records: plain ones, single readouts, and what `auto` chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from kagaku.errors import InputError
from kagaku.modalities.checking import fit_modalities
from kagaku.models.multitask import FinetuningConfig
from kagaku.science_tasks.baselines import baseline_candidates
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.calibrated import Calibrated, calibrated
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.task import Context, Method
from kagaku.science_tasks.blending import blend
from kagaku.science_tasks.candidate_kinds import ReadoutCandidate
from kagaku.science_tasks.embeddings import EmbeddingFeatures
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers
from kagaku.science_tasks.fit_settings import FitSettings
from kagaku.science_tasks.fit_settings import Method as FitMethod
from kagaku.science_tasks.fitting import fit_property
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.public_embeddings import FrozenEncoder
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.selection import Candidate

Features = Literal["classical", "embeddings", "classical + embeddings"]


def constant(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with the mean of the training values, or the share of each class."""
    return _answered(case, _simple(case, (), context.seed)[0])


def plain(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with the domain's plain model, the last and strongest of the simple baselines.

    For molecules that is a random forest on circular fingerprints, for sequences ridge regression
    on positions, for texts logistic regression on words.
    """
    return _answered(case, _simple(case, classical_blocks(case), context.seed)[-1])


def _simple(case: PropertyCase, blocks: Sequence[FeatureBlock], seed: int) -> list[Candidate]:
    values = case.records.targets[case.target.name]
    return baseline_candidates(case.records, case.target, values, blocks, seed=seed)


def persistence(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with the field as it is now."""
    return _named(case, context, "persistence")


def climatology(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with what is usual at this time of the year."""
    return _named(case, context, "climatology")


def _named(case: PropertyCase, context: Context, name: str) -> pd.DataFrame:
    found = {one.name: one for one in _simple(case, (), context.seed)}
    if name not in found:
        raise InputError(
            f"{name} has no meaning for {case.target.name!r}",
            fix=f"Choose from {sorted(found)}.",
            where=case.records.source,
        )
    return _answered(case, found[name])


class CaseFeatures:
    """The features of a case's records, made when they are first asked for, and once."""

    def __init__(self, case: PropertyCase, context: Context) -> None:
        self._case, self._context = case, context

    @cached_property
    def classical(self) -> list[FeatureBlock]:
        """Those of the domains."""
        return classical_blocks(self._case)

    @cached_property
    def embeddings(self) -> list[FeatureBlock]:
        """Those of the base."""
        return embedding_blocks(self._case, self._context.encoder(), self._context)

    def of(self, features: Features, block: str | None = None) -> list[FeatureBlock]:
        """Return some of them; of the classical ones only the block of an ending, if one is given.

        Args:
            features: Which.
            block: Such as ``"ecfp"``.
        """
        blocks = [] if features == "embeddings" else self.classical
        if block is not None:
            blocks = [one for one in blocks if one.name.endswith(f":{block}")]
        return blocks if features == "classical" else blocks + self.embeddings


@dataclass(frozen=True)
class Single:
    """One readout on one set of features: nothing is chosen, so it costs one fit."""

    readout: str
    """Registered name of the readout."""

    features: Features = "classical"
    """What it reads."""

    block: str | None = None
    """Only the classical block of this ending, such as ``"ecfp"``; None takes all."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        return _answered(case, self.candidate(case, context, CaseFeatures(case, context)))

    def candidate(
        self, case: PropertyCase, context: Context, features: CaseFeatures
    ) -> ReadoutCandidate:
        """Return it as a candidate that can be fitted."""
        blocks = tuple(features.of(self.features, self.block))
        make = READOUTS[self.readout]
        return ReadoutCandidate(
            self.readout, make, blocks, case.measured, case.target, context.seed
        )


@dataclass(frozen=True)
class Mean:
    """The mean of several readouts: nothing is chosen, each is fitted once.

    It stands in for `auto`, which fits every candidate several times, where that takes too long.
    """

    members: tuple[Single, ...]
    """What answers together."""

    has_intervals: bool = True
    """Whether numbers get intervals, for which each readout is fitted once more, to four fifths of
    the training rows."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        features = CaseFeatures(case, context)
        parts = [one.candidate(case, context, features) for one in self.members]

        def asked(fitted: np.ndarray, rows: np.ndarray) -> Prediction:
            return blend([one.fit(fitted).predict(rows) for one in parts])

        given = asked(case.measured_rows(), case.rows.test)
        calibration = calibrated(case, asked, context.seed) if self.has_intervals else None
        lower, upper = (None, None) if calibration is None else calibration.interval(given)
        return answers_of(case, given, lower=lower, upper=upper)


@dataclass(frozen=True)
class Chosen:
    """What `kagaku finetune` would give: candidates compared on training rows, with intervals."""

    method: FitMethod = "auto"
    """What may be chosen."""

    max_seconds: float | None = None
    """No candidate is started after so long."""

    network: FinetuningConfig = field(default_factory=FinetuningConfig)
    """Settings of full fine-tuning."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        settings = FitSettings(
            method=self.method,
            fold_kind=case.keeps_apart,
            seed=context.seed,
            max_seconds=self.max_seconds,
            network=self.network,
        )
        fit = fit_property(
            case.records,
            case.rows.learnt(),
            encoder=context.encoder(),
            settings=settings,
            memory=context.memory,
            work=context.work,
            progress=context.report,
        )
        answer = fit.model.predict(case.records.subset(case.rows.test))[case.target.name]
        frame = answers_of(
            case,
            answer.prediction,
            lower=answer.lower,
            upper=answer.upper,
            in_domain=answer.in_domain,
        )
        frame.attrs["chosen"] = " + ".join(fit.targets[case.target.name].selection.members)
        return frame


def classical_blocks(case: PropertyCase) -> list[FeatureBlock]:
    """Return the classical features of all records, fitted on those to learn from."""
    featurizers = fit_featurizers(case.records.subset(case.rows.learnt()))
    return feature_blocks(case.records, featurizers)


def embedding_blocks(
    case: PropertyCase, encoder: FrozenEncoder, context: Context
) -> list[FeatureBlock]:
    """Return the frozen embeddings of all records, standardised on those to learn from."""
    learnt = case.rows.learnt()
    modalities = fit_modalities(case.records.subset(learnt))
    return EmbeddingFeatures.fit(
        encoder,
        modalities,
        case.records,
        learnt,
        memory=context.memory,
        progress=context.reporter("embedding"),
    )[1]


def _answered(case: PropertyCase, candidate: Candidate) -> pd.DataFrame:
    return answers_of(case, candidate.fit(case.measured_rows()).predict(case.rows.test))


def property_methods(**more: Method) -> dict[str, Method]:
    """Return the methods that every question about records has, cheapest first.

    Args:
        more: Further ones of the domain, which stand behind the plain ones.
    """
    return {
        "constant": constant,
        "plain": plain,
        **{name.replace("_", "-"): one for name, one in more.items()},
        "linear-embeddings": Calibrated(Single("linear", "embeddings")),
        "gp-joined": Single("gp", "classical + embeddings"),
        "auto": Chosen("auto"),
        "full": Chosen("full"),
    }
