"""Records through a public encoder: one vector per value of the one modality that it reads."""

from collections.abc import Callable, Collection
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from kagaku.data.bad_rows import BadCell
from kagaku.data.records import Records
from kagaku.data.schema import Schema
from kagaku.errors import InputError
from kagaku.models import Encoder
from kagaku.models.public import PublicEncoder

FrozenEncoder = Encoder | PublicEncoder
"""What may make frozen embeddings: an encoder of the suite, or a public one."""


def name_of(encoder: FrozenEncoder) -> str:
    """Return what reports call an encoder."""
    return encoder.name if isinstance(encoder, PublicEncoder) else encoder.config.name


def check_readable(encoder: FrozenEncoder, schema: Schema) -> None:
    """Check that an encoder reads at least one input, before any work.

    Raises:
        InputError: It is a public encoder of a modality that the table lacks.
    """
    if isinstance(encoder, PublicEncoder):
        found = sorted({one.modality for one in schema.inputs})
        if encoder.modality not in found:
            raise InputError(
                f"{encoder.name} reads the modality {encoder.modality!r}, and the inputs have "
                f"{found} only",
                fix="Name a model that reads them, or leave it out to take the default.",
            )


def unread_rows(
    encoder: FrozenEncoder, records: Records, known: Collection[int] = ()
) -> list[BadCell]:
    """Return a bad cell for each row that lacks whatever the encoder reads.

    It may have other inputs, yet no vector could come of them. An encoder of the suite reads all.

    Args:
        encoder: Reads at least one input; see `check_readable`.
        records: Checked or raw.
        known: Numbers of rows that are bad already.
    """
    if not isinstance(encoder, PublicEncoder):
        return []
    read = [one for one in records.schema.inputs if one.modality == encoder.modality]
    reason = f"the row has no {encoder.modality}, which is all that {encoder.name} reads"
    return [
        BadCell(
            records.source, int(row), read[0].column, "", reason, "Fill it in, or drop the row."
        )
        for record, row in enumerate(records.rows)
        if int(row) not in known and all(records.inputs[one.name][record] is None for one in read)
    ]


def embed_public(
    encoder: PublicEncoder,
    records: Records,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, "record column dim"], Bool[np.ndarray, "record column"]]:
    """Return the embedding of each input of each record, and which of them are there.

    Inputs of another modality than the encoder's have none. A value that stands in many records is
    embedded once.

    Args:
        encoder: Used as it is, without gradients.
        records: Checked records.
        progress: Called with (values done, values in all) after each batch.
    """
    n_columns = len(records.schema.inputs)
    means = np.zeros((len(records), n_columns, encoder.dim), dtype=np.float32)
    present = np.zeros((len(records), n_columns), dtype=bool)
    read = [
        (column, records.inputs[one.name])
        for column, one in enumerate(records.schema.inputs)
        if one.modality == encoder.modality
    ]
    n_values = sum(one is not None for _, values in read for one in values)
    done = 0
    for column, values in read:
        there = np.array([index for index, one in enumerate(values) if one is not None], dtype=int)
        # Arrays cannot be keys; each of them is taken as a value of its own.
        keys = [
            index if isinstance(values[index], np.ndarray) else str(values[index])
            for index in there.tolist()
        ]
        first = dict(zip(reversed(keys), reversed(there.tolist()), strict=True))
        places = {key: place for place, key in enumerate(first)}
        tell = progress and partial(_tell, progress, done, len(there), n_values)
        vectors = encoder.embed_values([values[one] for one in first.values()], progress=tell)
        means[there, column] = vectors[[places[key] for key in keys]]
        present[there, column] = True
        done += len(there)
    return means, present


def _tell(
    progress: Callable[[int, int], None],
    before: int,
    n_here: int,
    n_values: int,
    done: int,
    total: int,
) -> None:
    """Tell how many values are done: windows of a column are spread evenly over its values."""
    progress(before + n_here * done // max(total, 1), n_values)
