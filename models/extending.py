"""Encoders that learn to read a modality which they were not built for."""

import copy
import hashlib
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from kagaku.modalities import MODALITIES
from kagaku.models.encoder import Encoder


def extended(encoder: Encoder, modalities: Iterable[str]) -> Encoder:
    """Return an encoder that reads these modalities too.

    Embedders that are missing are drawn anew, the same on every machine: their weights depend on
    the modality's name and the encoder's width alone. An embedder gives values of about unit size,
    before and after pretraining (the contract test holds it to that), so new ones need no scaling
    beside learnt ones. All other weights stay what they are, and the configuration says of the new
    modalities that nothing has been learnt of them.

    Args:
        encoder: Not changed. Returned as it is if it reads everything.
        modalities: Registered names.

    Raises:
        InputError: A name is not registered.
    """
    missing = sorted(set(modalities) - set(encoder.config.modalities))
    if not missing:
        return encoder
    grown = copy.deepcopy(encoder)
    like = grown.column_embedding.weight
    for name in missing:
        grown.embedders[name] = _drawn(name, encoder.dim).to(like.device, like.dtype)
    grown.embedders.train(encoder.training)
    grown.config = replace(
        encoder.config,
        modalities=(*encoder.config.modalities, *missing),
        untrained=(*encoder.config.untrained, *missing),
    )
    return grown


def _drawn(name: str, dim: int) -> nn.Module:
    """Return a modality's embedder with random weights that depend on its name and width alone."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest())
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        return MODALITIES[name]().embedder(dim)
