"""What happens between steps: logging, saving, validating, and stopping in time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import lightning

from kagaku.models.pretraining.learner import Learner, StepOutcome
from kagaku.models.pretraining.loader import PretrainingData
from kagaku.models.pretraining.logs import LOSSES_FILE, VALID_FILE, LossKey, RunLog
from kagaku.models.pretraining.processes import StopRequest, check_agreement, gather
from kagaku.models.pretraining.state import Counters, load_state, save_state
from kagaku.models.pretraining.validation import add_sums, held_out_losses, total_loss


@dataclass(frozen=True)
class KeepingConfig:
    """How often what is done; times are in minutes of wall time."""

    max_steps: int
    """Last step."""

    max_minutes: float | None
    """When to stop; None: at the last step only."""

    save_minutes: float
    """Between two saved states: the most that a kill can lose."""

    valid_minutes: float
    """Between two measurements of held-out losses."""

    log_steps: int
    """Steps over which logged losses are averaged."""

    workers: int
    """Processes that compose held-out micro-batches, for each training process."""

    peak: float
    """Floating-point operations per second of all processes' matrix products; 0 if unknown."""

    flops_per_token: float
    """Floating-point operations of a training step per token."""


@dataclass(frozen=True)
class Report:
    """What a progress display shows after a step."""

    step: int
    """Steps done."""

    max_steps: int
    """Steps in all."""

    loss: float
    """Mean weighted loss of this step."""

    tokens_per_second: float
    """Over the last steps, all processes together."""

    peak_share: float
    """Share of the measured peak of matrix products; NaN if it is unknown."""

    waiting_share: float
    """Share of the time of the last steps in which this process waited for its workers. With
    several processes some of it is waiting for the slowest of them."""

    seconds_left: float
    """Until the last step, or until the time is up if that comes first."""

    note: str = ""
    """Something that a reader of the log should know, such as a skipped step."""


