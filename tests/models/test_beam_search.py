"""Beam search finds what is likeliest, whatever stands beside it in the batch."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, RecordTokens
from kagaku.modalities.sequence import END_ID, N_SPECIALS, START_ID
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.beam import BeamConfig, beam_search
from kagaku.models.pretraining.decoding import Decoder
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.prediction import TokenHead
from kagaku.models.pretraining.sampling import SamplingConfig, sample_tokens

MOLECULE = MODALITIES["molecule"]()


@cache
def network() -> PretrainingNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        backbone = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
        encoder = Encoder(EncoderConfig(modalities=("molecule",), backbone=backbone))
        made = PretrainingNetwork(encoder, ObjectiveConfig(), 0).eval()
        for parameter in made.parameters():  # else all tokens are about as likely
            parameter.data *= 3
        end_bias(made)[END_ID] = 20.0  # short values
    return made


def end_bias(made: PretrainingNetwork) -> torch.Tensor:
    head = made.token_heads["generated"]
    assert isinstance(head, TokenHead)
    bias: torch.Tensor = head.biases["molecule"].data
    return bias


def prefix(smiles: str) -> RecordTokens:
    return {0: ("molecule", MOLECULE.tokenize(smiles))}


def log_probability(given: str, ids: np.ndarray) -> float:
    """Return what a network says of a value, token by token."""
    decoder = Decoder(network(), "molecule", [prefix(given)], len(ids))
    total = 0.0
    for before, after in pairwise(ids):
        total += float(chances(decoder.step(torch.tensor([before])))[0, after])
    return total


def chances(logits: torch.Tensor) -> torch.Tensor:
    allowed = logits.clone()
    allowed[:, [one for one in range(N_SPECIALS) if one != END_ID]] = -torch.inf
    return allowed.log_softmax(1)


def test_a_search_as_wide_as_the_vocabulary_finds_the_best_of_all_short_values() -> None:
    width = MOLECULE.vocabulary_size
    config = BeamConfig(n_beams=width, most_tokens=3, length_exponent=0.0)
    best = beam_search(network(), "molecule", [prefix("CCO")], config)[0][0]
    decoder = Decoder(network(), "molecule", [prefix("CCO")] * width, 3)
    first = chances(decoder.step(torch.zeros(width, dtype=torch.long)))[0]
    second = chances(decoder.step(torch.arange(width)))[:, END_ID]
    scores = first + second  # of a token and the end; the end alone has no second
    scores[END_ID] = first[END_ID]
    likeliest = int(scores.argmax())
    assert best.ids.tolist() == [START_ID, *([likeliest] if likeliest != END_ID else []), END_ID]
    assert best.log_probability == pytest.approx(float(scores.max()), abs=1e-4)


def test_values_are_distinct_ranked_by_their_score_and_as_likely_as_the_network_says() -> None:
    config = BeamConfig(n_beams=4, most_tokens=6, length_exponent=0.7)
    (found,) = beam_search(network(), "molecule", [prefix("c1ccccc1")], config)
    assert len({tuple(one.ids) for one in found}) == len(found) == 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert one.is_whole
        assert one.log_probability == pytest.approx(log_probability("c1ccccc1", one.ids), abs=1e-3)
        n_chosen = len(one.ids) - 1
        assert one.score == pytest.approx(one.log_probability / ((5 + n_chosen) / 6) ** 0.7)


def test_what_is_found_does_not_depend_on_the_neighbours_in_the_batch() -> None:
    prefixes = [prefix(smiles) for smiles in ("CCO", "c1ccccc1C(=O)O", "N", "CC(C)Cl")]
    alone = beam_search(
        network(), "molecule", prefixes, BeamConfig(n_beams=3, most_tokens=7, batch_size=1)
    )
    beside = beam_search(
        network(), "molecule", prefixes, BeamConfig(n_beams=3, most_tokens=7, batch_size=4)
    )
    assert [[one.ids.tolist() for one in found] for found in alone] == [
        [one.ids.tolist() for one in found] for found in beside
    ]


def test_one_beam_finds_nothing_less_likely_than_the_likeliest_token_each_time() -> None:
    (greedy,) = sample_tokens(
        network(), "molecule", [prefix("CCO")], SamplingConfig(temperature=0.0, most_tokens=12)
    )
    config = BeamConfig(n_beams=1, most_tokens=12, length_exponent=0.0)
    (found,) = beam_search(network(), "molecule", [prefix("CCO")], config)
    assert found[0].log_probability >= log_probability("CCO", greedy) - 1e-3


def test_a_value_that_never_ends_is_cut_and_says_so() -> None:
    made = network()
    biases = end_bias(made)
    before = biases.clone()
    biases[END_ID] = -1e4
    try:
        (found,) = beam_search(
            made, "molecule", [prefix("CCO")], BeamConfig(n_beams=2, most_tokens=5)
        )
    finally:
        biases.copy_(before)
    assert len(found) == 2
    assert all(not one.is_whole and len(one.ids) == 5 for one in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_beams": 0}, "n_beams must be at least 1, got 0"),
        ({"most_tokens": 1}, "most_tokens must be at least 2, got 1"),
        ({"length_exponent": 3.0}, "length_exponent must lie between 0 and 2, got 3.0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BeamConfig(**settings)  # type: ignore[arg-type]


def test_what_the_network_does_not_know_is_not_searched_for() -> None:
    with pytest.raises(InputError, match="'protein' cannot be generated"):
        beam_search(network(), "protein", [prefix("CCO")])
