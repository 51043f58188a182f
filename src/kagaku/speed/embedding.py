"""Embedding proteins of mixed lengths beside transformers, and what share of the peak that is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from kagaku.models.pretraining.throughput import measured_peak
from kagaku.models.public.encoder import precision_of
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.speed.part import Measured, Wishes
from kagaku.speed.proteins import (
    ReferenceModel,
    fastest_precision,
    log_normal_lengths,
    made_proteins,
    our_model,
    save_random_esm,
)
from kagaku.speed.timing import Comparison, Target, rates, spread, take_turns

UNSORTED_BATCH = 32
"""Proteins of a batch where the reference takes them as they come."""

EXACT = 1e-4
"""Most that outputs in float32 may differ."""

ROUNDED = 0.05
"""Most that outputs in bfloat16 may differ, root mean square, as a share of their spread. It keeps
8 bits, so single sums are off by 0.4%, and two orders of summing through six blocks by more."""


class ParityError(AssertionError):
    """The contenders do not compute the same, so their times must not be compared."""


@dataclass
class LinearWork:
    """What the linear layers did."""

    flops: float = 0.0
    """Floating-point operations: 2 for each weight and token."""

    seconds: float = 0.0
    """Inside them."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure the embedding of proteins in turns, after both have given the same vectors.

    Raises:
        ParityError: The vectors differ by more than rounding.
    """
    sizes = wishes.sizes
    proteins = made_proteins(log_normal_lengths(sizes.n_proteins, sizes.longest))
    stored = save_random_esm(folder / "esm", sizes.esm)
    differences = check_parity(stored, proteins)
    precision = fastest_precision()
    ours, theirs = our_model(stored, precision), ReferenceModel(stored, precision)
    ids = theirs.token_ids(proteins)
    contenders: dict[str, Any] = {
        "kagaku": lambda: ours.embed(proteins),
        "unsorted": lambda: theirs.embed(ids, UNSORTED_BATCH, is_sorted=False),
    }
    for size in sizes.batch_sizes:
        contenders[f"sorted {size}"] = partial(theirs.embed, ids, size, is_sorted=True)
    seconds = take_turns(contenders, wishes.turns)
    residues = sum(map(len, proteins))
    found = {name: rates(residues, one) for name, one in seconds.items()}
    best = max(
        (name for name in found if name.startswith("sorted")),
        key=lambda name: spread(found[name])["median"],
    )
    what, reference = f"embed proteins of mixed lengths, {precision}", "transformers EsmModel"
    comparisons = (
        Comparison(
            f"{what}, beside the best sorted batches",
            "residues/s",
            found["kagaku"],
            found[best],
            f"{reference}, {best.replace('sorted', 'sorted, batches of')}",
            target=Target(">= 3x", 3.0),
        ),
        Comparison(
            f"{what}, beside unsorted batches",
            "residues/s",
            found["kagaku"],
            found["unsorted"],
            f"{reference}, as they come, batches of {UNSORTED_BATCH}",
            target=Target(">= 8x", 8.0),
        ),
        *peak_shares(ours, proteins, wishes.turns),
    )
    details = {"differences": differences, "residues_per_second": found, "best": best}
    return Measured(comparisons, details=details)


def check_parity(folder: Path, proteins: list[str]) -> dict[str, float]:
    """Return how far both contenders' vectors are apart: in float32, and in what is timed.

    Raises:
        ParityError: By more than `EXACT` or `ROUNDED`.
    """
    found: dict[str, float] = {}
    for precision in dict.fromkeys(("float32", fastest_precision())):
        reference = ReferenceModel(folder, precision)
        ours = our_model(folder, precision).embed(proteins)
        ids = reference.token_ids(proteins)
        theirs = reference.embed(ids, UNSORTED_BATCH, is_sorted=True)
        what = "float32, largest" if precision == "float32" else f"{precision}, share of the spread"
        found[what] = check_same(precision, ours, theirs)
    return found


def check_same(
    precision: str,
    ours: Float[np.ndarray, "protein dim"],
    theirs: Float[np.ndarray, "protein dim"],
) -> float:
    """Return how far vectors are apart: the largest difference in float32; see `check_rounding`.

    Raises:
        ParityError: By more than `EXACT` or `ROUNDED`.
    """
    if precision != "float32":
        return check_rounding(ours, theirs)
    exact = float(np.abs(np.subtract(ours, theirs)).max())
    if not exact <= EXACT:
        raise ParityError(f"vectors in float32 differ by {exact:.1e}, more than {EXACT:.0e}")
    return exact


def check_rounding(
    ours: Float[np.ndarray, "protein dim"], theirs: Float[np.ndarray, "protein dim"]
) -> float:
    """Return how far vectors in bfloat16 are apart, root mean square, as a share of their spread.

    Raises:
        ParityError: By more than `ROUNDED`.
    """
    rounded = float(np.sqrt(np.square(np.subtract(ours, theirs)).mean()) / np.std(theirs))
    if not rounded <= ROUNDED:
        raise ParityError(
            f"vectors in bfloat16 differ by {rounded:.1%} of their spread, more than {ROUNDED:.0%}"
        )
    return rounded


@contextmanager
def watched_linears(network: nn.Module) -> Iterator[LinearWork]:
    """Count the operations and the time of a network's linear layers while it is open."""
    work, starts = LinearWork(), list[float]()

    def before(*_: Any) -> None:
        starts.append(time.perf_counter())

    def after(layer: nn.Linear, _: Any, out: torch.Tensor) -> None:
        work.seconds += time.perf_counter() - starts.pop()
        work.flops += 2.0 * out.numel() * layer.in_features

    linears = [one for one in network.modules() if isinstance(one, nn.Linear)]
    hooks = [one.register_forward_pre_hook(before) for one in linears]
    hooks += [one.register_forward_hook(after) for one in linears]
    try:
        yield work
    finally:
        for one in hooks:
            one.remove()


def peak_shares(
    model: ProteinLanguageModel, proteins: list[str], turns: int
) -> tuple[Comparison, Comparison, Comparison]:
    """Return the linear layers' share of the peak inside them and over all time, and the peak."""
    inside, overall, peaks = list[float](), list[float](), list[float]()
    precision = fastest_precision()
    for _ in range(turns):
        peak = measured_peak(torch.device("cpu"), precision_of(precision))
        start = time.perf_counter()
        with watched_linears(model.network) as work:
            model.embed(proteins)
        overall.append(100 * work.flops / (time.perf_counter() - start) / peak)
        inside.append(100 * work.flops / work.seconds / peak)
        peaks.append(peak / 1e9)
    name = f"share of the measured {precision} matrix-product peak"
    return (
        Comparison(
            f"{name}, inside the linear layers",
            "%",
            tuple(inside),
            target=Target(">= 50%", 50.0, "value"),
        ),
        Comparison(f"{name}, linear layers' operations over all time", "%", tuple(overall)),
        Comparison(f"measured {precision} matrix-product peak", "GFLOP/s", tuple(peaks)),
    )
