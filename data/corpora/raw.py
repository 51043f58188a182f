"""A sample as a source gives it, before anything was checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Deferred:
    """A raw value that costs some work to make: workers make it, the reader only says how."""

    make: Callable[..., Any]
    """A function of some module, so that it can be sent to a worker. Raises InputError where the
    value cannot be made."""

    arguments: tuple[Any, ...]
    """What it is called with."""

    def value(self) -> Any:
        """Return the raw value."""
        return self.make(*self.arguments)


@dataclass(frozen=True)
class RawSample:
    """Raw values that belong together, under the name that their source has for them."""

    name: str
    """What the source calls the sample; unique and stable within the source."""

    inputs: dict[str, Any]
    """By input name, the raw value, of the kinds that `CorpusSample` lists, or the `Path` of an
    image file, or a `Deferred` one. An input that the sample lacks has no entry."""

    groups: tuple[str, ...] = ()
    """Names of what must not be torn between training and validation, such as the years of a grid.
    Empty where the first input's identity decides."""
