"""Splits into training and test records that tell how a model does on what it has not seen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kagaku.data.folds import (
    MODALITY_OF_SPLIT,
    SPLIT_KINDS,
    Indices,
    SplitKind,
    cross_validation_folds,
)
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
from kagaku.data.lead_times import parse_lead
from kagaku.data.records import Records
from kagaku.data.separation import separation
from kagaku.data.split_files import read_split
from kagaku.errors import InputError
from kagaku.registry import did_you_mean

__all__ = ["SPLIT_KINDS", "Split", "SplitConfig", "cross_validation_folds", "split_records"]

FEWEST_GROUPS = 10
"""Fewest scaffolds or families with which `auto` splits by them."""

FEWEST_GROUPS_PER_RECORD = 0.05
"""The same as a share of the records. A table of a few ligands in all combinations with solvents
asks about new combinations, not about new ligands."""

LONGEST_ALIGNED = 50
"""Bases up to which nucleotide sequences of one length are taken for aligned (guides, splice sites,
oligonucleotides), not for windows of a genome."""

LARGEST_GROUP = 0.5
"""Largest share of the records that one scaffold or family may have for `auto` to split by them."""


@dataclass(frozen=True)
class SplitConfig:
    """How to split."""

    kind: SplitKind = "auto"
    """What the two sides must not share; ``auto`` looks at the data and says what it chose."""

    test_fraction: float = 0.2
    """Share of the records to test on; groups that cannot be cut make it approximate."""

    seed: int = 0
    """Fixes whatever is random."""

    path: str | Path | None = None
    """For ``file``: JSON with the lists "train" and "test" (0-based record indices), or a table
    with a column of the words train and test, which may be the data's own file."""

    name: str | None = None
    """For ``file``: which split, where the file holds several; or which column."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if self.kind not in SPLIT_KINDS:
            raise InputError(
                f"there is no split {self.kind!r}", fix=did_you_mean(str(self.kind), SPLIT_KINDS)
            )
        if not 0 < self.test_fraction < 1:
            raise InputError(
                f"test_fraction is {self.test_fraction}", fix="Set it between 0 and 1."
            )
        if (self.kind == "file") != (self.path is not None):
            raise InputError(
                "a split by file needs the path of the file, and other splits take none",
                fix="Give both kind='file' and path, or neither.",
            )


@dataclass(frozen=True)
class Split:
    """Which records are for training and which for the test."""

    train: Indices
    """Indices of records, increasing."""

    test: Indices
    """Indices of records, increasing; shares none with ``train``."""

    kind: SplitKind
    """How it was split; never ``auto``."""

    keeps_apart: SplitKind
    """What its sides do not share, which folds within the training side must mimic: ``kind``, or
    for a split by file what the file turned out to keep apart."""

    reason: str
    """Why, and what came of it, in words for the user."""


def split_records(records: Records, config: SplitConfig | None = None) -> Split:
    """Return training and test records; duplicates never stand on both sides.

    Of a split by file the sides are kept as given, and duplicates across them are told.

    Raises:
        InputError: The records cannot be split that way.
    """
    config = config or SplitConfig()
    if len(records) < 2:
        raise InputError(
            f"{len(records)} record cannot be split", fix="Add records.", where=records.source
        )
    duplicates = group_of_keys(identity_keys(records))
    if config.kind == "file":
        return _by_file(records, config, duplicates)
    kind, groups, reason = _choose(records, config.kind)
    if kind == "time":
        return _by_time(records, config, duplicates, reason)
    together = [duplicates] if groups is None else [groups, duplicates]
    if records.groups is not None and kind != "group":
        together.append(column_groups(records))
        reason += f"; rows of one {records.schema.group!r} stay on one side"
    groups = joined(*together) if len(together) > 1 else duplicates
    strata = class_strata(records) if kind == "random" else None
    test = _draw(groups, config, strata, spread=kind in MODALITY_OF_SPLIT)
    if not test.any() or test.all():
        raise InputError(
            f"the records cannot be split by {kind}: all of them belong together",
            fix="Choose another split, such as random.",
            where=records.source,
        )
    return Split(np.flatnonzero(~test), np.flatnonzero(test), kind, kind, reason)


def _choose(records: Records, kind: SplitKind) -> tuple[SplitKind, Groups | None, str]:
    """Return (kind, groups, reason); groups is None where only duplicates belong together."""
    if kind == "auto":
        return _choose_automatically(records)
    if kind == "group":
        if records.groups is None:
            raise InputError(
                "a split by group needs a group column",
                fix="Name one, such as --group batch.",
                where=records.source,
            )
        return kind, column_groups(records), f"by {records.schema.group!r}, as asked for"
    if kind == "scaffold":
        name, groups = richest_groups(records, "molecule")
        return kind, groups, f"by scaffold of {name!r}, as asked for"
    if kind == "sequence":
        name, groups = richest_groups(records, *SEQUENCES)
        return kind, groups, f"by sequence similarity of {name!r}, as asked for"
    if kind == "chemical-system":
        name, groups = richest_groups(records, "material")
        return kind, groups, f"by chemical system of {name!r}, as asked for"
    return kind, None, "as asked for"


def _choose_automatically(records: Records) -> tuple[SplitKind, Groups | None, str]:
    if records.groups is not None:
        return (
            "group",
            column_groups(records),
            f"the column {records.schema.group!r} groups the rows",
        )
    if records.times is not None:
        return "time", None, "the records have times: the last ones are the test"
    modalities = {one.modality for one in records.schema.inputs}
    doubts: list[str] = []
    choices: tuple[tuple[SplitKind, tuple[str, ...], str], ...] = (
        ("sequence", SEQUENCES, "families of similar sequences"),
        ("scaffold", ("molecule",), "molecular scaffolds"),
        ("chemical-system", ("material",), "chemical systems"),
    )
    for kind, of, what in choices:
        if not modalities & {*of}:
            continue
        if kind == "sequence" and _are_aligned(records):
            doubts.append("the sequences are aligned variants of one length")
            continue
        name, groups = richest_groups(records, *of)
        sizes = np.bincount(groups)
        fewest = max(FEWEST_GROUPS, FEWEST_GROUPS_PER_RECORD * len(records))
        if len(sizes) >= fewest and sizes.max() <= LARGEST_GROUP * len(records):
            told = f"{name!r} has {len(sizes)} {what}; none stands on both sides"
            return kind, groups, told
        doubts.append(
            f"{name!r} has {len(sizes)} {what}, the largest with {sizes.max() / len(records):.0%} "
            "of the records: too few to split by"
        )
    return "random", None, "; ".join(doubts) or "nothing in the inputs asks for another split"


def _are_aligned(records: Records) -> bool:
    """Return whether every input of sequences has one length, as variants of one molecule do.

    Long pieces of DNA of one length are rather windows of a genome.
    """
    for one in records.schema.inputs:
        if one.modality not in SEQUENCES:
            continue
        lengths = {len(value) for value in records.inputs[one.name] if value is not None}
        is_window = one.modality == "nucleotide" and max(lengths, default=0) > LONGEST_ALIGNED
        if len(lengths) > 1 or is_window:
            return False
    return True


def _draw(
    groups: Groups, config: SplitConfig, strata: np.ndarray | None, *, spread: bool
) -> np.ndarray:
    """Return which records are the test, bool (record,), whole groups at a time.

    Args:
        groups: The group of each record.
        config: Fraction and seed.
        strata: The class of each record, drawn from evenly; None where there are none.
        spread: Whether groups larger than half of the test go to training, so that the test has
            many different ones.
    """
    rng = np.random.default_rng(config.seed)
    sizes = np.bincount(groups)
    wanted = max(1, round(config.test_fraction * len(groups)))
    order = rng.permutation(len(sizes))
    if spread:
        small = sizes[order] <= max(1, wanted // 2)
        order = np.concatenate([order[small], order[~small][np.argsort(sizes[order[~small]])]])
    stratum = np.zeros(len(sizes), dtype=np.int64)
    if strata is not None:
        stratum[groups[::-1]] = strata[::-1] - strata.min()  # of the group's first record
    chosen = np.zeros(len(sizes), dtype=bool)
    for one in np.unique(stratum):
        inside = order[stratum[order] == one]
        room = wanted if strata is None else round(config.test_fraction * sizes[inside].sum())
        for group in inside.tolist():
            # A group may overshoot if that comes nearer to the wanted number than leaving it out.
            if sizes[group] <= 2 * room and not _takes_all(chosen, group):
                chosen[group] = True
                room -= sizes[group]
    if not chosen.any() and len(sizes) > 1:
        chosen[order[np.argmin(sizes[order])]] = True
    test: np.ndarray = chosen[groups]
    return test


def _takes_all(chosen: np.ndarray, group: int) -> bool:
    return int(chosen.sum()) + int(not chosen[group]) == len(chosen)


def _by_time(records: Records, config: SplitConfig, duplicates: Groups, reason: str) -> Split:
    """Return the last records as the test, with a gap of the lead before them."""
    if records.times is None or np.isnan(records.times).all():
        raise InputError(
            "a split by time needs a time column",
            fix="Name one, such as --time date.",
            where=records.source,
        )
    times = np.where(np.isnan(records.times), -np.inf, records.times)
    ordered = np.sort(times)
    n_test = max(1, round(config.test_fraction * len(times)))
    first = ordered[len(times) - n_test]
    test = times >= first
    train = times + _lead_length(records, ordered) < first
    told = [reason]
    if left_out := int((~test & ~train).sum()):
        told.append(
            f"{left_out} records before the test are left out, since their targets lie in it"
        )
    repeated = train & np.isin(duplicates, duplicates[test])
    if repeated.any():
        told.append(f"{int(repeated.sum())} earlier copies of test records are left out")
        train &= ~repeated
    if not train.any():
        raise InputError(
            "no record is left to train on before the test",
            fix="Lower the test fraction or the lead.",
            where=records.source,
        )
    return Split(np.flatnonzero(train), np.flatnonzero(test), "time", "time", "; ".join(told))


def _lead_length(records: Records, ordered: np.ndarray) -> float:
    """Return the lead in the unit of the records' times; one time lies after another by steps."""
    if records.schema.lead is None:
        return 0.0
    lead = parse_lead(records.schema.lead)
    if lead.unit == "step":
        finite = ordered[np.isfinite(ordered)]
        step = float(np.median(np.diff(finite))) if len(finite) > 1 else 0.0
        return lead.count * step
    # Months and years at their longest: a record too few is better than a leak.
    days = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 31.0, "year": 366.0}[lead.unit]
    return lead.count * days


def _by_file(records: Records, config: SplitConfig, duplicates: Groups) -> Split:
    """Return the sides that a file gives."""
    assert config.path is not None
    train, test, told = read_split(Path(config.path), config.name, records)
    shared = np.intersect1d(duplicates[train], duplicates[test])
    if len(shared):
        n_test = int(np.isin(duplicates[test], shared).sum())
        told += f"; beware: {n_test} test records have a duplicate among the training records"
    kind, why = separation(records, train, test)
    if kind != "random":
        told += f"; {why}, so folds keep them apart too"
    return Split(train, test, "file", kind, told)
