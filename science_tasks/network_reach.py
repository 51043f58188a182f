"""Whether full fine-tuning of the network can be tried on a table, and whether `auto` tries it."""

from kagaku.data.records import Records
from kagaku.data.schema import Schema
from kagaku.errors import InputError
from kagaku.models.public import PublicEncoder
from kagaku.science_tasks.embeddings import learned_inputs
from kagaku.science_tasks.fit_settings import FitSettings
from kagaku.science_tasks.full import why_not_trainable
from kagaku.science_tasks.public_embeddings import FrozenEncoder

NETWORK_SECONDS = 60.0
"""`auto` leaves full fine-tuning out if it would take longer than this, and says how long. An
answer within minutes is worth more to most than the last percent; a user's limit replaces this."""

TRAINING_COST = 3.5
"""Time of a training step over that of a frozen embedding of the same records: a backward pass
costs two forward ones, and the optimiser and the validation some more."""

NETWORK_ROWS = 2_000
"""Below this many training records, an untrained network is not worth its time: `auto` leaves
full fine-tuning out and says so."""


def check_method(encoder: FrozenEncoder, method: str, records: Records) -> None:
    """Check that an encoder can be used as a method asks for, before any work.

    Raises:
        InputError: A public encoder shall be fine-tuned in full that cannot be on such a table.
    """
    if method == "full" and (why_not := why_not_trainable(encoder, records)):
        raise InputError(why_not, fix="Choose --method readout or auto.")


def why_no_network(
    encoder: FrozenEncoder, records: Records, n_train: int, seconds: float, settings: FitSettings
) -> str:
    """Return why full fine-tuning is not tried; empty if it is.

    Args:
        encoder: What would be fine-tuned.
        records: Checked records.
        n_train: How many of them would be learnt from.
        seconds: How long embedding all records took.
        settings: How to fit.
    """
    schema = records.schema
    if why_not := why_not_trainable(encoder, records):
        return f"not tried: {why_not}"
    if settings.method == "full":
        return ""
    if settings.method == "readout":
        return "only readouts were asked for"
    if (
        not isinstance(encoder, PublicEncoder)
        and not learned_inputs(encoder, schema)
        and n_train < NETWORK_ROWS
    ):
        kinds = f" of {_kinds(schema)}" if encoder.config.is_pretrained else ""
        return (
            f"not tried: {encoder.config.name} has learnt nothing{kinds} yet, and {n_train} "
            "records are too few to teach it; ask for it with --method full"
        )
    trainings = settings.folds + 1
    expected = seconds * TRAINING_COST * settings.network.epochs * trainings
    limit = NETWORK_SECONDS if settings.max_seconds is None else settings.max_seconds
    if expected > limit:
        return (
            f"not tried: about {expected / 60:.0f} minutes; ask for it with --method full, which "
            f"takes about {expected / trainings / 60:.0f}"
        )
    return ""


def _kinds(schema: Schema) -> str:
    return " or ".join(sorted({one.modality for one in schema.inputs}))
