"""Records to pretrain on, before they are packed: what is shown, and what is asked."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kagaku.modalities import Tokens


@dataclass(frozen=True)
class Part:
    """One input of a record."""

    modality: str
    """Registered name."""

    tokens: Tokens
    """Its tokens, cropped; what is hidden is blanked later, for the whole batch at once."""

    hidden: Bool[np.ndarray, " token"] | None = None
    """Which of them are hidden and asked for; None for none."""


@dataclass(frozen=True)
class PretrainingRecord:
    """One segment of the packed stream, whose tokens attend to each other."""

    parts: tuple[Part, ...]
    """The inputs, in the order in which they stand in the stream."""

    is_generated: bool = False
    """Whether the last part is generated from left to right, from all parts before it."""

    descriptors: Float[np.ndarray, " descriptor"] | None = None
    """Standardised descriptors asked of the first part; None for none."""

    summary: Float[np.ndarray, " number"] | None = None
    """Standardised summary asked of the first part; None for none."""

    pair: int | None = None
    """For a record that is one half of a pair, which side: 0 the first, 1 the second. The second
    follows the first at once."""

    def __len__(self) -> int:
        return sum(len(part.tokens) for part in self.parts)

    @property
    def prefix_length(self) -> int:
        """How many leading tokens all of the record's tokens may look at."""
        return len(self) - len(self.parts[-1].tokens) if self.is_generated else len(self)
