"""What public encoders of tokens share: ids of a value, what stands around them, and how many."""

from abc import abstractmethod
from typing import Literal

import numpy as np
from jaxtyping import Int

from kagaku.models.public.encoder import PublicEncoder
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.running import Framing

Pooling = Literal["all", "inner", "start"]
"""All tokens; all without start and end; or the start alone."""


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
