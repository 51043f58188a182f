"""The processes of one run: who they are, and what they tell each other."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import torch.distributed as dist

from kagaku.errors import InputError

T = TypeVar("T")

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""Ctrl-C, the scheduler's end, and the warning that schedulers are asked to send before it."""


def gather(value: T) -> list[T]:
    """Return the values of all processes, in the order of their ranks; all must call it."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def check_agreement(name: str, value: str) -> None:
    """Refuse to go on if the processes have settled a setting differently; all must call it.

    Raises:
        InputError: They have.
    """
    found = sorted(set(gather(value)))
    if len(found) > 1:
        raise InputError(
            f"the machines of this run differ: {name} would be {' here and '.join(found)} there",
            fix=f"Name the {name} in the recipe.",
        )


def check_world_size(micro_batches: int, world_size: int) -> None:
    """Refuse a number of processes that cannot share the micro-batches of a step evenly.

    Raises:
        InputError: It cannot.
    """
    if micro_batches % world_size:
        raise InputError(
            f"the {micro_batches} micro-batches of a step cannot be shared evenly by {world_size} "
            "processes",
            fix="Change devices or nodes, or start with micro_batches that they divide.",
        )


class StopRequest:
    """Remembers that a signal asked the run to stop; the loop looks between steps."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; a second Ctrl-C stops at once."""
        del frame
        if self.signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    @contextmanager
    def listening(self) -> Iterator[Callable[[], None]]:
        """Give the function that starts to listen; at the end, earlier handlers are back.

        Listening starts later than the ``with`` begins, since the trainer sets its own handlers
        after its start.
        """
        # Python lets its main thread alone listen to signals.
        is_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.getsignal(number) for number in STOP_SIGNALS if is_main}

        def start() -> None:
            for number in before:
                signal.signal(number, self.handle)

        try:
            yield start
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
