"""Teaching a pretrained network pairs of values: to generate one from the other, or to align them.

A pair that is generated is one record in the backbone's prefix-causal mode: what is given is looked
at in both directions, what is wanted is generated behind it. A pair that is aligned is two records,
which are told apart from those of the other pairs of the step.
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from kagaku.errors import InputError
from kagaku.modalities import Modality, Tokens
from kagaku.models.precision import is_bfloat16_faster
from kagaku.models.pretraining.assembly import assemble
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.losses import alignment_loss
from kagaku.models.pretraining.network import GENERATED, PretrainingNetwork
from kagaku.models.pretraining.objectives import SMALLEST_TEMPERATURE
from kagaku.models.pretraining.optimisers import (
    OptimiserConfig,
    learning_rate_factor,
    make_optimisers,
    set_learning_rate,
)
from kagaku.models.pretraining.records import Part, PretrainingRecord
from kagaku.models.pretraining.state import Counters, restored_step, save_state, weights_digest

Pair = tuple[str, str]
"""What is given, and what is wanted."""

Respell = Callable[[str, np.random.Generator], str]
"""Writes a given value in another way that means the same."""


def _optimiser() -> OptimiserConfig:
    return OptimiserConfig(
        name="adamw", learning_rate=5e-4, weight_decay=0.01, beta2=0.98, warmup_steps=100
    )


@dataclass(frozen=True)
class TranslationConfig:
    """How long is learnt, and how."""

    objective: Literal["generated", "aligned"] = "generated"
    """Whether the second value is generated from the first, or both are told from other pairs'."""

    max_steps: int = 6_000
    """Steps at most."""

    max_epochs: float = 10.0
    """Times that each pair is seen at most, so that few pairs take few steps."""

    row_length: int = 384
    """Tokens of a row; a longer pair is left out."""

    n_rows: int = 20
    """Rows of a step."""

    optimiser: OptimiserConfig = field(default_factory=_optimiser)
    """How weights are changed; the decay ends at the last step."""

    is_bfloat16: bool = True
    """Whether matrix products are computed in bfloat16 where the device is faster at it; weights
    stay in float32."""

    save_seconds: float = 120.0
    """Least time between two saved states, in seconds."""

    seed: int = 0
    """Fixes the order of the pairs and how they are spelt."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name in ("max_steps", "max_epochs", "row_length", "n_rows"):
            if getattr(self, name) <= 0:
                raise InputError(
                    f"{name} must be positive, got {getattr(self, name)}", fix="Choose at least 1."
                )


class TranslationData:
    """Pairs as batches; which pairs stand in a step depends on the seed and the step alone.

    Args:
        given: Modality of what is given; None to generate from nothing, whatever the pairs say.
        wanted: Modality of what is generated.
        pairs: Checked values.
        config: Sizes.
        respell: Writes what is given in another way each time; None leaves it.

    Raises:
        InputError: No pair fits a row.
    """

    def __init__(
        self,
        given: Modality[Any] | None,
        wanted: Modality[Any],
        pairs: Sequence[Pair],
        config: TranslationConfig,
        respell: Respell | None = None,
    ) -> None:
        self.given, self.wanted, self.config, self.respell = given, wanted, config, respell
        lengths = [
            len(wanted.tokenize(two)) + (0 if given is None else len(given.tokenize(one)))
            for one, two in pairs
        ]
        fits = [number for number, one in enumerate(lengths) if one <= config.row_length]
        if not fits:
            raise InputError(
                f"no pair of values has at most {config.row_length} tokens",
                fix="Choose longer rows.",
            )
        self.pairs = [pairs[number] for number in fits]
        self.lengths = [lengths[number] for number in fits]
        self.n_left_out = len(pairs) - len(fits)
        self._sizes: dict[int, int] = {}
        self._epoch, self._steps = -1, list[list[list[int]]]()
        self.per_epoch = self._size(0)

    @property
    def n_steps(self) -> int:
        """How many steps there are to learn."""
        return min(self.config.max_steps, math.ceil(self.config.max_epochs * self.per_epoch))

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the run, beside the weights that it begins with."""
        digest = hashlib.sha256("\n".join(map("\t".join, self.pairs)).encode()).hexdigest()
        return {
            "pairs": digest,
            "is_respelt": self.respell is not None,
            **asdict(self.config),
            "save_seconds": 0.0,
        }

    def batch(self, step: int) -> PretrainingBatch:
        """Return the batch of a step, counted from 0."""
        epoch, place = self._place(step)
        rows = self._of_epoch(epoch)[place]
        rng = np.random.default_rng((self.config.seed, 1, step))
        return assemble(
            [self._row(row, rng) for row in rows],
            {one.name: one for one in (self.given, self.wanted) if one is not None},
            row_length=self.config.row_length,
            source="pairs",
            n_samples=sum(map(len, rows)),
            rng=None,
        )

    def _place(self, step: int) -> tuple[int, int]:
        """Return the epoch of a step, and its place there; epochs differ a little in length."""
        epoch = 0
        while step >= self._size(epoch):
            epoch, step = epoch + 1, step - self._size(epoch)
        return epoch, step

    def _size(self, epoch: int) -> int:
        if epoch not in self._sizes:
            self._sizes[epoch] = len(self._of_epoch(epoch))
        return self._sizes[epoch]

    def _of_epoch(self, epoch: int) -> list[list[list[int]]]:
        """Return the steps of an epoch: rows of pairs, filled one after the other."""
        if epoch != self._epoch:
            rows: list[list[int]] = [[]]
            used = 0
            rng = np.random.default_rng((self.config.seed, 0, epoch))
            for number in rng.permutation(len(self.pairs)):
                if used + self.lengths[number] > self.config.row_length:
                    rows.append([])
                    used = 0
                rows[-1].append(int(number))
                used += self.lengths[number]
            size = self.config.n_rows
            steps = [rows[start : start + size] for start in range(0, len(rows), size)]
            # A last step of a few rows would count as much as a whole one.
            whole = [one for one in steps if len(one) == size]
            self._epoch, self._steps = epoch, whole or steps
        return self._steps

    def _row(self, row: Sequence[int], rng: np.random.Generator) -> list[PretrainingRecord]:
        spare = self.config.row_length - sum(self.lengths[number] for number in row)
        records = []
        for number in row:
            one, two = self.pairs[number]
            parts: tuple[Part, ...] = (Part(self.wanted.name, self.wanted.tokenize(two)),)
            if self.given is not None:
                given = self._spelt(self.given, one, spare, rng)
                spare -= max(0, len(given) - len(self.given.tokenize(one)))
                parts = (Part(self.given.name, given), *parts)
            if self.config.objective == "generated":
                records.append(PretrainingRecord(parts, is_generated=True))
            else:
                records += [
                    PretrainingRecord((part,), pair=side) for side, part in enumerate(parts)
                ]
        return records

    def _spelt(
        self, given: Modality[Any], value: str, spare: int, rng: np.random.Generator
    ) -> Tokens:
        """Return the tokens of a given value, spelt in another way if there is room for it."""
        tokens = given.tokenize(value)
        if self.respell is None:
            return tokens
        other = given.tokenize(self.respell(value, rng))
        return other if len(other) - len(tokens) <= spare else tokens


