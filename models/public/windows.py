"""Sequences longer than a model has seen: cut into windows that overlap, and put together again."""

from dataclasses import dataclass
from itertools import pairwise

from kagaku.errors import InputError


@dataclass(frozen=True)
class Window:
    """A piece of a sequence that a model sees at once."""

    start: int
    """First of its tokens in the sequence, without special tokens."""

    stop: int
    """One after the last."""

    keep_from: int
    """First token whose result is taken from this window."""

    keep_to: int
    """One after the last."""


def windows(length: int, longest: int, overlap: int) -> list[Window]:
    """Return windows over a sequence, of equal length and evenly spread.

    Of two windows that overlap, the left half of the overlap is taken from the left one and the
    right half from the right one: each token from where it stands farther from a cut. Nothing is
    averaged, so each result is one that the model gave.

    Args:
        length: Tokens of the sequence, without special ones.
        longest: Most of them in one window.
        overlap: Fewest that two neighbours share.

    Raises:
        InputError: The overlap is negative or does not leave anything new in a window.

    Example:
        >>> [(one.start, one.stop, one.keep_from, one.keep_to) for one in windows(10, 6, 2)]
        [(0, 6, 0, 5), (4, 10, 5, 10)]
    """
    if not 0 <= overlap < longest:
        raise InputError(
            f"windows of {longest} tokens cannot overlap by {overlap}",
            fix=f"Choose an overlap between 0 and {longest - 1}.",
        )
    if length <= longest:
        return [Window(0, length, 0, length)]
    count = -(-(length - overlap) // (longest - overlap))
    starts = [(length - longest) * number // (count - 1) for number in range(count)]
    cuts = [(before + longest + after) // 2 for before, after in pairwise(starts)]
    edges = [0, *cuts, length]
    return [
        Window(start, start + longest, edges[number], edges[number + 1])
        for number, start in enumerate(starts)
    ]


def window_around(place: int, length: int, longest: int) -> tuple[int, int]:
    """Return start and stop of the window that has a token as near to its middle as it can.

    Example:
        >>> window_around(9, 10, 4)
        (6, 10)
    """
    start = max(0, min(place - longest // 2, length - longest))
    return start, min(length, start + longest)
