"""Encoders on disk: weights as safetensors beside a JSON file; nothing pickled is ever read."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kagaku.data.whole_files import write_whole, written_whole
from kagaku.errors import InputError
from kagaku.models.encoder import Encoder, EncoderConfig

FORMAT_VERSION = 1
"""Raised by one whenever a stored encoder would mean something else, with an upgrade below."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By old version, the step that turns its JSON into the next version's."""

WEIGHTS_FILE, CONFIG_FILE = "encoder.safetensors", "encoder.json"


def upgrade(
    stored: Mapping[str, Any],
    where: str,
    *,
    current: int = FORMAT_VERSION,
    steps: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = UPGRADES,
) -> dict[str, Any]:
    """Return stored JSON in the current format.

    Raises:
        InputError: It has no version, or was written by a newer kagaku.
    """
    version = stored.get("format_version")
    if not isinstance(version, int):
        raise InputError(
            "there is no format_version, so this is not a file that kagaku wrote",
            fix="Copy the folder again, or make it again.",
            where=where,
        )
    if version > current:
        raise InputError(
            f"it has format version {version}, and this kagaku reads up to {current}",
            fix="Install a newer kagaku.",
            where=where,
        )
    parts = dict(stored)
    for step in range(version, current):
        parts = steps[step](parts)
    return parts


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors as safetensors, through a temporary name."""
    with written_whole(path) as partial:
        partial.touch()
        mode = partial.stat().st_mode
        save_file({name: one.detach().contiguous() for name, one in tensors.items()}, str(partial))
        partial.chmod(mode)  # safetensors lets only the owner read it, whatever the umask says


def read_stored(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        InputError: It is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"it is not JSON ({error})", fix="Copy the folder again.", where=str(path)
        ) from None


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder's weights and configuration into a folder, through temporary names."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(encoder.state_dict(), folder / WEIGHTS_FILE)
    stored = {"format_version": FORMAT_VERSION, **encoder.config.to_json()}
    write_whole(json.dumps(stored, indent=1), folder / CONFIG_FILE)


def load_encoder(folder: Path) -> Encoder:
    """Return the encoder that `save_encoder` wrote, on the CPU, in evaluation mode.

    Raises:
        InputError: A file is missing, damaged, foreign, or of a newer format version.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise InputError(
                f"there is no {name}", fix="Name a folder that holds an encoder.", where=str(folder)
            )
    where = str(folder / CONFIG_FILE)
    parts = upgrade(read_stored(folder / CONFIG_FILE), where)
    del parts["format_version"]
    try:
        encoder = Encoder(EncoderConfig.from_json(parts))
        weights = load_file(str(folder / WEIGHTS_FILE))
        encoder.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"its parts do not fit together ({str(error).splitlines()[0]})",
            fix="Copy the folder again: a file is damaged or was mixed with another's.",
            where=str(folder),
        ) from None
    return encoder.eval()


def encoder_checksum(encoder: Encoder) -> str:
    """Return the SHA-256 of an encoder's configuration and weights, wherever they lie."""
    digest = hashlib.sha256(json.dumps(encoder.config.to_json(), sort_keys=True).encode())
    for name, weights in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        plain = weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()


def untrained_encoder(config: EncoderConfig | None = None, *, seed: int = 0) -> Encoder:
    """Return an encoder with random weights that depend on the seed only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config or EncoderConfig())
    return encoder.eval()
