"""Which tokens are hidden: single ones or spans of a sequence, blocks of a grid."""

import numpy as np
from jaxtyping import Bool, Float

from kagaku.modalities.cropping import grid_lines

LARGEST_BLOCK = 0.25
"""Largest block of hidden patches, as a share of the grid's places."""


def hidden_tokens(
    allowed: Bool[np.ndarray, " token"],
    share: float,
    span_length: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " token"]:
    """Return which tokens of a sequence are hidden: a share of the allowed ones, at least one.

    The allowed tokens are cut into spans of random lengths, and whole spans are taken in random
    order until there are enough; the last one is cut short.

    Args:
        allowed: Tokens that may be hidden.
        share: How many of them are, 0 to 1; broken numbers are rounded at random.
        span_length: Mean length of a span; 1 hides tokens one by one.
        rng: Where chance comes from.
    """
    hidden = np.zeros(len(allowed), dtype=bool)
    candidates = np.flatnonzero(allowed)
    n_allowed = len(candidates)
    if n_allowed == 0 or share <= 0:
        return hidden
    count = min(n_allowed, max(1, int(share * n_allowed + rng.random())))
    span = np.cumsum(rng.random(n_allowed) < 1 / span_length)
    chance = rng.random(n_allowed + 1)[span]
    hidden[candidates[np.argsort(chance, kind="stable")[:count]]] = True
    return hidden


def hidden_blocks(
    positions: Float[np.ndarray, "token 3"], share: float, rng: np.random.Generator
) -> Bool[np.ndarray, " token"]:
    """Return which patches of a grid are hidden: blocks that cover a share of its places.

    All variables or channels at a place are hidden together; at least one place is hidden, and
    where there are several at least one is not. Neighbouring patches say nearly the same, so single
    hidden ones would be too easy.

    Args:
        positions: Of each token; the second and third axis are its place on the grid.
        share: How many of the places are hidden, 0 to 1.
        rng: Where chance comes from.
    """
    row, n_rows = grid_lines(positions[:, 1])
    column, n_columns = grid_lines(positions[:, 2])
    places = np.zeros((n_rows, n_columns), dtype=bool)
    if share <= 0 or not places.size:
        return np.zeros(len(positions), dtype=bool)
    wanted = min(max(1, round(share * places.size)), max(1, places.size - 1))
    while (missing := wanted - int(places.sum())) > 0:
        area = min(missing, max(1.0, LARGEST_BLOCK * places.size) * rng.random())
        ratio = np.exp(rng.uniform(-1, 1) * np.log(2)) * n_rows / n_columns
        tall = int(np.clip(round(np.sqrt(area * ratio)), 1, min(n_rows, missing)))
        wide = int(np.clip(area // tall, 1, min(n_columns, missing // tall)))
        top, left = rng.integers(n_rows - tall + 1), rng.integers(n_columns - wide + 1)
        places[top : top + tall, left : left + wide] = True
    return np.asarray(places[row, column])
