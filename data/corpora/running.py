"""How work on many tasks is run: here, or wherever a runner takes it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int, str], None]


@runtime_checkable
class Runner(Protocol):
    """Runs a function on tasks, here or on a cluster, with few of them in memory at a time."""

    def __call__(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results in any order."""


def run_here(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Run tasks one after the other in this process."""
    return (function(task) for task in tasks)
