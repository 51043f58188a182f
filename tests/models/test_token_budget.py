"""How many tokens a batch holds that is read without gradients."""

import pytest
import torch

from kagaku.computing import Computing
from kagaku.models import untrained_encoder
from kagaku.models.backbone import BackboneConfig
from kagaku.models.encoder import EncoderConfig
from kagaku.models.token_budget import BUDGET, CPU_FLOAT32_BUDGET, reading_budget


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.float32, CPU_FLOAT32_BUDGET),
        ("cpu", torch.bfloat16, BUDGET),
        ("meta", torch.float32, BUDGET),  # any other device
        ("meta", torch.bfloat16, BUDGET),
    ],
)
def test_only_wide_numbers_on_a_cpu_get_small_batches(
    device: str, dtype: torch.dtype, expected: int
) -> None:
    assert reading_budget(torch.empty(1, device=device, dtype=dtype)) == expected


def test_what_is_computed_in_decides_and_not_what_weights_are_kept_in() -> None:
    small = BackboneConfig(dim=32, depth=1, heads=2, hidden=48)
    encoder = untrained_encoder(EncoderConfig("small", ("protein",), small))
    weights = encoder.column_embedding.weight
    for precision, expected in (("float32", CPU_FLOAT32_BUDGET), ("bfloat16", BUDGET)):
        computing = Computing("cpu", precision)
        computing.place(encoder)
        with computing.running(encoder):
            assert reading_budget(weights) == expected
