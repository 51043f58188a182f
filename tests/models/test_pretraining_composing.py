"""What is hidden, cropped and asked, and that a batch is a pure function of samples and seed."""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.records import Field, Quantity
from kagaku.errors import InputError
from kagaku.modalities.sequence import MASK_ID, N_SPECIALS
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.composing import Composer, cropped_lengths
from kagaku.models.pretraining.cropped import fair_shares
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.hiding import hidden_blocks, hidden_tokens
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.planning import PLANNING_VERSION

SCALE = DescriptorScale(("MolLogP", "TPSA", "Chi0n"), (1.0, 50.0, 8.0), (2.0, 30.0, 3.0))
INPUTS = {
    "molecules": {"molecule": "molecule"},
    "proteins": {"protein": "protein"},
    "named": {"molecule": "molecule", "text": "text"},
    "climate": {"climate": "climate", "lead": "quantity", "later": "climate"},
    "photographs": {"image": "image", "text": "text"},
    "measured": {"molecule": "molecule", "boiling point": "quantity"},
}
SMILES = ("CCO", "c1ccccc1C(=O)O", "CC(=O)Nc1ccc(O)cc1", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "CCCCCCCC")
SURE = {
    "generated": {},
    "aligned": 0.0,
    "joint": 1.0,
    "unmasked": 0.0,
    "forecast": 1.0,
    "apart": 0.0,
    "varied": 0.0,
}


def field(seed: int, shape: tuple[int, int] = (24, 48)) -> Field:
    cells = np.random.default_rng(seed).normal(280, 10, (1, *shape)).astype(np.float32)
    cells[0, 0, 0] = np.nan
    return Field(
        cells,
        ("sea_surface_temperature",),
        ("K",),
        np.linspace(-80, 80, shape[0]),
        np.arange(shape[1]) * (360 / shape[1]),
        19_000.0,
        0.2,
    )


def inputs_of(source: str, index: int) -> dict[str, Any]:
    rng = np.random.default_rng(index)
    smiles = SMILES[index % len(SMILES)] + "C" * index
    if source == "molecules":
        return {"molecule": smiles}
    if source == "proteins":
        return {"protein": "".join(rng.choice(list("ACDEFGHIKL"), 20 + 30 * index))}
    if source == "named":
        return {"molecule": smiles, "text": f"compound number {index} of the series"}
    if source == "photographs":
        pixels = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
        return {"image": pixels, "text": f"the nebula number {index}"}
    if source == "measured":
        boiling_point = Quantity("boiling point", 350.0 + 10 * index, "K")
        return {"molecule": smiles, "boiling point": boiling_point}
    lead = Quantity("lead time", 30.0 + index, "day")
    return {"climate": field(index), "lead": lead, "later": field(index + 1)}


def sample(source: str, index: int) -> CorpusSample:
    inputs = inputs_of(source, index)
    has_molecule = "molecule" in inputs
    values = np.array([index, np.nan, 1e9], dtype=np.float32) if has_molecule else None
    return CorpusSample(f"{source}/{index}", source, inputs, values)


SAMPLES = {source: [sample(source, index) for index in range(12)] for source in INPUTS}
MODALITIES = fit_pretraining_modalities(SAMPLES, INPUTS, SCALE)


def composer(**settings: Any) -> Composer:
    return Composer(MODALITIES, INPUTS, SCALE, ObjectiveConfig(**settings))


def one_each(samples: Sequence[CorpusSample]) -> list[list[CorpusSample]]:
    return [[one] for one in samples]


def same(first: Any, second: Any) -> bool:
    if is_dataclass(first) and not isinstance(first, type):
        return type(first) is type(second) and all(
            same(getattr(first, one.name), getattr(second, one.name)) for one in fields(first)
        )
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor):
        return first.shape == second.shape and torch.equal(
            first.nan_to_num(7.5), second.nan_to_num(7.5)
        )
    return bool(first == second)


def record_lengths(batch: PretrainingBatch) -> list[int]:
    lengths: list[int] = batch.packed.record_offsets.diff().tolist()
    return lengths


