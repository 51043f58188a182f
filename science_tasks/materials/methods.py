"""Methods for questions about compositions: forests and boosted trees on statistics of elements."""

from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import Method


def composition_methods() -> tuple[dict[str, Method], tuple[str, ...], tuple[str, ...]]:
    """Return all methods by name, those that are plain baselines, and those run by default."""
    methods = property_methods(boosted_trees=Single("trees"))
    baselines = ("constant", "plain", "boosted-trees")
    return methods, baselines, (*baselines, "auto")
