"""Records: the samples of one file, column by column, as the modalities and tasks read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kagaku.data.schema import Schema

BELOW, EXACT, ABOVE = -1, 0, 1
"""Censoring of a measured value: the truth lies below, at, or above what was written."""


@dataclass(frozen=True)
class Quantity:
    """A number with a unit, as an input: a temperature, a pH, a concentration."""

    name: str
    """What was measured: the column's name without its unit."""

    value: float
    """The number, in ``unit``."""

    unit: str
    """Unit as pint spells it; ``"dimensionless"`` when there is none."""


@dataclass(frozen=True)
class Field:
    """One or several physical variables on one latitude-longitude grid at one time."""

    values: np.ndarray
    """Float, shape (variable, lat, lon), in ``units``; NaN where a cell is missing."""

    names: tuple[str, ...]
    """CF standard name of each variable, or its own name where the file gives none."""

    units: tuple[str, ...]
    """Unit of each variable, as the file spells it."""

    latitudes: np.ndarray
    """Degrees north, shape (lat,), increasing or decreasing."""

    longitudes: np.ndarray
    """Degrees east, shape (lon,), in 0..360 or -180..180."""

    time: float | None = None
    """Days since 1970-01-01 in the file's own calendar; None where there is no time."""

    day_of_year: float | None = None
    """Position in the year, 0 to 1, in the file's own calendar; None where there is no time."""


@dataclass(frozen=True)
class TargetValues:
    """The measured values of one target."""

    values: np.ndarray
    """By kind. Regression: float (record,), in the target's unit. Binary and multiclass: float
    class index (record,). Multilabel: float 0/1 (record, class). Per-token: an object array
    (record,) of integer class-index arrays (token,), or None. Field: float (record, lat, lon).
    NaN (or None) where nothing was measured."""

    censoring: np.ndarray
    """Integer (record,): `BELOW`, `EXACT` or `ABOVE`; EXACT for all but regression."""

    def present(self) -> np.ndarray:
        """Return which records have any measured value, bool (record,)."""
        if self.values.dtype == object:
            return np.array([value is not None for value in self.values], dtype=bool)
        flat = self.values.reshape(len(self.values), -1)
        return ~np.isnan(flat).all(axis=1) if flat.size else np.zeros(len(flat), dtype=bool)

    def subset(self, indices: np.ndarray | Sequence[int]) -> "TargetValues":
        """Return the values of the records at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return TargetValues(self.values[chosen], self.censoring[chosen])


@dataclass(frozen=True)
class Records:
    """The samples of one file: inputs by name, targets by name, and where each came from."""

    schema: Schema
    """What the columns mean."""

    inputs: Mapping[str, list[Any]]
    """By input name, one value per record; None where the cell is empty. Text, protein and
    molecule: str. Image: Path. Climate: `Field`. Quantity: `Quantity`."""

    targets: Mapping[str, TargetValues]
    """By target name; empty where the file was read for prediction."""

    rows: np.ndarray
    """Row number of each record as the user would find it, integer (record,). A table's first
    row below the header is 2, as in a spreadsheet; FASTA, SDF and grids count from 1."""

    source: str
    """Name of the file, for messages."""

    groups: np.ndarray | None = None
    """The group column's values, object (record,), if the schema names one."""

    times: np.ndarray | None = None
    """What orders the records in time, float (record,), if the schema names it."""

    ids: tuple[str, ...] | None = field(default=None)
    """Identifiers that the file itself gives (FASTA headers, SDF titles), if it does."""

    positions: np.ndarray | None = None
    """Place of each record in the file, from 0, integer (record,); what a split file counts by.
    None where no record was dropped and the place is the index."""

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, indices: np.ndarray | Sequence[int]) -> "Records":
        """Return the records at ``indices``, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            inputs={name: [values[i] for i in chosen] for name, values in self.inputs.items()},
            targets={name: values.subset(chosen) for name, values in self.targets.items()},
            rows=self.rows[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            times=None if self.times is None else self.times[chosen],
            ids=None if self.ids is None else tuple(self.ids[i] for i in chosen),
            positions=chosen if self.positions is None else self.positions[chosen],
        )

    def place(self, record: int, column: str) -> str:
        """Return where a value stands, such as ``"lab.csv, row 17, column 'smiles'"``."""
        return f"{self.source}, row {self.rows[record]}, column {column!r}"
