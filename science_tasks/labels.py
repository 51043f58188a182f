"""Measured values as the heads of the network read them, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kagaku.data import area_weights
from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Schema, Target
from kagaku.modalities import RecordTokens
from kagaku.modalities.field_layout import field_layout, split_field
from kagaku.models.examples import Example, TargetPlan


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a numeric target on training records, in its unit."""

    mean: np.ndarray
    """Mean of the measured values: one number, or one per cell (lat, lon) of a field."""

    deviation: float
    """Standard deviation around that mean; 1 if it is 0."""

    @classmethod
    def of(cls, values: np.ndarray) -> "Scale":
        """Return the scale of the values (record, ...) that are not NaN."""
        measured = ~np.isnan(values)
        counts = measured.sum(axis=0)
        mean = np.where(measured, values, 0.0).sum(axis=0) / np.maximum(counts, 1)
        deviation = float(np.nanstd(values - mean))
        return cls(np.asarray(mean, dtype=np.float64), deviation if deviation > 0 else 1.0)


def labelled_input(target: Target, schema: Schema) -> str | None:
    """Return the input whose tokens a per-token or field target labels; None for other kinds."""
    if target.kind == "per-token":
        return target.labels
    if target.kind == "field":
        return next(known.name for known in schema.inputs if known.modality == "climate")
    return None


def target_plan(target: Target, schema: Schema, patch_cells: int) -> TargetPlan:
    """Return what the head of a target must predict.

    Args:
        target: The target.
        schema: What the columns mean.
        patch_cells: Side of a climate patch, in cells; only fields use it.
    """
    labelled = labelled_input(target, schema)
    column = None
    if labelled is not None:
        column = [known.name for known in schema.inputs].index(labelled)
    n_outputs = patch_cells**2 if target.kind == "field" else max(len(target.classes), 1)
    return TargetPlan(target.name, target.kind, n_outputs, column)


def record_examples(
    records: Records,
    tokens: list[RecordTokens],
    scales: Mapping[str, Scale],
    patch_cells: int,
) -> list[Example]:
    """Return the records as training examples.

    Args:
        records: Checked records with targets.
        tokens: Their tokens.
        scales: By numeric target, from the training records.
        patch_cells: Side of a climate patch, in cells; only fields use it.
    """
    examples = []
    for index, record in enumerate(tokens):
        labels: dict[str, np.ndarray] = {}
        censoring: dict[str, int] = {}
        weights: dict[str, np.ndarray] = {}
        for target in records.schema.targets:
            values = records.targets[target.name]
            censoring[target.name] = int(values.censoring[index])
            plan = target_plan(target, records.schema, patch_cells)
            has_tokens = plan.labelled_column is not None and plan.labelled_column in record
            n_tokens = len(record[plan.labelled_column][1]) if has_tokens else 0  # type: ignore[index]
            if target.kind == "field":
                labels[target.name], weights[target.name] = _field_label(
                    records, target, index, n_tokens, scales[target.name], patch_cells
                )
            else:
                labels[target.name] = _label(target, values, index, n_tokens, scales)
        examples.append(Example(record, labels, censoring, weights))
    return examples


def _field_label(
    records: Records, target: Target, index: int, n_tokens: int, scale: Scale, patch_cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and area weights of a field, one row per token.

    The tokens of the first variable carry the prediction; the labels of the others are NaN.
    """
    labels = np.full((n_tokens, patch_cells**2), np.nan, dtype=np.float32)
    weights = np.ones((n_tokens, patch_cells**2), dtype=np.float32)
    name = labelled_input(target, records.schema)
    field = records.inputs[name][index] if name is not None else None
    if n_tokens and field is not None:
        layout = field_layout(field, patch_cells)
        value = (records.targets[target.name].values[index] - scale.mean) / scale.deviation
        area = np.broadcast_to(area_weights(field.latitudes)[:, None], value.shape)
        labels[: layout.n_patches] = split_field(value[None], layout)
        weights[: layout.n_patches] = np.nan_to_num(split_field(area[None], layout))
    return labels, weights


def _label(
    target: Target, values: TargetValues, index: int, n_tokens: int, scales: Mapping[str, Scale]
) -> np.ndarray:
    value: Any = values.values[index]
    if target.kind == "regression":
        scale = scales[target.name]
        return np.asarray((value - scale.mean) / scale.deviation, dtype=np.float32)
    if target.kind == "multiclass":
        return np.asarray(-1 if np.isnan(value) else int(value), dtype=np.int64)
    if target.kind == "per-token":
        labels = np.full(n_tokens, -1, dtype=np.int64)
        if value is not None and n_tokens:
            # The first token is the start mark and the last the end mark.
            labels[1 : 1 + len(value)] = np.nan_to_num(value, nan=-1)
        return labels
    return np.asarray(value, dtype=np.float32)
