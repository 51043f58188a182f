"""How long it takes from a value to the training data near it."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora import VALID, Corpus
from kagaku.data.corpora.tracing import TraceIndex
from kagaku.errors import InputError
from kagaku.speed.part import Measured, NotRun, Wishes
from kagaku.speed.timing import Comparison, Target

P50, P99 = Target("< 20 ms", 20.0, "value"), Target("< 100 ms", 100.0, "value")
NAME = "trace a value to its five nearest training samples"

WARM = 20
"""Values of each modality that are traced before any counts: an index in use is in memory."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure values that the corpus holds out, all modalities alike often."""
    del folder
    target = f"p50 {P50.text}, p99 {P99.text}"
    if wishes.corpus is None:
        why = "there is no corpus: --corpus FOLDER names one"
        return Measured(not_run=(NotRun(NAME, why, target),))
    corpus = Corpus.open(wishes.corpus)
    try:
        index = TraceIndex.open(corpus)
    except InputError as error:
        return Measured(not_run=(NotRun(NAME, error.what, target),))
    asked = {modality: held_out(corpus, modality, wishes) for modality in index.entries}
    asked = {modality: values for modality, values in asked.items() if values}
    for modality, values in asked.items():
        timed(index, modality, values[:WARM])
    turns = [
        {modality: timed(index, modality, values) for modality, values in asked.items()}
        for _ in range(wishes.turns)
    ]
    n_entries = sum(len(one) for one in index.entries.values())
    name = f"{NAME}, of {n_entries:,} values"
    mixed = [np.concatenate(list(turn.values())) for turn in turns]
    rows = [
        Comparison(f"{name}: {told}", "ms", _quantiles(mixed, share), better="lower", target=aim)
        for told, share, aim in (("p50", 0.5, P50), ("p99", 0.99, P99))
    ]
    rows += [
        Comparison(
            f"{told} of {modality} ({len(index.entries[modality]):,} values)",
            "ms",
            _quantiles([turn[modality] for turn in turns], share),
            better="lower",
        )
        for modality in asked
        for told, share in (("p50", 0.5), ("p99", 0.99))
    ]
    return Measured(
        tuple(rows), details={"values": {name: len(one) for name, one in asked.items()}}
    )


def held_out(corpus: Corpus, modality: str, wishes: Wishes) -> list[Any]:
    """Return held-out values of a modality, from all its sources in turn."""
    found = []
    for source in corpus.manifest.sources:
        for name, kind in source.inputs.items():
            if kind == modality:
                n_samples = min(corpus.n_samples(source.name, VALID), wishes.sizes.n_traced)
                samples = (corpus.read(source.name, one, VALID) for one in range(n_samples))
                found.append([one.inputs[name] for one in samples if name in one.inputs])
    longest = max(map(len, found), default=0)
    mixed = [values[place] for place in range(longest) for values in found if place < len(values)]
    return mixed[: wishes.sizes.n_traced]


def timed(index: TraceIndex, modality: str, values: list[Any]) -> np.ndarray:
    """Return the milliseconds that each value took."""
    taken = []
    for one in values:
        start = time.perf_counter()
        index.find(modality, one)
        taken.append(1e3 * (time.perf_counter() - start))
    return np.array(taken)


def _quantiles(turns: list[np.ndarray], share: float) -> tuple[float, ...]:
    return tuple(float(np.quantile(one, share)) for one in turns)
