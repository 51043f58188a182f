"""Settings of a modality, rebuilt from the state that travels with a run."""

from collections.abc import Mapping
from typing import Any, TypeVar

from kagaku.errors import InputError

Config = TypeVar("Config")


def restore_config(kind: type[Config], state: Mapping[str, Any], modality: str) -> Config:
    """Return the settings under ``"config"`` in a modality's state; the defaults if it has none.

    Args:
        kind: The dataclass of the settings.
        state: What the modality's ``state`` gave.
        modality: The modality's name, for the message.

    Raises:
        InputError: A setting is unknown to this version.
    """
    stored = state.get("config", {})
    try:
        return kind(**stored)
    except TypeError as error:
        raise InputError(
            f"the stored settings of the {modality} modality do not fit this version of kagaku "
            f"({error})",
            fix="Use the version that wrote them, or remove the unknown settings.",
        ) from None
