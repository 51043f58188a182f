"""Where weights come from: a shipped name or a folder."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.models import Encoder, extended, load_encoder, untrained_encoder
from kagaku.models.public import PublicEncoder, load_public
from kagaku.public_models import public_folder
from kagaku.registry import did_you_mean

UNTRAINED = "untrained-tiny"
"""Random weights, the same on every machine: what pretrained ones are held against."""

SHIPPED = {"kagaku-tiny": "kagaku_tiny"}
"""By name, the package beneath `kagaku.models.weights` that holds pretrained weights."""

DEFAULT = "kagaku-tiny"
"""What every command starts from when no base is named."""


def load_base(name: str | None) -> Encoder:
    """Return the encoder of a shipped name, or of a folder that holds one.

    Random weights read every registered modality; pretrained ones read what they were built for
    (`kagaku.models.extended` adds more).

    Args:
        name: One of `SHIPPED`, `UNTRAINED`, or a folder that `save_encoder` wrote; None takes the
            default.

    Raises:
        InputError: There is no such name or folder.
    """
    if name == UNTRAINED:
        return extended(untrained_encoder(), MODALITIES)
    return load_encoder(weights_folder(name, also=(UNTRAINED,)))


def not_trained_on(encoder: Encoder | PublicEncoder, modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities that a pretrained encoder has learnt nothing of; none if it is random.

    That random weights have learnt nothing is in their name; a public encoder reads one modality
    and leaves the others alone.
    """
    if isinstance(encoder, PublicEncoder) or not encoder.config.is_pretrained:
        return ()
    return tuple(sorted(one for one in {*modalities} if not encoder.config.has_learnt(one)))


def open_base(name: str | None) -> Encoder | PublicEncoder:
    """Return what embeddings may come from: what `load_base` gives, or a public encoder.

    Args:
        name: As for `load_base`; or a folder of transformers' or timm's format, or the hub id of
            one that is in this machine's Hugging Face cache.

    Raises:
        InputError: There is no such name or folder, or its model is not supported.
    """
    folder = public_folder(name)
    return load_base(name) if folder is None else load_public(folder)


def weights_folder(name: str | Path | None, *, also: tuple[str, ...] = ()) -> Path:
    """Return the folder of pretrained weights.

    Args:
        name: One of `SHIPPED`, or a folder; None takes the default.
        also: Further names that the caller knows, for the advice.

    Raises:
        InputError: There is no such name or folder.
    """
    name = str(name or DEFAULT)
    if name in SHIPPED:
        return Path(str(files("kagaku.models.weights") / SHIPPED[name]))
    if Path(name).is_dir():
        return Path(name)
    raise InputError(
        f"there are no weights named {name!r}, and no folder of that name",
        fix=did_you_mean(Path(name).name, [*SHIPPED, *also]),
    )
