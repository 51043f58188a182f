"""Print how far the packed ESM is from transformers' on random weights of the published shapes.

Run with: python scripts/public_parity.py
"""

import copy

import numpy as np
import torch
from transformers import EsmConfig, EsmForMaskedLM

from kagaku.models.public.config import token_model_config
from kagaku.models.public.names import token_network
from kagaku.models.public.running import packed_ids

# Blocks, width, heads and inner width. The first is whole; of the others one block each.
# https://huggingface.co/facebook/esm2_t48_15B_UR50D/blob/main/config.json
SHAPES = {
    "ESM-2 8M": (6, 320, 20, 1280),
    "ESM-2 35M, one block": (1, 480, 20, 1920),
    "ESM-2 150M, one block": (1, 640, 20, 2560),
    "ESM-2 650M, one block": (1, 1280, 20, 5120),
    "ESM-2 3B, one block": (1, 2560, 40, 10240),
    "ESM-2 15B, one block": (1, 5120, 40, 20480),
    "ESM-1b, one block": (1, 1280, 20, 5120),
}

LENGTHS = (50, 33, 34, 50, 7, 200, 1, 400, 1022)
"""Residues of the sequences that are packed together."""


def random_esm(shape: tuple[int, int, int, int], *, is_rotary: bool) -> EsmForMaskedLM:
    """Return an ESM whose biases and norms are random too, so that a forgotten one would show."""
    depth, dim, heads, hidden = shape
    torch.manual_seed(0)
    model = EsmForMaskedLM(
        EsmConfig(
            vocab_size=33,
            mask_token_id=32,
            pad_token_id=1,
            hidden_size=dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=hidden,
            max_position_embeddings=1026,
            position_embedding_type="rotary" if is_rotary else "absolute",
            token_dropout=True,
            emb_layer_norm_before=not is_rotary,
            layer_norm_eps=1e-5,
        )
    )
    with torch.no_grad():
        for name, one in model.named_parameters():
            if one.dim() == 1:
                is_scale = "norm" in name.lower() and name.endswith("weight")
                one.copy_(0.2 * torch.randn_like(one) + is_scale)
            else:
                one.copy_(1.5 * torch.randn_like(one) / one.shape[-1] ** 0.5)
    model.tie_weights()
    model.train(False)
    return model


def main() -> None:
    """Print one line per shape: the largest difference in float32, the spread, and bfloat16's."""
    rng = np.random.default_rng(0)
    sequences = [np.array([0, *rng.integers(4, 24, length), 2]) for length in LENGTHS]
    sequences[0][5] = sequences[2][3] = 32
    batch = packed_ids(sequences)

    def one_by_one(model: EsmForMaskedLM) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(torch.tensor(one)[None]).logits[0] for one in sequences])

    print("shape | spread of logits | float32, largest | bfloat16, root mean square | theirs")
    for name, shape in SHAPES.items():
        model = random_esm(shape, is_rotary="ESM-2" in name)
        exact = one_by_one(model)
        config, weights = token_model_config(model.config.to_dict()), model.state_dict()
        found = []
        for dtype in (torch.float32, torch.bfloat16):
            network = token_network(config, weights, dtype=dtype)
            with torch.no_grad():
                found.append(network.logits(network(batch)).float())
        theirs = one_by_one(copy.deepcopy(model).bfloat16()).float()
        rounded, their_rounded = (
            float((one - exact).square().mean().sqrt() / exact.std()) for one in (found[1], theirs)
        )
        print(
            f"{name} | {exact.std():.2f} | {(found[0] - exact).abs().max():.1e} | "
            f"{rounded:.1%} of the spread | {their_rounded:.1%}"
        )


if __name__ == "__main__":
    main()
