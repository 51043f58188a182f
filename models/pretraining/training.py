"""The pretraining loop: from a network and a corpus to trained weights, stopped and resumed."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor

from kagaku.errors import InputError
from kagaku.models.precision import is_bfloat16_faster
from kagaku.models.pretraining.averaging import WeightAverage
from kagaku.models.pretraining.compiling import compile_blocks, compiler_problem
from kagaku.models.pretraining.keeper import Keeper, KeepingConfig, Report
from kagaku.models.pretraining.learner import Learner, Objective
from kagaku.models.pretraining.loader import PretrainingData, RankSampler, make_loader
from kagaku.models.pretraining.logs import (
    VALID_FILE,
    LossKey,
    RunLog,
    forget_held_out,
    last_held_out,
)
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.models.pretraining.outliers import OutlierSteps
from kagaku.models.pretraining.processes import StopRequest, check_world_size
from kagaku.models.pretraining.state import (
    Counters,
    check_identity,
    full_weights,
    latest_state,
    load_counters,
    load_state,
)
from kagaku.models.pretraining.throughput import flops_per_token, measured_peak
from kagaku.models.pretraining.validation import held_out_losses
from kagaku.registry import did_you_mean

PRECISIONS = ("auto", "bf16-mixed", "32-true")
STRATEGIES = ("auto", "ddp", "fsdp2")
COMPILE = ("auto", "always", "never")


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how exactly and where a network is pretrained."""

    max_steps: int = 10_000
    """Steps of the whole run; the learning rate falls towards the last one."""

    max_minutes: float | None = None
    """Minutes of wall time after which one call stops; the next call goes on. None: no limit."""

    precision: str = "auto"
    """``"bf16-mixed"``: matrix products in bfloat16, weights in float32. ``"32-true"``: float32.
    ``"auto"``: the first where the device is faster at it."""

    compile: str = "auto"
    """``"auto"``: compile blocks where a compiler is there. ``"always"``: or fail. ``"never"``."""

    workers: int = 1
    """Processes that read and compose batches, for each training process."""

    strategy: str = "auto"
    """``"ddp"``: each process has all weights. ``"fsdp2"``: weights are sharded over the processes.
    ``"auto"``: ``"ddp"`` where there are several processes."""

    devices: int | None = None
    """Processes on each machine; None: one per GPU, and one on a machine without."""

    nodes: int = 1
    """Machines."""

    save_minutes: float = 10.0
    """Minutes between saved states: the most that a kill can lose."""

    valid_minutes: float = 30.0
    """Minutes between measurements of held-out losses."""

    valid_micro_batches: int = 4
    """Held-out micro-batches of each source."""

    log_steps: int = 10
    """Steps over which logged losses are averaged."""

    spike_factor: float = 10.0
    """A step whose gradient is this many times longer than the median of the last is skipped."""

    ema_decay: float | None = None
    """Decay of an average of the weights that is validated and kept at the end in their place;
    None keeps none."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name, choices in (
            ("precision", PRECISIONS),
            ("compile", COMPILE),
            ("strategy", STRATEGIES),
        ):
            if (value := getattr(self, name)) not in choices:
                raise InputError(f"{name} cannot be {value!r}", fix=did_you_mean(value, choices))
        limits = {
            "max_steps": (1, 10**9),
            "max_minutes": (0.0, 1e7),
            "workers": (0, 256),
            "devices": (1, 1024),
            "nodes": (1, 100_000),
            "save_minutes": (0.0, 1e5),
            "valid_minutes": (0.0, 1e5),
            "valid_micro_batches": (0, 10_000),
            "log_steps": (1, 10**6),
            "spike_factor": (1.5, 1e9),
            "ema_decay": (0.0, 0.999999),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(
                    f"{name} must lie between {low:g} and {high:g}, got {value:g}",
                    fix="Choose a value in that range.",
                )


@dataclass(frozen=True)
class Outcome:
    """What a call of `pretrain` leaves."""

    counters: Counters
    """Where the run stands now."""

    weights: dict[str, Tensor]
    """The network's whole weights on the CPU, averaged if an average is kept; empty in processes
    other than the first."""

    held_out: dict[LossKey, tuple[float, int]]
    """The last held-out losses: by source and name, sum and number of micro-batches."""

    stopped_by: str
    """``"time"`` or ``"signal"``; empty if the run is finished."""

    is_writer: bool
    """Whether this is the process that writes files and talks to the user."""


@dataclass(frozen=True)
class Watcher:
    """Who is told what as a run goes."""

    report: Callable[[Report], None] | None = None
    """Called after each step, in the process of rank 0."""

    say: Callable[[str], None] | None = None
    """Called with a sentence that the user should read."""

    def tell(self, text: str) -> None:
        """Pass a sentence on."""
        if self.say is not None:
            self.say(text)


def pretrain(
    network: PretrainingNetwork,
    data: PretrainingData,
    optimiser: OptimiserConfig,
    config: TrainingConfig,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    watcher: Watcher | None = None,
) -> Outcome:
    """Pretrain a network, from the last state saved in a folder or from the start.

    Stopped at any moment, the same call goes on with the same next micro-batch, also with another
    number of loader workers or processes.

    Args:
        network: Changed in place.
        data: Batches and their order.
        optimiser: Optimiser and schedule.
        config: Length, precision, processes.
        folder: The run folder: states and logs.
        identity: JSON values that decide the run; a state with other ones is refused.
        watcher: Who is told what.

    Raises:
        InputError: The state in the folder is damaged or of another run, the processes cannot share
            a step evenly, or gradients stay not finite.
    """
    watcher = watcher or Watcher()
    config = settled_precision(config, watcher)
    state = latest_state(folder)
    counters = Counters(identity=dict(identity)) if state is None else load_counters(state)
    check_identity(counters.identity or {}, identity, str(folder))
    if state is not None and counters.step >= config.max_steps:
        return _finished(network, data, counters, state, config)
    trainer = _trainer(config)
    check_world_size(data.order.config.micro_batches, trainer.world_size)
    device = trainer.strategy.root_device
    _compile(network, config, device, watcher)
    network.is_shared = trainer.world_size > 1
    learner = Learner(
        network,
        optimiser,
        OutlierSteps(config.spike_factor, counters.norms),
        max_steps=config.max_steps,
        first_step=counters.step,
        own_micro_batches=data.order.config.micro_batches // trainer.world_size,
        average_decay=config.ema_decay,
        is_sharded=isinstance(trainer.strategy, ModelParallelStrategy),
    )
    sampler = RankSampler(
        counters.step,
        config.max_steps,
        data.order.config.micro_batches,
        trainer.global_rank,
        trainer.world_size,
    )
    request = StopRequest()
    with request.listening() as listen:
        keeper = Keeper(
            data,
            _keeping(network, data, config, device, trainer.world_size),
            counters,
            folder,
            state,
            request,
            listen,
            watcher.report,
        )
        trainer.callbacks.append(keeper)  # type: ignore[attr-defined]
        with _quiet():
            trainer.fit(learner, make_loader(data, sampler, config.workers))
    with learner.averaged():
        weights = full_weights(network)
    return Outcome(
        keeper.counters, weights, keeper.held_out, keeper.stopped_by, trainer.is_global_zero
    )


def settled_precision(config: TrainingConfig, watcher: Watcher) -> TrainingConfig:
    """Return the settings with a precision that this machine is fast in; say if it is slow."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_fast = is_bfloat16_faster(device)
    if config.precision == "auto":
        if not is_fast:
            watcher.tell("Computing in float32: this machine is not faster in bfloat16.")
        return replace(config, precision="bf16-mixed" if is_fast else "32-true")
    if config.precision == "bf16-mixed" and not is_fast:
        watcher.tell(
            "The recipe asks for bfloat16, in which this machine is not faster; with precision: "
            "auto a run takes float32 here."
        )
    return config


