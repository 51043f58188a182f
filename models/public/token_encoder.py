"""What public encoders of tokens share: ids of a value, what stands around them, and how many."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from kagaku.errors import InputError
from kagaku.models.public.encoder import PublicEncoder
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.running import Framing

Pooling = Literal["all", "inner", "start"]
"""All tokens; all without start and end; or the start alone."""


def strings(values: Sequence[object], what: str) -> list[str]:
    """Return values as a list, once each is known to be a string.

    Args:
        values: Such as a column of a DataFrame, where gaps are None or NaN.
        what: One of them, for messages.

    Raises:
        InputError: They are one string, or one of them is none.
    """
    if isinstance(values, str):
        raise InputError(f"{what}s must be a list", fix=f"Put the one {what} into a list.")
    found: list[str] = []
    for number, one in enumerate(values, start=1):
        if not isinstance(one, str):
            raise InputError(
                f"{one!r} is no {what}", fix="Drop it or fill it in.", where=f"{what} {number}"
            )
        found.append(one)
    return found


class TokenEncoder(PublicEncoder):
    """A public encoder whose network reads ids: ESM's family, and BERT's."""

    network: TokenNetwork
    framing: Framing
    """Start, end, and how much the model has seen at once."""

    @property
    @abstractmethod
    def pools(self) -> Pooling:
        """Which tokens' mean is the embedding of a value."""

    @abstractmethod
    def ids_of(self, value: str) -> Int[np.ndarray, " token"]:
        """Return the ids of a checked value's tokens, without start and end."""
