"""From corpus samples to a batch to pretrain on, in a worker process and without chance of its own.

What happens to a sample depends on the seed, on its id, and on how often the batch has shown it
before: a source of fewer rows than a batch is shown several times over, each time otherwise. Only
two things depend on its neighbours: whether the batch tells pairs apart, which is decided once per
batch so that there are many pairs, and how much room its row leaves for a molecule's properties.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.errors import InputError
from kagaku.modalities import Modality
from kagaku.models.pretraining.assembly import assemble
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.cropped import cropped_lengths, fair_shares
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.pairing import new_pair, paired_inputs
from kagaku.models.pretraining.planning import LATER, GivenInput, Planner, whole_inputs
from kagaku.models.pretraining.records import PretrainingRecord
from kagaku.models.pretraining.summaries import Summary
from kagaku.registry import did_you_mean

__all__ = ["Composer", "cropped_lengths"]


class Composer:
    """Makes batches: tokenises, crops, hides, and lays records in rows.

    Args:
        modalities: By name, fitted (see `fit_pretraining_modalities`).
        inputs: By source, the modality of each of its inputs, in the order that samples keep.
        descriptors: How descriptors are named and standardised; None if the corpus has none.
        config: Shares of the objectives.
        summaries: By modality, what is asked of its pooled embedding; see `fit_summaries`.

    Raises:
        InputError: An input has a modality that is not among the given ones.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality[Any]],
        inputs: Mapping[str, Mapping[str, str]],
        descriptors: DescriptorScale | None,
        config: ObjectiveConfig,
        summaries: Mapping[str, Summary] | None = None,
    ) -> None:
        for source, of_source in inputs.items():
            for name, modality in of_source.items():
                if modality not in modalities:
                    raise InputError(
                        f"the input {name!r} of {source!r} has the modality {modality!r}, which "
                        "was not prepared",
                        fix=did_you_mean(modality, modalities),
                    )
        self.modalities, self.inputs, self.config = dict(modalities), dict(inputs), config
        self.sides = {source: paired_inputs(of_source) for source, of_source in inputs.items()}
        self.planner = Planner(self.modalities, descriptors, config, summaries or {})

    def compose(
        self, rows: Sequence[Sequence[CorpusSample]], *, row_length: int, seed: int
    ) -> PretrainingBatch:
        """Return the batch of some samples; the same for the same arguments.

        Args:
            rows: The samples of each row, all from one source; the `cropped_lengths` of those in a
                row are at most ``row_length`` together.
            row_length: Tokens per row.
            seed: Of this batch, 0 or more.
        """
        rng = np.random.default_rng(seed)
        is_aligned = bool(rng.random() < self.config.aligned)
        seen: set[bytes] = set()
        shown: Counter[str] = Counter()
        records = []
        for row in rows:
            chances = [_chance(seed, sample.id, shown) for sample in row]
            records.append(self._row(row, chances, row_length, seen if is_aligned else None))
        return assemble(
            records,
            self.modalities,
            row_length=row_length,
            source=next(sample.source for row in rows for sample in row),
            n_samples=sum(map(len, rows)),
            rng=rng,
        )

    def _row(
        self,
        samples: Sequence[CorpusSample],
        chances: Sequence[np.random.Generator],
        row_length: int,
        seen: set[bytes] | None,
    ) -> list[PretrainingRecord]:
        """Return the records of one row.

        Args:
            samples: Of the row.
            chances: Of each sample.
            row_length: Tokens per row.
            seen: What has been paired in this batch so far, changed in place; None where nothing
                is paired.
        """
        given = [
            self._given(sample, row_length, chance)
            for sample, chance in zip(samples, chances, strict=True)
        ]
        spare = row_length - sum(len(one.tokens) for of_sample in given for one in of_sample)
        records: list[PretrainingRecord] = []
        for sample, of_sample, chance in zip(samples, given, chances, strict=True):
            pair = None if seen is None else new_pair(of_sample, self.sides[sample.source], seen)
            if pair is not None:
                records += self.planner.pair(sample, *pair, chance)
                continue
            made = self.planner.records(sample, of_sample, spare, chance)
            added = sum(map(len, made)) - sum(len(one.tokens) for one in of_sample)
            spare -= max(0, added)
            records += made
        return records

    def _given(
        self, sample: CorpusSample, row_length: int, rng: np.random.Generator
    ) -> list[GivenInput]:
        """Return the inputs of a sample, cropped to fit a row together."""
        given = whole_inputs(sample, self.inputs[sample.source], self.modalities)
        lengths = np.array([len(one.tokens) for one in given], dtype=np.int64)
        if lengths.sum() <= row_length:
            return given
        shares = fair_shares(lengths, row_length)
        if any(one.name == LATER for one in given):
            # By the same chance to the same size, the later field shows the earlier one's region.
            is_cropped = shares < lengths
            shares = np.where(is_cropped, shares[is_cropped].min(), shares)
            region = int(rng.integers(2**63))
            chances = [np.random.default_rng(region) for _ in given]
        else:
            chances = len(given) * [rng]
        return [
            self._cropped(one, int(share), chance)
            for one, share, chance in zip(given, shares, chances, strict=True)
        ]

    def _cropped(self, given: GivenInput, most: int, rng: np.random.Generator) -> GivenInput:
        if len(given.tokens) <= most:
            return given
        tokens = self.modalities[given.modality].crop(given.tokens, most, rng)
        return replace(given, tokens=tokens, is_whole=False)


def _chance(seed: int, name: str, shown: Counter[str]) -> np.random.Generator:
    """Return what decides about a sample of a batch, and count it among those shown."""
    key = (seed, _number(name), shown[name]) if shown[name] else (seed, _number(name))
    shown[name] += 1
    return np.random.default_rng(key)


def _number(name: str) -> int:
    """Return a number that stands for a name, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
