"""Fitted models on disk: nested values and arrays in one safetensors file, never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kagaku.data.whole_files import written_whole
from kagaku.errors import InputError

FORMAT = "kagaku-state"
FORMAT_VERSION = 1
_ARRAY, _MEND = "__array__", "Copy the run folder again, or fine-tune again."


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write a nested state to one file, through a temporary name.

    Arrays become tensors of the file and everything else JSON in its metadata, so a state may
    hold dictionaries with string keys, lists, strings, numbers, booleans, None and NumPy arrays.
    Tuples come back as lists; NumPy scalars come back as plain numbers.

    Args:
        state: What `Readout.state` gave, or dictionaries and lists of these.
        path: File to write; replaced in one step if it exists.

    Raises:
        InputError: The file cannot be written (disk full, no permission).
    """
    arrays: dict[str, np.ndarray] = {}
    tree = _without_arrays(state, arrays, "")
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "state": json.dumps(tree, allow_nan=True),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.touch()
            mode = partial.stat().st_mode
            save_file(arrays, partial, metadata=metadata)
            partial.chmod(mode)  # safetensors lets only the owner read it, whatever the umask says
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"the fitted model cannot be written ({error})",
            fix="Free some disk space or choose another output folder.",
            where=str(path),
        ) from error


def load_state(path: Path) -> dict[str, Any]:
    """Return the state that `save_state` wrote.

    Raises:
        InputError: The file is missing, cut off, not one of ours, or of a newer format.
    """
    metadata, arrays = _read(path)
    if metadata.get("format") != FORMAT:
        raise InputError(
            "this is a safetensors file, but not a fitted model of kagaku",
            fix="Point to a run folder that kagaku wrote.",
            where=str(path),
        )
    try:
        version = int(metadata["format_version"])
        tree = json.loads(metadata["state"]) if version <= FORMAT_VERSION else None
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the fitted model is damaged ({error})", fix=_MEND, where=str(path)
        ) from error
    if version > FORMAT_VERSION:
        raise InputError(
            f"the fitted model has format {version}, and this kagaku reads up to {FORMAT_VERSION}",
            fix="Upgrade kagaku: pip install --upgrade kagaku.",
            where=str(path),
        )
    try:
        state: dict[str, Any] = _with_arrays(tree, arrays)
    except KeyError as error:
        raise InputError(
            f"the fitted model lacks the array {error}", fix=_MEND, where=str(path)
        ) from error
    return state


def _read(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    if not path.is_file():
        raise InputError(
            "there is no fitted model here",
            fix="Point to a run folder that kagaku wrote.",
            where=str(path),
        )
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata: dict[str, str] = dict(stored.metadata() or {})
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"the fitted model cannot be read ({error})", fix=_MEND, where=str(path)
        ) from error
    return metadata, arrays


def _without_arrays(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise AssertionError(f"a state cannot hold an array of {value.dtype} at {name!r}")
        arrays[name] = np.ascontiguousarray(value)
        # safetensors drops nothing but a 0-dimensional shape, so the shape is kept beside it.
        return {_ARRAY: name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _without_arrays(one, arrays, f"{name}/{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(one, arrays, f"{name}/{i}") for i, one in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise AssertionError(f"a state cannot hold {type(value).__name__} at {name!r}")


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            return arrays[value[_ARRAY]].reshape(value["shape"])
        return {key: _with_arrays(one, arrays) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_arrays(one, arrays) for one in value]
    return value
