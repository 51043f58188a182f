"""At which steps of a pretraining each sample was shown."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int

from kagaku.data.corpora.order import CorpusOrder
from kagaku.data.whole_files import write_json

STEPS_FILE = "steps.json"
"""What the steps of a folder are of; written last."""


class SeenSteps:
    """The steps of each sample; make one with `SeenSteps.open`.

    Args:
        folder: What `write_steps` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        told = json.loads((folder / STEPS_FILE).read_text(encoding="utf-8"))
        self.n_steps = int(told["n_steps"])
        self._numbers: dict[str, int] = {name: n for n, name in enumerate(told["sources"])}

    def of(self, source: str, index: int) -> Int[np.ndarray, " step"]:
        """Return the steps that showed a sample, from 1 to the last one; none if none did."""
        if source not in self._numbers:
            return np.zeros(0, dtype=np.int64)
        number = self._numbers[source]
        starts = np.load(self._folder / f"{number:03d}.starts.npy", mmap_mode="r")
        steps = np.load(self._folder / f"{number:03d}.steps.npy", mmap_mode="r")
        shown: np.ndarray = np.array(steps[starts[index] : starts[index + 1]], dtype=np.int64)
        return shown


def write_steps(
    order: CorpusOrder,
    n_samples: dict[str, int],
    n_steps: int,
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    """Walk through the order of a run once, and keep at which steps each sample was shown.

    Args:
        order: Of the run.
        n_samples: By source of the order, its training samples.
        n_steps: Steps that the run did.
        folder: Where the arrays go.
        progress: Called with steps done and all steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown: dict[str, list[np.ndarray]] = {name: [] for name in order.sources}
    when: dict[str, list[np.ndarray]] = {name: [] for name in order.sources}
    for index in range(n_steps * order.config.micro_batches):
        micro_batch = order.micro_batch(index)
        step = index // order.config.micro_batches + 1
        samples = np.concatenate([np.array(row, dtype=np.int64) for row in micro_batch.rows])
        shown[micro_batch.source].append(samples)
        when[micro_batch.source].append(np.full(len(samples), step, dtype=np.int32))
        if step % 100 == 0:
            progress(step, n_steps)
    for number, name in enumerate(order.sources):
        samples = np.concatenate([np.zeros(0, dtype=np.int64), *shown[name]])
        steps = np.concatenate([np.zeros(0, dtype=np.int32), *when[name]])
        by_sample = np.argsort(samples, kind="stable")
        counts = np.bincount(samples, minlength=n_samples[name])
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        np.save(folder / f"{number:03d}.starts.npy", starts, allow_pickle=False)
        np.save(folder / f"{number:03d}.steps.npy", steps[by_sample], allow_pickle=False)
    write_json({"n_steps": n_steps, "sources": list(order.sources)}, folder / STEPS_FILE)