@pytest.mark.parametrize("source", sorted(INPUTS))
def test_a_batch_depends_on_samples_and_seed_only(source: str) -> None:
    rows = one_each(SAMPLES[source])
    made, copied = composer(), pickle.loads(pickle.dumps(composer()))
    first = made.compose(rows, row_length=128, seed=3)
    assert same(first, copied.compose(rows, row_length=128, seed=3))
    assert not same(first, made.compose(rows, row_length=128, seed=4))


def test_other_plans_need_another_version() -> None:
    """A changed digest means that runs begun before cannot be resumed: raise the version too."""
    digest = hashlib.sha256()
    for source in sorted(INPUTS):
        batch = composer().compose(one_each(SAMPLES[source]), row_length=128, seed=3)
        digest.update(batch.packed.record_offsets.numpy().tobytes())
        for name in sorted(batch.masked):
            digest.update(name.encode() + batch.masked[name].token.numpy().tobytes())
        for name in sorted(batch.generated):
            digest.update(name.encode() + batch.generated[name].token.numpy().tobytes())
    assert (PLANNING_VERSION, digest.hexdigest()[:16]) == (5, "de15964af424fe1f")


def test_a_sample_that_a_batch_shows_again_is_shown_otherwise() -> None:
    one = SAMPLES["proteins"][1]
    made = composer(**SURE)
    again = made.compose([[one]] * 6, row_length=128, seed=5)
    labels = again.masked["protein"]
    record = torch.searchsorted(again.packed.record_offsets, labels.token, right=True) - 1
    places = labels.token - again.packed.record_offsets[record]
    shown = {tuple(places[record == number].tolist()) for number in range(6)}
    assert len(shown) > 1
    alone = made.compose([[one]], row_length=128, seed=5).masked["protein"].token
    assert torch.equal(alone, labels.token[: len(alone)])  # the first time, as before


def test_what_happens_to_a_sample_does_not_depend_on_its_row() -> None:
    samples, settings = SAMPLES["molecules"], {"from_properties": 0.0}
    apart = composer(**settings).compose(one_each(samples), row_length=128, seed=5)
    pairs = [samples[i : i + 2] for i in range(0, 12, 2)]
    together = composer(**settings).compose(pairs, row_length=128, seed=5)
    assert same(apart.packed, together.packed)
    assert same(apart.masked, together.masked)
    assert same(apart.generated, together.generated)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(0, 900), min_size=3, max_size=3), min_size=1, max_size=9),
    row_length=st.integers(3, 512),
)
def test_cropped_lengths_are_what_fair_shares_take(
    lengths: list[list[int]], row_length: int
) -> None:
    table = np.array(lengths)
    taken = cropped_lengths(table, row_length)
    for of_sample, total in zip(table, taken, strict=True):
        shares = fair_shares(of_sample, row_length)
        assert shares.sum() == total <= row_length
        assert ((shares > 0) == (of_sample > 0)).all()
        # Whoever is cut gets as much as the longest that is kept, but for the rounding.
        cut = shares[shares < of_sample]
        assert not len(cut) or cut.min() >= shares.max() - 1


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=4),
    row_length=st.integers(4, 120),
    seed=st.integers(0, 99),
)
def test_composed_sequences_take_exactly_their_cropped_lengths(
    sizes: list[tuple[int, int]], row_length: int, seed: int
) -> None:
    inputs = {"bound": {"protein": "protein", "molecule": "molecule"}}
    samples = [
        CorpusSample(f"bound/{i}", "bound", {"protein": "A" * a, "molecule": "C" * b})
        for i, (a, b) in enumerate(sizes)
    ]
    made = Composer(MODALITIES, inputs, None, ObjectiveConfig(aligned=0.0))
    batch = made.compose(one_each(samples), row_length=row_length, seed=seed)
    whole = np.array([[a + 2, b + 2] for a, b in sizes])
    assert record_lengths(batch) == cropped_lengths(whole, row_length).tolist()


def test_a_sentence_is_not_squeezed_out_by_the_protein_it_is_about() -> None:
    assert fair_shares(np.array([20, 1_000]), 256).tolist() == [20, 236]


