"""Full fine-tuning with Lightning, resumable after any epoch.

Lightning is imported here and nowhere else below the front door: prediction does not wait for it.
"""

import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from kagaku.modalities import n_tokens
from kagaku.models.examples import (
    Batch,
    Example,
    ExampleDataset,
    TargetPlan,
    TokenBudgetSampler,
    collate,
)
from kagaku.models.multitask import FinetuningConfig, MultitaskNetwork, Trunk
from kagaku.models.training_state import (
    Progress,
    load_progress,
    load_training_state,
    save_training_state,
)


class _TrainingModule(lightning.LightningModule):
    """The network as Lightning trains it."""

    def __init__(
        self, network: MultitaskNetwork, optimiser: torch.optim.Optimizer, n_steps: int
    ) -> None:
        super().__init__()
        self.network, self.optimiser, self.n_steps = network, optimiser, max(n_steps, 1)
        self.steps_done = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch."""
        loss: Tensor = self.network(batch)
        return loss

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        """Return the batch on the device; Lightning does not move frozen dataclasses."""
        packed, targets = batch
        return packed.to(device), {name: target.to(device) for name, target in targets.items()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser, which after a restart is the restored one."""
        return self.optimiser

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate; it depends on the step alone, so a resumed run repeats it."""
        for group in optimizer.param_groups:
            group["lr"] = self.network.learning_rate(self.steps_done, self.n_steps)
        self.steps_done += 1


class _EpochKeeper(lightning.Callback):
    """After each epoch: validates, keeps the best weights, saves the state, stops in time."""

    def __init__(
        self,
        valid: DataLoader[Example],
        sampler: TokenBudgetSampler,
        start: Progress,
        best: dict[str, Tensor],
        folder: Path | None,
        report: Callable[[int, int, str], None] | None,
    ) -> None:
        self.valid, self.sampler, self.folder, self.report = valid, sampler, folder, report
        self.progress, self.best = start, best
        self.losses: list[float] = []

    def on_train_epoch_start(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,  # noqa: ARG002
    ) -> None:
        self.losses = []

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,  # noqa: ARG002
        outputs: object,
        batch: object,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        assert isinstance(outputs, dict)
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        assert isinstance(pl_module, _TrainingModule)
        network = pl_module.network
        network.eval()
        with torch.inference_mode():
            weighed = []
            for batch in self.valid:
                moved = pl_module.transfer_batch_to_device(batch, pl_module.device, 0)
                weighed.append((float(network(moved)), moved[0].n_records))
        network.train()
        total = sum(count for _, count in weighed)
        loss = sum(value * count for value, count in weighed) / max(total, 1)
        before = self.progress
        epoch = before.epoch + 1
        if not np.isfinite(loss):
            trainer.should_stop = True
            loss = float("inf")
        if loss < before.best_loss:
            self.best = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.progress = Progress(
            fingerprint=before.fingerprint,
            epoch=epoch,
            step=pl_module.steps_done,
            best_loss=min(loss, before.best_loss),
            best_epoch=epoch if loss < before.best_loss else before.best_epoch,
            history=(*before.history, (float(np.mean(self.losses)), loss)),
        )
        self.sampler.epoch = epoch
        config = network.config
        if self.folder is not None:
            optimiser = trainer.optimizers[0]
            save_training_state(self.folder, self.progress, network, self.best, optimiser)
        if self.report is not None:
            self.report(epoch, config.epochs, f"validation loss {loss:.3f}")
        if epoch - self.progress.best_epoch >= config.patience or epoch >= config.epochs:
            trainer.should_stop = True


def _run_lightning(
    module: _TrainingModule,
    loader: DataLoader[Example],
    keeper: _EpochKeeper,
    config: FinetuningConfig,
) -> None:
    """Train until the keeper says stop."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Tokenised records lie in memory, so loader workers would cost more than they give.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        # lightning 2.6 with torch 2.14: its own use of a deprecated torch class.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        trainer = lightning.Trainer(
            max_epochs=config.epochs - keeper.progress.epoch,
            accelerator="auto",
            devices=1,
            gradient_clip_val=config.gradient_clip,
            callbacks=[keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        handler = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, loader)
        except SystemExit as stopped:
            # Lightning answers Ctrl-C by switching it off for good and leaving Python.
            if not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


def finetune(
    encoder: Trunk,
    plans: Sequence[TargetPlan],
    n_columns: int,
    train: Sequence[Example],
    valid: Sequence[Example],
    config: FinetuningConfig,
    *,
    fingerprint: str = "",
    folder: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> tuple[MultitaskNetwork, Progress]:
    """Train encoder and heads, and return them with the weights of the best epoch.

    Stopped at any moment, the same call goes on after the last finished epoch, with the same
    batches as if it had never stopped.

    Args:
        encoder: Changed in place.
        plans: What to predict.
        n_columns: Number of inputs in the schema.
        train: Records to learn from.
        valid: Records that choose the best epoch.
        config: Settings.
        fingerprint: Identifies data and settings; a saved state with another one is ignored.
        folder: Where the state is saved after each epoch; None saves none.
        report: Called after each epoch with (epoch, epochs, text).
    """
    sampler = TokenBudgetSampler(
        [n_tokens(e.tokens) for e in train], config.token_budget, config.seed
    )
    valid_sampler = TokenBudgetSampler(
        [n_tokens(e.tokens) for e in valid], config.token_budget, None
    )

    def gather(examples: list[Example]) -> Batch:
        return collate(examples, plans)

    loader = DataLoader(ExampleDataset(train), batch_sampler=sampler, collate_fn=gather)
    valid_loader = DataLoader(ExampleDataset(valid), batch_sampler=valid_sampler, collate_fn=gather)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = MultitaskNetwork(encoder, plans, n_columns, config)
    module = _TrainingModule(network, network.optimiser(), config.epochs * len(sampler))
    start = load_progress(folder) if folder is not None else None
    best: dict[str, Tensor] = {}
    if start is None or start.fingerprint != fingerprint:
        start = Progress(fingerprint, 0, 0, float("inf"), 0, ())
    else:
        assert folder is not None
        best = load_training_state(folder, network, module.optimiser)
        module.steps_done = start.step
        sampler.epoch = start.epoch
    keeper = _EpochKeeper(valid_loader, sampler, start, best, folder, report)
    remaining = min(config.epochs - start.epoch, config.patience - (start.epoch - start.best_epoch))
    if remaining > 0:
        _run_lightning(module, loader, keeper, config)
    if keeper.best:
        network.load_state_dict(keeper.best)
    return network.cpu().eval(), keeper.progress
