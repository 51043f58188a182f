"""What the two sides of a given split do not share, so that folds can mimic it."""

import numpy as np

from kagaku.data.folds import SplitKind
from kagaku.data.grouping import SEQUENCES, Groups, column_groups, richest_groups
from kagaku.data.records import Records

LARGEST_SHARE = 0.01
"""Share of test records that may have kin among the training records of a split that keeps them
apart: published splits compute scaffolds in ways that differ in details."""

FEWEST_KINDS = 20
"""Fewest scaffolds or families on the test side; fewer may be apart by chance."""

MOST_SEQUENCES = 20_000
"""Beyond this, finding families would take minutes."""


def separation(records: Records, train: np.ndarray, test: np.ndarray) -> tuple[SplitKind, str]:
    """Return what a split keeps apart, as a kind of split, and how one can tell.

    Intervals are honest only if cross-validation meets records as new as the test's are. So folds
    within the training side are drawn by this kind.

    Args:
        records: All records.
        train: Indices of the training side.
        test: Indices of the test side.
    """
    if records.groups is not None and not _shared(column_groups(records), train, test):
        return "group", f"no value of {records.schema.group!r} stands on both sides"
    modalities = {one.modality for one in records.schema.inputs}
    if modalities & {*SEQUENCES} and len(train) + len(test) <= MOST_SEQUENCES:
        name, groups = richest_groups(records, *SEQUENCES)
        if _is_apart(groups, train, test):
            return "sequence", f"families of similar {name!r} do not stand on both sides"
    if "molecule" in modalities:
        name, groups = richest_groups(records, "molecule")
        if _is_apart(groups, train, test):
            return "scaffold", f"scaffolds of {name!r} do not stand on both sides"
    if "material" in modalities:
        name, groups = richest_groups(records, "material")
        if _is_apart(groups, train, test):
            return "chemical-system", f"chemical systems of {name!r} do not stand on both sides"
    return "random", "the sides share scaffolds, families and groups, as far as there are any"


def _is_apart(groups: Groups, train: np.ndarray, test: np.ndarray) -> bool:
    if len(np.unique(groups[test])) < FEWEST_KINDS:
        return False
    return _shared(groups, train, test) <= LARGEST_SHARE * len(test)


def _shared(groups: Groups, train: np.ndarray, test: np.ndarray) -> int:
    """Return how many test records have one of their group among the training records."""
    return int(np.isin(groups[test], groups[train]).sum())
