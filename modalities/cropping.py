"""Random connected parts of long token lists: a window of a sequence, a region of a grid."""

from dataclasses import replace

import numpy as np

from kagaku.modalities.base import Tokens


def take(tokens: Tokens, chosen: np.ndarray) -> Tokens:
    """Return the tokens at the given indices, or where a mask is true."""
    return Tokens(tokens.ids[chosen], tokens.values[chosen], tokens.positions[chosen])


def window(tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
    """Return at most ``most`` tokens in a row, from a random start; positions start anew."""
    if len(tokens) <= most:
        return tokens
    start = int(rng.integers(len(tokens) - most + 1))
    part = take(tokens, np.arange(start, start + most))
    positions = part.positions.copy()
    positions[:, 0] -= positions[0, 0]
    return replace(part, positions=positions)


def region(tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
    """Return the tokens of a random rectangle of places, at most ``most``; positions stay.

    A place is one pair of the second and third position; several variables or channels may stand
    at it, and all of them are kept together. If not even one place fits, some are left out.
    """
    if len(tokens) <= most:
        return tokens
    rows, row = np.unique(tokens.positions[:, 1], return_inverse=True)
    columns, column = np.unique(tokens.positions[:, 2], return_inverse=True)
    layers = -(-len(tokens) // (len(rows) * len(columns)))
    places = max(1, most // layers)
    # The shape of the whole, scaled down, with some play so that regions differ in shape.
    share = np.sqrt(places / (len(rows) * len(columns))) * rng.uniform(0.7, 1 / 0.7)
    tall = int(np.clip(round(len(rows) * share), 1, min(len(rows), places)))
    wide = min(len(columns), places // tall)
    tall = min(len(rows), places // wide)
    top, left = rng.integers(len(rows) - tall + 1), rng.integers(len(columns) - wide + 1)
    inside = (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
    chosen = np.flatnonzero(inside)
    if len(chosen) > most:
        chosen = np.sort(rng.permutation(chosen)[:most])
    return take(tokens, chosen)
