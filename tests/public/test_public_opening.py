"""Folders of public models: every part must be there and known, and nothing in them is run."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from kagaku.errors import InputError
from kagaku.models.public import ProteinLanguageModel, load_public

Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.fixture
def folder(small_esm: Any, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    copy = tmp_path / "model"
    shutil.copytree(small_esm.folder, copy)
    return copy


def rewritten(folder: Path, change: Change) -> Path:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    return folder


def configured(folder: Path, **entries: Any) -> Path:
    path = folder / "config.json"
    stored = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({name: one for name, one in stored.items() if one is not ...}))
    return folder


def test_shards_and_torchs_own_file_hold_the_same_weights(folder: Path) -> None:
    whole = load_public(folder).embed_values(["MKTAYIAKQR"])
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    np.testing.assert_array_equal(load_public(folder).embed_values(["MKTAYIAKQR"]), whole)
    (folder / "pytorch_model.bin").unlink()
    names = sorted(weights)
    places = {name: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, name in enumerate(names)}
    for shard in set(places.values()):
        part = {name: weights[name] for name in names if places[name] == shard}
        save_file(part, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    loaded = load_public(folder)
    np.testing.assert_array_equal(loaded.embed_values(["MKTAYIAKQR"]), whole)
    assert len(loaded.origin.files) == 5
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"of 2 shards 1 are missing: .'model-00002-of-00002"):
        load_public(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(InputError, match="names files outside its folder"):
        load_public(folder)


def test_a_pickle_with_code_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "was_run"

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    (folder / "model.safetensors").unlink()
    torch.save({"esm.weight": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="the weights cannot be read"):
        load_public(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(InputError, match="the weights cannot be read"):
        load_public(folder)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one: one.pop("esm.encoder.layer.1.output.dense.bias"),
            "lacks weights: esm.encoder.layer.1.output.dense.bias",
        ),
        (lambda one: one.pop("lm_head.layer_norm.bias"), "lacks weights: lm_head.layer_norm.bias"),
        (
            lambda one: one.update({"esm.adapter.weight": torch.zeros(2)}),
            "has unknown weights: esm.adapter.weight",
        ),
        (
            lambda one: one.update({"esm.encoder.layer.0.LayerNorm.bias": torch.zeros(7)}),
            r"LayerNorm.bias has shape \(7,\), and config.json says \(32,\)",
        ),
        (
            lambda one: one.update(
                {"esm.encoder.layer.0.attention.self.key.weight": torch.zeros(31, 32)}
            ),
            r"key.weight has shape \(31, 32\), and config.json says \(32, 32\)",
        ),
    ],
)
def test_weights_that_are_not_the_architectures_are_named(
    folder: Path, change: Change, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_public(rewritten(folder, change))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model_type": "llama"}, "the architecture .model_type. is 'llama'"),
        ({"max_position_embeddings": 2}, "leave no room for a token between start and end"),
        ({"mask_token_id": 900}, "its mask_token_id is 900, beyond a vocabulary of 33"),
        ({"mask_token_id": 31}, r"its mask_token_id is 31, and 32 in vocab\.txt"),
        ({"is_folding_model": True}, "is_folding_model: true"),
        ({"position_embedding_type": "relative_key"}, "its positions are 'relative_key'"),
        ({"num_attention_heads": 5}, "a width of 32 does not divide into 5 heads"),
        ({"hidden_size": ...}, "it has no entry 'hidden_size'"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "it stretches rotary positions"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "it stretches rotary positions"),
        ({"rope_scaling": "yarn"}, "its rope_scaling is 'yarn', and no entries in braces"),
        ({"rope_parameters": ["x"]}, "its rope_parameters is .'x'., and no entries in braces"),
        ({"rope_theta": None}, "its rope_theta is None, and no positive number"),
        ({"layer_norm_eps": None}, "its layer_norm_eps is None, and no positive number"),
        ({"layer_norm_eps": "tiny"}, "its layer_norm_eps is 'tiny', and no positive number"),
        ({"vocab_size": None}, "its vocab_size is None, and no whole number of at least 1"),
        ({"hidden_size": "32"}, "its hidden_size is '32', and no whole number of at least 1"),
        ({"max_position_embeddings": None}, "its max_position_embeddings is None"),
        ({"mask_token_id": None}, "its mask_token_id is None, and no whole number of at least 0"),
        (
            {"position_embedding_type": "absolute", "pad_token_id": None},
            "config.json: its pad_token_id is None, and no whole number of at least 0. "
            "Copy the model's config.json again, or write what the model was trained with",
        ),
        ({"num_hidden_layers": 3}, "lacks weights: esm.encoder.layer.2.*and 10 more"),
        ({"vocab_size": 40}, "word_embeddings.weight has shape .33, 32., and config.json says .40"),
    ],
)
def test_configurations_that_cannot_be_right_are_refused(
    folder: Path, entries: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_public(configured(folder, **entries))


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (torch.ones(7), "inv_freq holds 7 numbers, and not 4 positive ones"),
        (torch.tensor([1.0, 0.1, 0.01, -1.0]), "inv_freq holds 4 numbers, and not 4 positive ones"),
        (torch.tensor([1.0, 0.2, 0.1, 0.01]), "inv_freq differs from those of the layers before"),
    ],
)
def test_frequencies_that_do_not_fit_are_refused(
    folder: Path, kept: torch.Tensor, message: str
) -> None:
    name = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
    kept_before = torch.tensor([1.0, 0.1, 0.01, 0.001])
    both = {name.format(0): kept_before, name.format(1): kept}
    rewritten(folder, lambda weights: weights.update(both))
    with pytest.raises(InputError, match=message):
        load_public(folder)


def test_rotary_positions_need_no_id_of_a_padding(folder: Path) -> None:
    expected = load_public(folder).embed_values(["MKTAYIAKQR"])
    for missing in (None, ...):
        loaded = load_public(configured(folder, pad_token_id=missing))
        np.testing.assert_array_equal(loaded.embed_values(["MKTAYIAKQR"]), expected)


def test_activations_of_bert_must_be_known(bert: Any, tmp_path: Path) -> None:
    shutil.copytree(bert.folder, tmp_path / "model")
    with pytest.raises(InputError, match=r"activation 'gelu_now' is not known\. Did you mean"):
        load_public(configured(tmp_path / "model", hidden_act="gelu_now"))


def test_the_first_berts_do_not_say_what_they_are(bert: Any, tmp_path: Path) -> None:
    shutil.copytree(bert.folder, tmp_path / "model")
    expected = load_public(bert.folder).embed_values(["the band gap"])
    loaded = load_public(configured(tmp_path / "model", model_type=...))
    np.testing.assert_array_equal(loaded.embed_values(["the band gap"]), expected)


def test_a_decoder_of_its_own_is_kept(folder: Path) -> None:
    tied = load_public(folder)
    assert isinstance(tied, ProteinLanguageModel)
    assert not tied.network.heads.has_own_decoder
    rewritten(folder, lambda one: one.update({"lm_head.decoder.weight": torch.ones(33, 32)}))
    own = load_public(folder)
    assert isinstance(own, ProteinLanguageModel)
    (logits,) = own.logits(["MKT"])
    bias = own.network.get_parameter("language.bias").detach().numpy()
    np.testing.assert_allclose((logits - bias).std(axis=1), 0, atol=1e-5)


def test_a_vocabulary_is_needed_and_must_fit(folder: Path) -> None:
    words = folder / "vocab.txt"
    moved = words.rename(folder.parent / "elsewhere.txt")
    with pytest.raises(InputError, match=r"there is no vocab\.txt, which says what each token is"):
        load_public(folder)
    assert load_public(folder, vocabulary=moved).dim == 32
    tokens = moved.read_text().split()
    for changed, message in (
        (tokens[:-1], "it has 32 tokens, and config.json says 33"),
        ([*tokens[:-1], "A"], "has tokens twice: .'A'"),
        (["Q2" if one == "Q" else one for one in tokens], "lacks the residues .'Q'"),
        (["<x>" if one == "<eos>" else one for one in tokens], "has neither"),
    ):
        words.write_text("\n".join(changed))
        with pytest.raises(InputError, match=message):
            load_public(folder)


def test_heads_that_a_checkpoint_lacks_are_asked_for_in_vain(folder: Path) -> None:
    def bare(weights: dict[str, torch.Tensor]) -> None:
        for name in [one for one in weights if "lm_head" in one or "contact_head" in one]:
            del weights[name]

    loaded = load_public(rewritten(folder, bare))
    assert isinstance(loaded, ProteinLanguageModel)
    assert loaded.embed(["MKT"]).shape == (1, 32)
    with pytest.raises(InputError, match="model has no language head"):
        loaded.logits(["MKT"])
    with pytest.raises(InputError, match="model has no language head"):
        loaded.score_variants("MKT", ["K2A"])
    with pytest.raises(InputError, match="model has no regression from attention to contacts"):
        loaded.contacts(["MKT"])


def test_a_folder_without_a_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no config\.json"):
        load_public(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="there are no weights"):
        load_public(folder)
    with pytest.raises(InputError, match="there is no precision 'int8'"):
        load_public(folder, precision="int8")


def test_a_damaged_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="the weights cannot be read"):
        load_public(folder)


def test_the_checksum_tells_one_model_from_another(folder: Path, small_esm: Any) -> None:
    same, before = (
        load_public(small_esm.folder).origin.checksum,
        load_public(folder).origin.checksum,
    )
    assert before == same
    rewritten(folder, lambda one: one["lm_head.bias"].add_(1))
    assert load_public(folder).origin.checksum != before