def test_hidden_tokens_show_the_mask_and_ask_for_what_stood_there() -> None:
    samples = SAMPLES["proteins"]
    batch = composer(**SURE).compose(one_each(samples), row_length=512, seed=0)
    asked = batch.masked["protein"]
    shown = batch.packed.ids["protein"][asked.token, 0]
    assert (shown == MASK_ID).all()
    whole = np.concatenate(
        [MODALITIES["protein"].tokenize(one.inputs["protein"]).ids[:, 0] for one in samples]
    )
    assert (whole[asked.token.numpy()] == asked.label.numpy()).all()
    untouched = np.delete(np.arange(len(whole)), asked.token.numpy())
    assert (batch.packed.ids["protein"][untouched, 0].numpy() == whole[untouched]).all()


def test_start_and_end_are_never_hidden() -> None:
    made = composer(**SURE, hidden={"protein": 1.0})
    batch = made.compose(one_each(SAMPLES["proteins"]), row_length=512, seed=0)
    assert (batch.masked["protein"].label >= N_SPECIALS).all()
    n_residues = sum(len(one.inputs["protein"]) for one in SAMPLES["proteins"])
    assert len(batch.masked["protein"].label) == n_residues


def test_encoded_records_look_both_ways_and_generated_ones_back() -> None:
    rows = one_each(SAMPLES["molecules"])
    encoded = composer(**SURE).compose(rows, row_length=128, seed=0)
    assert encoded.packed.prefix_lengths is not None
    assert encoded.packed.prefix_lengths.tolist() == record_lengths(encoded)
    alone = composer(generated={"molecule": 1.0}, from_properties=0.0)
    generated = alone.compose(rows, row_length=128, seed=0)
    assert generated.packed.prefix_lengths is not None
    assert generated.packed.prefix_lengths.tolist() == [0] * 12
    assert not generated.masked
    assert generated.descriptors is None


def test_generated_tokens_are_asked_of_the_token_before_them() -> None:
    made = composer(generated={"molecule": 1.0}, from_properties=0.0)
    batch = made.compose(one_each(SAMPLES["molecules"][:1]), row_length=128, seed=0)
    ids = MODALITIES["molecule"].tokenize("CCO").ids[:, 0]
    assert batch.generated["molecule"].token.tolist() == [0, 1, 2, 3]
    assert batch.generated["molecule"].label.tolist() == ids[1:].tolist()


def test_one_input_is_generated_from_the_other() -> None:
    made = composer(aligned=0.0, joint=0.0)
    batch = made.compose(one_each(SAMPLES["named"]), row_length=128, seed=0)
    assert set(batch.generated) == {"molecule", "text"}
    assert not batch.masked
    assert batch.packed.prefix_lengths is not None
    for record in range(12):
        start, stop = batch.packed.record_offsets[record : record + 2].tolist()
        kinds = batch.packed.modality[start:stop]
        prefix = int(batch.packed.prefix_lengths[record])
        assert len(set(kinds[:prefix].tolist())) == len(set(kinds[prefix:].tolist())) == 1
        assert kinds[0] != kinds[-1]


def test_molecules_follow_their_properties_where_the_row_has_room() -> None:
    made = composer(generated={"molecule": 1.0}, from_properties=1.0)
    rows = one_each(SAMPLES["molecules"])
    roomy = made.compose(rows, row_length=128, seed=0)
    assert roomy.packed.prefix_lengths is not None
    # Of three descriptors, one is no property and one is not defined.
    assert roomy.packed.prefix_lengths.tolist() == [1] * 12
    assert set(roomy.packed.modalities) == {"molecule", "quantity"}
    full = made.compose([SAMPLES["molecules"][:1]], row_length=5, seed=0)
    assert full.packed.modalities == ("molecule",)


def test_molecules_with_nothing_hidden_are_asked_for_their_descriptors() -> None:
    made = composer(generated={}, unmasked=1.0)
    batch = made.compose(one_each(SAMPLES["molecules"]), row_length=128, seed=0)
    assert not batch.masked
    assert batch.descriptors is not None
    assert batch.descriptors.record.tolist() == list(range(12))
    expected = torch.tensor([(3 - 1.0) / 2.0, torch.nan, 5.0])
    torch.testing.assert_close(batch.descriptors.values[3], expected, equal_nan=True)


