"""How to fit, what it takes, and which records are held out in turn."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from kagaku.data import cross_validation_folds
from kagaku.data.folds import SplitKind
from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.models.multitask import FinetuningConfig
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.conformal import fewest_rows

Method = Literal["auto", "readout", "full"]


@dataclass(frozen=True)
class FitSettings:
    """How to fit."""

    method: Method = "auto"
    """What may be chosen."""

    confidence: float = 0.9
    """How often an interval or set shall hold the truth."""

    folds: int = 5
    """Folds of the cross-validation on training rows."""

    fold_kind: SplitKind = "random"
    """What the folds keep together: the kind of the held-out split, so that calibration sees
    records as new as those that it will be asked about."""

    seed: int = 0
    """Fixes whatever is random."""

    max_seconds: float | None = None
    """No candidate is started after this many seconds."""

    nested: bool = False
    """Whether the whole procedure is repeated in each fold, for a score in which no record had a
    part in choosing or calibrating what predicts it; see `nested`. Takes about `folds` times as
    long besides."""

    network: FinetuningConfig = field(default_factory=FinetuningConfig)
    """Settings of full fine-tuning."""

    def __post_init__(self) -> None:
        """Check that there is something to nest.

        Raises:
            InputError: Nested cross-validation of a method that chooses nothing.
        """
        check_nested(self.method, nested=self.nested)


def check_nested(method: str, *, nested: bool) -> None:
    """Check that there is something to nest.

    Raises:
        InputError: Nested cross-validation of full fine-tuning, which chooses nothing.
    """
    if nested and method == "full":
        raise InputError(
            "nested cross-validation is about choosing between methods, and the method 'full' "
            "chooses nothing: its held-out fold took no part already",
            fix="Leave --nested out, or choose --method auto or readout.",
        )


def check_rows(records: Records, train_index: np.ndarray, settings: FitSettings) -> None:
    """Check that every target has enough training records, before any work.

    Raises:
        InputError: There are too few to calibrate intervals of the confidence asked for.
    """
    # A network is calibrated on one fold, readouts on all of them.
    rows = (
        folds_of(records, train_index, settings)[0][1] if settings.method == "full" else train_index
    )
    for target in records.schema.targets:
        n_rows = _n_exact(records.targets[target.name].subset(rows), target.kind)
        fewest = fewest_rows(settings.confidence)
        if n_rows < fewest:
            raise InputError(
                f"{n_rows} measured rows are too few to calibrate {settings.confidence:.0%} "
                f"intervals, which takes {fewest}",
                fix="Measure more"
                + (", choose --method readout" if settings.method == "full" else "")
                + " or lower --confidence.",
                where=f"{records.source}, column {target.column!r}",
            )
    if settings.nested:
        _check_outer_folds(records, train_index, settings)


def _check_outer_folds(records: Records, train_index: np.ndarray, settings: FitSettings) -> None:
    """Check that each outer fold leaves enough records to choose and calibrate on."""
    once = replace(settings, nested=False)
    for outer, _ in folds_of(records, train_index, once):
        try:
            check_rows(records, outer, once)
            for target in records.schema.targets:
                measured = records.targets[target.name].present()[outer]
                folds_of(records, outer[measured], once)
        except InputError as error:
            raise InputError(
                f"too few rows for nested cross-validation: {error.what}",
                fix="Leave --nested out, measure more, or use fewer folds.",
                where=error.where,
            ) from None


def _n_exact(values: TargetValues, kind: Kind) -> int:
    """Return how many scores calibrate: one per record, per token, or per cell of a field."""
    if kind == "per-token":
        return sum(len(one) for one in values.values if one is not None)
    if kind == "field":
        return int((~np.isnan(values.values)).sum())
    return int((values.present() & (values.censoring == EXACT)).sum())


def fold_of_record(records: Records, train_index: np.ndarray, settings: FitSettings) -> np.ndarray:
    """Return the number of the fold that each training record is held out in."""
    held_out = cross_validation_folds(
        records, train_index, settings.folds, settings.seed, kind=settings.fold_kind
    )
    folds = np.empty(len(train_index), dtype=np.int64)
    for number, test in enumerate(held_out):
        folds[np.isin(train_index, test)] = number
    return folds


def folds_of(records: Records, rows: np.ndarray, settings: FitSettings) -> list[Fold]:
    """Return (train, test) pairs within ``rows``; only the first one for full fine-tuning.

    A network is not trained five times over: one fold is held back to calibrate it, as in split
    conformal prediction, and it stays the network that predicts.
    """
    held_out = cross_validation_folds(
        records, rows, settings.folds, settings.seed, kind=settings.fold_kind
    )
    if settings.method == "full":
        held_out = held_out[:1]
    return [(np.setdiff1d(rows, test), test) for test in held_out]
