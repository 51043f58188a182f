"""What a network has learnt, on held-out batches: losses, and how often it is right."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.network import GENERATED, MASKED, PretrainingNetwork

ACCURACY, EXPLAINED = "accuracy", "explained"
"""The last words of what is measured beside a loss: ``"masked/protein accuracy"``."""


@torch.no_grad()
def evaluate(network: PretrainingNetwork, batches: Iterable[PretrainingBatch]) -> dict[str, float]:
    """Return the held-out losses by name, and what is easier to read than a loss.

    Each loss is the mean over all that was asked in all batches. Beside ``"masked/protein"`` stands
    ``"masked/protein accuracy"``, the share of tokens whose likeliest id is the true one, the same
    for generated tokens, and ``"descriptors explained"``, the median over the descriptors of the
    share of their variance that is explained (1 perfect, 0 no better than the mean); the same for
    the numbers of summaries, by modality.

    Args:
        network: Put into evaluation mode while this runs.
        batches: Held-out ones, on the network's device.
    """
    was_training = network.training
    network.eval()
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    described: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)

    def add(name: str, mean: float, count: int) -> None:
        sums[name] += mean * count
        counts[name] += count

    for batch in batches:
        for name, loss in network(batch).items():
            add(name, float(loss), n_asked(batch, name))
        tokens = network.encode(batch)
        for objective, asked in ((MASKED, batch.masked), (GENERATED, batch.generated)):
            for name, targets in asked.items():
                guess = network.token_logits(objective, name, tokens[targets.token]).argmax(1)
                right = (guess == targets.label).float().mean()
                add(f"{objective}/{name} {ACCURACY}", float(right), len(guess))
        if batch.descriptors is not None:
            predicted = network.predict_descriptors(batch.packed, tokens, batch.descriptors)
            pair = _array(predicted), _array(batch.descriptors.values)
            described["descriptors"].append(pair)
        for name in network.n_summaries.keys() & batch.summaries.keys():
            wanted = batch.summaries[name]
            predicted = network.predict_summaries(name, batch.packed, tokens, wanted)
            described[f"summaries/{name}"].append((_array(predicted), _array(wanted.values)))
    network.train(was_training)
    scores = {name: sums[name] / counts[name] for name in sorted(sums)}
    for name, pairs in described.items():
        guesses, truths = (np.concatenate(one) for one in zip(*pairs, strict=True))
        shares = explained(guesses, truths)
        if np.isfinite(shares).any():
            scores[f"{name} {EXPLAINED}"] = float(np.nanmedian(shares))
    return scores


def n_asked(batch: PretrainingBatch, loss: str) -> int:
    """Return how many tokens, molecules or pairs a loss of a batch is the mean of.

    Args:
        batch: What the loss was computed on.
        loss: Its name, as `PretrainingNetwork.forward` gives it.
    """
    objective, _, name = loss.partition("/")
    if objective == "descriptors":
        assert batch.descriptors is not None
        return len(batch.descriptors.record)
    if objective == "summaries":
        return len(batch.summaries[name].record)
    if objective == "aligned":
        assert batch.pairs is not None
        return len(batch.pairs.first)
    if objective in ("reconstructed", "retained"):
        return len(getattr(batch, objective)[name].token)
    return len({MASKED: batch.masked, GENERATED: batch.generated}[objective][name].token)


def explained(
    predicted: Float[np.ndarray, "record descriptor"], truth: Float[np.ndarray, "record descriptor"]
) -> Float[np.ndarray, " descriptor"]:
    """Return the share of each descriptor's variance that predictions explain.

    NaN for a descriptor that does not vary among the records where it is defined.
    """
    is_known = np.isfinite(truth)
    count = np.maximum(is_known.sum(axis=0), 1)
    known = np.where(is_known, truth, 0.0)
    spread = np.where(is_known, known - known.sum(axis=0) / count, 0.0)
    error = np.where(is_known, known - predicted, 0.0)
    total = (spread**2).sum(axis=0)
    shares: np.ndarray = 1 - (error**2).sum(axis=0) / np.where(total > 1e-12, total, np.nan)
    return shares


def _array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
