"""What is asked of each sample: by chance, but always the same for one seed and one sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.modalities import Modality, Tokens
from kagaku.models.pretraining.hiding import hidden_blocks, hidden_tokens
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.properties import fitted_properties, property_quantities
from kagaku.models.pretraining.records import Part, PretrainingRecord
from kagaku.models.pretraining.summaries import Shown, Summary

PLANNING_VERSION = 5
"""Raised by one whenever the same samples and seed would be asked or shown something else,
so that a run that an older version began is not continued as if nothing had changed."""

DESCRIBED = "molecule"
"""The modality that a corpus' descriptors are about."""

QUANTITY = "quantity"
"""The modality of numbers with units."""

SHARE_TOLD = 0.5
"""How often a number stands before what is generated, or in place of a text in a joint record."""

LATER = "later"
"""Name of an input that is to be forecast from the others."""

FARTHEST_DESCRIPTOR = 5.0
"""Standard deviations at which descriptors are clipped: some grow exponentially with size."""


@dataclass(frozen=True)
class GivenInput:
    """One input of a sample, as far as it fits its row."""

    name: str
    """Name of the input in its source."""

    modality: str
    """Registered name."""

    tokens: Tokens
    """Its tokens, cropped."""

    is_whole: bool
    """Whether nothing was cropped."""

    value: Any
    """What was tokenised, whole."""

    def part(self, hidden: Bool[np.ndarray, " token"] | None = None) -> Part:
        """Return it as a part of a record."""
        return Part(self.modality, self.tokens, hidden)


def whole_inputs(
    sample: CorpusSample, inputs: Mapping[str, str], modalities: Mapping[str, Modality[Any]]
) -> list[GivenInput]:
    """Return the inputs that a sample has, tokenised and not cropped.

    Args:
        sample: Of one source.
        inputs: The modality of each input of that source.
        modalities: By name, fitted.
    """
    return [
        GivenInput(name, modality, modalities[modality].tokenize(value), is_whole=True, value=value)
        for name, modality in inputs.items()
        if (value := sample.inputs.get(name)) is not None
    ]


