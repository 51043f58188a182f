"""Losses: what they do not depend on, what they ignore, and that they can be learnt."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError
from kagaku.models import BackboneConfig, Encoder, EncoderConfig, load_encoder
from kagaku.models.attention import SegmentLayout, segment_layout
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.losses import alignment_loss, descriptor_loss, reconstruction_loss
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.rows import FixedRows, fixed_rows
from kagaku.models.pretraining.stored import load_pretrained, save_pretrained

SMALL = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
SCALE = DescriptorScale(("MolLogP", "TPSA"), (0.0, 0.0), (1.0, 1.0))
INPUTS = {
    "molecules": {"molecule": "molecule"},
    "named": {"molecule": "molecule", "text": "text"},
    "climate": {"climate": "climate", "lead": "quantity", "later": "climate"},
    "photographs": {"image": "image", "text": "text"},
}
SMILES = (
    "CCO", "c1ccccc1C(=O)O", "CC(=O)Nc1ccc(O)cc1", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "CCCCCCCC",
    "OC(=O)CCC(=O)O", "Clc1ccccc1", "FC(F)(F)c1ccncc1", "CC(C)CC(N)C(=O)O", "O=S(=O)(N)c1ccccc1",
)  # fmt: skip
# The same float32 sums in another order, through two layers and a head.
TOLERANCE = 1e-5


def inputs_of(source: str, index: int) -> dict[str, Any]:
    rng = np.random.default_rng(index)

    def field() -> Field:
        cells = rng.normal(280, 10, (1, 8, 12)).astype(np.float32)
        north, east = np.linspace(-80, 80, 8), np.arange(12) * 30.0
        return Field(cells, ("sst",), ("K",), north, east, 0.0, 0.2)

    inputs: dict[str, dict[str, Any]] = {
        "molecules": {"molecule": SMILES[index]},
        "named": {"molecule": SMILES[index], "text": f"compound number {index}"},
        "climate": {
            "climate": field(),
            "lead": Quantity("lead time", 30.0 + index, "day"),
            "later": field(),
        },
        "photographs": {
            "image": rng.integers(0, 255, (40, 50, 3)).astype(np.uint8),
            "text": f"nebula {index}",
        },
    }
    return inputs[source]


def sample(source: str, index: int) -> CorpusSample:
    values = np.array([index / 10, np.nan if index % 2 else 1.0], dtype=np.float32)
    inputs = inputs_of(source, index)
    return CorpusSample(
        f"{source}/{index}", source, inputs, values if "molecule" in inputs else None
    )


SAMPLES = {source: [sample(source, index) for index in range(10)] for source in INPUTS}
MODALITIES = fit_pretraining_modalities(SAMPLES, INPUTS, SCALE)


def compose(source: str, seed: int = 0, per_row: int = 1, **settings: Any) -> PretrainingBatch:
    made = Composer(MODALITIES, INPUTS, SCALE, ObjectiveConfig(**settings))
    samples = SAMPLES[source]
    rows = [samples[i : i + per_row] for i in range(0, 10, per_row)]
    return made.compose(rows, row_length=64 * per_row, seed=seed)


ALL = EncoderConfig().modalities


def new_network(modalities: tuple[str, ...] = ALL, **settings: Any) -> PretrainingNetwork:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(modalities=modalities, backbone=SMALL))
    return PretrainingNetwork(encoder, ObjectiveConfig(**settings), 2)


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


def plain(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(loss.detach()) for name, loss in losses.items()}


@pytest.mark.parametrize("source", sorted(INPUTS))
@pytest.mark.parametrize("aligned", [0.0, 1.0])
def test_rows_change_no_loss(network: PretrainingNetwork, source: str, aligned: float) -> None:
    batch = compose(source, aligned=aligned)
    offsets, prefix = batch.packed.record_offsets, batch.packed.prefix_lengths
    assert prefix is not None
    expected = plain(network(batch))
    assert expected
    n_records = batch.packed.n_records
    shuffled = np.random.default_rng(1).permutation(n_records)
    in_two = [shuffled[::2].tolist(), shuffled[1::2].tolist()]

    class Stream(FixedRows):
        """The records one after another, without rows."""

        def layout(self) -> SegmentLayout:
            return segment_layout(offsets, prefix)

    for rows in (Stream(**vars(batch.rows)), fixed_rows(offsets, prefix, in_two, 1_024)):
        losses = plain(network(replace(batch, rows=rows)))
        assert losses == pytest.approx(expected, abs=TOLERANCE)


def with_other_id(batch: PretrainingBatch, token: int) -> PretrainingBatch:
    """Return a batch of molecules in which one token reads as another."""
    ids = batch.packed.ids["molecule"].clone()
    ids[token, 0] = 5 + (ids[token, 0] + 1) % 20
    return replace(batch, packed=replace(batch.packed, ids={"molecule": ids}))


def test_hidden_tokens_do_not_leak() -> None:
    network = new_network().eval()
    made = Composer(MODALITIES, INPUTS, None, ObjectiveConfig(generated={}))
    other = list(SAMPLES["molecules"][:1])
    batch = made.compose([other], row_length=64, seed=0)
    token = int(batch.masked["molecule"].token[0])
    label = int(batch.masked["molecule"].label[0])
    # Rebuilding the sample with another letter at the hidden place leads to the same input.
    letters = ["C", "C", "O"]
    letters[token - 1] = "N"
    changed = replace(other[0], inputs={"molecule": "".join(letters)})
    again = made.compose([[changed]], row_length=64, seed=0)
    assert int(again.masked["molecule"].label[0]) != label
    with torch.no_grad():
        torch.testing.assert_close(network.encode(batch), network.encode(again), rtol=0, atol=0)


def test_generated_tokens_do_not_see_what_follows(network: PretrainingNetwork) -> None:
    batch = compose("molecules", generated={"molecule": 1.0}, from_properties=0.0)
    start = int(batch.packed.record_offsets[3])
    with torch.no_grad():
        before = network.encode(batch)
        after = network.encode(with_other_id(batch, start + 6))
    torch.testing.assert_close(before[: start + 6], after[: start + 6], rtol=0, atol=TOLERANCE)
    assert (before[start + 6] - after[start + 6]).abs().max() > 1e-3


def test_a_token_knows_whether_it_is_to_foretell_the_next(network: PretrainingNetwork) -> None:
    batch = compose("molecules", generated={"molecule": 1.0}, from_properties=0.0)
    lengths = batch.packed.record_offsets.diff()
    encoded = replace(batch, packed=replace(batch.packed, prefix_lengths=lengths))
    with torch.no_grad():
        difference = network.encode(batch) - network.encode(encoded)
    assert difference.abs().max() > 1e-4


def test_aligned_pairs_lose_nothing_and_crossed_ones_much() -> None:
    axes = torch.eye(6)
    scale = torch.tensor([50.0])
    assert float(alignment_loss(axes, axes, scale)) < 1e-6
    assert float(alignment_loss(axes, axes.roll(1, 0), scale)) == pytest.approx(50.0, abs=1e-3)
    same = torch.ones(6, 6) / math.sqrt(6)
    assert float(alignment_loss(same, same, scale)) == pytest.approx(math.log(6), abs=1e-5)


def test_descriptors_that_are_not_defined_are_ignored() -> None:
    values = torch.tensor([[1.0, torch.nan], [torch.nan, 3.0]])
    predicted = torch.tensor([[0.0, 99.0], [-99.0, 3.0]], requires_grad=True)
    loss = descriptor_loss(predicted, values)
    assert float(loss.detach()) == pytest.approx(0.25)  # Huber: 0.5 and 0, two of them
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad[0, 1] == predicted.grad[1, 0] == 0
    assert float(descriptor_loss(values.nan_to_num(), torch.full((2, 2), torch.nan))) == 0


def test_reconstruction_is_weighted_and_ignores_what_was_not_measured() -> None:
    predicted, values = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    loss = reconstruction_loss(predicted, values, torch.tensor([[1.5, 0.5, 0.0]]))
    assert float(loss) == pytest.approx((1.5 * 1 + 0.5 * 4) / 2)
    assert float(reconstruction_loss(predicted, values, torch.zeros(1, 3))) == 0


@pytest.mark.parametrize("source", sorted(INPUTS))
@pytest.mark.parametrize("aligned", [0.0, 1.0])
def test_every_parameter_of_a_shared_step_gets_a_gradient(source: str, aligned: float) -> None:
    network, alone = new_network(), new_network()
    network.is_shared = True
    for one in (network, alone):
        losses = one(compose(source, aligned=aligned))
        one.total(losses).backward()  # type: ignore[no-untyped-call]
    own = dict(alone.named_parameters())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A process of its own spares itself what nothing is asked of.
        of_alone = torch.zeros_like(parameter) if own[name].grad is None else own[name].grad
        torch.testing.assert_close(parameter.grad, of_alone, msg=name)
    assert any(one.grad is None for one in own.values())


def test_a_total_of_no_losses_has_gradients_too() -> None:
    network = new_network()
    network.total({}).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_total_weighs_losses_by_their_objective() -> None:
    network = new_network(weights={"masked": 2.0, "descriptors": 0.5})
    losses = {
        "masked/text": torch.tensor(3.0),
        "descriptors": torch.tensor(4.0),
        "aligned/molecule-text": torch.tensor(5.0),
    }
    assert float(network.total(losses)) == pytest.approx(6.0 + 2.0 + 5.0)


# torch says once that its fused norm takes no float32 weights with bfloat16 queries.
@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize("source", sorted(INPUTS))
def test_losses_are_float32_and_finite_under_bfloat16(
    network: PretrainingNetwork, source: str
) -> None:
    batch = compose(source)
    expected = plain(network(batch))
    with torch.autocast("cpu", torch.bfloat16):
        losses = network(batch)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    # bfloat16 keeps eight bits: a few tenths of a per cent at each of some ten roundings.
    assert plain(losses) == pytest.approx(expected, rel=0.03)


def test_the_first_losses_are_near_those_of_a_uniform_guess(network: PretrainingNetwork) -> None:
    losses = plain(network(compose("named", aligned=0.0, joint=1.0)))
    for name in ("molecule", "text"):
        uniform = math.log(MODALITIES[name].vocabulary_size)
        assert uniform - 0.5 < losses[f"masked/{name}"] < uniform + 1.5


def train(network: PretrainingNetwork, batches: Sequence[PretrainingBatch], steps: int) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.0)
    for step in range(steps):
        optimiser.zero_grad()
        network.total(network(batches[step % len(batches)])).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


@pytest.mark.usefixtures("one_thread")
def test_ten_molecules_can_be_learnt_by_heart() -> None:
    network = new_network(("molecule",), weights={"descriptors": 1.0})
    batches = [compose("molecules", seed=seed, per_row=5, from_properties=0.0) for seed in range(4)]
    train(network, batches, 110)
    losses = [plain(network(batch)) for batch in batches]
    for name, most in {
        "masked/molecule": 0.5,
        "generated/molecule": 0.5,
        "descriptors": 0.02,
    }.items():
        assert np.mean([one[name] for one in losses if name in one]) < most, name


@pytest.mark.usefixtures("one_thread")
def test_ten_pairs_can_be_told_apart() -> None:
    network = new_network(("molecule", "text"))
    batch = compose("named", per_row=5, aligned=1.0)
    assert plain(network(batch))["aligned/molecule-text"] > 1.5
    train(network, [batch], 40)
    assert plain(network(batch))["aligned/molecule-text"] < 0.1


def test_a_saved_network_comes_back_with_the_same_losses(tmp_path: Any) -> None:
    network = new_network(weights={"masked": 2.0}).eval()
    save_pretrained(network, MODALITIES, SCALE, tmp_path / "base", name="kagaku-test")
    loaded = load_pretrained(tmp_path / "base")
    assert loaded.descriptors == SCALE
    assert loaded.network.config == network.config
    assert {n: m.state() for n, m in loaded.modalities.items()} == {
        n: m.state() for n, m in MODALITIES.items()
    }
    batch = compose("named")
    assert plain(loaded.network(batch)) == plain(network(batch))
    encoder = load_encoder(tmp_path / "base")
    assert encoder.config.is_pretrained
    assert encoder.config.name == "kagaku-test"
    assert not network.encoder.config.is_pretrained


def test_a_damaged_folder_is_refused(tmp_path: Any) -> None:
    save_pretrained(new_network(), MODALITIES, SCALE, tmp_path, name="kagaku-test")
    stored = (tmp_path / "objectives.json").read_text()
    (tmp_path / "objectives.json").write_text(stored[:-20])
    with pytest.raises(InputError, match=r"objectives.json: it is not JSON .*Copy the folder"):
        load_pretrained(tmp_path)
    (tmp_path / "objectives.json").write_text(stored.replace('"MolLogP",', ""))
    with pytest.raises(InputError, match=r"(?s)do not fit together"):
        load_pretrained(tmp_path)
    (tmp_path / "objectives.json").write_text(stored.replace('version": 1', 'version": 9'))
    with pytest.raises(InputError, match=r"format version 9.*Install a newer kagaku"):
        load_pretrained(tmp_path)
    (tmp_path / "heads.safetensors").unlink()
    with pytest.raises(InputError, match=r"there is no heads.safetensors.*neither generate"):
        load_pretrained(tmp_path)
