"""Made proteins, and one model with random weights for both contenders to read them with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from transformers import EsmConfig, EsmForMaskedLM

from kagaku.api import load
from kagaku.models.precision import is_bfloat16_faster
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.speed.part import EsmShape

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"

MEDIAN, SIGMA, SHORTEST = 300, 0.6, 30
"""Residues of a log-normal distribution of lengths, its width in ln, the least residues."""

# The order of ESM's own vocabulary:
# https://huggingface.co/facebook/esm2_t6_8M_UR50D/blob/main/vocab.txt
TOKENS = (
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
)


def log_normal_lengths(n_proteins: int, longest: int) -> list[int]:
    """Return lengths of proteins in random order, always the same."""
    drawn = np.random.default_rng(0).lognormal(np.log(MEDIAN), SIGMA, n_proteins)
    return [int(one) for one in drawn.round().clip(min(SHORTEST, longest), longest)]


def made_proteins(lengths: Sequence[int]) -> list[str]:
    """Return random proteins of given lengths, always the same."""
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list(RESIDUES), length)) for length in lengths]


def save_random_esm(folder: Path, shape: EsmShape) -> Path:
    """Write an ESM-2 of random weights as transformers does, and return its folder."""
    config = EsmConfig(
        vocab_size=len(TOKENS),
        mask_token_id=TOKENS.index("<mask>"),
        pad_token_id=TOKENS.index("<pad>"),
        hidden_size=shape.dim,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        intermediate_size=shape.hidden,
        max_position_embeddings=shape.positions,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
        layer_norm_eps=1e-5,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        EsmForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    return folder


def fastest_precision() -> str:
    """Return in what the machine at hand is compared: bfloat16 where that is the faster."""
    return "bfloat16" if is_bfloat16_faster(torch.device("cpu")) else "float32"


def our_model(folder: Path, precision: str) -> ProteinLanguageModel:
    """Return the model as kagaku opens it."""
    model = load(folder)
    assert isinstance(model, ProteinLanguageModel)
    return model.to(precision=precision)


class ReferenceModel:
    """The model as transformers opens it, on padded batches.

    Args:
        folder: Holds it.
        precision: Of the weights.
    """

    def __init__(self, folder: Path, precision: str) -> None:
        dtype = getattr(torch, precision)
        self.model = EsmForMaskedLM.from_pretrained(folder, dtype=dtype).esm
        self.model.train(False)

    def token_ids(self, proteins: Sequence[str]) -> list[torch.Tensor]:
        """Return the tokens of each protein; made beforehand, so the time is the model's alone."""
        places = {token: place for place, token in enumerate(TOKENS)}
        start, end = places["<cls>"], places["<eos>"]
        return [torch.tensor([start, *(places[one] for one in p), end]) for p in proteins]

    def embed(
        self, ids: Sequence[torch.Tensor], batch_size: int, *, is_sorted: bool
    ) -> Float[np.ndarray, "protein dim"]:
        """Return the mean embedding of each protein's residues, float32, in their order."""
        order = list(range(len(ids)))
        if is_sorted:
            order.sort(key=lambda index: -len(ids[index]))
        means = torch.empty(len(ids), self.model.config.hidden_size)
        with torch.inference_mode():
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                means[chosen] = self._means([ids[index] for index in chosen])
        return means.numpy()

    def _means(self, ids: Sequence[torch.Tensor]) -> torch.Tensor:
        padded = torch.nn.utils.rnn.pad_sequence(
            list(ids), batch_first=True, padding_value=float(TOKENS.index("<pad>"))
        )
        lengths = torch.tensor([len(one) for one in ids])[:, None]
        place = torch.arange(padded.shape[1])[None]
        there = place < lengths
        found = self.model(padded, attention_mask=there.long()).last_hidden_state.float()
        inner = ((place > 0) & (place < lengths - 1)).unsqueeze(2)
        means: torch.Tensor = (found * inner).sum(1) / inner.sum(1)
        return means
