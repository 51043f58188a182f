"""Opening a public model's folder: what is in it, and which encoder that makes."""

from pathlib import Path

import torch

from kagaku.errors import InputError
from kagaku.models.checkpoint import read_stored
from kagaku.models.public.alphabet import STANDARD, VOCABULARY_FILE, ResidueAlphabet
from kagaku.models.public.config import token_model_config
from kagaku.models.public.encoder import Origin, PublicEncoder, precision_of
from kagaku.models.public.names import token_network
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.models.public.texts import (
    POOLING_FILE,
    TOKENIZER_FILES,
    TextEncoder,
    read_pooling,
    read_tokenizer,
)
from kagaku.models.public.weights import CONFIG_FILE, read_weights


def load_public(
    folder: str | Path,
    *,
    vocabulary: str | Path | None = None,
    precision: str = "float32",
    device: torch.device | str = "cpu",
) -> PublicEncoder:
    """Return the encoder in a folder of transformers' or timm's format.

    Args:
        folder: Holds config.json, the weights (safetensors, or torch's), and what tokenises.
        vocabulary: A vocab.txt that stands elsewhere.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``: of the weights, and so of all
            that is computed.
        device: Where the weights shall be.

    Returns:
        A `ProteinLanguageModel` for ESM and for a BERT on residues; a `TextEncoder` for another
        BERT; a `VisionEncoder` for a vision transformer of timm.

    Raises:
        InputError: A file is missing or damaged, the architecture is not supported, or the weights
            are not exactly those of the architecture; the message names them.
    """
    folder = Path(folder)
    dtype = precision_of(precision)
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise InputError(
            f"there is no {CONFIG_FILE}",
            fix="Name a folder of transformers' or timm's format.",
            where=str(folder),
        )
    stored = read_stored(path)
    if not isinstance(stored, dict):
        raise InputError("it holds no settings", fix="Copy the folder again.", where=str(path))
    try:
        if "architecture" in stored and "model_type" not in stored:  # timm's
            from kagaku.models.public.vision import load_vision

            encoder: PublicEncoder = load_vision(folder, stored)
            return encoder.to(device, precision)
        try:
            config = token_model_config(stored)
        except InputError as error:
            raise error.at(str(path)) from None
        network = token_network(config, read_weights(folder), dtype=dtype)
    except InputError as error:
        raise error if error.where else error.at(str(folder)) from None
    words = Path(vocabulary) if vocabulary is not None else folder / VOCABULARY_FILE
    if config.family == "esm" or _has_residues(words):
        alphabet = ResidueAlphabet.read(words, config.vocabulary_size)
        if config.dropped_token not in (None, alphabet.mask):
            raise InputError(
                f"its mask_token_id is {config.dropped_token}, and {alphabet.mask} in {words.name}",
                fix="Copy the vocabulary and config.json again, from the same place.",
                where=str(path),
            )
        origin = Origin.of(folder, [VOCABULARY_FILE])
        return ProteinLanguageModel(network, origin, alphabet).to(device)
    tokenizer = read_tokenizer(folder, config.vocabulary_size)
    origin = Origin.of(folder, [*TOKENIZER_FILES, str(POOLING_FILE)])
    return TextEncoder(network, origin, tokenizer, pooling=read_pooling(folder)).to(device)


MOST_RESIDUES = 64
"""Tokens of the largest vocabulary that may be one of residues."""


def _has_residues(vocabulary: Path) -> bool:
    """Return whether a vocabulary is one of single residues, and not of words."""
    if not vocabulary.is_file():
        return False
    tokens = vocabulary.read_text(encoding="utf-8").split()
    return len(tokens) <= MOST_RESIDUES and set(STANDARD) <= set(tokens)
