"""How many tokens a batch holds that is read without gradients: as many as a device is quick with.

On a CPU what passes between two layers has to stay in its cache. In float32, batches of 2,048
tokens were read 1.24 times as fast as such of 8,192 by an ESM-2 of 8M (proteins of mixed lengths),
1.15 times by one of 35M, 1.3 to 1.4 times by kagaku-tiny (molecules, texts) and 1.2 times by a
small ViT; 1,024 and 4,096 were between these or level, but 1,024 was a
twentieth faster for the ESM-2 of 35M (AMD EPYC with AVX2, 2 cores, torch 2.14).
Numbers of two bytes take half the room: in bfloat16, 2,048, 4,096, 8,192 and 16,384 tokens gave
8,210, 8,320, 8,600 and 7,420 residues per second (AVX-512).
"""

from torch import Tensor

from kagaku.models.precision import product_dtype

BUDGET = 8_192
"""Tokens of a batch where numbers have two bytes, or on a GPU."""

CPU_FLOAT32_BUDGET = 2_048
"""Tokens of a batch in float32 on a CPU."""


def reading_budget(weights: Tensor) -> int:
    """Return how many tokens a batch should hold where no gradients are taken.

    Args:
        weights: Any of the network's: where and, with autocast in mind, in what it computes.
    """
    if weights.device.type == "cpu" and product_dtype(weights).itemsize > 2:
        return CPU_FLOAT32_BUDGET
    return BUDGET
