"""Records in rows -> the packed batch with hidden tokens blanked, and the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int

from kagaku.modalities import Modality, PackedBatch, Tokens, pack
from kagaku.models.pretraining.batch import (
    DescriptorTargets,
    PairTargets,
    PretrainingBatch,
    TokenTargets,
    ValueTargets,
)
from kagaku.models.pretraining.records import PretrainingRecord
from kagaku.models.pretraining.rows import fixed_rows


def assemble(
    rows: Sequence[Sequence[PretrainingRecord]],
    modalities: Mapping[str, Modality[Any]],
    *,
    row_length: int,
    source: str,
    n_samples: int,
    rng: np.random.Generator | None,
) -> PretrainingBatch:
    """Return the batch of some records.

    The parts of each record get its columns in random order, so that a column's embedding only
    tells columns apart, and none is about one kind of data.

    Args:
        rows: The records of each row; together they fit in it.
        modalities: By name, fitted.
        row_length: Tokens per row.
        source: Name of the source that all records came from.
        n_samples: How many samples they were made of.
        rng: Where the order of the columns comes from; None leaves every part in its own place.
    """
    records = [record for row in rows for record in row]
    columns = [
        np.arange(len(record.parts)) if rng is None else rng.permutation(len(record.parts))
        for record in records
    ]
    packed = _packed(records, columns)
    hidden = _hidden(records, packed)
    masked: dict[str, TokenTargets] = {}
    reconstructed: dict[str, ValueTargets] = {}
    retained: dict[str, ValueTargets] = {}
    ids, values = dict(packed.ids), dict(packed.values)
    for index, name in enumerate(packed.modalities):
        chosen, modality = hidden[name], modalities[name]
        if modality.vocabulary_size and not chosen.any():
            continue
        token = np.flatnonzero(packed.modality.numpy() == index)
        whole = Tokens(ids[name].numpy(), values[name].numpy(), packed.position.numpy()[token])
        if modality.vocabulary_size:
            masked[name] = TokenTargets(_long(token[chosen]), _long(whole.ids[chosen, 0]))
        else:
            for values_of, which in ((reconstructed, chosen), (retained, ~chosen)):
                if which.any():
                    values_of[name] = _value_targets(modality, whole, which, token)
        blanked = modality.hide(whole, chosen)
        ids[name], values[name] = torch.from_numpy(blanked.ids), torch.from_numpy(blanked.values)
    numbers = np.cumsum([0, *(len(row) for row in rows)])
    return PretrainingBatch(
        packed=replace(packed, ids=ids, values=values),
        rows=fixed_rows(
            packed.record_offsets,
            _long([record.prefix_length for record in records]),
            [range(start, stop) for start, stop in pairwise(numbers)],
            row_length,
        ),
        masked=masked,
        generated=_generated(records, packed),
        reconstructed=reconstructed,
        retained=retained,
        descriptors=_targets(records, columns, [one.descriptors for one in records]),
        summaries={
            name: asked
            for name in packed.modalities
            if (asked := _targets(records, columns, _summaries(records, name))) is not None
        },
        pairs=_pair_targets(records),
        source=source,
        n_samples=n_samples,
    )


def _long(values: Sequence[int] | np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.int64))


def _packed(
    records: Sequence[PretrainingRecord], columns: Sequence[Int[np.ndarray, " _"]]
) -> PackedBatch:
    """Return the records packed in the order of their parts, then put in their columns."""
    packed = pack(
        [
            {place: (part.modality, part.tokens) for place, part in enumerate(record.parts)}
            for record in records
        ],
        prefix_lengths=[record.prefix_length for record in records],
    )
    lengths = [len(part.tokens) for record in records for part in record.parts]
    column = np.repeat(np.concatenate(columns), lengths)
    return replace(packed, column=_long(column))


def _hidden(
    records: Sequence[PretrainingRecord], packed: PackedBatch
) -> dict[str, Bool[np.ndarray, " token"]]:
    """Return which tokens of each modality are hidden, in stream order."""
    by_name: dict[str, list[np.ndarray]] = {name: [] for name in packed.modalities}
    for record in records:
        for part in record.parts:
            hidden = part.hidden
            by_name[part.modality].append(
                np.zeros(len(part.tokens), dtype=bool) if hidden is None else hidden
            )
    return {name: np.concatenate(hidden) for name, hidden in by_name.items()}


def _value_targets(
    modality: Modality[Any],
    whole: Tokens,
    chosen: Bool[np.ndarray, " token"],
    token: Int[np.ndarray, " token"],
) -> ValueTargets:
    asked = Tokens(whole.ids[chosen], whole.values[chosen], whole.positions[chosen])
    answers, weights = modality.answers(asked)
    return ValueTargets(
        _long(token[chosen]),
        torch.from_numpy(np.ascontiguousarray(answers, dtype=np.float32)),
        torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)),
    )


def _generated(
    records: Sequence[PretrainingRecord], packed: PackedBatch
) -> dict[str, TokenTargets]:
    """Return, for each generated token but the first of its part, the token before it."""
    offsets = packed.record_offsets.numpy()
    tokens: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[np.ndarray]] = {}
    for number, record in enumerate(records):
        if record.is_generated:
            last = record.parts[-1]
            start = int(offsets[number]) + record.prefix_length
            tokens.setdefault(last.modality, []).append(
                np.arange(start, int(offsets[number + 1]) - 1)
            )
            labels.setdefault(last.modality, []).append(last.tokens.ids[1:, 0])
    return {
        name: TokenTargets(_long(np.concatenate(tokens[name])), _long(np.concatenate(labels[name])))
        for name in sorted(tokens)
        if sum(map(len, tokens[name]))
    }


def _summaries(records: Sequence[PretrainingRecord], modality: str) -> list[np.ndarray | None]:
    """Return the summary asked of each record's first part, if that is of a modality."""
    return [one.summary if one.parts[0].modality == modality else None for one in records]


def _targets(
    records: Sequence[PretrainingRecord],
    columns: Sequence[Int[np.ndarray, " _"]],
    numbers_of: Sequence[np.ndarray | None],
) -> DescriptorTargets | None:
    """Return what is asked of the first parts of records; None if nothing is."""
    asked = [
        (number, int(columns[number][0]), numbers_of[number])
        for number in range(len(records))
        if numbers_of[number] is not None
    ]
    if not asked:
        return None
    numbers, of_record, values = zip(*asked, strict=True)
    return DescriptorTargets(_long(numbers), _long(of_record), torch.from_numpy(np.stack(values)))


def _pair_targets(records: Sequence[PretrainingRecord]) -> PairTargets | None:
    """Return the pairs of records; None for fewer than two, where nothing is to be told apart."""
    first = np.array([number for number, record in enumerate(records) if record.pair == 0])
    if len(first) < 2:
        return None
    one, two = (records[int(first[0]) + side].parts[0].modality for side in (0, 1))
    return PairTargets(_long(first), _long(first + 1), (one, two))
