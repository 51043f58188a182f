"""A pretrained network on disk: the encoder as any other, and beside it what pretraining needs.

The encoder's own files are all that fine-tuning reads. The heads, the objectives and what the
modalities learnt lie in two more files, for generating, for aligning, and for going on.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.modalities import Modality
from kagaku.models.checkpoint import (
    load_encoder,
    read_stored,
    save_encoder,
    upgrade,
    write_tensors,
)
from kagaku.models.pretraining.fitting import restored_modality
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig

FORMAT_VERSION = 1
"""Raised by one whenever the stored heads or objectives would mean something else."""

HEADS_FILE, OBJECTIVES_FILE = "heads.safetensors", "objectives.json"

ENCODER_PREFIX = "encoder."
"""What the names of the encoder's weights begin with inside the network's."""


@dataclass(frozen=True)
class Pretrained:
    """What a pretraining leaves behind."""

    network: PretrainingNetwork
    """Encoder and heads, in evaluation mode."""

    modalities: dict[str, Modality[Any]]
    """By name, as fitted to the corpus."""

    descriptors: DescriptorScale | None
    """How the descriptors it predicts are named and standardised; None if it predicts none."""


def save_pretrained(
    network: PretrainingNetwork,
    modalities: Mapping[str, Modality[Any]],
    descriptors: DescriptorScale | None,
    folder: Path,
    *,
    name: str,
) -> None:
    """Write a network into a folder, through temporary names.

    Args:
        network: Whole, not sharded.
        modalities: By name, as fitted to the corpus.
        descriptors: How descriptors are named and standardised; None if there are none.
        folder: Made if it is not there; what it holds under the same names is replaced.
        name: What the encoder is called in reports from now on.
    """
    encoder = copy.copy(network.encoder)
    encoder.config = replace(encoder.config, name=name, is_pretrained=True)
    save_encoder(encoder, folder)
    weights = {
        key: tensor
        for key, tensor in network.state_dict().items()
        if not key.startswith(ENCODER_PREFIX)
    }
    write_tensors(weights, folder / HEADS_FILE)
    stored = {
        "format_version": FORMAT_VERSION,
        "objectives": network.config.to_json(),
        "descriptors": None if descriptors is None else asdict(descriptors),
        "summaries": network.n_summaries,
        "modalities": {key: modality.state() for key, modality in sorted(modalities.items())},
    }
    write_whole(json.dumps(stored, indent=1), folder / OBJECTIVES_FILE)


def load_pretrained(folder: Path) -> Pretrained:
    """Return what `save_pretrained` wrote, on the CPU.

    Raises:
        InputError: A file is missing, damaged, foreign, or of a newer format version.
    """
    for name in (OBJECTIVES_FILE, HEADS_FILE):
        if not (folder / name).is_file():
            raise InputError(
                f"there is no {name}",
                fix="Name a folder that holds a whole pretrained network; an encoder alone can "
                "be fine-tuned, but neither generate nor align.",
                where=str(folder),
            )
    encoder = load_encoder(folder)
    path = folder / OBJECTIVES_FILE
    parts = upgrade(read_stored(path), str(path), current=FORMAT_VERSION, steps={})
    try:
        scale = parts["descriptors"]
        descriptors = None if scale is None else restored_scale(scale)
        config = ObjectiveConfig.from_json(parts["objectives"])
        modalities = {
            name: restored_modality(name, state) for name, state in parts["modalities"].items()
        }
        with torch.random.fork_rng(devices=[]):
            network = PretrainingNetwork(
                encoder,
                config,
                0 if descriptors is None else len(descriptors.names),
                parts.get("summaries", {}),  # older weights were asked for none
            )
        weights = load_file(str(folder / HEADS_FILE))
        own = {f"{ENCODER_PREFIX}{key}": one for key, one in encoder.state_dict().items()}
        network.load_state_dict(own | weights)
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"its parts do not fit together ({str(error).splitlines()[0]})",
            fix="Copy the folder again: a file is damaged or was mixed with another's.",
            where=str(folder),
        ) from None
    return Pretrained(network.eval(), modalities, descriptors)


def restored_scale(stored: Mapping[str, Any]) -> DescriptorScale:
    """Return the scale of descriptors whose fields were stored as JSON lists."""
    return DescriptorScale(
        names=tuple(stored["names"]), mean=tuple(stored["mean"]), std=tuple(stored["std"])
    )
