"""One function done to many items, on all cores where that pays."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

WORTH_PROCESSES = 2_000
"""Items from which on processes of their own pay, where one takes some milliseconds."""

Report = Callable[[int, int, str], None] | None
"""Called with (done, in all, what)."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def over(
    function: Callable[[Item], Result], items: Sequence[Item], report: Report, what: str
) -> Iterator[Result]:
    """Yield what a function makes of each item, in order.

    Args:
        function: Must be known to other processes: of a module, or a partial of such a one.
        items: Many of them are shared among all cores.
        report: Told of each that is done.
        what: The word for it.
    """
    if len(items) < WORTH_PROCESSES:
        yield from _told(map(function, items), len(items), report, what)
        return
    parallel = Parallel(n_jobs=-1, batch_size=100, return_as="generator")
    try:
        results = parallel(delayed(function)(item) for item in items)
        yield from _told(results, len(items), report, what)
    finally:
        # Else they would wait for more, with all that they imported in memory.
        get_reusable_executor().shutdown(wait=True)


def _told(results: Iterable[Result], total: int, report: Report, what: str) -> Iterator[Result]:
    for done, result in enumerate(results, start=1):
        yield result
        if report is not None:
            report(done, total, what)