def train_translation(
    network: PretrainingNetwork,
    data: TranslationData,
    *,
    folder: Path | None = None,
    report: Callable[[int, int, str], None] | None = None,
) -> float:
    """Teach a network its pairs, in place.

    A stopped training goes on from its last state in ``folder`` and ends with the same weights as
    one that was never stopped; a state of other data, settings or first weights is removed.

    Args:
        network: Left in evaluation mode.
        data: What it learns from.
        folder: Where states are kept; None keeps none.
        report: Called with (steps done, steps in all, what).

    Returns:
        The mean loss over the last tenth of the steps that were done here, in nats; NaN
        where none was left to do.
    """
    (optimiser,) = make_optimisers(network, data.config.optimiser)
    identity = {**data.identity, "start": weights_digest(network)}
    # Through JSON as the stored one, where tuples are lists.
    first = restored_step(folder, identity, network, optimiser)
    device = network.generating.device
    is_mixed = data.config.is_bfloat16 and is_bfloat16_faster(device)
    losses: list[float] = []
    network.train()
    saved = time.monotonic()
    for step in range(first, data.n_steps):
        batch = data.batch(step).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=is_mixed):
            loss = pair_loss(network, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), data.config.optimiser.gradient_clip)
        set_learning_rate(
            [optimiser], learning_rate_factor(step, data.n_steps, data.config.optimiser)
        )
        optimiser.step()
        losses.append(float(loss.detach()))
        if folder is not None and time.monotonic() - saved >= data.config.save_seconds:
            counters = Counters(step=step + 1, identity=identity)
            save_state(folder, counters, network, [optimiser], None)
            saved = time.monotonic()
        if report is not None:
            report(step + 1, data.n_steps, f"learning, loss {losses[-1]:.3f}")
    network.eval()
    last = losses[-max(1, len(losses) // 10) :]
    return float(np.mean(last)) if last else float("nan")


def pair_loss(network: PretrainingNetwork, batch: PretrainingBatch) -> Float[Tensor, ""]:
    """Return the loss of a step, in nats: per wanted token, or per pair that is aligned."""
    tokens = network.encode(batch)
    if batch.pairs is not None:
        scale = network.log_scale.exp().clamp(max=1 / SMALLEST_TEMPERATURE)
        return alignment_loss(*network.project_pairs(batch.packed, tokens, batch.pairs), scale)
    ((modality, asked),) = batch.generated.items()
    logits = network.token_logits(GENERATED, modality, tokens[asked.token])
    return cross_entropy(logits, asked.label)
