"""Where the time of an embedding goes, by kind of operation."""

import re
from collections import defaultdict
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from kagaku.speed.part import Measured, Wishes
from kagaku.speed.proteins import (
    fastest_precision,
    log_normal_lengths,
    made_proteins,
    our_model,
    save_random_esm,
)
from kagaku.speed.timing import Comparison

KINDS = {
    "attention": r"attention|softmax|bmm|^exp_?$|vector_norm",
    "matrix products": r"linear|mm|matmul",
    "norms": r"norm",
    "copies": r"copy|cat|index|clone|contiguous|gather|_to|embedding",
    "element-wise": r"add|sub|mul|div|gelu|neg|sin|cos|masked_fill",
}
"""By kind, what stands in the names of its operations; the first that fits counts.
Only attention multiplies in batches, takes exponentials, and asks how long its queries are."""

OTHER = "other"


def kind_of(operation: str) -> str:
    """Return the kind of one of torch's operations.

    Example:
        >>> kind_of("aten::addmm")
        'matrix products'
        >>> kind_of("aten::expand")
        'other'
    """
    name = operation.rpartition("::")[2]
    for kind, pattern in KINDS.items():
        if re.search(pattern, name):
            return kind
    return OTHER


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure the share of each kind in all operations' own time, turn by turn."""
    sizes = wishes.sizes
    proteins = made_proteins(log_normal_lengths(sizes.n_proteins, sizes.longest))
    model = our_model(save_random_esm(folder / "esm", sizes.esm), fastest_precision())
    model.embed(proteins)
    shares: dict[str, list[float]] = {kind: [] for kind in (*KINDS, OTHER)}
    operations: dict[str, float] = {}
    for _ in range(wishes.turns):
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as told:
            model.embed(proteins)
        times: defaultdict[str, float] = defaultdict(float)
        operations = {one.key: one.self_cpu_time_total / 1e6 for one in told.key_averages()}
        for name, seconds in operations.items():
            times[kind_of(name)] += seconds
        total = sum(times.values())
        for kind, values in shares.items():
            values.append(100 * times[kind] / total)
    longest = sorted(operations.items(), key=lambda one: -one[1])[:20]
    return Measured(
        tuple(
            Comparison(f"time of embedding: {kind}", "%", tuple(values), better="lower")
            for kind, values in shares.items()
        ),
        details={"seconds_of_operations_last_turn": dict(longest)},
    )
