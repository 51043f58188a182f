"""Where an encoder comes from: a shipped name or a folder."""

from pathlib import Path

from kagaku.errors import InputError
from kagaku.models import Encoder, load_encoder, untrained_encoder
from kagaku.registry import did_you_mean

UNTRAINED = "untrained-tiny"
"""The default base until pretrained weights ship: random, the same on every machine."""

DEFAULT = UNTRAINED
"""What every command starts from when no base is named."""


def load_base(name: str | None) -> Encoder:
    """Return the encoder of a shipped name, or of a folder that holds one.

    Args:
        name: `UNTRAINED`, or a folder that `save_encoder` wrote; None takes the default.

    Raises:
        InputError: There is no such name or folder.
    """
    if name is None or name == UNTRAINED:
        return untrained_encoder()
    if Path(name).is_dir():
        return load_encoder(Path(name))
    raise InputError(
        f"there are no weights named {name!r}, and no folder of that name",
        fix=did_you_mean(name, [UNTRAINED]),
    )
