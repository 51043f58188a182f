"""Fields that are told from other fields: earlier ones, coarser ones, those of another scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.records import Field
from kagaku.science_tasks.benchmark.task import Rows


@dataclass(frozen=True)
class FieldInput:
    """One field that is known when another is asked for."""

    values: Float[np.ndarray, "item lat lon"]
    """By item, the field; all NaN where there is none, as at the start of a record."""

    phase: Int[np.ndarray, " item"]
    """What part of a cycle it belongs to, such as its hour of the day: its usual value is that of
    the same phase. All 0 where there is no cycle."""


@dataclass(frozen=True)
class FieldCase:
    """Fields to be told, what is known beforehand, and which of them are for learning.

    Items stand in order of time. Whatever is called usual (a climatology, an anomaly) is computed
    from the items that a method names, never from all.
    """

    truth: Float[np.ndarray, "item lat lon"]
    """What is to be told, in ``unit``; NaN where there is nothing to tell (land, for an ocean)."""

    phase: Int[np.ndarray, " item"]
    """As in `FieldInput`, of the truth."""

    inputs: Mapping[str, FieldInput]
    """By name, what is known."""

    weights: Float[np.ndarray, "lat lon"]
    """Relative area of each cell."""

    rows: Rows
    """Which items stand in which part."""

    blocks: Int[np.ndarray, " item"]
    """Stretches of time, in order: neighbours are alike, so items are resampled and left out in
    whole blocks."""

    latitudes: Float[np.ndarray, " lat"]
    """Degrees north."""

    longitudes: Float[np.ndarray, " lon"]
    """Degrees east."""

    variable: str
    """CF standard name of what is told."""

    unit: str
    """Its unit."""

    day_of_year: Float[np.ndarray, " item"] | None = None
    """Position of each item in the year, 0 to 1; None where the fields are means over years."""

    times: Float[np.ndarray, " item"] | None = None
    """When each item is, in days since 1970-01-01; None where its days are a model's own, or where
    it is a mean over many years."""

    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    """By name, one value per item that goes into the answers."""

    @property
    def n_train(self) -> int:
        """How many fields there are to learn from."""
        return len(self.rows.learnt())

    @property
    def n_test(self) -> int:
        """How many fields are asked for."""
        return len(self.rows.test)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the fields that are asked for, or learnt from, as the leak audit reads them."""
        chosen = self.rows.test if part == "test" else self.rows.learnt()
        return {"climate": [self.as_field(self.truth[i], i) for i in chosen.tolist()]}

    def as_field(self, cells: np.ndarray, item: int) -> Field:
        """Return cells at the time of an item, on the case's grid or on a coarser one over it."""
        season = None if self.day_of_year is None else float(self.day_of_year[item])
        return Field(
            cells[None].astype(np.float32),
            (self.variable,),
            (self.unit,),
            _coarser(self.latitudes, cells.shape[0]),
            _coarser(self.longitudes, cells.shape[1]),
            None if self.times is None else float(self.times[item]),
            season,
        )

    def cut(self, n_train: int, n_test: int, seed: int) -> "FieldCase":  # noqa: ARG002 (no chance)
        """Return the case with the last items of training and the first of the test.

        Times are not drawn at random: what came just before belongs to a forecast. Validation items
        keep their share.
        """
        valid = self.rows.valid
        if valid is not None and len(valid):
            share = len(valid) / self.n_train
            n_valid = min(len(valid), max(1, round(share * n_train)))
            valid, n_train = valid[:n_valid], max(1, n_train - n_valid)
        rows = Rows(self.rows.train[-n_train:], self.rows.test[:n_test], valid)
        return replace(self, rows=rows)

    def complete(self, rows: np.ndarray, names: Sequence[str]) -> Int[np.ndarray, " item"]:
        """Return those of the items that have all the named inputs, and a truth."""
        known = ~np.isnan(self.truth[rows]).all(axis=(1, 2))
        for name in names:
            known &= ~np.isnan(self.inputs[name].values[rows]).all(axis=(1, 2))
        chosen: np.ndarray = np.asarray(rows)[known]
        return chosen

    def climatology(self, learnt: np.ndarray) -> Float[np.ndarray, "item lat lon"]:
        """Return the usual field at every item: the mean of the learnt ones of the same phase."""
        return usual(self.truth, self.phase, learnt)

    def anomaly(self, name: str, learnt: np.ndarray) -> Float[np.ndarray, "item lat lon"]:
        """Return an input less what is usual for it at its phase among the learnt items."""
        one = self.inputs[name]
        departure: np.ndarray = one.values - usual(one.values, one.phase, learnt)
        return departure

    def reference(self, name: str, learnt: np.ndarray) -> Float[np.ndarray, "item lat lon"]:
        """Return a forecast that needs no fitting: the climatology, or an input as it is.

        Args:
            name: ``"climatology"``; an input; or an input with `UNBIASED` behind its name, which
                has what is usual for it replaced by what is usual for the truth at the same items.
            learnt: The items that the usual is computed from.
        """
        if name == CLIMATOLOGY:
            return self.climatology(learnt)
        if name.endswith(UNBIASED):
            inner = name.removesuffix(UNBIASED)
            both = self.complete(learnt, [inner])
            unbiased: np.ndarray = self.anomaly(inner, both) + self.climatology(both)
            return unbiased
        return self.inputs[name].values


CLIMATOLOGY = "climatology"
UNBIASED = ", unbiased"


def _coarser(coordinates: np.ndarray, count: int) -> np.ndarray:
    """Return the centres of so many neighbouring groups of coordinates."""
    if count == len(coordinates):
        return coordinates
    return np.array([one.mean() for one in np.array_split(coordinates, count)])


def usual(
    values: Float[np.ndarray, "item lat lon"],
    phase: Int[np.ndarray, " item"],
    learnt: np.ndarray,
) -> Float[np.ndarray, "item lat lon"]:
    """Return for every item the mean of the learnt ones of its phase; of all where none has it.

    Args:
        values: Fields in order of time.
        phase: Their part of the cycle.
        learnt: The items whose mean is taken.
    """
    known, phases = values[learnt], phase[learnt]
    found = np.empty_like(values, dtype=np.float64)
    for one in np.unique(phase):
        there = known[phases == one]
        found[phase == one] = _mean(there if len(there) else known)
    return found


def _mean(fields: Float[np.ndarray, "item lat lon"]) -> Float[np.ndarray, "lat lon"]:
    known = ~np.isnan(fields)
    counts = known.sum(axis=0)
    total = np.where(known, fields, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
