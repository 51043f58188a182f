"""Row numbers out of pickled pandas Series, without running what a pickle may tell to run.

The source keeps its splits as pickles. Their checksums are compared before anything is read; then
an unpickler reads them that knows NumPy's arrays, and for pandas' classes only stand-ins that keep
what they are given. So neither the pandas version nor the pickle decides what is executed.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np

from kagaku.data.catalogue.dataset import DataFile
from kagaku.errors import InputError

PARTS = ("train", "valid", "test")
"""What the three lists of a split are, in their order."""

_NUMPY_NAMES = ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer")

_HARMLESS = (("builtins", "slice"), ("__builtin__", "slice"), ("_codecs", "encode"))


def pickled_splits(file: DataFile, fetch: Callable[[str], bytes]) -> bytes:
    """Return the splits of a data set as JSON: split to part to row numbers, ascending.

    Args:
        file: Its sources are the pickles, named ``<set>.<split>.ind.pkl``.
        fetch: Gives them.

    Raises:
        InputError: A pickle has another checksum, or holds anything but lists of row numbers.
    """
    splits = {}
    for path, digits in zip(file.sources, file.source_sha256, strict=True):
        content = fetch(path)
        found = hashlib.sha256(content).hexdigest()
        if not found.startswith(digits):
            raise InputError(
                f"its source {path} has sha256 {found}, and the catalogue's begins with {digits}",
                fix=f"Nothing was read from it. Compare with {file.address}.",
                where=file.key,
            )
        name = PurePosixPath(path).name.split(".")[1]
        lists = unpickle_lists(content, len(PARTS))
        splits[name] = dict(zip(PARTS, map(sorted, lists), strict=True))
    return json.dumps(splits, separators=(",", ":")).encode()


def unpickle_lists(content: bytes, n_lists: int) -> list[list[int]]:
    """Return the lists of whole numbers that a pickled Series holds.

    Args:
        content: The pickle.
        n_lists: How many there must be.

    Raises:
        ValueError: The pickle names something else than NumPy's arrays and pandas' classes, or
            holds no such lists.
    """
    try:
        held = _ListUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError) as error:
        raise ValueError(f"not a pickled Series: {error}") from None
    for candidate in _sequences(held):
        lists = [_whole_numbers(one) for one in candidate]
        if len(lists) == n_lists and all(one is not None for one in lists):
            return cast("list[list[int]]", lists)
    raise ValueError(f"a pickled Series without {n_lists} lists of row numbers")


class _StandIn:
    """Takes the place of a pandas class or function, and keeps what it is given."""

    held: list[object]

    def __new__(cls, *args: object, **named: object) -> "_StandIn":
        made = super().__new__(cls)
        made.held = [*args, named]
        return made

    def __setstate__(self, state: object) -> None:
        self.held.append(state)


class _ListUnpickler(pickle.Unpickler):
    """Knows NumPy's arrays and slices; pandas' names become stand-ins, others are refused."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if package == "pandas":
            return _StandIn
        if (module, name) in _HARMLESS or (package == "numpy" and name in _NUMPY_NAMES):
            # NumPy 2 moved what the pickles of NumPy 1 name.
            return super().find_class(module.replace("numpy.core.", "numpy._core."), name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _sequences(held: object) -> Iterator[Sequence[object]]:
    """Yield every list, tuple and array of objects inside what was unpickled."""
    if isinstance(held, _StandIn):
        yield from _sequences(held.held)
    elif isinstance(held, dict):
        yield from _sequences(list(held.values()))
    elif isinstance(held, (list, tuple)) or (isinstance(held, np.ndarray) and held.dtype == object):
        yield cast(
            "Sequence[object]", held.ravel().tolist() if isinstance(held, np.ndarray) else held
        )
        for one in held:
            yield from _sequences(one)


def _whole_numbers(one: object) -> list[int] | None:
    """Return a list or array of whole numbers as a list; None if it is anything else."""
    if isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "iu":
        return cast("list[int]", one.tolist())
    if (
        isinstance(one, (list, tuple))
        and one
        and all(isinstance(x, (int, np.integer)) for x in one)
    ):
        return [int(cast("int", x)) for x in one]
    return None
