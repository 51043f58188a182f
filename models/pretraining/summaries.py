"""Computed summaries: numbers that a domain computes from a value, asked of its pooled embedding.

What descriptors are to molecules (Burns et al. 2025, https://arxiv.org/abs/2506.15792), histograms
and textures are to images, and composition is to sequences: free of noise, cheap, and about the
value as a whole, so that they shape its embedding and not only those of its tokens. Who computes
them is given from outside; here they are scaled, and standardised as targets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.data.corpora import CorpusSample
from kagaku.modalities import Modality, Tokens

FARTHEST = 5.0
"""Standard deviations at which summaries are clipped."""


@dataclass(frozen=True)
class Shown:
    """What a model sees of a value."""

    modality: Modality[Any]
    """What made the tokens."""

    value: Any
    """The checked value, whole."""

    tokens: Tokens
    """Its tokens; a part of them where it is cropped."""

    is_whole: bool
    """Whether nothing was cropped."""


Compute = Callable[[Shown], np.ndarray | None]
"""Returns the summary of what is shown, (number,), NaN where a number is not defined; None where
nothing can be said of it. It can be sent to worker processes."""


@dataclass(frozen=True)
class Summary:
    """How the values of one modality are summarised."""

    compute: Compute
    """What computes the numbers."""

    mean: Float[np.ndarray, " number"]
    """Of each number over some training samples."""

    std: Float[np.ndarray, " number"]
    """Of each number over the same, positive."""

    def __len__(self) -> int:
        return len(self.mean)

    def __call__(self, shown: Shown) -> Float[np.ndarray, " number"] | None:
        """Return the standardised and clipped numbers, float32; NaN stays NaN."""
        numbers = self.compute(shown)
        if numbers is None:
            return None
        scores: np.ndarray = (numbers - self.mean) / self.std
        return scores.clip(-FARTHEST, FARTHEST).astype(np.float32)


def fit_summaries(
    compute: Mapping[str, Compute],
    samples: Mapping[str, Sequence[CorpusSample]],
    inputs: Mapping[str, Mapping[str, str]],
    modalities: Mapping[str, Modality[Any]],
) -> dict[str, Summary]:
    """Return the summaries of those modalities that the samples have, scaled to them.

    Args:
        compute: By modality, what computes its summary.
        samples: By source, training samples.
        inputs: By source, the modality of each of its inputs.
        modalities: By name, fitted.
    """
    rows: dict[str, list[np.ndarray]] = {}
    rng = np.random.default_rng(0)
    for source, of_source in samples.items():
        for sample in of_source:
            for name, kind in inputs[source].items():
                value, modality = sample.inputs.get(name), modalities[kind]
                if kind not in compute or value is None:
                    continue
                varied = modality.vary(value, rng)
                # As it is and varied, since both are shown.
                for one in (value,) if varied is value else (value, varied):
                    shown = Shown(modality, one, modality.tokenize(one), is_whole=True)
                    if (numbers := compute[kind](shown)) is not None:
                        rows.setdefault(kind, []).append(numbers)
    return {name: _fitted(compute[name], np.stack(rows[name])) for name in sorted(rows)}


def _fitted(compute: Compute, rows: Float[np.ndarray, "value number"]) -> Summary:
    is_known = np.isfinite(rows)
    count = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, rows, 0.0).sum(axis=0) / count
    squares = np.where(is_known, rows - mean, 0.0) ** 2
    std = np.sqrt(squares.sum(axis=0) / count)
    return Summary(compute, mean, np.where(std > 1e-9, std, 1.0))
