"""Methods for questions about compositions: forests and boosted trees on statistics of elements."""

from collections.abc import Mapping
from typing import TypedDict

from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import Method
from kagaku.science_tasks.materials.least_error import LeastError

BASELINES = ("constant", "plain", "boosted-trees")


class Methods(TypedDict):
    """What a question about compositions says of methods; the words are those of `Task`."""

    methods: Mapping[str, Method]
    baselines: tuple[str, ...]
    default: tuple[str, ...]
    long: tuple[str, ...]
    verdict_about: str | None


def composition_methods(*, is_binary: bool, is_large: bool = False) -> Methods:
    """Return all methods, those that are plain baselines, and those that are run by default.

    Args:
        is_binary: Whether the answer is yes or no; else it is a number, scored by its mean
            absolute error.
        is_large: Whether the blends take long there, so that a quick readout of the embeddings
            stands beside them; of numbers, the blend of least error is judged.
    """
    more: dict[str, Method] = {} if is_binary else {"least_error": LeastError()}
    blends = ("auto",) if is_binary else ("least-error", "auto")
    quick = ("linear-embeddings",) if is_large else ()
    return Methods(
        methods=property_methods(boosted_trees=Single("trees"), **more),
        baselines=BASELINES,
        default=(*BASELINES, *quick, *blends),
        long=blends if is_large else (),
        verdict_about="least-error" if is_large and not is_binary else None,
    )
