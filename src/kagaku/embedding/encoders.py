"""What embeds: the encoder of a name, a folder or a run, and how it wants its records."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kagaku.bases import not_trained_on, open_base
from kagaku.data import BadCell, Records, Schema
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.modalities.text import ANY_LENGTH, Text, TextConfig
from kagaku.models.checkpoint import encoder_checksum
from kagaku.models.extending import extended
from kagaku.models.public import PublicEncoder
from kagaku.reporting.verdict import untrained_sentence
from kagaku.science_tasks.public_embeddings import FrozenEncoder, check_readable, unread_rows
from kagaku.terminal import Terminal

if TYPE_CHECKING:
    from kagaku.modalities import Modality


def encoder_of(model: str | None) -> "tuple[FrozenEncoder, dict[str, Modality[Any]]]":
    """Return an encoder, with the fitted modalities where it comes from a run.

    Args:
        model: A weights name, or a folder with an encoder or a run; None takes the default.

    Raises:
        InputError: There is none of that name, or the run holds no encoder.
    """
    if model is not None and (Path(model) / "metrics.json").exists():
        from kagaku.run import Run

        run = Run.load(model)
        encoder = run.model.encoder
        if encoder is None:
            raise InputError(
                f"the run {model!r} uses classical features only, so it holds no encoder",
                fix="Name the base it started from, or leave the model out.",
            )
        return encoder, dict(run.model.modalities)
    return open_base(model), {}


def checksum_of(encoder: FrozenEncoder) -> str:
    """Return a checksum of an encoder's weights, public or not."""
    if isinstance(encoder, PublicEncoder):
        return encoder.origin.checksum
    return encoder_checksum(encoder)


def reading(encoder: FrozenEncoder, schema: Schema, terminal: Terminal) -> FrozenEncoder:
    """Return the encoder, able to read every input; says what it has learnt nothing of.

    A public encoder reads one modality, and must find it.

    Args:
        encoder: Not changed.
        schema: Its inputs are to be embedded.
        terminal: Told; a quiet one warns.

    Raises:
        InputError: A public encoder finds no input that it reads.
    """
    check_readable(encoder, schema)
    if isinstance(encoder, PublicEncoder):
        return encoder
    modalities = {one.modality for one in schema.inputs}
    told = untrained_sentence(encoder.config.name, not_trained_on(encoder, modalities))
    if told and terminal.quiet:
        # A vector does not show that it means nothing, and there is no report that could say so.
        warnings.warn(told, UserWarning, stacklevel=4)
    elif told:
        terminal.say(told)
    return extended(encoder, modalities)


def modalities_for(
    encoder: FrozenEncoder, schema: Schema, fitted: "Mapping[str, Modality[Any]]"
) -> "dict[str, Modality[Any]]":
    """Return the modalities that check what an encoder embeds.

    Texts for a public encoder may have any length, since it cuts them into windows itself.

    Args:
        encoder: What will embed.
        schema: Its inputs are to be embedded.
        fitted: Those of a run, which take the place of fresh ones.
    """
    made = {**make_modalities(schema), **fitted}
    if isinstance(encoder, PublicEncoder) and encoder.modality == Text.name:
        made[Text.name] = Text(TextConfig(max_tokens=ANY_LENGTH))
    return made


def checked_for(
    encoder: FrozenEncoder,
    records: Records,
    bad: Sequence[BadCell],
    modalities: "Mapping[str, Modality[Any]]",
) -> tuple[Records, list[BadCell]]:
    """Return the records in canonical form, and all cells for which a row cannot be embedded.

    Args:
        encoder: What will embed.
        records: As `parse` gives them.
        bad: Cells that could not be read.
        modalities: See `modalities_for`.
    """
    checked, more = check_records(records, modalities)
    found = [*bad, *more]
    return checked, [*found, *unread_rows(encoder, checked, {cell.row for cell in found})]
