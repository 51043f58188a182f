"""Classical features of whole records: one fitted featurizer per input column."""

from collections.abc import Mapping, Sequence
from typing import Any

from kagaku.data.records import Records
from kagaku.data.schema import Schema
from kagaku.errors import InputError
from kagaku.science_tasks.chemistry.features import MoleculeFeatures
from kagaku.science_tasks.climate.features import FieldFeatures
from kagaku.science_tasks.conditions import QuantityFeatures
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer
from kagaku.science_tasks.genomes.features import NucleotideFeatures
from kagaku.science_tasks.literature.features import TextFeatures
from kagaku.science_tasks.materials.features import MaterialFeatures
from kagaku.science_tasks.microscopy.features import ImageFeatures
from kagaku.science_tasks.proteins.features import ProteinFeatures

__all__ = [
    "FieldFeatures",
    "ImageFeatures",
    "MaterialFeatures",
    "MoleculeFeatures",
    "NucleotideFeatures",
    "ProteinFeatures",
    "QuantityFeatures",
    "TextFeatures",
    "feature_blocks",
    "featurizer_states",
    "fit_featurizers",
    "restore_featurizers",
]


def fit_featurizers(records: Records) -> dict[str, Featurizer[Any]]:
    """Return one featurizer per input, by the input's name, fitted on these records.

    An input of a modality that has no classical features gets none.

    Args:
        records: Training records only: whatever else is in here leaks into the features.

    Raises:
        InputError: A value cannot be featurized; says which input.
    """
    featurizers: dict[str, Featurizer[Any]] = {}
    for one in records.schema.inputs:
        if one.modality not in FEATURIZERS:
            continue
        featurizer = FEATURIZERS[one.modality]()
        try:
            featurizer.fit(records.inputs[one.name])
        except InputError as error:
            raise error.at(_place(records, one.column, error)) from error
        featurizers[one.name] = featurizer
    return featurizers


def feature_blocks(
    records: Records, featurizers: Mapping[str, Featurizer[Any]]
) -> list[FeatureBlock]:
    """Return the feature blocks of the records, in the order of the schema's inputs.

    Args:
        records: Any records with the inputs that the featurizers were fitted on.
        featurizers: What `fit_featurizers` or `restore_featurizers` gave.

    Raises:
        InputError: An input is missing, or a value cannot be featurized; says which.
    """
    blocks: list[FeatureBlock] = []
    columns = {one.name: one.column for one in records.schema.inputs}
    for name, featurizer in featurizers.items():
        if name not in records.inputs:
            raise InputError(
                f"there is no input {name!r}, which the features were fitted on",
                fix=f"Give a table with the columns {sorted(featurizers)}.",
                where=records.source,
            )
        try:
            blocks += _transformed(featurizer, name, records.inputs[name])
        except InputError as error:
            raise error.at(_place(records, columns.get(name, name), error)) from error
    return blocks


def _transformed(
    featurizer: Featurizer[Any], name: str, values: Sequence[Any]
) -> list[FeatureBlock]:
    """Return the blocks of one input; texts that stand in many records are read once.

    A table of reactions may have ninety times as many flasks as bottles. Where most differ there is
    little to gain, and the rows of the blocks would have to be copied.
    """
    if not all(value is None or isinstance(value, str) for value in values):
        return featurizer.transform(name, values)
    places: dict[str | None, int] = {}
    rows = [places.setdefault(value, len(places)) for value in values]
    if 2 * len(places) > len(rows):
        return featurizer.transform(name, values)
    return [block.subset(rows) for block in featurizer.transform(name, list(places))]


def featurizer_states(featurizers: Mapping[str, Featurizer[Any]]) -> dict[str, dict[str, Any]]:
    """Return what each featurizer learnt, by input name: JSON values, arrays, dictionaries."""
    return {name: featurizer.state() for name, featurizer in featurizers.items()}


def restore_featurizers(
    schema: Schema, states: Mapping[str, Mapping[str, Any]]
) -> dict[str, Featurizer[Any]]:
    """Return the featurizers that `featurizer_states` described.

    Raises:
        InputError: The states do not belong to the schema's inputs.
    """
    described = [one for one in schema.inputs if one.modality in FEATURIZERS]
    names = [one.name for one in described]
    if sorted(names) != sorted(states):
        raise InputError(
            f"the stored features are of the inputs {sorted(states)}, but the schema has "
            f"{sorted(names)}",
            fix="Copy the run folder again, or fine-tune again.",
        )
    featurizers: dict[str, Featurizer[Any]] = {}
    for one in described:
        featurizers[one.name] = FEATURIZERS[one.modality]()
        featurizers[one.name].load_state(states[one.name])
    return featurizers


def _place(records: Records, column: str, error: InputError) -> str:
    """Return the place of an error that may already know part of it."""
    place = f"{records.source}, column {column!r}"
    return f"{place}, {error.where}" if error.where else place
