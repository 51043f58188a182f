"""Random connected parts of long token lists: a window of a sequence, a region of a grid."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from kagaku.modalities.base import Tokens


def take(tokens: Tokens, chosen: Int[np.ndarray, " chosen"] | Bool[np.ndarray, " token"]) -> Tokens:
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


def windows(tokens: Tokens, most: int) -> list[Tokens]:
    """Return the tokens in windows of at most ``most``, of nearly equal length; positions anew."""
    parts = []
    for indices in np.array_split(np.arange(len(tokens)), -(-len(tokens) // most)):
        part = take(tokens, indices)
        positions = part.positions.copy()
        positions[:, 0] -= positions[0, 0]
        parts.append(replace(part, positions=positions))
    return parts


def region(tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
    """Return the tokens of a random rectangle of places, at most ``most``; positions stay.

    A place is one pair of the second and third position; several variables or channels may stand
    at it, and all of them are kept together. If not even one place fits, some are left out.
    """
    if len(tokens) <= most:
        return tokens
    row, n_rows = grid_lines(tokens.positions[:, 1])
    column, n_columns = grid_lines(tokens.positions[:, 2])
    layers = -(-len(tokens) // (n_rows * n_columns))
    places = max(1, most // layers)
    # The shape of the whole, scaled down, with some play so that regions differ in shape.
    share = np.sqrt(places / (n_rows * n_columns)) * rng.uniform(0.7, 1 / 0.7)
    tall = int(np.clip(round(n_rows * share), 1, min(n_rows, places)))
    wide = min(n_columns, places // tall)
    tall = min(n_rows, places // wide)
    top, left = rng.integers(n_rows - tall + 1), rng.integers(n_columns - wide + 1)
    inside = (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
    chosen = np.flatnonzero(inside)
    if len(chosen) > most:
        chosen = np.sort(rng.permutation(chosen)[:most])
    return take(tokens, chosen)


def grid_lines(positions: Float[np.ndarray, " token"]) -> tuple[Int[np.ndarray, " token"], int]:
    """Return the row (or column) of a grid that each token stands in, and how many there are.

    Lines are counted in the order in which they first occur, not by their degrees: a region across
    Greenwich begins in the west, at 350 degrees or so.
    """
    _, first, line = np.unique(positions, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[line], len(first)