class Keeper(lightning.Callback):
    """Keeps the run's files, and says when to stop.

    Args:
        data: For the held-out losses.
        config: How often what is done.
        counters: Where the run stands.
        folder: The run folder.
        state: The saved state to go on from; None for a new run.
        request: Set by a signal.
        listen: Starts listening to signals.
        report: Called after each step, in the process of rank 0.
    """

    def __init__(
        self,
        data: PretrainingData,
        config: KeepingConfig,
        counters: Counters,
        folder: Path,
        state: Path | None,
        request: StopRequest,
        listen: Callable[[], None],
        report: Callable[[Report], None] | None,
    ) -> None:
        self.data, self.config, self.counters = data, config, counters
        self.folder, self.state = folder, state
        self.request, self.listen, self.report = request, listen, report
        self.stopped_by = ""
        """Why the run stopped before its last step: ``"time"``, ``"signal"``, or nothing."""
        self.held_out: dict[LossKey, tuple[float, int]] = {}
        self._log: RunLog | None = None
        self._losses: dict[LossKey, tuple[float, int]] = {}
        self._rows: list[tuple[int | float, ...]] = []
        self._pace = Pace()

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Restore the saved state, open the logs, and measure where a new run starts from."""
        assert isinstance(pl_module, Learner)
        check_agreement("precision", self.counters.precision)
        self.listen()
        pl_module.has_data = self._pace.has_data
        if self.state is not None:
            # The average's weights are made first, so that they are sharded as the network is.
            pl_module.start_average()
            load_state(
                self.state, pl_module.objective.network, pl_module.raw_optimisers, pl_module.average
            )
        else:
            pl_module.start_average()
        if trainer.is_global_zero:
            self._log = RunLog(self.folder, self.counters.step)
        is_validated = any(gather(self._log is not None and self._log.is_validated))
        self._started = self._saved = self._validated = time.monotonic()
        if not is_validated:
            self._validate(trainer, pl_module)
        self._pace.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count and log a finished step, and do what is due after it."""
        assert isinstance(pl_module, Learner)
        if (outcome := pl_module.outcome) is None:
            self._pace.wants_data()
            return
        now = time.monotonic()
        minutes = self.config.max_minutes
        due = {
            "signal": self.request.signal is not None,
            "time": minutes is not None and now - self._started >= 60 * minutes,
            "save": now - self._saved >= 60 * self.config.save_minutes,
            "validate": now - self._validated >= 60 * self.config.valid_minutes,
        }
        # Clocks differ a little, and a signal may reach one process only; all act on any's word.
        told = gather((due, outcome))
        due = {name: any(one[name] for one, _ in told) for name in due}
        self._count(pl_module, outcome, [one for _, one in told])
        is_last = self.counters.step >= self.config.max_steps
        self.stopped_by = "" if is_last else "signal" if due["signal"] else ""
        if not is_last and not self.stopped_by and due["time"]:
            self.stopped_by = "time"
        if is_last or self.stopped_by:
            trainer.should_stop = True
        elif due["validate"] or due["save"]:
            if due["validate"]:
                self._validate(trainer, pl_module)
            self._save(trainer, pl_module)
            self._pace.resume()
        self._pace.wants_data()

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save, and after an orderly end measure the held-out losses once more."""
        assert isinstance(pl_module, Learner)
        # First what must not be lost: a scheduler gives little time after its signal.
        self._save(trainer, pl_module)
        if self.stopped_by != "signal":
            self._validate(trainer, pl_module)
        if self._log is not None:
            self._log.close()

    def _count(self, learner: Learner, first: StepOutcome, outcomes: list[StepOutcome]) -> None:
        """Take a step of all processes into counters and logs."""
        losses = add_sums([one.losses for one in outcomes])
        n_tokens = sum(one.n_tokens for one in outcomes)
        speed = self._pace.step(n_tokens)
        before = self.counters
        self.counters = replace(
            before,
            step=before.step + 1,
            tokens=before.tokens + n_tokens,
            seconds=before.seconds + self._pace.last_seconds,
            skipped=before.skipped + first.is_skipped,
            norms=tuple(learner.outliers.norms),
        )
        self._losses = add_sums([self._losses, losses])
        place = (self.counters.step, self.counters.tokens, round(self.counters.seconds, 3))
        loss = total_loss(losses)
        skipped = int(first.is_skipped)
        self._rows.append(
            (
                *place,
                loss,
                first.gradient_norm,
                first.learning_rate,
                skipped,
                round(speed, 1),
                round(self._pace.waiting_share, 4),
                round(self._peak_share(speed), 4),
            )
        )
        if self.counters.step % self.config.log_steps == 0:
            self._flush()
        if self.report is not None and self._log is not None:
            self.report(self._report(loss, speed, first))

    def _peak_share(self, tokens_per_second: float) -> float:
        """Return the share of the measured peak that training uses; NaN where it is unknown."""
        peak = self.config.peak
        return tokens_per_second * self.config.flops_per_token / peak if peak else float("nan")

    def _report(self, loss: float, speed: float, outcome: StepOutcome) -> Report:
        config, step = self.config, self.counters.step
        left = (config.max_steps - step) * self._pace.seconds_per_step
        if config.max_minutes is not None:
            left = min(left, 60 * config.max_minutes - (time.monotonic() - self._started))
        share = self._peak_share(speed)
        note = ""
        if outcome.is_skipped:
            note = f"step {step} was skipped: its gradient's norm was {outcome.gradient_norm:.3g}"
        waiting = self._pace.waiting_share
        return Report(step, config.max_steps, loss, speed, share, waiting, max(left, 0.0), note)

    def _flush(self) -> None:
        """Write down what was logged since the last time."""
        if self._log is not None:
            self._log.write_steps(self._rows)
            self._log.write_losses(LOSSES_FILE, self._place, self._losses)
        self._rows, self._losses = [], {}

    def _save(self, trainer: lightning.Trainer, learner: Learner) -> None:
        self._flush()
        save_state(
            self.folder,
            self.counters,
            learner.objective.network,
            learner.raw_optimisers,
            learner.average,
            is_writer=trainer.is_global_zero,
        )
        # No process leaves before the state is whole: a scheduler ends all when one has left.
        gather(None)
        self._saved = time.monotonic()

    def _validate(self, trainer: lightning.Trainer, learner: Learner) -> None:
        if self.data.valid:
            with learner.averaged(), trainer.precision_plugin.val_step_context():
                self.held_out = held_out_losses(
                    learner.objective,
                    self.data,
                    learner.device,
                    trainer.global_rank,
                    trainer.world_size,
                    self.config.workers,
                )
            if self._log is not None:
                self._log.write_losses(VALID_FILE, self._place, self.held_out)
        self._validated = time.monotonic()

    @property
    def _place(self) -> tuple[int, int, float]:
        return self.counters.step, self.counters.tokens, round(self.counters.seconds, 3)


class Pace:
    """How fast steps are done, pauses left out."""

    WINDOW = 20
    """Steps over which the speed is averaged."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, int, float]] = []
        self._mark = self._wanted = time.monotonic()
        self._waited = 0.0

    def start(self) -> None:
        """Start to count now."""
        self._mark = self._wanted = time.monotonic()

    def wants_data(self) -> None:
        """Start to wait for the next batch."""
        self._wanted = time.monotonic()

    def has_data(self) -> None:
        """End that: the batch has come from the workers."""
        self._waited += time.monotonic() - self._wanted

    resume = start

    def step(self, n_tokens: int) -> float:
        """Take one step into account, and return tokens per second over the last ones."""
        now = time.monotonic()
        step = (now - self._mark, n_tokens, self._waited)
        self._steps = [*self._steps[1 - self.WINDOW :], step]
        self._mark, self._waited = now, 0.0
        return sum(tokens for _, tokens, _ in self._steps) / self._seconds

    @property
    def last_seconds(self) -> float:
        """Time that the last step took."""
        return self._steps[-1][0]

    @property
    def seconds_per_step(self) -> float:
        """Mean time of the last steps."""
        return self._seconds / max(len(self._steps), 1)

    @property
    def waiting_share(self) -> float:
        """Share of the time of the last steps in which data were waited for."""
        return min(1.0, sum(waited for _, _, waited in self._steps) / self._seconds)

    @property
    def _seconds(self) -> float:
        return max(sum(seconds for seconds, _, _ in self._steps), 1e-9)
