"""Weights files of public models: safetensors or torch's, whole or in shards; never a pickle."""

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from kagaku.errors import InputError
from kagaku.models.checkpoint import read_stored

CONFIG_FILE = "config.json"

WHOLE = ("model.safetensors", "pytorch_model.bin")
"""Names of weights in one file, in the order in which they are preferred."""

INDEXED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""Names of the lists that say which weight lies in which shard."""

_MEND = "Copy the folder again: a file is damaged or was mixed with another's."


def is_public(folder: Path) -> bool:
    """Return whether a folder holds a model of transformers' or timm's format."""
    return (folder / CONFIG_FILE).is_file() and any(
        (folder / name).is_file() for name in (*WHOLE, *INDEXED)
    )


def weights_files(folder: Path) -> list[Path]:
    """Return the files that hold a model's weights.

    Raises:
        InputError: There are none, or a shard is missing.
    """
    for whole, indexed in zip(WHOLE, INDEXED, strict=True):
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / indexed).is_file():
            return _shards(folder, folder / indexed)
    raise InputError(
        "there are no weights",
        fix=f"A public model's folder has one of {[*WHOLE, *INDEXED]}.",
        where=str(folder),
    )


def _shards(folder: Path, index: Path) -> list[Path]:
    places = read_stored(index)
    places = places.get("weight_map") if isinstance(places, dict) else None
    if not isinstance(places, dict) or not places:
        raise InputError("it names no weights (weight_map)", fix=_MEND, where=str(index))
    names = sorted(set(map(str, places.values())))
    if outside := [name for name in names if Path(name).name != name]:
        raise InputError(
            f"it names files outside its folder: {outside}", fix=_MEND, where=str(index)
        )
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise InputError(
            f"of {len(names)} shards {len(missing)} are missing: {missing[:5]}",
            fix="Copy the folder again, with all its shards.",
            where=str(folder),
        )
    return [folder / name for name in names]


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return every weight of a public model by its name, on the CPU, as it is stored.

    Raises:
        InputError: A file is missing, damaged, or holds something else than weights.
    """
    weights: dict[str, Tensor] = {}
    for path in weights_files(folder):
        weights.update(_read(path))
    return weights


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            read: dict[str, Tensor] = load_file(str(path))
            return read
        # `weights_only` refuses whatever is no plain tensor, so no code of the file is run.
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"the weights cannot be read ({str(error).splitlines()[0]})",
            fix=_MEND,
            where=str(path),
        ) from None
    if not isinstance(stored, dict) or not all(isinstance(one, Tensor) for one in stored.values()):
        raise InputError("it holds something else than weights", fix=_MEND, where=str(path))
    return stored