def _trainer(config: TrainingConfig) -> lightning.Trainer:
    """Return Lightning's trainer with everything switched off that the keeper does."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    devices = config.devices or max(torch.cuda.device_count(), 1)
    with _quiet():
        return lightning.Trainer(
            max_epochs=1,
            accelerator="auto",
            devices=devices,
            num_nodes=config.nodes,
            strategy=_strategy(config, devices),
            precision=config.precision,  # type: ignore[arg-type]
            # The keeper saves and stops by itself; Lightning would write a pickle.
            plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else None,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )


def _strategy(config: TrainingConfig, devices: int) -> str | DDPStrategy | ModelParallelStrategy:
    """Return the strategy of a recipe's word."""
    world_size = devices * config.nodes
    if config.strategy == "fsdp2":
        return ModelParallelStrategy(data_parallel_size=world_size, tensor_parallel_size=1)
    if world_size > 1:  # one process alone has nobody to agree with
        return DDPStrategy(gradient_as_bucket_view=True)
    return "auto"


def _compile(
    network: PretrainingNetwork, config: TrainingConfig, device: torch.device, watcher: Watcher
) -> None:
    """Compile the blocks if the recipe asks for it and the machine can.

    Raises:
        InputError: The recipe says ``"always"``, and the machine cannot.
    """
    if config.compile == "never":
        return
    problem = compiler_problem(device)
    if problem is None:
        compile_blocks(network)
    elif config.compile == "always":
        raise InputError(
            f"the blocks cannot be compiled: {problem}",
            fix="Install it, or set compile to auto to train without.",
        )
    else:
        watcher.tell(f"Training without compiled blocks, which is slower: {problem}.")