@pytest.mark.parametrize("is_described", [True, False])
def test_masked_molecules_are_described_only_if_wished(is_described: bool) -> None:
    made = composer(generated={}, unmasked=0.0, describe_masked=is_described)
    batch = made.compose(one_each(SAMPLES["molecules"]), row_length=128, seed=0)
    assert (batch.descriptors is not None) == is_described
    assert set(batch.masked) == {"molecule"}


def test_a_cropped_molecule_is_not_asked_for_the_descriptors_of_the_whole() -> None:
    made = composer(generated={}, unmasked=1.0)
    batch = made.compose(one_each(SAMPLES["molecules"]), row_length=8, seed=0)
    assert batch.descriptors is not None
    assert batch.descriptors.record.tolist() == [0]


def test_pairs_are_two_records_in_one_row_that_do_not_see_each_other() -> None:
    batch = composer(aligned=1.0).compose(one_each(SAMPLES["named"]), row_length=128, seed=0)
    assert batch.pairs is not None
    assert batch.pairs.modalities == ("molecule", "text")
    assert batch.pairs.first.tolist() == list(range(0, 24, 2))
    assert batch.pairs.second.tolist() == list(range(1, 24, 2))
    assert batch.n_samples == 12
    assert batch.packed.n_records == 24
    assert (batch.packed.column == 0).all()
    mask = batch.rows.layout().runs[0].mask
    assert mask is not None
    first = int(batch.packed.record_offsets[1])
    assert not mask[0, 0, :first, first:].any()
    assert batch.descriptors is not None


def test_what_is_twice_in_a_batch_is_paired_once() -> None:
    twin = CorpusSample("named/twin", "named", {**inputs_of("named", 0), "text": "another"})
    rows = one_each([*SAMPLES["named"][:3], twin])
    batch = composer(aligned=1.0).compose(rows, row_length=128, seed=0)
    assert batch.pairs is not None
    assert len(batch.pairs.first) == 3


def test_a_source_pairs_the_same_two_inputs_in_every_sample() -> None:
    inputs = {"bound": {"molecule": "molecule", "protein": "protein", "text": "text"}}
    rows: list[dict[str, str]] = [
        {"molecule": "CCO", "protein": "MKT", "text": "binds"},
        {"molecule": "CCN", "text": "its protein is not known"},
        {"molecule": "CCCl", "protein": "AAV", "text": "does not bind"},
    ]
    samples = [CorpusSample(f"bound/{i}", "bound", dict(row)) for i, row in enumerate(rows)]
    made = Composer(MODALITIES, inputs, None, ObjectiveConfig(aligned=1.0))
    batch = made.compose(one_each(samples), row_length=64, seed=0)
    assert batch.pairs is not None
    assert batch.pairs.modalities == ("molecule", "protein")
    assert batch.pairs.first.tolist() == [0, 3]


def test_a_later_field_is_hidden_whole_and_weighted_by_area() -> None:
    batch = composer(**SURE).compose(one_each(SAMPLES["climate"][:2]), row_length=256, seed=0)
    asked = batch.reconstructed["climate"]
    n_patches = 6 * 12
    assert len(asked.token) == 2 * n_patches
    later = MODALITIES["climate"].tokenize(SAMPLES["climate"][0].inputs["later"])
    np.testing.assert_array_equal(asked.values[:n_patches], later.values[:, :16])
    area = np.cos(np.deg2rad(later.positions[:, 1])) * np.pi / 2
    expected = later.values[:, 16:32] * area[:, None]
    np.testing.assert_allclose(asked.weights[:n_patches], expected, rtol=1e-5)
    assert expected[60, 12] == 0  # the missing cell, in the south-west
    shown = batch.packed.values["climate"]
    is_blank = (shown[:, :32] == 0).all(dim=1)
    assert int(is_blank.sum()) == 2 * n_patches


