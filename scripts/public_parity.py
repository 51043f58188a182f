"""Print how far the packed networks are from transformers' and timm's, on random weights.

Of the published shapes, all records packed together here and read one by one there. Run with:
python scripts/public_parity.py [NAME ...], where names are those of `SHAPES`. Without
hardware for bfloat16 its columns take hours: --float32 leaves them out.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kagaku.models.public.config import token_model_config
from kagaku.models.public.names import token_network
from kagaku.models.public.running import packed_ids
from kagaku.models.public.vision_network import from_timm

LENGTHS = (50, 33, 34, 50, 7, 200, 1, 400, 1022)
"""Residues of the proteins that are packed together; texts end at 510 word pieces."""

IMAGES = ((14, 14), (3, 5), (14, 14), (20, 9))
"""Rows and columns of patches of the images that are packed together."""


@dataclass(frozen=True)
class Pair:
    """One network of random weights in both implementations, and the records that both read."""

    theirs: nn.Module
    """Of transformers or timm, float32."""

    read_theirs: Callable[[nn.Module], Tensor]
    """Their answers, one record after another, in the precision of the network."""

    read_ours: Callable[[torch.dtype], Tensor]
    """Ours of all records at once, in a precision."""


def spread(model: nn.Module) -> None:
    """Draw biases and norms too, which start at 0 and 1, so that a forgotten one would show."""
    with torch.no_grad():
        for name, one in model.named_parameters():
            if one.dim() == 1:
                is_scale = "norm" in name.lower() and name.endswith("weight")
                one.copy_(0.2 * torch.randn_like(one) + is_scale)
            else:
                one.copy_(1.5 * torch.randn_like(one) / one.shape[-1] ** 0.5)


def token_pair(model: Any, sequences: Sequence[np.ndarray]) -> Pair:
    """Return a masked language model of transformers beside ours; answers are its logits."""
    spread(model)
    model.tie_weights()
    model.train(False)
    batch = packed_ids(sequences)

    def one_by_one(network: Any) -> Tensor:
        logits = [network(torch.tensor(one)[None]).logits[0] for one in sequences]
        return torch.cat(logits).float()

    def packed(dtype: torch.dtype) -> Tensor:
        config = token_model_config(model.config.to_dict())
        network = token_network(config, model.state_dict(), dtype=dtype)
        return network.logits(network(batch)).float()

    return Pair(model, one_by_one, packed)


def esm(blocks: int, width: int, heads: int, inner: int, *, is_rotary: bool = True) -> Pair:
    """Return an ESM. Shapes: https://huggingface.co/facebook/esm2_t33_650M_UR50D."""
    from transformers import EsmConfig, EsmForMaskedLM

    torch.manual_seed(0)
    config = EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=1026,
        position_embedding_type="rotary" if is_rotary else "absolute",
        token_dropout=True,
        emb_layer_norm_before=not is_rotary,
        layer_norm_eps=1e-5,
    )
    rng = np.random.default_rng(0)
    sequences = [np.array([0, *rng.integers(4, 24, length), 2]) for length in LENGTHS]
    sequences[0][5] = sequences[2][3] = 32
    return token_pair(EsmForMaskedLM(config), sequences)


def bert(blocks: int, vocabulary: int) -> Pair:
    """Return a BERT of base width. Shape: https://huggingface.co/allenai/scibert_scivocab_uncased."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(vocab_size=vocabulary, num_hidden_layers=blocks)
    rng = np.random.default_rng(0)
    sequences = [
        np.array([102, *rng.integers(104, vocabulary, min(length, 510)), 103]) for length in LENGTHS
    ]
    return token_pair(BertForMaskedLM(config), sequences)


def vit(name: str) -> Pair:
    """Return a vision transformer of timm beside ours; answers are its tokens."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, dynamic_img_size=True)
    with torch.no_grad():
        for one in model.parameters():
            if one.dim() < 3:
                one.add_(0.05 * torch.randn_like(one))
            else:
                one.normal_()
        model.patch_embed.proj.weight.mul_(model.patch_embed.proj.weight[0].numel() ** -0.5)
    model.eval()
    side = model.patch_embed.patch_size[0]
    images = [torch.randn(3, rows * side, columns * side) for rows, columns in IMAGES]

    def one_by_one(network: Any) -> Tensor:
        dtype = next(network.parameters()).dtype
        found = [network.forward_features(image[None].to(dtype))[0] for image in images]
        return torch.cat(found).float()

    def packed(dtype: torch.dtype) -> Tensor:
        tokens: Tensor = from_timm(model).to(dtype)(images)[0]
        return tokens.float()

    return Pair(model, one_by_one, packed)


SHAPES: dict[str, Callable[[], Pair]] = {
    "ESM-2 8M, whole": lambda: esm(6, 320, 20, 1280),
    "ESM-2 35M, one block": lambda: esm(1, 480, 20, 1920),
    "ESM-2 150M, one block": lambda: esm(1, 640, 20, 2560),
    "ESM-2 650M, one block": lambda: esm(1, 1280, 20, 5120),
    "ESM-2 650M, whole": lambda: esm(33, 1280, 20, 5120),
    "ESM-2 3B, one block": lambda: esm(1, 2560, 40, 10240),
    "ESM-2 15B, one block": lambda: esm(1, 5120, 40, 20480),
    "ESM-1b, one block": lambda: esm(1, 1280, 20, 5120, is_rotary=False),
    "SciBERT, whole": lambda: bert(12, 31_090),
    "ViT base 16, whole": lambda: vit("vit_base_patch16_224"),
    "DINOv2 small 14 with registers, whole": lambda: vit("vit_small_patch14_reg4_dinov2"),
}
"""Blocks, width, heads and inner width as published; 3B and 15B are too large for most machines."""


@torch.no_grad()
def figures(pair: Pair, *, with_bfloat16: bool) -> str:
    """Return the spread of the answers, and by how much both are off."""
    exact = pair.read_theirs(pair.theirs)
    largest = (pair.read_ours(torch.float32) - exact).abs().max()
    line = f"{exact.std():.2f} | {largest:.1e}"
    if not with_bfloat16:
        return line
    rounded = (
        pair.read_ours(torch.bfloat16),
        pair.read_theirs(copy.deepcopy(pair.theirs).bfloat16()),
    )
    shares = [float((one - exact).square().mean().sqrt() / exact.std()) for one in rounded]
    return f"{line} | {shares[0]:.1%} of the spread | {shares[1]:.1%}"


def main() -> None:
    """Print one line per shape."""
    parser = argparse.ArgumentParser(description="Compare on random weights of published shapes.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SHAPES)}; default: all")
    parser.add_argument("--float32", action="store_true", help="leave bfloat16 out")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(SHAPES)):
        parser.error(f"unknown shapes: {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    print("shape | spread of answers | float32, largest | bfloat16, root mean square | theirs")
    for name in asked.names or SHAPES:
        line = figures(SHAPES[name](), with_bfloat16=not asked.float32)
        print(f"{name} | {line}", flush=True)


if __name__ == "__main__":
    main()
