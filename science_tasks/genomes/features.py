"""What molecular biologists compute from DNA and RNA: positions, steps, melting, words, codons."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.genomes.composition import (
    base_shares,
    codon_usage,
    composition,
    is_coding,
    kmer_counts,
)
from kagaku.science_tasks.standardise import RobustScale

LONGEST_ALIGNED = 300
"""Bases up to which sequences of one length get a feature for each base at each position."""

MOSTLY_CODING = 0.9
"""Share of the training sequences that must be open reading frames for codons to be counted."""


@FEATURIZERS.register("nucleotide")
class NucleotideFeatures(Featurizer[str]):
    """Features of sequences, and of positions where all training sequences have one length.

    `composition` (dense) and `kmers` (counts) exist for every sequence. If the training sequences
    have one length, `onehot` says which base is at each position that varies, and `steps` which two
    neighbours are, as models of CRISPR guides do (Doench et al. 2016,
    https://doi.org/10.1038/nbt.3437); a later sequence of another length has neither. If nearly all
    training sequences are open reading frames, `codons` holds their codon usage.
    """

    modality: ClassVar[str] = "nucleotide"

    def __init__(self) -> None:
        self._scale: RobustScale | None = None
        self._codon_scale: RobustScale | None = None
        self._positions: dict[str, _Positions] = {}

    def fit(self, values: Sequence[str | None]) -> None:
        """Learn spreads, which positions vary, and whether the sequences are coding."""
        sequences = [value for value in values if value is not None]
        self._scale, self._codon_scale, self._positions = None, None, {}
        if not sequences:
            return
        self._scale = _fitted(composition, sequences)
        if np.mean([is_coding(sequence) for sequence in sequences]) >= MOSTLY_CODING:
            self._codon_scale = _fitted(codon_usage, sequences)
        lengths = {len(sequence) for sequence in sequences}
        if len(lengths) == 1 and len(set(sequences)) > 1 and max(lengths) <= LONGEST_ALIGNED:
            made = {kind: _Positions.learn(kind, sequences) for kind in _RAW}
            self._positions = {kind: one for kind, one in made.items() if one is not None}

    def transform(self, name: str, values: Sequence[str | None]) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had a sequence."""
        if self._scale is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        sequences = [value for value in values if value is not None]
        blocks = [
            self._aligned_block(name, kind, positions, values)
            for kind, positions in self._positions.items()
        ]

        def block(kind: str, rows: np.ndarray, kernel: Any = "rbf") -> FeatureBlock:
            return FeatureBlock(f"{name}:{kind}", spread_rows(rows, present), kernel, present)

        blocks.append(block("composition", self._scale(_rows(composition, sequences))))
        if self._codon_scale is not None:
            blocks.append(block("codons", self._codon_scale(_rows(codon_usage, sequences))))
        blocks.append(block("kmers", _rows(kmer_counts, sequences), "tanimoto"))
        return blocks

    @staticmethod
    def _aligned_block(
        name: str, kind: str, positions: "_Positions", values: Sequence[str | None]
    ) -> FeatureBlock:
        fits = [value is not None and len(value) == positions.length for value in values]
        aligned = np.array(fits, dtype=bool)
        rows = positions([value for value in values if value and len(value) == positions.length])
        return FeatureBlock(f"{name}:{kind}", spread_rows(rows, aligned), "rbf", aligned)

    def state(self) -> dict[str, Any]:
        """Return spreads and variable positions."""
        return {
            "scale": None if self._scale is None else self._scale.state(),
            "codon_scale": None if self._codon_scale is None else self._codon_scale.state(),
            "positions": {kind: one.state() for kind, one in self._positions.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._scale, self._codon_scale = _restored(state["scale"]), _restored(state["codon_scale"])
        stored = state["positions"]
        self._positions = {
            kind: _Positions(kind, int(one["length"]), one["columns"], one["mean"], one["spread"])
            for kind, one in stored.items()
        }


def _onehot(sequences: Sequence[str]) -> np.ndarray:
    return np.stack([base_shares(one).ravel() for one in sequences])


def _steps(sequences: Sequence[str]) -> np.ndarray:
    shares = [base_shares(one) for one in sequences]
    return np.stack([(one[:-1, :, None] * one[1:, None, :]).ravel() for one in shares])


_RAW: dict[str, Callable[[Sequence[str]], np.ndarray]] = {"onehot": _onehot, "steps": _steps}


class _Positions:
    """What stands at each position of aligned sequences, of what was seen to vary.

    Centred on the training mean and divided by one number, not column by column: the distance
    between two sequences then stays their number of differences.
    """

    def __init__(
        self, kind: str, length: int, columns: np.ndarray, mean: np.ndarray, spread: float
    ) -> None:
        self.kind, self.length = kind, length
        self._columns, self._mean, self._spread = columns, mean, spread

    @classmethod
    def learn(cls, kind: str, sequences: Sequence[str]) -> "_Positions | None":
        """Learn from sequences of one length; None if nothing ever differs."""
        raw = _RAW[kind](sequences)
        columns = np.flatnonzero((raw != raw[0]).any(axis=0))
        if not len(columns):
            return None
        values = raw[:, columns]
        spread = float(np.sqrt(values.var(axis=0).mean()))
        return cls(kind, len(sequences[0]), columns, values.mean(axis=0), spread)

    def __call__(self, sequences: Sequence[str]) -> np.ndarray:
        """Return float32 features of sequences of the learnt length."""
        if not sequences:
            return np.zeros((0, len(self._columns)), dtype=np.float32)
        raw = _RAW[self.kind](sequences)[:, self._columns]
        scaled: np.ndarray = ((raw - self._mean) / self._spread).astype(np.float32)
        return scaled

    def state(self) -> dict[str, Any]:
        return {
            "length": self.length,
            "columns": self._columns,
            "mean": self._mean,
            "spread": self._spread,
        }


def _rows(compute: Callable[[str], np.ndarray], sequences: Sequence[str]) -> np.ndarray:
    if not sequences:
        return compute("A")[None, :][:0]
    return np.stack([compute(sequence) for sequence in sequences])


def _fitted(compute: Callable[[str], np.ndarray], sequences: Sequence[str]) -> RobustScale:
    scale = RobustScale()
    scale.fit(_rows(compute, sequences))
    return scale


def _restored(state: Mapping[str, Any] | None) -> RobustScale | None:
    if state is None:
        return None
    scale = RobustScale()
    scale.load_state(state)
    return scale
