"""Full fine-tuning: the encoder and one head per target, trained together with Lightning."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from kagaku.data.schema import Kind
from kagaku.errors import InputError
from kagaku.modalities import PackedBatch, RecordTokens, n_tokens, pack, plan_batches
from kagaku.models.encoder import Encoder, pool_records
from kagaku.models.heads import Head, HeadInput, HeadTarget, build_head
from kagaku.models.training_state import (
    Progress,
    load_progress,
    load_training_state,
    save_training_state,
)


@dataclass(frozen=True)
class FinetuningConfig:
    """Settings of full fine-tuning."""

    epochs: int = 40
    """Most passes over the training records."""

    patience: int = 8
    """Stop after this many epochs without a lower validation loss."""

    learning_rate: float = 5e-4
    """Peak learning rate of AdamW; the schedule warms up over 5% of the steps, then falls as a
    cosine to a tenth."""

    weight_decay: float = 0.01
    """Decay of matrices; norms, biases and embeddings are not decayed."""

    token_budget: int = 4096
    """Most tokens in one batch; a longer record gets a batch of its own."""

    gradient_clip: float = 1.0
    """Largest norm of a gradient step."""

    seed: int = 0
    """Fixes the order of records and the heads."""

    def __post_init__(self) -> None:
        """Check the settings together, once, where they are made."""
        for name in ("epochs", "patience", "learning_rate", "token_budget", "gradient_clip"):
            if getattr(self, name) <= 0:
                raise InputError(
                    f"{name} must be positive, got {getattr(self, name)}",
                    fix="Choose a larger value.",
                )


@dataclass(frozen=True)
class TargetPlan:
    """What one head must predict."""

    name: str
    """Name of the target."""

    kind: Kind
    """Kind of the target."""

    n_outputs: int
    """Number of classes, or cells per token of a field; 1 for regression and binary."""

    labelled_column: int | None = None
    """For per-token and field targets, the input whose tokens carry the labels."""


@dataclass(frozen=True)
class Example:
    """One record, ready to train on."""

    tokens: RecordTokens
    """Its tokens by column."""

    labels: dict[str, np.ndarray]
    """By target, as in `HeadTarget.values` without the record axis; for per-token and field
    targets one row per token of the labelled column. NaN or -1 where nothing was measured."""

    censoring: dict[str, int] = field(default_factory=dict)
    """By regression target: -1, 0 or +1; absent means 0."""

    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """By field target: area weights, the shape of its labels."""


Batch = tuple[PackedBatch, dict[str, HeadTarget]]


def collate(examples: Sequence[Example], plans: Sequence[TargetPlan]) -> Batch:
    """Return the packed batch of several examples with the targets of each head."""
    targets = {}
    for plan in plans:
        labels = [example.labels[plan.name] for example in examples]
        per_token = plan.labelled_column is not None
        values = np.concatenate(labels) if per_token else np.stack(labels)
        is_class = plan.kind in {"multiclass", "per-token"}
        censoring = None
        if plan.kind == "regression":
            signs = [example.censoring.get(plan.name, 0) for example in examples]
            censoring = torch.tensor(signs, dtype=torch.int64)
        weights = None
        if plan.kind == "field":
            stacked = np.concatenate([example.weights[plan.name] for example in examples])
            weights = torch.from_numpy(stacked.astype(np.float32))
        dtype = np.int64 if is_class else np.float32
        targets[plan.name] = HeadTarget(torch.from_numpy(values.astype(dtype)), censoring, weights)
    return pack([example.tokens for example in examples]), targets


class ExampleDataset(Dataset[Example]):
    """Examples by index.

    Args:
        examples: All of them, in memory; tokens are small.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class TokenBudgetSampler(Sampler[list[int]]):
    """Batches under a token budget, in an order that is a function of seed and epoch alone.

    Args:
        lengths: Tokens per record.
        token_budget: Most tokens per batch.
        seed: Fixes the order; None keeps the records as they come.
    """

    def __init__(self, lengths: Sequence[int], token_budget: int, seed: int | None) -> None:
        self.lengths, self.seed, self.epoch = lengths, seed, 0
        self.token_budget = max(token_budget, max(lengths, default=1))

    def batches(self) -> list[list[int]]:
        """Return the batches of the present epoch."""
        order = np.arange(len(self.lengths))
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
        return list(plan_batches(self.lengths, self.token_budget, order=order.tolist()))

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches())

    def __len__(self) -> int:
        return len(self.batches())


