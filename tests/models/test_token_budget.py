"""How many tokens a batch holds that is read without gradients."""

import pytest
import torch

from kagaku.models.token_budget import reading_budget


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.float32, 2_048),
        ("cpu", torch.bfloat16, 8_192),
        ("cuda", torch.float32, 8_192),
        ("cuda", torch.bfloat16, 8_192),
    ],
)
def test_only_wide_numbers_on_a_cpu_get_small_batches(
    device: str, dtype: torch.dtype, expected: int
) -> None:
    assert reading_budget(torch.device(device), dtype) == expected
