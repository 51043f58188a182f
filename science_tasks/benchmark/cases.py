"""Cases that are tables or grids of records: one target, an official split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from kagaku.data import BadCell, infer_schema, parse_records
from kagaku.data.folds import SplitKind
from kagaku.data.records import EXACT, Records, TargetValues
from kagaku.data.schema import Input, Schema, Target
from kagaku.data.table import table_from_frame
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.science_tasks.benchmark.task import Rows

ITEM = "item"
"""A column of the answers that says which item of the table was asked. A task whose splits overlap
has it as its group: an item that several splits ask for is one item to an interval."""


@dataclass(frozen=True)
class PropertyCase:
    """Records with one target, some to learn from and some to answer for."""

    records: Records
    """All checked records, of both parts."""

    rows: Rows
    """Which records stand in which part, as indices into ``records``."""

    keeps_apart: SplitKind = "random"
    """What the split does not let stand on both sides; cross-validation folds do the same."""

    n_dropped: int = 0
    """Items of the published files that cannot be read, so that nobody is asked for them."""

    extra: Mapping[str, np.ndarray] | None = None
    """By name, further columns of the answers, one value per record of ``records``: whether a
    molecule stands on an activity cliff, which gene a guide belongs to."""

    @property
    def target(self) -> Target:
        """What is predicted."""
        (only,) = self.records.schema.targets
        return only

    @property
    def measured(self) -> TargetValues:
        """What was measured, of all records."""
        return self.records.targets[self.target.name]

    @property
    def n_train(self) -> int:
        """How many records there are to learn from."""
        return len(self.rows.learnt())

    @property
    def n_test(self) -> int:
        """How many records are asked."""
        return len(self.rows.test)

    def measured_rows(self) -> Int[np.ndarray, " learnt"]:
        """Return the records to learn from whose target was measured."""
        rows = self.rows.learnt()
        known: np.ndarray = rows[self.measured.present()[rows]]
        return known

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the inputs of a part by modality, further columns of one as ``"molecule 2"``."""
        chosen = self.rows.test if part == "test" else self.rows.learnt()
        found: dict[str, Sequence[Any]] = {}
        counts: Counter[str] = Counter()
        for one in self.records.schema.inputs:
            column = self.records.inputs[one.name]
            counts[one.modality] += 1
            count = counts[one.modality]
            name = one.modality if count == 1 else f"{one.modality} {count}"
            found[name] = [column[i] for i in chosen]
        return found

    def cut(self, n_train: int, n_test: int, seed: int) -> "PropertyCase":
        """Return the case with at most so many records of each part, drawn at random.

        Of a target with classes every class keeps its share, and at least two records.
        """
        rng = np.random.default_rng(seed)
        learnt = self._drawn(self.rows.learnt(), n_train, rng)
        test = self._drawn(self.rows.test, n_test, rng)
        # Methods describe every record of a case, so those that are not used must go.
        return replace(self, rows=Rows(learnt, test)).subset()

    def _drawn(self, rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
        if len(rows) <= most:
            return rows
        if self.keeps_apart == "time" or self.target.kind == "field":
            return np.sort(rows)[:most]  # neighbours in time belong together
        if self.target.kind not in {"binary", "multiclass"}:
            return np.sort(rng.choice(rows, most, replace=False))
        classes = self.records.targets[self.target.name].values[rows]
        chosen: list[np.ndarray] = []
        for one in np.unique(classes[~np.isnan(classes)]):
            there = rng.permutation(rows[classes == one])
            chosen.append(there[: max(2, round(most * len(there) / len(rows)))])
        return np.sort(np.concatenate(chosen))

    def subset(self) -> "PropertyCase":
        """Return the case without the records that stand in neither part."""
        used = np.union1d(self.rows.learnt(), self.rows.test)

        def found(part: np.ndarray) -> np.ndarray:
            return np.searchsorted(used, part)

        extra = self.extra and {name: column[used] for name, column in self.extra.items()}
        rows = Rows(found(self.rows.learnt()), found(self.rows.test))
        return replace(self, records=self.records.subset(used), rows=rows, extra=extra)


def table_case(
    frame: pd.DataFrame,
    inputs: Sequence[str],
    target: str,
    rows: Rows,
    *,
    keeps_apart: SplitKind = "random",
    group: str | None = None,
    time: str | None = None,
    extra: Sequence[str] = (),
    source: str = "table",
) -> PropertyCase:
    """Return the case of a table.

    Items that cannot be read (a SMILES that no chemist could draw) are left out of both parts and
    counted.

    Args:
        frame: One row per item.
        inputs: What is predicted from, as in `infer_schema`: ``"smiles: molecule"``.
        target: What is predicted: ``"logS [log10(mol/L)]: regression"``.
        rows: The split, by position in ``frame``.
        keeps_apart: What the split does not let stand on both sides.
        group: A column whose equal values stay together in cross-validation.
        time: A column that orders the records; with ``keeps_apart="time"`` folds are stretches.
        extra: Columns that go into the answers beside the prediction.
        source: Name of the table, for messages.

    Raises:
        InputError: A column is missing, or nothing can be read.
    """
    table = table_from_frame(frame, source=source)
    schema = infer_schema(table, targets=[target], inputs=list(inputs), group=group, time=time)
    records, bad = parse_records(table, schema, with_targets=True)
    return _readable(records, bad, frame, rows, keeps_apart, extra)


def labels_case(
    frame: pd.DataFrame,
    inputs: Sequence[str],
    labels: Sequence[str],
    rows: Rows,
    *,
    name: str = "labels",
    keeps_apart: SplitKind = "random",
    extra: Sequence[str] = (),
    source: str = "table",
) -> PropertyCase:
    """Return the case of a table with several yes-or-no columns that are predicted together.

    Args:
        frame: One row per item; the labels are 0, 1 or missing.
        inputs: As in `table_case`.
        labels: The columns, which become the classes of one target.
        rows: The split, by position in ``frame``.
        name: What the target is called.
        keeps_apart: What the split does not let stand on both sides.
        extra: Columns that go into the answers beside the prediction.
        source: Name of the table, for messages.

    Raises:
        InputError: A column is missing, or nothing can be read.
    """
    table = table_from_frame(frame[[one.split(":")[0] for one in inputs]], source=source)
    schema = infer_schema(table, targets=[], inputs=list(inputs))
    records, bad = parse_records(table, schema, with_targets=False)
    target = Target(name, name, "multilabel", classes=tuple(labels))
    values = frame[list(labels)].to_numpy(dtype=np.float64)
    records = replace(
        records,
        schema=replace(schema, targets=(target,)),
        targets={name: TargetValues(values, np.full(len(values), EXACT))},
    )
    return _readable(records, bad, frame, rows, keeps_apart, extra)


def values_case(
    inputs: Mapping[str, tuple[str, Sequence[Any]]],
    target: Target,
    values: Sequence[Any] | np.ndarray,
    rows: Rows,
    *,
    keeps_apart: SplitKind = "random",
    extra: Mapping[str, np.ndarray] | None = None,
    source: str = "arrays",
) -> PropertyCase:
    """Return the case of values that stand in no table: images as arrays, say.

    Args:
        inputs: By name, the modality and one raw value per item; None where it is missing.
        target: What is predicted.
        values: Its measured values: numbers, class indices, or one row of labels per item.
        rows: The split, by position.
        keeps_apart: What the split does not let stand on both sides.
        extra: Columns that go into the answers beside the prediction.
        source: What the values are called in messages.

    Raises:
        InputError: Nothing can be read.
    """
    measured = np.asarray(values, dtype=np.float64)
    schema = Schema(
        tuple(Input(name, name, modality) for name, (modality, _) in inputs.items()), (target,)
    )
    records = Records(
        schema=schema,
        inputs={name: list(several) for name, (_, several) in inputs.items()},
        targets={target.name: TargetValues(measured, np.full(len(measured), EXACT))},
        rows=np.arange(1, len(measured) + 1),
        source=source,
    )
    frame = pd.DataFrame(dict(extra or {}), index=range(len(measured)))
    return _readable(records, (), frame, rows, keeps_apart, tuple(extra or ()))


def _readable(
    records: Records,
    bad: Sequence[BadCell],
    frame: pd.DataFrame,
    rows: Rows,
    keeps_apart: SplitKind,
    extra: Sequence[str],
) -> PropertyCase:
    """Return the case of the records that can be used."""
    records, more = check_records(records, make_modalities(records.schema))
    rejected = {cell.row for cell in [*bad, *more]}
    kept = np.array([i for i, row in enumerate(records.rows) if int(row) not in rejected])
    if not len(kept):
        raise InputError(
            "no item can be read", fix="Fetch the data set again.", where=records.source
        )
    place = np.full(len(records), -1)
    place[kept] = np.arange(len(kept))

    def moved(part: np.ndarray) -> np.ndarray:
        there = place[np.asarray(part, dtype=np.int64)]
        return there[there >= 0]

    return PropertyCase(
        records.subset(kept),
        Rows(moved(rows.learnt()), moved(rows.test)),
        keeps_apart,
        len(records) - len(kept),
        {name: frame[name].to_numpy()[kept] for name in extra} or None,
    ).subset()
