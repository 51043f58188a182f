"""The simple answers that stand beside every result, so that nobody is fooled by a big model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.fields import variables_of
from kagaku.data.records import Field, Records, TargetValues
from kagaku.data.schema import Kind, Target
from kagaku.science_tasks.class_labels import join_problems, label_problems, prior
from kagaku.science_tasks.classical import classical_model
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.readouts.field_readout import FieldReadout
from kagaku.science_tasks.readouts.forest import ForestReadout
from kagaku.science_tasks.readouts.linear import LinearReadout
from kagaku.science_tasks.readouts.nearest import NearestReadout
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.selection import Candidate

SEASON_WIDTH = 15 / 365.25
"""Width of the window of a climatology, in years: half a month."""


@dataclass(frozen=True)
class MeanCandidate:
    """The mean of the training values, or the share of each class."""

    target: TargetValues
    """Measured values of the records."""

    kind: Kind
    """What kind of answer is predicted."""

    n_classes: int
    """How many classes there are; 0 for regression and fields."""

    name: str = "mean"
    """The word for it in the table."""

    def fit(self, train_index: Int[np.ndarray, " record"]) -> "_Constant":
        """Take the mean of the records at ``train_index``."""
        values = self.target.subset(train_index).values
        if self.kind == "per-token":
            values = np.concatenate([one for one in values if one is not None])
            labelled = values[~np.isnan(values.astype(np.float64))]
            token_shares = prior(labelled.astype(np.int64), self.n_classes)
            return _Constant(self.target, shares=token_shares, by_token=True)
        if self.kind in ("regression", "field"):
            return _Constant(self.target, *_mean_and_spread(values.astype(np.float64)))
        shares = [
            prior(classes, count)[None]
            for _, classes, count in label_problems(values, self.kind, self.n_classes)
        ]
        return _Constant(self.target, shares=join_problems(shares, self.kind)[0])


@dataclass(frozen=True)
class _Constant:
    """Says the same of every record (or token)."""

    target: TargetValues
    mean: np.ndarray | None = None
    spread: np.ndarray | None = None
    shares: np.ndarray | None = None
    by_token: bool = False

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        if self.shares is not None:
            count = len(index)
            if self.by_token:
                labels = self.target.values[index]
                count = sum(len(one) for one in labels if one is not None)
            return Prediction(probabilities=np.tile(self.shares, (count, 1)))
        assert self.mean is not None
        assert self.spread is not None
        return Prediction(
            mean=np.repeat(self.mean[None], len(index), axis=0),
            spread=np.repeat(self.spread[None], len(index), axis=0),
        )


@dataclass(frozen=True)
class ReadoutBaseline:
    """A readout on chosen feature blocks."""

    name: str
    """The word for it in the table."""

    make: type[Readout]
    """Class of the readout; made without arguments."""

    blocks: tuple[FeatureBlock, ...]
    """Features of all records."""

    target: TargetValues
    """Measured values of the same records."""

    kind: Kind
    """What kind of answer is predicted."""

    n_classes: int
    """How many classes there are; 0 for regression and fields."""

    seed: int
    """Fixes whatever is random."""

    def fit(self, train_index: Int[np.ndarray, " record"]) -> "_FittedReadout":
        """Fit to the records at ``train_index``."""
        if self.kind == "field":
            readout: Readout = FieldReadout(self.make.name)
        else:
            readout = self.make()
        readout.fit(
            [block.subset(train_index) for block in self.blocks],
            self.target.subset(train_index),
            self.kind,
            self.n_classes,
            seed=self.seed,
        )
        return _FittedReadout(readout, self.blocks)


@dataclass(frozen=True)
class _FittedReadout:
    readout: Readout
    blocks: tuple[FeatureBlock, ...]

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        return self.readout.predict([block.subset(index) for block in self.blocks])


@dataclass(frozen=True)
class PersistenceCandidate:
    """The field stays as it is: the target is predicted by the same variable in the input."""

    fields: Float[np.ndarray, "record lat lon"]
    """The target's variable in each record's input; NaN where it is missing."""

    target: TargetValues
    """Measured values of the same records."""

    name: str = "persistence"
    """The word for it in the table."""

    def fit(self, train_index: Int[np.ndarray, " record"]) -> "_Persistence":
        """Learn the usual change, for the spread, and the mean, where the input is missing."""
        truth = self.target.subset(train_index).values.astype(np.float64)
        mean, _ = _mean_and_spread(truth)
        known = np.where(np.isnan(self.fields), mean, self.fields)
        _, spread = _mean_and_spread(truth - known[train_index], centred=True)
        return _Persistence(known, spread)


@dataclass(frozen=True)
class _Persistence:
    fields: np.ndarray
    spread: np.ndarray

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        spread = np.repeat(self.spread[None], len(index), axis=0)
        return Prediction(mean=self.fields[index], spread=spread)


@dataclass(frozen=True)
class ClimatologyCandidate:
    """What is usual at this time of the year: the mean over nearby days of all training years."""

    day_of_year: Float[np.ndarray, " record"]
    """Time of the year of each record's input, 0 to 1; NaN where it is not known."""

    target: TargetValues
    """Measured values of the same records."""

    name: str = "climatology"
    """The word for it in the table."""

    def fit(self, train_index: Int[np.ndarray, " record"]) -> "_Climatology":
        """Keep the training values and their days."""
        values = self.target.subset(train_index).values.astype(np.float64)
        known = ~np.isnan(self.day_of_year[train_index])
        fitted = _Climatology(self.day_of_year, self.day_of_year[train_index][known], values[known])
        usual = fitted.usual(train_index)
        _, fitted.spread = _mean_and_spread(values - usual, centred=True)
        return fitted


