"""Columns that give a target away because they are the same measurement in another form."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kagaku.data.numbers import is_number, parse_number, split_censoring
from kagaku.data.table import Table

SAME_ORDER = 0.9999
"""Rank correlation from which one column is taken for another form of the other: a logarithm, a
percentage, a copy rounded differently."""

FEWEST_VALUES = 10
"""Fewest different values with which ranks tell anything."""


def form_of_target(table: Table, column: str, targets: Sequence[str]) -> str | None:
    """Return the target that a numeric column follows row by row, or None."""
    from scipy.stats import spearmanr

    numbers = _numbers(table.cells(column))
    for target in targets:
        measured = _numbers(table.cells(target))
        both = np.isfinite(numbers) & np.isfinite(measured)
        first, second = numbers[both], measured[both]
        if min(len(np.unique(first)), len(np.unique(second))) < FEWEST_VALUES:
            continue
        if abs(float(spearmanr(first, second).statistic)) >= SAME_ORDER:
            return target
    return None


def _numbers(cells: Sequence[Any]) -> np.ndarray:
    """Return the numbers of a column as floats; NaN for all else."""
    return np.array(
        [
            parse_number(split_censoring(cell)[0])
            if cell is not None and is_number(cell)
            else np.nan
            for cell in cells
        ],
        dtype=np.float64,
    )
