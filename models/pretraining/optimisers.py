"""Optimisers of pretraining, and the learning rate as a function of the step alone."""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from kagaku.models.backbone import Backbone
from kagaku.models.pretraining.limits import check_limits, check_words
from kagaku.models.pretraining.muon import Float32Muon

OPTIMISERS = ("muon", "adamw")
DECAYS = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights are changed."""

    name: str = "muon"
    """``"muon"``: Muon for the matrices of the backbone, AdamW for the rest. ``"adamw"``: AdamW
    for everything."""

    learning_rate: float = 2e-3
    """Peak learning rate of AdamW, dimensionless."""

    muon_learning_rate: float = 4e-3
    """Peak learning rate of Muon, whose updates are scaled to the size of AdamW's."""

    table_learning_rate: float | None = None
    """Peak learning rate of the tables that tokens are looked up in, with AdamW; None takes that of
    the rest. The row of a rare word is seldom moved, so it may move farther."""

    weight_decay: float = 0.1
    """Decoupled weight decay of matrices; embeddings, norms and biases have none."""

    beta1: float = 0.9
    """Decay of AdamW's mean of gradients."""

    beta2: float = 0.95
    """Decay of AdamW's mean of squared gradients."""

    momentum: float = 0.95
    """Decay of Muon's sum of gradients."""

    warmup_steps: int = 200
    """Steps over which the learning rate rises from 0."""

    decay: str = "cosine"
    """How it falls after that: ``"cosine"``, ``"linear"`` or ``"constant"``."""

    final_fraction: float = 0.0
    """Share of the peak that is left at the last step."""

    gradient_clip: float = 1.0
    """Largest norm of a step's gradient; longer ones are scaled down to it."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        check_words(self, {"name": OPTIMISERS, "decay": DECAYS}, "optimiser ")
        limits = {
            "learning_rate": (1e-9, 1.0),
            "muon_learning_rate": (1e-9, 1.0),
            "table_learning_rate": (1e-9, 1.0),
            "weight_decay": (0.0, 1.0),
            "beta1": (0.0, 0.9999),
            "beta2": (0.0, 0.999999),
            "momentum": (0.0, 0.9999),
            "warmup_steps": (0, 10**9),
            "final_fraction": (0.0, 1.0),
            "gradient_clip": (1e-6, 1e9),
        }
        check_limits(self, limits)


def learning_rate_factor(step: int, max_steps: int, config: OptimiserConfig) -> float:
    """Return the share of the peak learning rate at a step, counted from 0.

    Example:
        >>> config = OptimiserConfig(warmup_steps=10, decay="linear")
        >>> [round(learning_rate_factor(step, 110, config), 3) for step in (0, 9, 59, 109)]
        [0.1, 1.0, 0.51, 0.01]
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    left = max_steps - config.warmup_steps
    done = min(max((step - config.warmup_steps) / max(left, 1), 0.0), 1.0)
    shapes = {
        "cosine": 0.5 * (1 + math.cos(math.pi * done)),
        "linear": 1 - done,
        "constant": 1.0,
    }
    return config.final_fraction + (1 - config.final_fraction) * shapes[config.decay]


def make_optimisers(
    network: nn.Module, config: OptimiserConfig, *, is_bfloat16: bool = True
) -> list[Optimizer]:
    """Return the optimisers that together hold every trained parameter of a network once.

    Args:
        network: Whose parameters they change.
        config: Which, and how fast.
        is_bfloat16: Whether Muon may compute in bfloat16, as torch's does; else it is our own.
    """
    matrices, decayed, free = parameter_groups(network)
    if config.name == "adamw":
        decayed, matrices = [*matrices, *decayed], []
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    if config.table_learning_rate is not None:
        tables = _tables(network)
        groups[1]["params"] = [one for one in free if id(one) not in tables]
        moved = [one for one in free if id(one) in tables]
        groups.append({"params": moved, "weight_decay": 0.0, "lr": config.table_learning_rate})
    optimisers: list[Optimizer] = [
        AdamW(
            groups,
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
        )
    ]
    if matrices:
        optimisers.append(
            (Muon if is_bfloat16 else Float32Muon)(
                matrices,
                lr=config.muon_learning_rate,
                weight_decay=config.weight_decay,
                momentum=config.momentum,
                # Liu et al. 2025, https://arxiv.org/abs/2502.16982: updates as large as AdamW's.
                adjust_lr_fn="match_rms_adamw",
            )
        )
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def set_learning_rate(optimisers: list[Optimizer], factor: float) -> None:
    """Set every group's learning rate to a share of its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor


def parameter_groups(
    network: nn.Module,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Return the backbone's matrices, other matrices, and what is never decayed.

    Embedding tables, norms, biases and single numbers are never decayed.
    """
    in_backbone = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, Backbone)
        for parameter in module.blocks.parameters()
    }
    tables = _tables(network)
    matrices, decayed, free = [], [], []
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.dim() != 2 or id(parameter) in tables:
            free.append(parameter)
        elif id(parameter) in in_backbone:
            matrices.append(parameter)
        else:
            decayed.append(parameter)
    return matrices, decayed, free


def _tables(network: nn.Module) -> set[int]:
    """Return the ids of the weights of embedding tables."""
    return {id(module.weight) for module in network.modules() if isinstance(module, nn.Embedding)}
