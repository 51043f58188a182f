"""Names for classes: how a recipe or a user picks a modality, a featurizer or a readout."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Generic, TypeVar, cast

from kagaku.errors import InputError

T = TypeVar("T")
C = TypeVar("C", bound=type)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return the advice that follows a misspelt name: the nearest choice, or all of them."""
    known = sorted(choices)
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Choose from {known}."


class Registry(Mapping[str, type[T]], Generic[T]):
    """A read-only mapping from name to class, which classes join with a decorator.

    Args:
        kind: What one name stands for, such as ``"modality"``; used in error messages.
        told: Called with each name as it joins.
    """

    def __init__(self, kind: str, *, told: Callable[[str], None] | None = None) -> None:
        self.kind = kind
        self._told = told
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Return a class decorator that files the class under ``name``."""

        def add(cls: C) -> C:
            if name in self._classes:
                raise RuntimeError(f"two classes claim the {self.kind} name {name!r}")
            self._classes[name] = cast("type[T]", cls)
            if self._told is not None:
                self._told(name)
            return cls

        return add

    def __getitem__(self, name: str) -> type[T]:
        if name in self._classes:
            return self._classes[name]
        raise InputError(
            f"there is no {self.kind} named {name!r}", fix=did_you_mean(name, self._classes)
        )

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        return len(self._classes)
