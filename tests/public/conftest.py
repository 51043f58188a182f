"""Random weights of public shapes, in the folders and the models of transformers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, EsmConfig, EsmForMaskedLM

# The vocabulary of every ESM checkpoint, in the order of its ids.
# https://huggingface.co/facebook/esm2_t6_8M_UR50D/blob/main/vocab.txt
ESM_VOCABULARY = (
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
)

# Blocks, width, heads and inner width: ESM-2 with 8 M weights.
# https://huggingface.co/facebook/esm2_t6_8M_UR50D/blob/main/config.json
ESM_8M = (6, 320, 20, 1280)


@dataclass(frozen=True)
class Reference:
    """A model of transformers, and the folder that it was saved to."""

    model: EsmForMaskedLM | BertForMaskedLM
    """In evaluation mode, float32."""

    folder: Path
    """In transformers' format."""


def spread(model: torch.nn.Module) -> None:
    """Draw biases and norms too, which start at 0 and 1, so that a forgotten one would show."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                is_scale = "norm" in name.lower() and name.endswith("weight")
                parameter.copy_(0.2 * torch.randn_like(parameter) + is_scale)
            else:
                parameter.copy_(1.5 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)


def esm_config(
    shape: tuple[int, int, int, int] = ESM_8M, *, is_rotary: bool = True, longest: int = 1022
) -> EsmConfig:
    depth, dim, heads, hidden = shape
    return EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=hidden,
        max_position_embeddings=longest + 4,
        position_embedding_type="rotary" if is_rotary else "absolute",
        token_dropout=True,
        emb_layer_norm_before=not is_rotary,
        layer_norm_eps=1e-5,
    )


@pytest.fixture(scope="session")
def make_esm() -> Callable[..., EsmForMaskedLM]:
    def make(
        shape: tuple[int, int, int, int] = ESM_8M, *, is_rotary: bool = True, longest: int = 1022
    ) -> EsmForMaskedLM:
        torch.manual_seed(0)
        model = EsmForMaskedLM(esm_config(shape, is_rotary=is_rotary, longest=longest))
        model.train(False)
        spread(model)
        model.tie_weights()
        return model

    return make


@pytest.fixture(scope="session")
def save_esm() -> Callable[[EsmForMaskedLM, Path], Path]:
    def save(model: EsmForMaskedLM, folder: Path) -> Path:
        model.save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(ESM_VOCABULARY), encoding="utf-8")
        return folder

    return save


@pytest.fixture(scope="session")
def esm(
    make_esm: Callable[..., EsmForMaskedLM],
    save_esm: Callable[[EsmForMaskedLM, Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Reference:
    """ESM-2 with 8 M random weights."""
    model = make_esm()
    return Reference(model, save_esm(model, tmp_path_factory.mktemp("esm") / "esm2_8m"))


@pytest.fixture(scope="session")
def small_esm(
    make_esm: Callable[..., EsmForMaskedLM],
    save_esm: Callable[[EsmForMaskedLM, Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Reference:
    """A small ESM that has seen 62 residues at most."""
    model = make_esm((2, 32, 4, 64), longest=62)
    return Reference(model, save_esm(model, tmp_path_factory.mktemp("esm") / "esm_small"))


WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "band", "gap", "of", "##s", "silicon")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Two blocks of SciBERT's and MatSciBERT's width, with a vocabulary of few words."""
    torch.manual_seed(0)
    # https://huggingface.co/allenai/scibert_scivocab_uncased/blob/main/config.json
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=768,
        num_hidden_layers=2,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
    )
    model = BertForMaskedLM(config)
    model.train(False)
    spread(model)
    model.tie_weights()
    folder = tmp_path_factory.mktemp("bert") / "scibert"
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return Reference(model, folder)


@pytest.fixture(scope="session")
def proteins() -> list[str]:
    """Sequences of many lengths, three of them equal."""
    rng = np.random.default_rng(0)
    lengths = (50, 33, 34, 50, 7, 120, 1, 50)
    return ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWYXUZOB"), size)) for size in lengths]


@pytest.fixture(scope="session")
def esm_ids() -> Callable[[str], list[int]]:
    """Ids of a sequence with start and end; ``_`` stands for the mask."""

    def ids(sequence: str) -> list[int]:
        letters: Sequence[str] = ["<mask>" if one == "_" else one for one in sequence]
        return [0, *(ESM_VOCABULARY.index(one) for one in letters), 2]

    return ids
