"""Public models as what fine-tuning trains: their own tokens, inputs apart, gradients, limits."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Input, Schema, Target
from kagaku.modalities import pack
from kagaku.models import pool_records
from kagaku.models.multitask import PUBLIC_LEARNING_RATE, FinetuningConfig, MultitaskNetwork
from kagaku.models.public import ProteinLanguageModel, TextEncoder, VisionEncoder, load_public
from kagaku.models.public.trunk import ImageTrunk, TokenTrunk
from kagaku.science_tasks.full import FullModel, fit_full, read_tokens, too_long, why_not_trainable
from kagaku.science_tasks.labels import target_plan

HEAVY, LIGHT = "EVQLVESGGGLVQ", "DIQMTQSPSS"


@pytest.fixture(scope="module")
def protein(small_esm: Any) -> ProteinLanguageModel:
    encoder = load_public(small_esm.folder)
    assert isinstance(encoder, ProteinLanguageModel)
    return encoder


@pytest.fixture(scope="module")
def text(bert: Any) -> TextEncoder:
    encoder = load_public(bert.folder)
    assert isinstance(encoder, TextEncoder)
    return encoder


def labelled(sequence: str) -> Records:
    """A protein with a class for each residue."""
    target = Target("state", "state", "per-token", classes=("C", "H"), labels="sequence")
    states = np.empty(1, dtype=object)
    states[0] = np.zeros(len(sequence), dtype=np.int64)
    return Records(
        schema=Schema((Input("sequence", "sequence", "protein"),), (target,)),
        inputs={"sequence": [sequence]},
        targets={"state": TargetValues(states, np.zeros(1, dtype=np.int64))},
        rows=np.array([7]),
        source="table.csv",
    )


def test_each_input_is_read_by_itself(protein: ProteinLanguageModel) -> None:
    trunk = TokenTrunk(protein, has_labels=True).eval()
    both = {0: ("protein", trunk.tokenize(HEAVY)), 1: ("protein", trunk.tokenize(LIGHT))}
    batch = pack([both, {1: both[1]}, {}, {0: both[0]}])
    with torch.inference_mode():
        rows = trunk(batch)
    heavy, light = (protein.embed_residues([one])[0] for one in (HEAVY, LIGHT))
    starts = np.cumsum([0, len(HEAVY) + 2, len(LIGHT) + 2, len(LIGHT) + 2])
    for start, expected in zip(starts, (heavy, light, light, heavy), strict=True):
        own = rows[start + 1 : start + 1 + len(expected)]
        np.testing.assert_allclose(own.numpy(), expected, atol=1e-5)


def test_the_encoder_itself_is_not_changed(protein: ProteinLanguageModel) -> None:
    before = protein.embed([HEAVY])
    trunk = TokenTrunk(protein)
    with torch.no_grad():
        trunk.network.words.weight.add_(torch.randn_like(trunk.network.words.weight))
    np.testing.assert_array_equal(protein.embed([HEAVY]), before)
    assert protein.network.language is not None
    assert not np.allclose(trunk.fine_tuned().embed([HEAVY]), before, atol=1e-2)


def test_texts_have_the_models_own_tokens_and_lose_their_tail(text: TextEncoder) -> None:
    trunk = TokenTrunk(text)
    ids = trunk.tokenize("the band gap of silicon").ids[:, 0]
    assert ids.tolist() == [2, 5, 6, 7, 8, 10, 3]
    long = trunk.tokenize("the band " * 400)
    assert len(long) == 512
    assert long.ids[-1, 0] == 3


def test_heads_on_it_learn_at_the_rate_of_public_models(text: TextEncoder) -> None:
    target = Target("kind", "kind", "binary", classes=("no", "yes"))
    schema = Schema((Input("note", "note", "text"),), (target,))
    plans = [target_plan(target, schema, 4)]
    network = MultitaskNetwork(TokenTrunk(text), plans, 1, FinetuningConfig())
    assert network.optimiser().param_groups[0]["lr"] == PUBLIC_LEARNING_RATE
    given = MultitaskNetwork(TokenTrunk(text), plans, 1, FinetuningConfig(learning_rate=1e-3))
    assert given.optimiser().param_groups[0]["lr"] == 1e-3


def test_labelled_proteins_are_read_whole_or_refused(
    protein: ProteinLanguageModel, make_esm: Any, save_esm: Any, tmp_path: Path
) -> None:
    assert not why_not_trainable(protein, labelled(90 * "A"))
    (tokens,) = read_tokens(TokenTrunk(protein, has_labels=True), labelled(90 * "A"), {})
    assert len(tokens[0][1]) == 92
    table = make_esm((2, 32, 4, 64), is_rotary=False, longest=62)
    encoder = load_public(save_esm(table, tmp_path / "esm1b"))
    assert isinstance(encoder, ProteinLanguageModel)
    assert not why_not_trainable(encoder, labelled(62 * "A"))
    message = "in row 7 the protein has 63 letters, and esm1b has positions for 62"
    assert why_not_trainable(encoder, labelled(63 * "A")) == message
    (cell,) = too_long(encoder, labelled(63 * "A"))
    assert (cell.row, cell.column, cell.fix) == (7, "sequence", "Cut it into domains.")


def test_residues_are_labelled_by_a_fine_tuned_model(protein: ProteinLanguageModel) -> None:
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACDEKRLV"), size)) for size in rng.integers(20, 70, 60)]
    one = labelled("A")
    states = np.empty(60, dtype=object)
    for place, sequence in enumerate(sequences):
        states[place] = np.array([letter in "KR" for letter in sequence], dtype=np.int64)
    records = replace(
        one,
        inputs={"sequence": sequences},
        targets={"state": TargetValues(states, np.zeros(60, dtype=np.int64))},
        rows=np.arange(60),
    )
    train, test = records.subset(np.arange(45)), records.subset(np.arange(45, 60))
    config = FinetuningConfig(epochs=20, learning_rate=3e-3, token_budget=256)
    model = fit_full(protein, {}, train, config)
    found = model.predict(test)["state"].probabilities
    assert found is not None
    truth = np.concatenate(list(test.targets["state"].values))
    assert found.shape == (len(truth), 2)
    assert (found.argmax(axis=1) == truth).mean() > 0.95
    restored = FullModel.from_state(model.state(), {}, records.schema, protein)
    again = restored.predict(test)["state"].probabilities
    assert again is not None
    np.testing.assert_allclose(again, found, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "start"])
def test_heads_read_what_is_embedded(
    protein: ProteinLanguageModel, text: TextEncoder, pooling: str
) -> None:
    encoder = copy.copy(text)
    encoder.pooling = pooling
    for one, values in ((encoder, ["the band gap", "silicon"]), (protein, [HEAVY, LIGHT])):
        trunk = TokenTrunk(one).eval()
        batch = pack([{0: (one.modality, trunk.tokenize(value))} for value in values])
        with torch.inference_mode():
            pooled = pool_records(batch, trunk(batch), 1)
        np.testing.assert_allclose(pooled.numpy(), trunk.fine_tuned().embed(values), atol=1e-4)


def test_tables_are_not_decayed(text: TextEncoder, vision: VisionEncoder) -> None:
    target = Target("kind", "kind", "binary", classes=("no", "yes"))
    for encoder, kind in ((TokenTrunk(text), "text"), (ImageTrunk(vision), "image")):
        plans = [target_plan(target, Schema((Input("one", "one", kind),), (target,)), 4)]
        network = MultitaskNetwork(encoder, plans, 1, FinetuningConfig())
        decayed = {id(one) for one in network.optimiser().param_groups[0]["params"]}
        names = {name for name, one in network.named_parameters() if id(one) in decayed}
        assert not [one for one in names if "words" in one or "positions" in one or "prefix" in one]
        assert any("query_key_value" in one for one in names)


def test_labels_of_letters_are_not_put_on_word_pieces(text: TextEncoder) -> None:
    target = Target("tag", "tag", "per-token", classes=("C", "H"), labels="note")
    records = Records(
        schema=Schema((Input("note", "note", "text"),), (target,)),
        inputs={"note": []},
        targets={},
        rows=np.arange(0),
        source="table.csv",
    )
    assert why_not_trainable(text, records) == (
        "the word pieces of scibert are not what the labels are about"
    )


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> VisionEncoder:
    """A vision transformer of random weights, with a class token."""
    folder = tmp_path_factory.mktemp("vision") / "vit"
    folder.mkdir()
    torch.manual_seed(0)
    arguments = {"depth": 2, "img_size": 64}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, **arguments)
    save_file(model.state_dict(), str(folder / "model.safetensors"))
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 2,
        "model_args": arguments,
        "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.3, 0.3, 0.3]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    encoder = load_public(folder)
    assert isinstance(encoder, VisionEncoder)
    return encoder


def test_images_are_read_as_when_they_are_embedded(vision: VisionEncoder) -> None:
    trunk = ImageTrunk(vision).eval()
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((64, 64, 3), (90, 30), (20, 64))
    ]
    records = [{0: ("image", trunk.tokenize(one))} for one in images]
    batch = pack(records)
    with torch.inference_mode():
        pooled = pool_records(batch, trunk(batch), 1)
    # Patches lie in half precision.
    np.testing.assert_allclose(pooled.numpy(), vision.embed(images), atol=2e-3)


def test_a_vision_transformer_is_fine_tuned_on_images(vision: VisionEncoder) -> None:
    rng = np.random.default_rng(0)
    is_bright = rng.random(60) < 0.5
    images = [(rng.integers(0, 60, (32, 32, 1)) + 120 * one).astype(np.uint8) for one in is_bright]
    target = Target("bright", "bright", "binary", classes=("no", "yes"))
    records = Records(
        schema=Schema((Input("image", "image", "image"),), (target,)),
        inputs={"image": images},
        targets={"bright": TargetValues(is_bright.astype(float), np.zeros(60, dtype=np.int64))},
        rows=np.arange(60),
        source="images",
    )
    config = FinetuningConfig(epochs=4, learning_rate=1e-3)
    model = fit_full(vision, {}, records.subset(np.arange(40)), config)
    found = model.predict(records.subset(np.arange(40, 60)))["bright"].probabilities
    assert found is not None
    assert ((found[:, 1] > 0.5) == is_bright[40:]).mean() > 0.9
    restored = FullModel.from_state(model.state(), {}, records.schema, vision)
    again = restored.predict(records.subset(np.arange(40, 60)))["bright"].probabilities
    assert again is not None
    np.testing.assert_allclose(again, found, atol=1e-6)