def test_a_cropped_forecast_shows_one_region_twice() -> None:
    large = [
        CorpusSample(
            f"climate/{i}",
            "climate",
            {
                "climate": field(i, (48, 96)),
                "lead": Quantity("lead time", 30.0, "day"),
                "later": field(i + 1, (48, 96)),
            },
        )
        for i in range(5)
    ]
    batch = composer(**SURE).compose(one_each(large), row_length=200, seed=0)
    hidden = torch.zeros(batch.packed.n_tokens, dtype=torch.bool)
    hidden[batch.reconstructed["climate"].token] = True
    is_field = batch.packed.modality == batch.packed.modalities.index("climate")
    for record in range(5):
        mine = (batch.packed.record == record) & is_field
        assert torch.equal(
            batch.packed.position[mine & hidden], batch.packed.position[mine & ~hidden]
        )
        assert 120 <= int(mine.sum()) <= 199


def test_fields_that_are_not_forecast_are_encoded_apart_with_hidden_blocks() -> None:
    made = composer(**{**SURE, "forecast": 0.0})
    batch = made.compose(one_each(SAMPLES["climate"][:3]), row_length=256, seed=0)
    assert record_lengths(batch) == [72] * 6
    assert len(batch.reconstructed["climate"].token) == 6 * 36


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 2, 10), (1.0, 12, 12)])
def test_a_measured_number_is_asked_for_by_chance_and_as_a_whole(
    share: float, least: int, most: int
) -> None:
    made = composer(**{**SURE, "hidden": {"quantity": share}})
    batch = made.compose(one_each(SAMPLES["measured"]), row_length=64, seed=0)
    asked = batch.reconstructed.get("quantity")
    assert least <= (0 if asked is None else len(asked.token)) <= most
    shown = batch.packed.values["quantity"]
    if asked is not None:
        assert asked.values.shape == (len(asked.token), 1)
        assert int((shown == 0).all(dim=1).sum()) == len(asked.token)


def test_images_ask_for_pixels_but_not_beyond_their_edge() -> None:
    made = composer(**{**SURE, "hidden": {"image": 0.5}})
    batch = made.compose(one_each(SAMPLES["photographs"][:1]), row_length=64, seed=0)
    asked = batch.reconstructed["image"]
    assert asked.weights.shape == (8, 4 * 16 * 16)
    # Three channels of four; 40 x 50 pixels become 51 x 64, so the patches below are cut off.
    sizes = {rows * 16 * 3 for rows in (16, 3)}
    assert set(asked.weights.sum(dim=1).int().tolist()) <= sizes


def test_what_is_shown_of_a_picture_is_to_be_retained() -> None:
    made = composer(**{**SURE, "hidden": {"image": 0.5}})
    batch = made.compose(one_each(SAMPLES["photographs"][:3]), row_length=64, seed=0)
    hidden, shown = batch.reconstructed["image"].token, batch.retained["image"].token
    is_image = batch.packed.modality == batch.packed.modalities.index("image")
    assert sorted([*hidden.tolist(), *shown.tolist()]) == is_image.nonzero()[:, 0].tolist()
    assert batch.retained["image"].values.abs().sum() > 0


def test_nothing_hidden_leaves_all_of_a_field_to_be_retained() -> None:
    made = composer(**{**SURE, "hidden": {}, "forecast": 0.0})
    batch = made.compose(one_each(SAMPLES["climate"][:1]), row_length=128, seed=0)
    assert not batch.reconstructed
    assert len(batch.retained["climate"].token) == batch.packed.n_tokens
    cells = batch.packed.values["climate"][:, :16]
    torch.testing.assert_close(batch.retained["climate"].values, cells)


def test_apart_a_picture_stands_alone() -> None:
    made = composer(**{**SURE, "apart": 1.0})
    batch = made.compose(one_each(SAMPLES["photographs"]), row_length=64, seed=0)
    assert batch.packed.modalities == ("image",)
    assert batch.packed.n_records == 12


