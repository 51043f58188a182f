"""What a stopped pretraining needs to go on, on disk: safetensors and JSON, never a pickle.

Each state is a folder of its own. It is written under a temporary name, brought to the disk, and
then renamed; only after that are older ones removed. So a kill at any moment leaves a whole state.
Tensors are stored whole, not in shards, so that another number of processes can go on from them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from kagaku.errors import InputError
from kagaku.models.pretraining.averaging import WeightAverage

FORMAT_VERSION = 1
"""Layout of a state folder; goes up when a reader would have to change."""

PREFIX = "state-"
WEIGHTS_FILE, OPTIMISER_FILE = "weights.safetensors", "optimiser.safetensors"
AVERAGE_FILE, COUNTERS_FILE = "average.safetensors", "counters.json"

# Between a parameter's name and the optimiser's word for one of its states; in neither of the two.
_BETWEEN = "|"


@dataclass(frozen=True)
class Counters:
    """Where a pretraining stands."""

    step: int = 0
    """Steps done, those skipped for their gradient included."""

    tokens: int = 0
    """Tokens seen, over all processes."""

    seconds: float = 0.0
    """Time spent on training steps, in seconds; pauses to validate or save not included."""

    skipped: int = 0
    """Steps that were skipped for their gradient."""

    norms: tuple[float, ...] = ()
    """Gradient norms of the last steps, by which outliers are known."""

    identity: Mapping[str, Any] | None = None
    """What decides the run; a state of another run is refused."""

    precision: str = ""
    """In which precision the steps were done; empty where that was not written down."""


def save_state(
    folder: Path,
    counters: Counters,
    network: nn.Module,
    optimisers: Sequence[Optimizer],
    average: WeightAverage | None,
    *,
    is_writer: bool = True,
) -> None:
    """Write the state of a run; all processes take part, one writes.

    Args:
        folder: Holds the run's states.
        counters: Where the run stands.
        network: The network, sharded or not.
        optimisers: Its optimisers.
        average: The average of its weights, if there is one.
        is_writer: Whether this process writes.
    """
    weights = full_weights(network)
    state = _optimiser_state(network, list(optimisers), cpu_offload=True)["state"]
    averaged: dict[str, Any] = {}
    if average is not None:
        with average.applied():
            averaged = full_weights(network)
    if not is_writer:
        return
    flat = {
        f"{name}{_BETWEEN}{key}": torch.as_tensor(value)
        for name, states in state.items()
        for key, value in states.items()
    }
    name = f"{PREFIX}{counters.step:09d}"
    if (folder / name / COUNTERS_FILE).is_file():
        return  # of the same step, and whole: counters are written last and removed first
    partial = folder / f"{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file, tensors in (
        (WEIGHTS_FILE, weights),
        (OPTIMISER_FILE, flat),
        (AVERAGE_FILE, averaged),
    ):
        if tensors:
            save_file(_contiguous(tensors), str(partial / file))
    (partial / COUNTERS_FILE).write_text(
        json.dumps({"format_version": FORMAT_VERSION, **asdict(counters)}, indent=1)
    )
    for written in partial.iterdir():
        _to_disk(written)
    _to_disk(partial)
    shutil.rmtree(folder / name, ignore_errors=True)
    partial.replace(folder / name)
    _to_disk(folder)
    for older in folder.glob(f"{PREFIX}*"):
        if older.name != name:
            # Without counters it is no state, however far the removal comes.
            (older / COUNTERS_FILE).unlink(missing_ok=True)
            shutil.rmtree(older, ignore_errors=True)


def latest_state(folder: Path) -> Path | None:
    """Return the folder of the last whole state, or None if there is none."""
    found = [
        one
        for one in folder.glob(f"{PREFIX}*")
        if one.suffix != ".partial" and (one / COUNTERS_FILE).is_file()
    ]
    return max(found, key=lambda one: one.name) if found else None


def load_counters(state: Path) -> Counters:
    """Return where the run stood.

    Raises:
        InputError: The file is damaged or of another format.
    """
    where = str(state / COUNTERS_FILE)
    try:
        stored = json.loads((state / COUNTERS_FILE).read_text(encoding="utf-8"))
        version = stored.pop("format_version")
        counters = Counters(**{**stored, "norms": tuple(stored["norms"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the saved state cannot be read ({error!r})",
            fix="Remove this folder to start again.",
            where=where,
        ) from None
    if version != FORMAT_VERSION:
        raise InputError(
            f"the saved state has format version {version}, and this kagaku reads {FORMAT_VERSION}",
            fix="Go on with the version that wrote it, or remove the folder to start again.",
            where=where,
        )
    return counters


def restored_step(
    folder: Path | None, identity: dict[str, Any], network: nn.Module, optimiser: Optimizer
) -> int:
    """Put the last state of a small training into its network; return the step to go on with.

    A state of other data or settings is removed.

    Args:
        folder: Holds the training's states; None or an empty one begins at 0.
        identity: What the training depends on, as JSON gives it back.
        network: Filled in place.
        optimiser: Its only one.
    """
    state = None if folder is None else latest_state(folder)
    if state is None:
        return 0
    counters = load_counters(state)
    if counters.identity != identity:
        shutil.rmtree(state)
        return 0
    load_state(state, network, [optimiser], None)
    return counters.step


def weights_digest(network: nn.Module) -> str:
    """Return a text that two networks share only if all their weights are the same."""
    digest = hashlib.sha256()
    for name, weights in network.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_state(
    state: Path,
    network: nn.Module,
    optimisers: Sequence[Optimizer],
    average: WeightAverage | None,
) -> None:
    """Restore network, optimisers and average in place, sharded or not.

    Raises:
        InputError: A file is missing, damaged, or does not fit the network.
    """
    options = StateDictOptions(full_state_dict=True)
    # A head that was never asked has rested since the start, so there is nothing to restore of it.
    some = StateDictOptions(full_state_dict=True, strict=False)
    try:
        if average is not None:
            set_model_state_dict(network, load_file(str(state / AVERAGE_FILE)), options=options)
            average.take()
        set_model_state_dict(network, load_file(str(state / WEIGHTS_FILE)), options=options)
        states: dict[str, dict[str, Tensor]] = {}
        if (state / OPTIMISER_FILE).is_file():
            for name, tensor in load_file(str(state / OPTIMISER_FILE)).items():
                parameter, key = name.split(_BETWEEN)
                states.setdefault(parameter, {})[key] = tensor
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the saved state is damaged ({str(error).splitlines()[0]})",
            fix="Remove this folder; without an older one the run starts again.",
            where=str(state),
        ) from None
    for optimiser in optimisers:
        full = _optimiser_state(network, [optimiser], cpu_offload=False)
        members = {name for group in full["param_groups"] for name in group["params"]}
        full["state"] = {name: one for name, one in states.items() if name in members}
        set_optimizer_state_dict(network, optimiser, full, options=some)
        for name, parameter in network.named_parameters():
            if name not in states:
                # Looking at an optimiser's state has made one of zeros, one step old.
                optimiser.state.pop(parameter, None)


def full_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return whole weights on the CPU, also of a sharded network; empty but in the first process.

    All processes take part.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found = cast("dict[str, Tensor]", get_model_state_dict(network, options=options))
    # On a CPU these are the parameters themselves, which go on changing.
    return {name: one.detach().clone() for name, one in found.items()}


def _optimiser_state(
    network: nn.Module, optimisers: list[Optimizer], *, cpu_offload: bool
) -> dict[str, Any]:
    """Return whole states by parameter name, and the groups' members and settings."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=cpu_offload)
    found = get_optimizer_state_dict(network, optimisers, options=options)
    # Only the first process has it all, where tensors go to the CPU.
    return {"state": {}, "param_groups": [], **found}


def check_identity(stored: Mapping[str, Any], present: Mapping[str, Any], where: str) -> None:
    """Refuse to go on with a run that was started with something else.

    Args:
        stored: What decided the run that left the state, by name.
        present: What decides the present one.
        where: The run's folder, for the message.

    Raises:
        InputError: They differ; names each difference.
    """
    before, now = _flat(json.loads(json.dumps(stored))), _flat(json.loads(json.dumps(present)))
    changed = [
        f"{name} was {before.get(name, 'not set')} and is now {now.get(name, 'not set')}"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise InputError(
            f"this run was started with other settings: {'; '.join(changed)}",
            fix="Set them back to go on with it, or choose another --output to start a new one.",
            where=where,
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _contiguous(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    # Copies, since safetensors refuses tensors that share memory.
    return {name: one.detach().clone().contiguous() for name, one in tensors.items()}


def _to_disk(path: Path) -> None:
    """Wait until a file or folder has reached the disk, where the system can tell."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
