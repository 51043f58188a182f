"""What the columns of a laboratory's file mean: inputs by modality, targets with kind and unit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from kagaku.errors import InputError

Kind = Literal["regression", "binary", "multiclass", "multilabel", "per-token", "field"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Input:
    """One column that goes into the model."""

    name: str
    """The column's name without its unit, such as ``"temperature"``."""

    column: str
    """The column's name as the file has it, such as ``"temperature [degC]"``."""

    modality: str
    """The registered modality that reads it, such as ``"molecule"``."""

    unit: str | None = None
    """Unit of a quantity, as pint spells it; None for every other modality."""

    reason: str = ""
    """Why this column was taken for this modality, in words for the user."""


@dataclass(frozen=True)
class Target:
    """One thing to predict."""

    name: str
    """The target's name without its unit; predictions carry it."""

    column: str
    """The column (or grid variable) that holds its measured values."""

    kind: Kind
    """What kind of answer is predicted."""

    unit: str | None = None
    """Unit of the predictions; ``"dimensionless"`` when there is none; None for classes."""

    column_unit: str | None = None
    """Unit that the file's column is in; values are converted from it to ``unit``."""

    classes: tuple[str, ...] = ()
    """Class names in order, for binary (negative first), multiclass, multilabel and per-token."""

    labels: str | None = None
    """For per-token targets, the name of the input whose tokens are labelled."""

    reason: str = ""
    """Why this kind and unit were taken, in words for the user."""


@dataclass(frozen=True)
class Ignored:
    """A column that takes no part."""

    column: str
    """The column's name as the file has it."""

    reason: str
    """Why it takes no part, in words for the user."""


@dataclass(frozen=True)
class Schema:
    """The meaning of every column of a file, in the file's order."""

    inputs: tuple[Input, ...]
    """At least one; the position here is the ``column`` index of the input's tokens."""

    targets: tuple[Target, ...] = ()
    """Empty only for embedding."""

    ignored: tuple[Ignored, ...] = ()
    """Columns that are neither input nor target."""

    group: str | None = None
    """The column whose equal values must stay on one side of a split, if one was named."""

    time: str | None = None
    """The column (or grid dimension) that orders records in time, if there is one."""

    lead: str | None = None
    """For grids: how far after the input the target lies, such as ``"3 months"``."""

    def input(self, name: str) -> Input:
        """Return the input called ``name``; raises KeyError for a stranger."""
        return {known.name: known for known in self.inputs}[name]

    def target(self, name: str) -> Target:
        """Return the target called ``name``; raises KeyError for a stranger."""
        return {known.name: known for known in self.targets}[name]

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, for schema.json in a run folder."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Schema":
        """Rebuild what `to_json` gave.

        Raises:
            InputError: A key is missing or unknown, so the file is not one of ours.
        """
        try:
            parts = dict(stored)
            parts["inputs"] = tuple(Input(**one) for one in parts["inputs"])
            parts["targets"] = tuple(
                Target(**{**one, "classes": tuple(one["classes"])}) for one in parts["targets"]
            )
            parts["ignored"] = tuple(Ignored(**one) for one in parts["ignored"])
            return cls(**parts)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"the stored schema does not fit this version of kagaku ({error})",
                fix="Copy the run folder again, or fine-tune again with this version.",
                where="schema.json",
            ) from None
