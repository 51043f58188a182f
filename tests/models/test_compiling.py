"""Compiled blocks: networks of many sizes, one after the other in one process."""

from typing import Any

import torch
from torch import Tensor, nn

from kagaku.models.pretraining.compiling import compile_blocks


class Twice(nn.Module):
    """Doubles a linear layer's output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = 2 * self.layer(x)
        return out


def test_a_ladder_of_sizes_is_compiled_to_its_last_network() -> None:
    compiled: list[Any] = []

    def backend(module: Any, _: Any) -> Any:
        compiled.append(module)
        return module.forward

    # torch gives a function up after eight shapes.
    for width in range(1, 12):
        assert compile_blocks(nn.Identity()) == 0
        network = Twice(width)
        network.compile(backend=backend, dynamic=False)
        network(torch.zeros(2, width))
    assert len(compiled) == 11
