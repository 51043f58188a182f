"""An exponential moving average of the weights, often better than the last weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """The running average of a network's parameters, in the same shards as they are.

    Args:
        network: Its present weights start the average.
        decay: Share of the average that is kept at each step.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.weights = [one.detach().clone() for one in network.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        for average, parameter in zip(self.weights, self.network.parameters(), strict=True):
            average.lerp_(parameter.detach(), 1 - self.decay)

    @torch.no_grad()
    def take(self) -> None:
        """Take the network's present weights for the average itself."""
        for average, parameter in zip(self.weights, self.network.parameters(), strict=True):
            average.copy_(parameter.detach())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the averaged weights for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for average, parameter in zip(self.weights, self.network.parameters(), strict=True):
            present = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(present)
