"""Folds for cross-validation that keep together what belongs together."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from kagaku.data.grouping import (
    SEQUENCES,
    Groups,
    class_strata,
    column_groups,
    group_of_keys,
    joined,
    richest_groups,
)
from kagaku.data.identity import identity_keys
from kagaku.data.records import Records
from kagaku.errors import InputError

SplitKind = Literal[
    "auto", "random", "scaffold", "sequence", "chemical-system", "group", "time", "file"
]
SPLIT_KINDS: tuple[SplitKind, ...] = get_args(SplitKind)

MODALITY_OF_SPLIT: Mapping[str, tuple[str, ...]] = {
    "scaffold": ("molecule",),
    "sequence": SEQUENCES,
    "chemical-system": ("material",),
}
"""The modalities whose kinship each of these splits keeps apart."""

FEWEST_KINDS = 3
"""Fewest scaffolds or families that folds keep apart; with fewer, folds are drawn at random."""

Indices = Int[np.ndarray, " _"]


def cross_validation_folds(
    records: Records,
    indices: np.ndarray,
    n_folds: int,
    seed: int = 0,
    *,
    kind: SplitKind = "random",
) -> list[Indices]:
    """Return the held-out records of each fold, which together are ``indices``.

    Duplicates stay together, and so do records of one group where the records have a group column;
    with classes every fold gets its share of each. Grids fall into blocks of time.

    Args:
        records: The records.
        indices: Those to be dealt out, usually the training ones.
        n_folds: How many folds; fewer come back where there are fewer scaffolds or families.
        seed: Fixes whatever is random.
        kind: What must stay together besides, as in `SplitConfig`: pass a split's own kind to
            mimic it.

    Raises:
        InputError: There are fewer different records than folds.
    """
    chosen = np.sort(np.asarray(indices, dtype=np.int64))
    some = records.subset(chosen)
    groups = group_of_keys(identity_keys(some))
    if some.groups is not None:
        groups = joined(groups, column_groups(some))
    if kind in MODALITY_OF_SPLIT:
        _, kin = richest_groups(some, *MODALITY_OF_SPLIT[kind])
        # With few kinds each fold holds out one of them, rather than parts of all.
        linked = joined(groups, kin)
        if (n_kinds := int(linked.max()) + 1) >= FEWEST_KINDS:
            groups, n_folds = linked, min(n_folds, n_kinds)
    n_groups = int(groups.max(initial=-1)) + 1
    if n_folds < 2 or n_groups < n_folds:
        raise InputError(
            f"{n_groups} different records cannot be dealt into {n_folds} folds",
            fix="Use at least 2 folds, and fewer than there are different records.",
            where=records.source,
        )
    if _is_ordered_in_time(some, kind):
        assert some.times is not None
        rank = np.argsort(np.argsort(some.times, kind="stable"), kind="stable")
        fold_of_record = rank * n_folds // len(rank)
        fold_of_group = np.zeros(n_groups, dtype=np.int64)
        fold_of_group[groups[::-1]] = fold_of_record[::-1]
    else:
        fold_of_group = _deal(groups, class_strata(some), n_folds, seed)
    folds = fold_of_group[groups]
    return [chosen[folds == fold] for fold in range(n_folds)]


def _is_ordered_in_time(records: Records, kind: SplitKind) -> bool:
    grid = any(one.modality == "climate" for one in records.schema.inputs)
    return records.times is not None and (kind == "time" or grid)


def _deal(groups: Groups, strata: np.ndarray | None, n_folds: int, seed: int) -> np.ndarray:
    """Return the fold of each group: big ones first, each to the fold that has the fewest."""
    rng = np.random.default_rng(seed)
    sizes = np.bincount(groups)
    stratum = np.zeros(len(sizes), dtype=np.int64)
    if strata is not None:
        stratum[groups[::-1]] = strata[::-1] - strata.min()
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    order = order[np.argsort(stratum[order], kind="stable")]
    folds = np.zeros(len(sizes), dtype=np.int64)
    totals = np.zeros(n_folds, dtype=np.int64)
    for one in np.unique(stratum):
        inside = np.zeros(n_folds, dtype=np.int64)
        for group in order[stratum[order] == one]:
            # First even in the stratum, then in all; a stratum of one class must not pile up.
            fold = int(np.lexsort((totals, inside))[0])
            folds[group] = fold
            inside[fold] += sizes[group]
            totals[fold] += sizes[group]
    return folds