class MultitaskModule(lightning.LightningModule):
    """Encoder and heads; the loss is the mean of the heads' losses.

    Args:
        encoder: Trained further.
        plans: One head is made for each.
        n_columns: Number of inputs in the schema.
        config: Optimiser settings.
        n_steps: Optimiser steps in the whole schedule.
    """

    def __init__(
        self,
        encoder: Encoder,
        plans: Sequence[TargetPlan],
        n_columns: int,
        config: FinetuningConfig,
        n_steps: int,
    ) -> None:
        super().__init__()
        self.encoder, self.plans, self.n_columns = encoder, tuple(plans), n_columns
        self.config, self.n_steps = config, max(n_steps, 1)
        # By position, since a target's name may hold a dot, which torch forbids in module names.
        self.heads = nn.ModuleList(
            build_head(plan.kind, encoder.dim, plan.n_outputs) for plan in plans
        )
        self.steps_done = 0
        self.optimiser: torch.optim.Optimizer | None = None

    def outputs(self, batch: PackedBatch) -> list[Tensor]:
        """Return the raw outputs of each head."""
        tokens = self.encoder(batch)
        records = pool_records(batch, tokens, self.n_columns)
        results = []
        for plan, head in zip(self.plans, self.heads, strict=True):
            assert isinstance(head, Head)
            labelled = (
                tokens[batch.column == plan.labelled_column]
                if plan.labelled_column is not None
                else tokens[:0]
            )
            results.append(head(HeadInput(records, labelled)))
        return results

    def batch_loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of the heads on one batch."""
        packed, targets = batch
        losses = []
        for plan, head, outputs in zip(self.plans, self.heads, self.outputs(packed), strict=True):
            assert isinstance(head, Head)
            losses.append(head.loss(outputs, targets[plan.name]))
        return torch.stack(losses).mean()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch."""
        return self.batch_loss(batch)

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
        """Return AdamW that decays matrices only; after a restart, the restored one."""
        if self.optimiser is not None:
            return self.optimiser
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            is_matrix = parameter.dim() >= 2 and "embed" not in name
            (decayed if is_matrix else free).append(parameter)
        groups = [
            {"params": decayed, "weight_decay": self.config.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.config.learning_rate, betas=(0.9, 0.98))

    def learning_rate(self) -> float:
        """Return the learning rate of the next step: warm-up, then a cosine to a tenth."""
        warmup = max(1, self.n_steps // 20)
        if self.steps_done < warmup:
            return self.config.learning_rate * (self.steps_done + 1) / warmup
        share = min(1.0, (self.steps_done - warmup) / max(1, self.n_steps - warmup))
        return self.config.learning_rate * (0.55 + 0.45 * float(np.cos(np.pi * share)))

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate; it depends on the step alone, so a resumed run repeats it."""
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate()
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
        assert isinstance(pl_module, MultitaskModule)
        pl_module.eval()
        with torch.inference_mode():
            weighed = []
            for batch in self.valid:
                moved = pl_module.transfer_batch_to_device(batch, pl_module.device, 0)
                weighed.append((float(pl_module.batch_loss(moved)), moved[0].n_records))
        pl_module.train()
        total = sum(count for _, count in weighed)
        loss = sum(value * count for value, count in weighed) / max(total, 1)
        before = self.progress
        epoch = before.epoch + 1
        if not np.isfinite(loss):
            trainer.should_stop = True
            loss = float("inf")
        if loss < before.best_loss:
            self.best = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}
        self.progress = Progress(
            fingerprint=before.fingerprint,
            epoch=epoch,
            step=pl_module.steps_done,
            best_loss=min(loss, before.best_loss),
            best_epoch=epoch if loss < before.best_loss else before.best_epoch,
            history=(*before.history, (float(np.mean(self.losses)), loss)),
        )
        self.sampler.epoch = epoch
        config = pl_module.config
        if self.folder is not None:
            optimiser = trainer.optimizers[0]
            save_training_state(self.folder, self.progress, pl_module, self.best, optimiser)
        if self.report is not None:
            self.report(epoch, config.epochs, f"validation loss {loss:.3f}")
        if epoch - self.progress.best_epoch >= config.patience or epoch >= config.epochs:
            trainer.should_stop = True


def _run_lightning(
    module: MultitaskModule,
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
        trainer.fit(module, loader)


def finetune(
    encoder: Encoder,
    plans: Sequence[TargetPlan],
    n_columns: int,
    train: Sequence[Example],
    valid: Sequence[Example],
    config: FinetuningConfig,
    *,
    fingerprint: str = "",
    folder: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> tuple[MultitaskModule, Progress]:
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
        module = MultitaskModule(encoder, plans, n_columns, config, config.epochs * len(sampler))
    start = load_progress(folder) if folder is not None else None
    best: dict[str, Tensor] = {}
    if start is None or start.fingerprint != fingerprint:
        start = Progress(fingerprint, 0, 0, float("inf"), 0, ())
    else:
        assert folder is not None
        optimiser = module.configure_optimizers()
        best = load_training_state(folder, module, optimiser)
        module.optimiser, module.steps_done = optimiser, start.step
        sampler.epoch = start.epoch
    keeper = _EpochKeeper(valid_loader, sampler, start, best, folder, report)
    remaining = min(config.epochs - start.epoch, config.patience - (start.epoch - start.best_epoch))
    if remaining > 0:
        _run_lightning(module, loader, keeper, config)
    if keeper.best:
        module.load_state_dict(keeper.best)
    return module.cpu().eval(), keeper.progress