def _keeping(
    network: PretrainingNetwork,
    data: PretrainingData,
    config: TrainingConfig,
    device: torch.device,
    world_size: int,
) -> KeepingConfig:
    dtype = torch.bfloat16 if config.precision == "bf16-mixed" else torch.float32
    return KeepingConfig(
        max_steps=config.max_steps,
        max_minutes=config.max_minutes,
        save_minutes=config.save_minutes,
        valid_minutes=config.valid_minutes,
        log_steps=config.log_steps,
        workers=config.workers,
        # On a CPU, processes share the cores that one alone was measured on.
        peak=measured_peak(device, dtype) * (world_size if device.type == "cuda" else 1),
        flops_per_token=flops_per_token(
            network.encoder.config.backbone, data.order.config.row_length
        ),
    )


def _finished(
    network: PretrainingNetwork,
    data: PretrainingData,
    counters: Counters,
    state: Path,
    config: TrainingConfig,
) -> Outcome:
    """Return the outcome of a run that has no step left; the first process alone does the rest.

    What a kill after the last step left out is measured now.
    """
    trainer = _trainer(config)
    if not trainer.is_global_zero:
        return Outcome(counters, {}, {}, "", is_writer=False)
    average = None if config.ema_decay is None else WeightAverage(network, config.ema_decay)
    load_state(state, network, [], average)
    with nullcontext() if average is None else average.applied():
        weights = full_weights(network)
        held_out = last_held_out(state.parent, counters.step)
        measured = {source for source, name in held_out if name == "total"}
        if {one.source for one in data.valid} - measured:
            held_out = _measured_late(
                network, data, counters, state.parent, trainer, config.workers
            )
    return Outcome(counters, weights, held_out, "", is_writer=True)


def _measured_late(
    network: PretrainingNetwork,
    data: PretrainingData,
    counters: Counters,
    folder: Path,
    trainer: lightning.Trainer,
    workers: int,
) -> dict[LossKey, tuple[float, int]]:
    """Return the held-out losses of the last step, and write them down."""
    device = trainer.strategy.root_device
    with trainer.precision_plugin.val_step_context():
        held_out = held_out_losses(Objective(network).to(device), data, device, 0, 1, workers)
    forget_held_out(folder, counters.step)
    log = RunLog(folder, counters.step)
    place = (counters.step, counters.tokens, round(counters.seconds, 3))
    log.write_losses(VALID_FILE, place, held_out)
    log.close()
    return held_out


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what Lightning says about things that are meant to be as they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        # lightning 2.6 with torch 2.14: its own use of a deprecated torch class.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        yield
