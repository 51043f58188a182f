"""Methods for questions about compositions: forests and boosted trees on statistics of elements."""

from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import Method
from kagaku.science_tasks.materials.least_error import LeastError


def composition_methods(
    *, is_binary: bool, is_large: bool = False
) -> tuple[dict[str, Method], tuple[str, ...], tuple[str, ...]]:
    """Return all methods by name, those that are plain baselines, and those run by default.

    Args:
        is_binary: Whether the answer is yes or no; else it is a number, scored by its mean
            absolute error.
        is_large: Whether the blends take long there, so that a quick readout of the embeddings
            stands beside them.
    """
    quick = ("linear-embeddings",) if is_large else ()
    baselines = ("constant", "plain", "boosted-trees")
    if is_binary:
        methods = property_methods(boosted_trees=Single("trees"))
        return methods, baselines, (*baselines, *quick, "auto")
    methods = property_methods(boosted_trees=Single("trees"), least_error=LeastError())
    return methods, baselines, (*baselines, *quick, "least-error", "auto")
