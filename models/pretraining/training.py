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
from kagaku.models.pretraining.settings import TrainingConfig
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
    state = latest_state(folder)
    counters = Counters(identity=dict(identity)) if state is None else load_counters(state)
    check_identity(counters.identity or {}, identity, str(folder))
    config = settled_precision(config, counters.precision, watcher)
    counters = replace(counters, precision=config.precision)
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
        is_bfloat16=config.precision == "bf16-mixed",
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


def settled_precision(config: TrainingConfig, before: str, watcher: Watcher) -> TrainingConfig:
    """Return the settings with a precision that this machine is fast in; say if it is slow.

    Args:
        config: With any precision.
        before: In which precision the run has gone so far: with ``"auto"`` it goes on in that one,
            so that steps do not depend on the machine that does them; empty for a new run.
        watcher: Who is told.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_fast = is_bfloat16_faster(device)
    wanted = config.precision
    if wanted == "auto":
        wanted = before or ("bf16-mixed" if is_fast else "32-true")
    if wanted == "bf16-mixed" and not is_fast:
        why = "The recipe asks for" if config.precision != "auto" else "The run was begun in"
        watcher.tell(
            f"{why} bfloat16, in which this machine is not faster; with precision: auto a new run "
            "takes float32 here."
        )
    elif config.precision == "auto" and not is_fast:
        watcher.tell("Computing in float32: this machine is not faster in bfloat16.")
    elif config.precision == "auto" and wanted == "32-true":
        watcher.tell(
            "The run was begun in float32, so it goes on in it, though this machine is faster in "
            "bfloat16."
        )
    return replace(config, precision=wanted)


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
