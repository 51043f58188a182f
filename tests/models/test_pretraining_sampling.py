"""Generation token by token is the packed forward pass, and draws what it was told to."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem, rdBase

from kagaku.data.corpora import CorpusSample
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, RecordTokens
from kagaku.modalities.molecule import Molecule
from kagaku.modalities.sequence import END_ID, MASK_ID, START_ID
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.assembly import assemble
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.decoding import Decoder
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.records import Part, PretrainingRecord
from kagaku.models.pretraining.sampling import (
    SamplingConfig,
    chosen_tokens,
    prefix_of,
    sample_tokens,
)

MODULES = {name: MODALITIES[name]() for name in ("molecule", "text")}
SMILES = ["CCO", "c1ccccc1C(=O)O", "N"]
TEXTS = ["an alcohol", "the acid of the benzoin resin, a white solid", "gas"]


class InOrder(np.random.Generator):
    """Chance that puts every input into its own column."""

    def permutation(self, x: int) -> np.ndarray:  # type: ignore[override]
        return np.arange(x)


def new_network() -> PretrainingNetwork:
    torch.manual_seed(0)
    backbone = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
    encoder = Encoder(EncoderConfig(modalities=("molecule", "text"), backbone=backbone))
    return PretrainingNetwork(encoder, ObjectiveConfig(), 0)


@pytest.fixture(scope="module")
def network() -> PretrainingNetwork:
    return new_network().eval()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Train on one thread: such small matrices gain nothing from more, and wait for a busy core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("has_prefix", [True, False])
def test_steps_give_the_logits_of_the_packed_forward_pass(
    network: PretrainingNetwork, has_prefix: bool
) -> None:
    molecules = [MODULES["molecule"].tokenize(one) for one in SMILES]
    texts = [MODULES["text"].tokenize(one) for one in TEXTS]
    records = [
        PretrainingRecord(
            (*([Part("text", text)] if has_prefix else []), Part("molecule", molecule)),
            is_generated=True,
        )
        for text, molecule in zip(texts, molecules, strict=True)
    ]
    batch = assemble(
        [[one] for one in records],
        MODULES,
        row_length=64,
        source="named",
        n_samples=3,
        rng=InOrder(np.random.PCG64(0)),
    )
    asked = batch.generated["molecule"]
    with torch.no_grad():
        tokens = network.encode(batch)[asked.token]
        expected = network.token_logits("generated", "molecule", tokens)
    prefixes: list[RecordTokens] = [{0: ("text", one)} if has_prefix else {} for one in texts]
    decoder = Decoder(network, "molecule", prefixes, 32)
    longest = max(map(len, molecules))
    ids = np.zeros((3, longest), dtype=np.int64)
    for row, one in zip(ids, molecules, strict=True):
        row[: len(one)] = one.ids[:, 0]
    steps = [decoder.step(torch.from_numpy(ids[:, place])) for place in range(longest - 1)]
    got = torch.cat(
        [torch.stack(steps, 1)[row, : len(one) - 1] for row, one in enumerate(molecules)]
    )
    # The same sums in another order, through two layers and a head.
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_records_that_are_dropped_change_no_other(network: PretrainingNetwork) -> None:
    texts = [MODULES["text"].tokenize(one) for one in TEXTS]
    whole, part = (
        Decoder(network, "molecule", [{0: ("text", one)} for one in texts], 8) for _ in range(2)
    )
    ids = torch.tensor([START_ID] * 3)
    whole.step(ids)
    part.step(ids)
    part.keep(torch.tensor([2, 0]))
    after = torch.tensor([5, 6, 7])
    torch.testing.assert_close(
        part.step(after[[2, 0]]), whole.step(after)[[2, 0]], rtol=0, atol=1e-5
    )


def test_draws_depend_on_the_seed_only(network: PretrainingNetwork) -> None:
    def draw(seed: int, batch_size: int = 256) -> list[list[int]]:
        config = SamplingConfig(most_tokens=12, seed=seed, batch_size=batch_size)
        return [one.tolist() for one in sample_tokens(network, "molecule", [{}] * 6, config)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    for ids in draw(1) + draw(2, batch_size=2):
        assert ids[0] == START_ID
        assert START_ID not in ids[1:]
        assert MASK_ID not in ids
        assert END_ID not in ids[1:-1]
        assert ids[-1] == END_ID or len(ids) == 12


def test_a_grammar_closes_what_even_an_untrained_network_opens(network: PretrainingNetwork) -> None:
    config = SamplingConfig(most_tokens=40, grammar=True)
    drawn = sample_tokens(network, "molecule", [{}] * 20, config)
    free = sample_tokens(network, "molecule", [{}] * 20, replace(config, grammar=False))
    written, others = (
        [Molecule().decode(one.tolist()) for one in several] for several in (drawn, free)
    )
    assert all(one[-1] == END_ID for one in drawn)
    with rdBase.BlockLogs():
        read = [Chem.MolFromSmiles(one, sanitize=False) is not None for one in written]
        others_read = [Chem.MolFromSmiles(one, sanitize=False) is not None for one in others]
    assert sum(read) >= 19 > sum(others_read)
    with pytest.raises(InputError, match="there is no grammar of the modality 'text'"):
        sample_tokens(network, "text", [{}], config)


def test_a_temperature_of_0_takes_the_likeliest() -> None:
    logits = torch.tensor([[9.0, 0.0, 9.0, 1.0, 2.0], [9.0, 5.0, 9.0, 1.0, 2.0]])
    generator = torch.Generator().manual_seed(0)
    assert chosen_tokens(logits, SamplingConfig(temperature=0.0), generator).tolist() == [4, END_ID]


def test_top_p_leaves_out_the_unlikely() -> None:
    chances = torch.tensor([[0.0, 0.05, 0.0, 0.6, 0.3, 0.05]]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = {
        top_p: {
            int(chosen_tokens(chances, SamplingConfig(top_p=top_p), generator)) for _ in range(200)
        }
        for top_p in (0.5, 0.8, 1.0)
    }
    assert drawn == {0.5: {3}, 0.8: {3, 4}, 1.0: {1, 3, 4, 5}}


def test_draws_follow_the_chances() -> None:
    chances = torch.tensor([0.0, 0.1, 0.0, 0.6, 0.3])
    generator = torch.Generator().manual_seed(0)
    logits = chances.log().repeat(4_000, 1)
    drawn = chosen_tokens(logits, SamplingConfig(), generator)
    shares = torch.bincount(drawn, minlength=5) / 4_000
    # Three standard errors of a share of 0.6 among 4,000.
    torch.testing.assert_close(shares, chances, rtol=0, atol=0.024)


@pytest.mark.usefixtures("one_thread")
def test_a_network_that_learnt_one_molecule_per_text_gives_it_back() -> None:
    network = new_network()
    samples = [
        CorpusSample(f"named/{i}", "named", {"text": text, "molecule": smiles})
        for i, (text, smiles) in enumerate(zip(TEXTS, SMILES, strict=True))
    ]
    inputs = {"named": {"text": "text", "molecule": "molecule"}}
    made = Composer(MODULES, inputs, None, ObjectiveConfig(aligned=0.0, joint=0.0))
    batches = [made.compose([samples], row_length=64, seed=seed) for seed in range(12)]
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(120):
        optimiser.zero_grad()
        network.total(network(batches[step % 12])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    prefixes: list[RecordTokens] = [{0: ("text", MODULES["text"].tokenize(one))} for one in TEXTS]
    config = SamplingConfig(temperature=0.0, most_tokens=24)
    drawn = sample_tokens(network.eval(), "molecule", prefixes, config)
    assert [Molecule().decode(one.tolist()) for one in drawn] == SMILES


def test_a_prefix_has_each_given_value_in_its_own_column() -> None:
    prefix = prefix_of([("text", "an alcohol"), ("molecule", "OCC")], MODULES)
    assert [name for name, _ in prefix.values()] == ["text", "molecule"]
    assert MODULES["molecule"].decode(prefix[1][1].ids[:, 0].tolist()) == "CCO"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"no inputs of the modality 'texts'. Did you mean 'text'"):
        prefix_of([("texts", "an alcohol")], MODULES)
    with pytest.raises(InputError, match=r"'C1' is not a molecule"):
        prefix_of([("molecule", "C1")], MODULES)


def test_what_has_no_vocabulary_cannot_be_generated(network: PretrainingNetwork) -> None:
    with pytest.raises(InputError, match=r"'climate' cannot be generated. Choose from \['mol"):
        sample_tokens(network, "climate", [{}])
    with pytest.raises(InputError, match=r"'molecules' cannot be generated. Did you mean 'mol"):
        sample_tokens(network, "molecules", [{}])


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("temperature", -0.1, "temperature must lie between 0 and 10, got -0.1"),
        ("top_p", 0.0, "top_p must lie above 0 and up to 1, got 0.0"),
        ("most_tokens", 1, "most_tokens must be at least 2, got 1"),
        ("seed", -1, "seed must be at least 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SamplingConfig(**{setting: value})  # type: ignore[arg-type]
