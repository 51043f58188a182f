"""What a laboratory has on disk: readers, schema, units, splits. No network in here.

The names below are loaded when they are first used, since pandas alone takes half a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kagaku.data.bad_rows import BadCell, BadRowsError, write_rejected
    from kagaku.data.cells import parse_records, records_from_grid, without_bad_rows
    from kagaku.data.fields import grid_records
    from kagaku.data.grids import Grid, area_weights, grid_from_dataset, read_grid
    from kagaku.data.identity import identity_keys
    from kagaku.data.inference import infer_schema
    from kagaku.data.reading import read
    from kagaku.data.records import Field, Quantity, Records, TargetValues
    from kagaku.data.sample_catalogue import Sample, copy_sample, list_samples
    from kagaku.data.schema import Ignored, Input, Schema, Target
    from kagaku.data.splits import Split, SplitConfig, cross_validation_folds, split_records
    from kagaku.data.table import Table, table_from_frame
    from kagaku.data.tables import read_table, read_tables
    from kagaku.data.target_cells import check_targets

_HOME = {
    "bad_rows": ("BadCell", "BadRowsError", "write_rejected"),
    "cells": ("parse_records", "records_from_grid", "without_bad_rows"),
    "fields": ("grid_records",),
    "grids": ("Grid", "area_weights", "grid_from_dataset", "read_grid"),
    "identity": ("identity_keys",),
    "inference": ("infer_schema",),
    "reading": ("read",),
    "records": ("Field", "Quantity", "Records", "TargetValues"),
    "sample_catalogue": ("Sample", "copy_sample", "list_samples"),
    "schema": ("Ignored", "Input", "Schema", "Target"),
    "splits": ("Split", "SplitConfig", "cross_validation_folds", "split_records"),
    "table": ("Table", "table_from_frame"),
    "tables": ("read_table", "read_tables"),
    "target_cells": ("check_targets",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022 (the order of the files above)
    "BadCell", "BadRowsError", "write_rejected",
    "parse_records", "records_from_grid", "without_bad_rows",
    "grid_records",
    "Grid", "area_weights", "grid_from_dataset", "read_grid",
    "identity_keys",
    "infer_schema",
    "read",
    "Field", "Quantity", "Records", "TargetValues",
    "Sample", "copy_sample", "list_samples",
    "Ignored", "Input", "Schema", "Target",
    "Split", "SplitConfig", "cross_validation_folds", "split_records",
    "Table", "table_from_frame",
    "read_table", "read_tables",
    "check_targets",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name from the file it lives in."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