class Planner:
    """Turns a sample into the records that pretraining sees.

    Args:
        modalities: By name, fitted.
        descriptors: How descriptors are named and standardised; None if the corpus has none.
        config: Shares of the objectives.
        summaries: By modality, what is asked of its pooled embedding.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality[Any]],
        descriptors: DescriptorScale | None,
        config: ObjectiveConfig,
        summaries: Mapping[str, Summary],
    ) -> None:
        self.modalities, self.descriptors, self.config = modalities, descriptors, config
        self.summaries = summaries
        self.properties = fitted_properties(modalities.get(QUANTITY))
        if descriptors is not None:
            self._mean = np.array(descriptors.mean, dtype=np.float64)
            self._std = np.array(descriptors.std, dtype=np.float64)

    def records(
        self,
        sample: CorpusSample,
        given: Sequence[GivenInput],
        spare: int,
        rng: np.random.Generator,
    ) -> list[PretrainingRecord]:
        """Return the records of a sample that is not paired in this batch.

        Args:
            sample: Where descriptors come from.
            given: Its inputs.
            spare: Tokens that its row has left, for what is added to a sample.
            rng: Where chance comes from.
        """
        if len(given) == 1:
            return [self._alone(sample, given[0], spare, rng)]
        if any(one.name == LATER for one in given):
            return self._forecast(sample, given, rng)
        if self._is_of_patches(given[0]) and rng.random() < self.config.apart:
            return [self._encoded(sample, given[0], rng)]
        asked = [one for one in given if self.modalities[one.modality].vocabulary_size]
        if not asked or rng.random() < self.config.joint:
            return [self._joint(sample, given, rng)]
        target = asked[int(rng.integers(len(asked)))]
        others = [one for one in given if one is not target]
        # Numbers that a text tells would answer for what it is about, so often they are left out.
        told = [one for one in others if one.modality != QUANTITY or rng.random() < SHARE_TOLD]
        before = [(told or others)[place].part() for place in rng.permutation(len(told or others))]
        return [PretrainingRecord((*before, target.part()), is_generated=True)]

    def _joint(
        self, sample: CorpusSample, given: Sequence[GivenInput], rng: np.random.Generator
    ) -> PretrainingRecord:
        """Return one record of the inputs, with hidden tokens in each.

        Beside a third input texts and numbers never stand together: one would tell what is hidden
        of the other.
        """
        kinds = {one.modality for one in given}
        if {"text", QUANTITY} < kinds:
            left_out = "text" if rng.random() < SHARE_TOLD else QUANTITY
            given = [one for one in given if one.modality != left_out]
        parts = tuple(one.part(self._hidden(one, rng)) for one in given)
        # A number beside it gives little away; a text could tell the whole answer.
        is_bare = all(one.modality == QUANTITY for one in given[1:])
        if not is_bare or not self.config.describe_masked:
            return PretrainingRecord(parts)
        descriptors, summary = self._computed(sample, given[0], rng)
        return PretrainingRecord(parts, descriptors=descriptors, summary=summary)

    def pair(
        self,
        sample: CorpusSample,
        first: GivenInput,
        second: GivenInput,
        rng: np.random.Generator,
    ) -> list[PretrainingRecord]:
        """Return one record of each of two inputs that are to be aligned; nothing is hidden."""
        return [
            PretrainingRecord((one.part(),), descriptors=descriptors, summary=summary, pair=side)
            for side, one in enumerate((first, second))
            for descriptors, summary in [self._computed(sample, one, rng)]
        ]

    def _alone(
        self, sample: CorpusSample, given: GivenInput, spare: int, rng: np.random.Generator
    ) -> PretrainingRecord:
        has_vocabulary = bool(self.modalities[given.modality].vocabulary_size)
        if has_vocabulary and rng.random() < self.config.generated.get(given.modality, 0.0):
            before = self._properties(sample, given, spare, rng)
            return PretrainingRecord((*before, given.part()), is_generated=True)
        return self._encoded(sample, given, rng)

    def _encoded(
        self, sample: CorpusSample, given: GivenInput, rng: np.random.Generator
    ) -> PretrainingRecord:
        """Return a record that is asked for hidden tokens, for what is computed of it, or both."""
        given = self._varied(given, rng)
        descriptors, summary = self._computed(sample, given, rng)
        is_asked = descriptors is not None or summary is not None
        if is_asked and rng.random() < self.config.unmasked:
            return PretrainingRecord((given.part(),), descriptors=descriptors, summary=summary)
        if not self.config.describe_masked:
            descriptors = summary = None
        hidden = self._hidden(given, rng)
        return PretrainingRecord((given.part(hidden),), descriptors=descriptors, summary=summary)

    def _is_of_patches(self, given: GivenInput) -> bool:
        return len(given.tokens) > 1 and not self.modalities[given.modality].vocabulary_size

    def _varied(self, given: GivenInput, rng: np.random.Generator) -> GivenInput:
        """Return an input as it is, or as it might as well have been measured."""
        if not self._is_of_patches(given) or rng.random() >= self.config.varied:
            return given
        modality = self.modalities[given.modality]
        value = modality.vary(given.value, rng)
        tokens = modality.tokenize(value)
        is_whole = len(tokens) <= len(given.tokens)
        if not is_whole:
            tokens = modality.crop(tokens, len(given.tokens), rng)
        return replace(given, tokens=tokens, is_whole=is_whole, value=value)

    def _forecast(
        self, sample: CorpusSample, given: Sequence[GivenInput], rng: np.random.Generator
    ) -> list[PretrainingRecord]:
        if rng.random() < self.config.forecast:
            parts = (
                one.part(np.ones(len(one.tokens), dtype=bool) if one.name == LATER else None)
                for one in given
            )
            return [PretrainingRecord(tuple(parts))]
        # A number alone says nothing, so the lead time is left out.
        fields = [one for one in given if one.modality != QUANTITY]
        return [self._encoded(sample, one, rng) for one in fields]

    def _hidden(
        self, given: GivenInput, rng: np.random.Generator
    ) -> Bool[np.ndarray, " token"] | None:
        share = self.config.hidden.get(given.modality, 0.0)
        if share == 0:
            return None
        modality = self.modalities[given.modality]
        if not modality.vocabulary_size and len(given.tokens) == 1:
            return np.array([rng.random() < share])  # a number is hidden whole or not at all
        if not modality.vocabulary_size:
            return hidden_blocks(given.tokens.positions, share, rng)
        length = self.config.span_length if rng.random() < self.config.in_spans else 1.0
        return hidden_tokens(given.tokens.ids[:, 0] >= modality.n_specials, share, length, rng)

    def _computed(
        self, sample: CorpusSample, given: GivenInput, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, " descriptor"] | None, Float[np.ndarray, " number"] | None]:
        """Return the standardised descriptors and the summary of an input, where it has any."""
        is_summarised = rng.random() < self.config.summarised.get(given.modality, 0.0)
        is_wanted = {name: self.config.weight(name) > 0 for name in ("descriptors", "summaries")}
        summary = None
        if is_summarised and is_wanted["summaries"]:
            summary = self._summary(given)
        return self._described(sample, given) if is_wanted["descriptors"] else None, summary

    def _described(
        self, sample: CorpusSample, given: GivenInput
    ) -> Float[np.ndarray, " descriptor"] | None:
        """Return the standardised descriptors, if the input is the molecule that they are about."""
        if (
            self.descriptors is None
            or sample.descriptors is None
            or given.modality != DESCRIBED
            or not given.is_whole
        ):
            return None
        scores = (sample.descriptors - self._mean) / self._std
        return scores.clip(-FARTHEST_DESCRIPTOR, FARTHEST_DESCRIPTOR).astype(np.float32)

    def _summary(self, given: GivenInput) -> Float[np.ndarray, " number"] | None:
        """Return the standardised summary of what is shown of an input, if it has one."""
        summary = self.summaries.get(given.modality)
        if summary is None:
            return None
        modality = self.modalities[given.modality]
        return summary(Shown(modality, given.value, given.tokens, given.is_whole))

    def _properties(
        self, sample: CorpusSample, given: GivenInput, spare: int, rng: np.random.Generator
    ) -> list[Part]:
        """Return some properties of a molecule as parts to stand before it; often none."""
        most = min(self.config.most_properties, spare)
        if (
            self.descriptors is None
            or sample.descriptors is None
            or given.modality != DESCRIBED
            or most < 1
            or rng.random() >= self.config.from_properties
        ):
            return []
        known = [
            one
            for one in property_quantities(sample.descriptors, self.descriptors)
            if one.name in self.properties
        ]
        count = min(len(known), int(rng.integers(1, most + 1)))
        chosen = rng.permutation(len(known))[:count]
        quantity = self.modalities[QUANTITY]
        return [Part(QUANTITY, quantity.tokenize(known[place])) for place in chosen]
