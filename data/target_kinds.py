"""What kind of answer a target column asks for, told from its cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kagaku.data.columns import MOST, filled_sample
from kagaku.data.numbers import (
    is_missing_label,
    is_missing_number,
    is_number,
    parse_number,
    shorten,
    split_censoring,
)
from kagaku.data.records import EXACT
from kagaku.data.schema import Kind
from kagaku.data.units import carried_unit
from kagaku.errors import InputError

MOST_CLASSES = 1_000
"""Most classes of one target."""

SEPARATORS = re.compile(r"\s*[;|]\s*")
"""What stands between the labels of a multilabel cell."""

_NEGATIVE = frozenset((
    "0", "0.0", "-1", "no", "n", "false", "f", "inactive", "negative", "neg", "-", "absent",
    "fail", "failed", "none", "off", "control", "normal", "healthy", "benign", "wildtype", "wt",
    "unstable", "insoluble", "nontoxic", "non-toxic", "nonbinder", "non-binder", "nonbinding",
    "low", "unreactive",
))  # fmt: skip
_WHOLE_FLOAT = re.compile(r"-?\d+\.0*")
_CLASS_NAME = re.compile(
    r"class|label|category|type|cluster|species|grade|phase|group|kind|site|family", re.IGNORECASE
)


@dataclass(frozen=True)
class TargetKind:
    """A kind of answer, its classes, and why it was taken."""

    kind: Kind
    """What kind of answer is predicted."""

    reason: str
    """Why, in words for the user."""

    classes: tuple[str, ...] = ()
    """Class names in order; negative first for binary."""

    labels: str | None = None
    """For per-token targets, the input whose tokens are labelled."""


def label_of(cell: Any) -> str:
    """Return a cell as a class label: whole numbers without their ``.0``.

    Example:
        >>> label_of(1.0), label_of(" active ")
        ('1', 'active')
    """
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    text = str(cell).strip()
    if _WHOLE_FLOAT.fullmatch(text):
        return text.partition(".")[0]
    return text


def split_labels(cell: Any) -> list[str]:
    """Return the labels of a multilabel cell."""
    return [label for label in map(str.strip, SEPARATORS.split(str(cell))) if label]


def infer_kind(
    name: str,
    cells: Sequence[Any],
    sequences: Sequence[tuple[str, Sequence[Any]]],
    where: str,
) -> TargetKind:
    """Return the kind of a target nobody gave a kind for.

    Args:
        name: The target's name.
        cells: All cells of its column; None where empty.
        sequences: Name and cells of every protein input.
        where: File and column, for messages.

    Raises:
        InputError: Nothing was measured, there is one class only, or the cells are no target.
    """
    filled = [cell for cell in cells if not (is_missing_label(cell) or is_missing_number(cell))]
    if not filled:
        raise no_measured_value(where)
    if labelled := _labelled_sequence(cells, sequences):
        return TargetKind(
            "per-token",
            f"one letter for each residue of {labelled!r}",
            _letters(cells),
            labels=labelled,
        )
    classes = _distinct(cells)
    numeric = sum(is_number(cell) or carried_unit(cell) is not None for cell in filled)
    if any(isinstance(cell, bool | np.bool_) for cell in filled):
        numeric = 0
    if numeric >= MOST * len(filled):
        return _numeric_kind(name, classes, filled)
    return _label_kind(cells, classes, filled, where)


def _numeric_kind(name: str, classes: list[str], filled: list[Any]) -> TargetKind:
    if classes in (["0", "1"], ["-1", "1"]):
        return TargetKind("binary", f"two values, {classes[0]} and {classes[1]}", tuple(classes))
    whole = all(re.fullmatch(r"-?\d+", text) for text in classes)
    if 3 <= len(classes) <= 10 and whole and len(filled) >= 5 * len(classes):
        if _CLASS_NAME.search(name):
            why = f"{len(classes)} whole numbers, and the name says that they are classes"
            return TargetKind("multiclass", why, tuple(classes))
        return TargetKind(
            "regression",
            f"{len(classes)} whole numbers; if they are classes, ask for '{name}: multiclass'",
        )
    censored = sum(isinstance(cell, str) and cell.strip()[:1] in "<>≤≥" for cell in filled)
    return TargetKind("regression", f"numbers, {censored} censored" if censored else "numbers")


def _label_kind(
    cells: Sequence[Any], classes: list[str], filled: list[Any], where: str
) -> TargetKind:
    if len(classes) == 1:
        raise one_class_only(classes[0], where)
    several = sum(bool(SEPARATORS.search(str(cell))) for cell in filled)
    if several >= 0.05 * len(filled):
        parts = multilabel_classes(cells)
        if len(parts) <= min(MOST_CLASSES, max(20, len(filled))):
            return TargetKind(
                "multilabel", f"labels joined by ';' or '|', {len(parts)} in all", tuple(parts)
            )
    if len(classes) == 2:
        ordered = negative_first(classes)
        return TargetKind("binary", f"two labels, {ordered[0]!r} before {ordered[1]!r}", ordered)
    if len(classes) > max(2, len(filled) // 2) or len(classes) > MOST_CLASSES:
        raise InputError(
            f"the target has {len(classes)} different labels in {len(filled)} rows, such as "
            f"{shorten(classes[0], 40)!r}",
            fix="Name a column of numbers or of few classes as the target.",
            where=where,
        )
    return TargetKind("multiclass", f"{len(classes)} labels", tuple(classes))


def requested_kind(
    kind: Kind,
    cells: Sequence[Any],
    sequences: Sequence[tuple[str, Sequence[Any]]],
    where: str,
) -> TargetKind:
    """Return the kind that the user asked for, with its classes.

    Raises:
        InputError: The cells do not suit it.
    """
    reason = "as asked for"
    if all(is_missing_label(cell) for cell in cells):
        raise no_measured_value(where)
    if kind == "regression":
        return TargetKind(kind, reason)
    if kind == "field":
        raise InputError(
            "a table has no fields", fix="Fields are read from NetCDF or Zarr.", where=where
        )
    if kind == "per-token":
        return _requested_per_token(cells, sequences, where)
    if kind == "multilabel":
        return TargetKind(kind, reason, tuple(multilabel_classes(cells)))
    classes = _distinct(cells)
    if len(classes) == 1:
        raise one_class_only(classes[0], where)
    if (kind == "binary" and len(classes) > 2) or len(classes) > MOST_CLASSES:
        raise InputError(
            f"the target has {len(classes)} classes: {[shorten(c, 20) for c in classes[:8]]}",
            fix="Ask for ': multiclass', or correct the labels."
            if kind == "binary"
            else "Ask for ': regression', or join classes.",
            where=where,
        )
    return TargetKind(kind, reason, negative_first(classes) if kind == "binary" else tuple(classes))


def _requested_per_token(
    cells: Sequence[Any], sequences: Sequence[tuple[str, Sequence[Any]]], where: str
) -> TargetKind:
    if not sequences:
        raise InputError(
            "a per-token target needs a protein whose residues it labels",
            fix="Name the protein's column as an input.",
            where=where,
        )
    labelled = _labelled_sequence(cells, sequences) or sequences[0][0]
    return TargetKind("per-token", "as asked for", _letters(cells), labels=labelled)


def _labelled_sequence(
    cells: Sequence[Any], sequences: Sequence[tuple[str, Sequence[Any]]]
) -> str | None:
    """Return the protein input whose residues the cells label one by one, if there is one."""
    for name, proteins in sequences:
        pairs = [
            (str(label).strip(), "".join(str(protein).split()).removesuffix("*"))
            for label, protein in zip(cells, proteins, strict=True)
            if label is not None and protein is not None
        ]
        pairs = filled_sample(pairs)
        if not pairs or np.mean([len(protein) for _, protein in pairs]) < 3:
            continue
        fitting = sum(len(label) == len(protein) for label, protein in pairs)
        if fitting >= MOST * len(pairs) and len({len(p) for _, p in pairs}) + len(pairs) > 2:
            letters = {letter for label, _ in pairs for letter in label}
            if len(letters) <= 30 and any(len(set(label)) < len(label) for label, _ in pairs):
                return name
    return None


def _letters(cells: Sequence[Any]) -> tuple[str, ...]:
    return tuple(
        sorted({letter for cell in cells if cell is not None for letter in str(cell).strip()})
    )


def _distinct(cells: Sequence[Any]) -> list[str]:
    """Return the distinct labels: numbers by size, then words by alphabet."""
    labels = {label_of(cell) for cell in cells if not is_missing_label(cell)}
    return sorted(labels, key=_class_order)


def _class_order(label: str) -> tuple[int, float, str]:
    if is_number(label) and split_censoring(label)[1] == EXACT:
        return (0, parse_number(label), label)
    return (1, 0.0, label)


def multilabel_classes(cells: Sequence[Any]) -> list[str]:
    """Return the distinct labels of a multilabel column, by alphabet."""
    found = {label for cell in cells if not is_missing_label(cell) for label in split_labels(cell)}
    return sorted(found, key=_class_order)


def negative_first(classes: Sequence[str]) -> tuple[str, ...]:
    """Return two classes with the negative one first, where words tell which that is."""
    first, second = classes
    if _is_negative(second, first) and not _is_negative(first, second):
        return second, first
    return first, second


def _is_negative(label: str, other: str) -> bool:
    low, positive = label.lower(), other.lower()
    prefixed = any(low == mark + positive for mark in ("non-", "non", "not ", "in", "un", "no "))
    return low in _NEGATIVE or prefixed


def no_measured_value(where: str) -> InputError:
    """Return the error about a target without any value."""
    return InputError(
        "the target has no measured value: every cell is empty or not a number",
        fix="Fill in what was measured, or name another column as the target.",
        where=where,
    )


def one_class_only(label: str, where: str) -> InputError:
    """Return the error about a target whose values are all of one class."""
    return InputError(
        f"the target has one class only: every measured row is {shorten(label)!r}",
        fix="Add rows of another class; from one class nothing can be learnt.",
        where=where,
    )
