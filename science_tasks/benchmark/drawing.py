"""Drawing some items of a case for a quick look."""

from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def drawn(items: tuple[Item, ...], most: int, rng: np.random.Generator) -> tuple[Item, ...]:
    """Return at most so many items, drawn at random without replacement, in their order."""
    if len(items) <= most:
        return items
    return tuple(items[i] for i in np.sort(rng.choice(len(items), most, replace=False)))
