"""Finding the one of many that belongs to a description, and the other way round."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kagaku.data.corpora import CorpusSample
from kagaku.errors import InputError
from kagaku.modalities import Modality, Tokens
from kagaku.models.embedding import embed_columns
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.pairing import new_pair, paired_inputs
from kagaku.models.pretraining.planning import whole_inputs

WITHIN = (1, 10)
"""How many of the best answers are looked at."""

FEWEST_PAIRS = 2
"""Fewest pairs among which anything can be found."""


def projected(
    network: PretrainingNetwork, modality: str, tokens: Sequence[Tokens]
) -> Float[np.ndarray, "value projected"]:
    """Return the vector of length 1 by which each value is compared with other modalities'.

    Args:
        network: Trained with the contrastive objective.
        modality: Of all values.
        tokens: Of each value, whole, nothing hidden.
    """
    pooled, _ = embed_columns(network.encoder, [{0: (modality, one)} for one in tokens], 1)
    device = network.log_scale.device
    with torch.no_grad():
        vectors = network.projections[modality](torch.from_numpy(pooled[:, 0]).to(device))
    array: np.ndarray = vectors.cpu().numpy()
    return array


def sample_retrieval(
    network: PretrainingNetwork,
    modalities: Mapping[str, Modality[Any]],
    inputs: Mapping[str, str],
    samples: Sequence[CorpusSample],
) -> dict[str, dict[str, float]]:
    """Return `retrieval_scores` of held-out pairs in both directions, such as "text to molecule".

    Args:
        network: Trained with the contrastive objective, in evaluation mode.
        modalities: By name, as fitted to the corpus.
        inputs: The modality of each input of the samples' source; the first two of different
            modalities are paired, numbers left out.
        samples: Of one source; those without both inputs, and those whose value of either side
            came before, are left out, since two right answers cannot both be first.

    Raises:
        InputError: The source has no two such inputs, or fewer than two pairs are left.
    """
    sides = paired_inputs(inputs)
    if sides is None:
        raise InputError(
            f"there is nothing to pair in the inputs {dict(inputs)}",
            fix="Choose a source whose samples have two modalities, such as molecule and text.",
        )
    seen: set[bytes] = set()
    whole = (whole_inputs(sample, inputs, modalities) for sample in samples)
    pairs = [pair for given in whole if (pair := new_pair(given, sides, seen)) is not None]
    if len(pairs) < FEWEST_PAIRS:
        raise InputError(
            f"only {len(pairs)} of {len(samples)} samples are distinct pairs",
            fix=f"Give at least {FEWEST_PAIRS}; a few hundred tell more.",
        )
    one, two = (inputs[side] for side in sides)
    first = projected(network, one, [pair[0].tokens for pair in pairs])
    second = projected(network, two, [pair[1].tokens for pair in pairs])
    return {
        f"{one} to {two}": retrieval_scores(first, second),
        f"{two} to {one}": retrieval_scores(second, first),
    }


def retrieval_scores(
    queries: Float[np.ndarray, "pair projected"], answers: Float[np.ndarray, "pair projected"]
) -> dict[str, float]:
    """Return how high the true answer of each query stands among all answers, beside chance.

    ``"recall@10"`` is the share of queries whose answer is among the first ten;
    ``"mean reciprocal rank"`` is the mean of 1 / rank. An equal score counts against the answer.
    The same names with ``"chance "`` in front say what random orders would reach.

    Args:
        queries: One vector per pair.
        answers: The other's.
    """
    scores = queries @ answers.T
    rank = (scores >= np.diag(scores)[:, None]).sum(axis=1)
    n_pairs = len(rank)
    found = {f"recall@{most}": float((rank <= most).mean()) for most in WITHIN}
    chance = {f"chance recall@{most}": min(1.0, most / n_pairs) for most in WITHIN}
    harmonic = float((1 / np.arange(1, n_pairs + 1)).sum())
    return {
        **found,
        "mean reciprocal rank": float((1 / rank).mean()),
        **chance,
        "chance mean reciprocal rank": harmonic / n_pairs,
        "pairs": float(n_pairs),
    }
