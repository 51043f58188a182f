"""Columns of BinaryCIF files: msgpack with a chain of encodings per column.

Source: https://github.com/molstar/BinaryCIF/blob/master/encoding.md
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {
    1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"
}  # fmt: skip


def read_categories(path: Path, wanted: dict[str, tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    """Return columns of the first data block, by category and column name.

    Args:
        path: The file.
        wanted: By category (without its underscore), the columns to decode.
    """
    import msgpack  # type: ignore[import-untyped]  # it ships no type information

    stored = msgpack.unpackb(path.read_bytes(), strict_map_key=False)
    found: dict[str, dict[str, Any]] = {}
    for category in stored["dataBlocks"][0]["categories"]:
        name = category["name"].removeprefix("_")
        columns = {one["name"]: one for one in category["columns"]}
        if name in wanted:
            found[name] = {one: _decode(columns[one]["data"]) for one in wanted[name]}
    return found


def _decode(data: dict[str, Any]) -> np.ndarray:
    """Return the values of an encoded array: the encodings undone from the last to the first."""
    values: Any = data["data"]
    for encoding in reversed(data["encoding"]):
        values = _DECODERS[encoding["kind"]](values, encoding)
    array: np.ndarray = values
    return array


def _byte_array(values: bytes, encoding: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(values, dtype=_TYPES[encoding["type"]])


def _fixed_point(values: np.ndarray, encoding: dict[str, Any]) -> np.ndarray:
    return np.asarray(values.astype(_TYPES[encoding["srcType"]]) / encoding["factor"])


def _run_length(values: np.ndarray, encoding: dict[str, Any]) -> np.ndarray:
    return np.repeat(values[::2], values[1::2]).astype(_TYPES[encoding["srcType"]])


def _delta(values: np.ndarray, encoding: dict[str, Any]) -> np.ndarray:
    summed = np.cumsum(values, dtype=np.int64) + encoding["origin"]
    return np.asarray(summed, dtype=_TYPES[encoding["srcType"]])


def _integer_packing(values: np.ndarray, encoding: dict[str, Any]) -> np.ndarray:
    """Undo packing: an entry at the limit of its type continues in the next one."""
    limits = np.iinfo(values.dtype)
    continues = values == limits.max
    if not encoding["isUnsigned"]:
        continues |= values == limits.min
    ends = np.flatnonzero(~continues)
    starts = np.concatenate([[0], ends[:-1] + 1])
    return np.add.reduceat(values.astype(np.int64), starts) if len(ends) else values[:0]


def _string_array(values: bytes, encoding: dict[str, Any]) -> np.ndarray:
    indices = _decode({"data": values, "encoding": encoding["dataEncoding"]})
    offsets = _decode({"data": encoding["offsets"], "encoding": encoding["offsetEncoding"]})
    text = encoding["stringData"]
    strings = [text[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    return np.asarray(
        np.array([*strings, ""], dtype=object)[indices]
    )  # -1 stands for a missing value


_DECODERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "ByteArray": _byte_array,
    "FixedPoint": _fixed_point,
    "RunLength": _run_length,
    "Delta": _delta,
    "IntegerPacking": _integer_packing,
    "StringArray": _string_array,
}
