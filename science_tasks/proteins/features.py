"""What protein engineers compute from a sequence: mutations, residue scales, words, bulk."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.proteins.composition import composition, kmer_counts
from kagaku.science_tasks.proteins.residue_scales import SCALES, UNKNOWN, residue_codes
from kagaku.science_tasks.standardise import RobustScale


@FEATURIZERS.register("protein")
class ProteinFeatures(Featurizer[str]):
    """Features of sequences, and of mutations where all training sequences have one length.

    `composition` (dense) and `kmers` (counts) exist for every protein. If the training sequences
    have one length, they are read as variants of one protein, aligned as they stand: `onehot` says
    which residue is at each position that varies, `residues` gives that residue's physico-chemical
    scales, so that a mutation never seen is judged by what it is like. A later sequence of another
    length has no place in that alignment: those two blocks are absent for it.
    """

    modality: ClassVar[str] = "protein"

    def __init__(self) -> None:
        self._scale: RobustScale | None = None
        self._variants: _Variants | None = None

    def fit(self, values: Sequence[str | None]) -> None:
        """Learn the spread of the composition and which positions vary."""
        sequences = [value for value in values if value is not None]
        self._scale, self._variants = None, None
        if not sequences:
            return
        self._scale = RobustScale()
        self._scale.fit(np.stack([composition(sequence) for sequence in sequences]))
        if len({len(sequence) for sequence in sequences}) == 1 and len(set(sequences)) > 1:
            self._variants = _Variants.learn(_codes(sequences))

    def transform(self, name: str, values: Sequence[str | None]) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had a sequence."""
        if self._scale is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        sequences = [value for value in values if value is not None]
        blocks = [] if self._variants is None else self._variant_blocks(name, values)
        dense = np.array([composition(sequence) for sequence in sequences])
        counts = np.array([kmer_counts(sequence) for sequence in sequences])
        if not sequences:
            dense, counts = composition("A")[None, :][:0], kmer_counts("A")[None, :][:0]
        return [
            *blocks,
            FeatureBlock(
                f"{name}:composition", spread_rows(self._scale(dense), present), "rbf", present
            ),
            FeatureBlock(f"{name}:kmers", spread_rows(counts, present), "tanimoto", present),
        ]

    def _variant_blocks(self, name: str, values: Sequence[str | None]) -> list[FeatureBlock]:
        assert self._variants is not None
        length = self._variants.length
        aligned = np.array(
            [value is not None and len(value) == length for value in values], dtype=bool
        )
        codes = _codes([value for value in values if value is not None and len(value) == length])
        codes = codes.reshape(-1, length)
        return [
            FeatureBlock(
                f"{name}:onehot", spread_rows(self._variants.onehot(codes), aligned), "rbf", aligned
            ),
            FeatureBlock(
                f"{name}:residues",
                spread_rows(self._variants.residues(codes), aligned),
                "rbf",
                aligned,
            ),
        ]

    def state(self) -> dict[str, Any]:
        """Return the spread of the composition and the variable positions."""
        return {
            "scale": None if self._scale is None else self._scale.state(),
            "variants": None if self._variants is None else self._variants.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._scale, self._variants = None, None
        if state["scale"] is not None:
            self._scale = RobustScale()
            self._scale.load_state(state["scale"])
        if state["variants"] is not None:
            self._variants = _Variants.from_state(state["variants"])


class _Variants:
    """Variants of one protein: which positions vary, and which residues were seen there.

    Both blocks are centred on the training mean and divided by one number, not column by column:
    the distance between variants then stays the number (or the size) of their mutations, and a
    rare mutation weighs no more than a common one.
    """

    def __init__(
        self, length: int, positions: np.ndarray, columns: np.ndarray, moments: Mapping[str, Any]
    ) -> None:
        self.length = length
        self._positions, self._columns = positions, columns
        self._moments = moments

    @classmethod
    def learn(cls, codes: np.ndarray) -> "_Variants | None":
        """Learn from codes (record, position); None if no two standard residues ever differ."""
        positions = np.flatnonzero((codes != codes[0]).any(axis=0))
        seen = np.zeros((len(positions), UNKNOWN + 1), dtype=bool)
        for row, position in enumerate(positions):
            seen[row, codes[:, position]] = True
        columns = np.flatnonzero(seen[:, :UNKNOWN].ravel())
        variants = cls(codes.shape[1], positions, columns, {})
        moments = {}
        for kind, raw in (("onehot", variants._raw_onehot), ("residues", variants._raw_residues)):
            values = raw(codes)
            mean = values.mean(axis=0)
            spread = float(np.sqrt(values.var(axis=0).mean())) if values.size else 0.0
            moments[kind] = {"mean": mean, "spread": spread or 1.0}
        variants._moments = moments
        return variants if len(columns) else None

    def onehot(self, codes: np.ndarray) -> np.ndarray:
        """Return which seen residue is at each variable position."""
        return self._scaled("onehot", self._raw_onehot(codes))

    def residues(self, codes: np.ndarray) -> np.ndarray:
        """Return the physico-chemical scales of the residue at each variable position."""
        return self._scaled("residues", self._raw_residues(codes))

    def _raw_onehot(self, codes: np.ndarray) -> np.ndarray:
        position, residue = np.divmod(self._columns, UNKNOWN)
        onehot: np.ndarray = (codes[:, self._positions[position]] == residue).astype(np.float64)
        return onehot

    def _raw_residues(self, codes: np.ndarray) -> np.ndarray:
        # An unknown residue is an average one: 0 on every scale.
        table = np.vstack([SCALES, np.zeros(SCALES.shape[1])])
        scales: np.ndarray = table[codes[:, self._positions]]
        return scales.reshape(len(codes), len(self._positions) * SCALES.shape[1])

    def _scaled(self, kind: str, values: np.ndarray) -> np.ndarray:
        moments = self._moments[kind]
        scaled: np.ndarray = ((values - moments["mean"]) / moments["spread"]).astype(np.float32)
        return scaled

    def state(self) -> dict[str, Any]:
        return {
            "length": self.length,
            "positions": self._positions,
            "columns": self._columns,
            "moments": dict(self._moments),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "_Variants":
        return cls(int(state["length"]), state["positions"], state["columns"], state["moments"])


def _codes(sequences: Sequence[str]) -> np.ndarray:
    if not sequences:
        return np.zeros((0, 0), dtype=np.int64)
    return np.stack([residue_codes(sequence) for sequence in sequences])
