"""How the tokens of a row are shared among the inputs of a sample that is too long for it."""

import numpy as np
from jaxtyping import Int


def cropped_lengths(
    lengths: Int[np.ndarray, "sample input"], row_length: int
) -> Int[np.ndarray, " sample"]:
    """Return how many tokens each sample will take in a row, never more than ``row_length``.

    Sequences take exactly this many. A region of a grid is a rectangle and may take a few less.

    Args:
        lengths: Tokens of each input, whole; 0 where a sample lacks it.
        row_length: Tokens per row.
    """
    taken: np.ndarray = np.minimum(lengths.sum(axis=1, dtype=np.int64), row_length)
    return taken


def fair_shares(lengths: Int[np.ndarray, " input"], most: int) -> Int[np.ndarray, " input"]:
    """Return how many tokens of each input are kept, together at most ``most``.

    Short inputs are kept whole, and the long ones share equally what these leave, so that a
    sentence is not squeezed out by the protein that it is about.

    Example:
        >>> fair_shares(np.array([10, 500, 90, 700]), 256)
        array([10, 82, 82, 82])
    """
    if lengths.sum() <= most:
        return lengths
    shares = np.zeros_like(lengths)
    left = most
    by_length = np.argsort(lengths, kind="stable")
    for place, index in enumerate(by_length):
        shares[index] = min(int(lengths[index]), left // (len(lengths) - place))
        left -= int(shares[index])
    return shares
