"""Muon in float32.

torch's Muon orthogonalises its updates in bfloat16. Where a processor has no instructions for that
(AMD EPYC of the third generation), it took 10.2 of the 16.6 seconds of a step of kagaku-tiny.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Muon

RMS = 0.2
"""Root mean square of an update, as AdamW's usually is (Liu et al. 2025,
https://arxiv.org/abs/2502.16982)."""


class Float32Muon(Muon):
    """torch's Muon with products in float32.

    Its state is that of torch's Muon. Updates are always as large as AdamW's
    (``adjust_lr_fn="match_rms_adamw"``).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the weights once; see `torch.optim.Muon.step`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._change(weight, weight.grad, group)
        return loss

    def _change(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(mean, group["momentum"]) if group["nesterov"] else mean
        update = orthogonalised(
            update, group["ns_coefficients"], group["ns_steps"], smallest=group["eps"]
        )
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(update, alpha=group["lr"] * RMS * max(weight.shape) ** 0.5)


def orthogonalised(
    matrix: Float[Tensor, "out in"],
    coefficients: Sequence[float],
    n_steps: int,
    *,
    smallest: float,
) -> Float[Tensor, "out in"]:
    """Return a matrix with the same singular vectors and singular values near 1.

    By the quintic Newton-Schulz iteration of Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/, which sends each singular value s to
    a s + b s^3 + c s^5 again and again.

    Args:
        matrix: In any precision; products are computed in it.
        coefficients: a, b and c.
        n_steps: How often.
        smallest: Norm below which a matrix is not divided by its own.
    """
    a, b, c = coefficients
    is_tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=smallest)
    for _ in range(n_steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if is_tall else x