def test_varied_pictures_and_fields_stand_alone() -> None:
    for source, is_varied in (("photographs", True), ("climate", True), ("proteins", False)):
        plain, varied = (
            composer(**{**SURE, "hidden": {}, "apart": 1.0, "forecast": 0.0, "varied": share})
            for share in (0.0, 1.0)
        )
        one, other = (
            made.compose(one_each(SAMPLES[source][:4]), row_length=512, seed=0)
            for made in (plain, varied)
        )
        assert one.packed.n_tokens == other.packed.n_tokens
        assert same(one, other) is not is_varied
    beside = composer(**{**SURE, "varied": 1.0}), composer(**SURE)
    one, other = (
        made.compose(one_each(SAMPLES["photographs"]), row_length=64, seed=0) for made in beside
    )
    assert same(one, other), "a text tells of what would be changed"


def test_a_varied_field_still_fits_its_row() -> None:
    made = composer(**{**SURE, "forecast": 0.0, "varied": 1.0})
    for seed in range(10):
        batch = made.compose([[sample("climate", seed)]], row_length=40, seed=seed)
        assert batch.packed.n_records == 2
        assert 20 < batch.packed.n_tokens <= 40


def test_columns_are_shuffled_and_single_inputs_take_the_first() -> None:
    joint = composer(**SURE).compose(one_each(SAMPLES["named"]), row_length=128, seed=0)
    is_text = joint.packed.modality == joint.packed.modalities.index("text")
    assert set(joint.packed.column[is_text].tolist()) == {0, 1}
    for record in range(12):
        mine = joint.packed.record == record
        assert set(joint.packed.column[mine & is_text].tolist()).isdisjoint(
            joint.packed.column[mine & ~is_text].tolist()
        )
    alone = composer().compose(one_each(SAMPLES["proteins"]), row_length=512, seed=0)
    assert (alone.packed.column == 0).all()


def test_a_sample_may_lack_an_input() -> None:
    bare = CorpusSample("named/bare", "named", {"text": "no structure is known"})
    batch = composer(aligned=1.0, generated={}).compose([[bare]], row_length=64, seed=0)
    assert batch.packed.modalities == ("text",)
    assert set(batch.masked) == {"text"}
    assert batch.pairs is None


def test_a_modality_that_was_not_prepared_is_named() -> None:
    with pytest.raises(InputError, match=r"'sequence' of 'odd' has the modality 'proteins'.*Did"):
        Composer(MODALITIES, {"odd": {"sequence": "proteins"}}, None, ObjectiveConfig())


@settings(max_examples=40, deadline=None)
@given(
    n_tokens=st.integers(1, 300),
    share=st.floats(0.05, 0.9),
    length=st.floats(1, 6),
    seed=st.integers(0, 999),
)
def test_the_share_of_tokens_is_hidden_but_never_a_special_one(
    n_tokens: int, share: float, length: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    allowed = rng.random(n_tokens) < 0.9
    hidden = hidden_tokens(allowed, share, length, rng)
    assert not (hidden & ~allowed).any()
    count = int(allowed.sum())
    assert abs(hidden.sum() - share * count) <= 1 or hidden.sum() == min(1, count)


def test_spans_stand_together() -> None:
    rng = np.random.default_rng(0)
    apart, together = (
        np.mean(
            [
                np.diff(hidden_tokens(np.ones(200, bool), 0.2, length, rng) * 1).clip(0).sum()
                for _ in range(50)
            ]
        )
        for length in (1.0, 4.0)
    )
    # 40 hidden tokens: single ones start some 32 runs, spans of four on average some 10.
    assert apart > 2 * together


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 14),
    columns=st.integers(1, 14),
    layers=st.integers(1, 3),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 999),
)
def test_blocks_hide_the_share_of_places_with_all_their_layers(
    rows: int, columns: int, layers: int, share: float, seed: int
) -> None:
    grid = np.stack(np.meshgrid([0], range(rows), range(columns), indexing="ij"), -1).reshape(-1, 3)
    positions = np.tile(grid, (layers, 1)).astype(np.float32)
    hidden = hidden_blocks(positions, share, np.random.default_rng(seed))
    by_layer = hidden.reshape(layers, -1)
    assert (by_layer == by_layer[0]).all()
    n_places = rows * columns
    assert by_layer[0].sum() == min(max(1, round(share * n_places)), max(1, n_places - 1))
