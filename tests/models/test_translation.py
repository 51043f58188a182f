"""A network learns pairs by heart, goes on where it was stopped, and leaves nothing out unsaid."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.beam import BeamConfig, beam_search
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.models.pretraining.retrieval import projected, retrieval_scores
from kagaku.models.pretraining.translation import (
    TranslationConfig,
    TranslationData,
    pair_loss,
    train_translation,
)

MOLECULE, TEXT = MODALITIES["molecule"](), MODALITIES["text"]()
PAIRS = [("CCO", "CCBr"), ("CCN", "CCCl"), ("CCCO", "N"), ("c1ccccc1", "Brc1ccccc1")]
SPELT = OptimiserConfig(name="adamw", learning_rate=5e-3, warmup_steps=5, beta2=0.98)


def config(**settings: object) -> TranslationConfig:
    given = {"row_length": 24, "n_rows": 4, "max_epochs": 1000.0, "max_steps": 6}
    return TranslationConfig(**given | {"optimiser": SPELT, "is_bfloat16": False} | settings)  # type: ignore[arg-type]


def new_network() -> PretrainingNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
        encoder = Encoder(EncoderConfig(modalities=("molecule", "text"), backbone=backbone))
        return PretrainingNetwork(encoder, ObjectiveConfig(projected=16), 0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train on one thread: such small matrices gain nothing from more, and wait for a busy core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_pairs_are_learnt_by_heart_and_found_again() -> None:
    network = new_network()
    data = TranslationData(MOLECULE, MOLECULE, PAIRS, config(max_steps=100))
    assert train_translation(network, data) < 0.3
    assert not network.training
    prefixes = [{0: ("molecule", MOLECULE.tokenize(given))} for given, _ in PAIRS]
    found = beam_search(network, "molecule", prefixes, BeamConfig(n_beams=3, most_tokens=20))
    decoded = [MOLECULE.decode(one[0].ids.tolist()) for one in found]  # type: ignore[attr-defined]
    assert decoded == [wanted for _, wanted in PAIRS]


def test_pairs_that_are_aligned_find_each_other() -> None:
    network = new_network()
    pairs = [("CCO", "an alcohol"), ("CCN", "an amine"), ("CCBr", "a bromide"), ("CC", "alkane")]
    data = TranslationData(
        MOLECULE, TEXT, pairs, config(objective="aligned", row_length=32, max_steps=60)
    )
    train_translation(network, data)
    molecules = projected(network, "molecule", [MOLECULE.tokenize(one) for one, _ in pairs])
    texts = projected(network, "text", [TEXT.tokenize(two) for _, two in pairs])
    assert retrieval_scores(molecules, texts)["recall@1"] == 1.0


def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    data = TranslationData(MOLECULE, MOLECULE, PAIRS, config(save_seconds=0.0))
    whole = new_network()
    train_translation(whole, data)

    def stop(done: int, total: int, what: str) -> None:
        assert (total, what[:8]) == (6, "learning")
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_translation(new_network(), data, folder=tmp_path, report=stop)
    again, seen = new_network(), list[tuple[int, int, str]]()
    train_translation(again, data, folder=tmp_path, report=lambda *told: seen.append(told))
    assert [step for step, _, _ in seen] == [5, 6]
    for name, weights in again.state_dict().items():
        torch.testing.assert_close(weights, whole.state_dict()[name], rtol=0, atol=0, msg=name)


def test_the_state_of_other_pairs_is_left_aside(tmp_path: Path) -> None:
    settings = config(save_seconds=0.0)
    train_translation(
        new_network(), TranslationData(MOLECULE, MOLECULE, PAIRS, settings), folder=tmp_path
    )
    seen: list[tuple[int, int, str]] = []
    train_translation(
        new_network(),
        TranslationData(MOLECULE, MOLECULE, PAIRS[:2], settings),
        folder=tmp_path,
        report=lambda *told: seen.append(told),
    )
    assert seen[0][0] == 1


def test_the_state_of_other_first_weights_is_left_aside(tmp_path: Path) -> None:
    data = TranslationData(MOLECULE, MOLECULE, PAIRS, config(save_seconds=0.0))
    train_translation(new_network(), data, folder=tmp_path)
    alone, other = new_network(), new_network()
    for one in (alone, other):
        with torch.no_grad():
            next(iter(one.parameters())).add_(0.01)
    train_translation(alone, data)
    train_translation(other, data, folder=tmp_path)
    for name, weights in other.state_dict().items():
        torch.testing.assert_close(weights, alone.state_dict()[name], rtol=0, atol=0, msg=name)


def test_an_epoch_has_every_pair_once_and_no_row_is_too_long() -> None:
    pairs = [("C" * (1 + number), "N" * (1 + number % 3)) for number in range(15)]
    data = TranslationData(MOLECULE, MOLECULE, pairs, config(n_rows=1, max_epochs=1.0))
    batches = [data.batch(step) for step in range(data.per_epoch)]
    assert sum(one.n_samples for one in batches) == len(pairs)
    assert max(one.packed.n_tokens for one in batches) <= 24
    again = data.batch(0)
    torch.testing.assert_close(again.packed.ids["molecule"], batches[0].packed.ids["molecule"])


def test_only_what_is_wanted_is_asked_for() -> None:
    data = TranslationData(MOLECULE, MOLECULE, PAIRS, config())
    batch = data.batch(0)
    wanted = sum(len(MOLECULE.tokenize(two)) - 1 for _, two in PAIRS)  # all but the start
    assert len(batch.generated["molecule"].token) == wanted
    assert not batch.masked
    assert pair_loss(new_network(), batch).item() > 1


def test_another_spelling_is_taken_where_it_fits() -> None:
    def longer(smiles: str, rng: np.random.Generator) -> str:
        assert isinstance(rng, np.random.Generator)
        return f"[{smiles}H3]" if smiles == "C" else smiles * 30

    pairs = [("C", "N"), ("O", "N")]
    data = TranslationData(MOLECULE, MOLECULE, pairs, config(n_rows=1), longer)
    ids = data.batch(0).packed.ids["molecule"][:, 0].tolist()
    spelt = MOLECULE.decode(ids)  # type: ignore[attr-defined]
    assert "[CH3]N" in spelt
    assert "OO" not in spelt


def test_what_is_generated_from_nothing_has_no_prefix() -> None:
    data = TranslationData(None, MOLECULE, [("", "CCO"), ("", "CCN")], config())
    prefix = data.batch(0).packed.prefix_lengths
    assert prefix is not None
    assert prefix.tolist() == [0, 0]


def test_pairs_that_fit_no_row_are_counted_and_none_at_all_is_refused() -> None:
    data = TranslationData(MOLECULE, MOLECULE, [*PAIRS, ("C" * 40, "N")], config())
    assert data.n_left_out == 1
    with pytest.raises(InputError, match="no pair of values has at most 24 tokens"):
        TranslationData(MOLECULE, MOLECULE, [("C" * 40, "N")], config())


def test_steps_are_bounded_by_epochs_and_by_number() -> None:
    few = TranslationData(MOLECULE, MOLECULE, PAIRS, config(max_epochs=3.0, max_steps=100))
    assert few.n_steps == 3 * few.per_epoch
    assert TranslationData(MOLECULE, MOLECULE, PAIRS, config()).n_steps == 6
    with pytest.raises(InputError, match="max_steps must be positive, got 0"):
        config(max_steps=0)