@dataclass
class _Climatology:
    day_of_year: np.ndarray
    days: np.ndarray
    values: np.ndarray
    spread: np.ndarray | None = None

    def usual(self, index: np.ndarray) -> np.ndarray:
        day = self.day_of_year[index]
        apart = np.abs(day[:, None] - self.days[None, :])
        apart = np.minimum(apart, 1 - apart) / SEASON_WIDTH
        # A little weight on all days keeps the mean defined where a season was never measured.
        weights = np.where(np.isnan(apart), 1.0, np.exp(-0.5 * np.square(apart)) + 1e-6)
        flat = self.values.reshape(len(self.values), -1)
        known = ~np.isnan(flat)
        sums, counts = weights @ np.where(known, flat, 0.0), weights @ known
        mean = np.where(counts > 0, sums / np.maximum(counts, 1e-12), np.nan)
        return mean.reshape(len(index), *self.values.shape[1:])

    def predict(self, index: Int[np.ndarray, " record"]) -> Prediction:
        assert self.spread is not None
        spread = np.repeat(self.spread[None], len(index), axis=0)
        return Prediction(mean=self.usual(index), spread=spread)


def baseline_candidates(
    records: Records,
    target: Target,
    values: TargetValues,
    blocks: Sequence[FeatureBlock],
    *,
    seed: int,
) -> list[Candidate]:
    """Return the simple methods for a target, cheapest first; the mean is always the first.

    Args:
        records: The records that candidates index, training and test alike.
        target: What is predicted.
        values: Its measured values for the same records; only those at a training index are read.
        blocks: Classical features of the same records, fitted on training records.
        seed: Fixes whatever is random.
    """
    kind, n_classes = target.kind, len(target.classes)
    constant = "mean" if kind in ("regression", "field") else "class shares"
    made: list[Candidate] = [MeanCandidate(values, kind, n_classes, constant)]
    if kind == "per-token":
        return made
    if kind in ("regression", "field"):
        made += _weather_candidates(records, target, values)
    if not blocks:
        return made
    shared = (values, kind, n_classes, seed)
    name, readout, chosen = classical_model(records, blocks)
    make = ForestReadout if readout == "forest" else LinearReadout
    if kind == "field":
        return [
            *made,
            ReadoutBaseline(_named(name, LinearReadout, kind), LinearReadout, chosen, *shared),
        ]
    made.append(ReadoutBaseline("nearest neighbours", NearestReadout, tuple(blocks), *shared))
    return [*made, ReadoutBaseline(_named(name, make, kind), make, chosen, *shared)]


def _named(name: str | None, make: type[Readout], kind: Kind) -> str:
    if make is ForestReadout:
        model = "random forest"
    else:
        model = "ridge" if kind in ("regression", "field") else "logistic regression"
    return f"{model} on {'all features' if name is None else name}"


def _weather_candidates(records: Records, target: Target, values: TargetValues) -> list[Candidate]:
    """Return persistence and climatology, where the inputs are grids that allow them."""
    grids = [one for one in records.schema.inputs if one.modality == "climate"]
    if not grids:
        return []
    made: list[Candidate] = []
    days = np.array([_day_of_year(one) for one in records.inputs[grids[0].name]])
    if not np.isnan(days).all():
        made.append(ClimatologyCandidate(days, values))
    if target.kind == "field":
        fields = [
            _same_variable(records.inputs[one.name], variables_of(one.column), target, values)
            for one in grids
        ]
        made += [PersistenceCandidate(one, values) for one in fields if one is not None][:1]
    return made


def _day_of_year(field: Field | None) -> float:
    return np.nan if field is None or field.day_of_year is None else field.day_of_year


def _same_variable(
    fields: Sequence[Field | None], columns: Sequence[str], target: Target, values: TargetValues
) -> Float[np.ndarray, "record lat lon"] | None:
    """Return the target's variable in the inputs, if it is there on the target's grid."""
    grid = values.values.shape[1:]
    found = np.full(values.values.shape, np.nan)
    is_there = False
    for row, field in enumerate(fields):
        if field is None or field.values.shape[1:] != grid:
            continue
        # A field's names are the CF ones; the file's own stand beside them if none has levels.
        own = columns if len(columns) == len(field.names) else field.names
        for variable, names in enumerate(zip(field.names, own, strict=True)):
            if {target.name, target.column} & set(names):
                found[row], is_there = field.values[variable], True
    return found if is_there else None


def _mean_and_spread(
    values: Float[np.ndarray, " record *grid"], *, centred: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and root mean square deviation over records; NaN where never measured."""
    known = ~np.isnan(values)
    counts = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / counts
    deviation = np.where(known, values - (0.0 if centred else mean), 0.0)
    spread = np.sqrt(np.square(deviation).sum(axis=0) / counts)
    never = ~known.any(axis=0)
    floor = 1e-9 * np.maximum(1.0, np.abs(mean))
    return np.where(never, np.nan, mean), np.where(never, np.nan, np.maximum(spread, floor))
