"""What a stopped training needs to go on: weights, optimiser and counters, without pickle."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kagaku.data.whole_files import written_whole

STATE_FILE = "training_state.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    fingerprint: str
    """Identifies data, seed and settings; a state with another one is not resumed."""

    epoch: int
    """Epochs finished."""

    step: int
    """Optimiser steps done."""

    best_loss: float
    """Lowest validation loss so far."""

    best_epoch: int
    """The epoch that reached it."""

    history: tuple[tuple[float, float], ...]
    """Training and validation loss after each epoch."""


def save_training_state(
    folder: Path,
    progress: Progress,
    module: nn.Module,
    best: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write the state through a temporary name, so that a kill leaves the old or the new one."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(v) for key, v in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / STATE_FILE) as partial:
        # Copies, since safetensors refuses tensors that share memory.
        save_file(
            {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()},
            str(partial),
            metadata={"progress": json.dumps(asdict(progress))},
        )


def load_progress(folder: Path) -> Progress | None:
    """Return where a training in ``folder`` stopped, or None if none was started there."""
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    with safe_open(str(path), framework="pt") as stored:
        parts = json.loads(stored.metadata()["progress"])
    parts["history"] = tuple((train, valid) for train, valid in parts["history"])
    return Progress(**parts)


def load_training_state(
    folder: Path, module: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Restore module and optimiser in place, and return the best weights so far."""
    weights: dict[str, Tensor] = {}
    best: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    with safe_open(str(folder / STATE_FILE), framework="pt") as stored:
        for name in stored.keys():  # noqa: SIM118 (a safetensors file is no mapping)
            part, rest = name.split(".", 1)
            if part == "module":
                weights[rest] = stored.get_tensor(name)
            elif part == "best":
                best[rest] = stored.get_tensor(name)
            else:
                index, key = rest.split(".", 1)
                state.setdefault(int(index), {})[key] = stored.get_tensor(name)
    module.load_state_dict(weights)
    full: dict[str, Any] = optimiser.state_dict()
    full["state"] = state
    optimiser.load_state_dict(full)
    return best
