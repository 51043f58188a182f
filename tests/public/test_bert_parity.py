"""The packed BERT gives what transformers' gives; texts are cut into word pieces as its own are."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertForPreTraining, BertModel, BertTokenizer

from kagaku.errors import InputError
from kagaku.models.public import TextEncoder, load_public
from kagaku.models.public.config import token_model_config
from kagaku.models.public.names import token_network
from kagaku.models.public.running import packed_ids
from kagaku.models.public.token_encoder import strings

TEXTS = ["the band gap of silicon", "gap", "The BAND gaps, of", "silicon silicon silicon"]


@pytest.fixture(scope="module")
def packed(bert: Any) -> TextEncoder:
    loaded = load_public(bert.folder)
    assert isinstance(loaded, TextEncoder)
    return loaded


def test_embeddings_and_logits_are_those_of_one_text_at_a_time(
    packed: TextEncoder, bert: Any
) -> None:
    embedded, logits, means = packed.embed_tokens(TEXTS), packed.logits(TEXTS), packed.embed(TEXTS)
    for text, tokens, scores, mean in zip(TEXTS, embedded, logits, means, strict=True):
        ids = [2, *packed.encode(text).tolist(), 3]
        with torch.no_grad():
            theirs = bert.model(torch.tensor([ids]), output_hidden_states=True)
        last = theirs.hidden_states[-1][0].numpy()
        assert last.std() > 0.3
        np.testing.assert_allclose(tokens, last[1:-1], atol=1e-4)
        np.testing.assert_allclose(mean, last.mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(scores, theirs.logits[0, 1:-1].numpy(), atol=1e-4)


def test_bfloat16_is_as_near_as_that_of_transformers(packed: TextEncoder, bert: Any) -> None:
    rounded = load_public(bert.folder, precision="bfloat16")
    assert isinstance(rounded, TextEncoder)
    texts = [*TEXTS, " ".join(["the band gap of silicon"] * 60), "gap of " * 200]
    exact, ours = (np.concatenate(one.logits(texts)) for one in (packed, rounded))
    model = copy.deepcopy(bert.model).bfloat16()
    theirs = []
    for text in texts:
        ids = [2, *packed.encode(text).tolist(), 3]
        with torch.no_grad():
            theirs.append(model(torch.tensor([ids])).logits[0, 1:-1].float().numpy())
    mistake, their_mistake = (
        np.sqrt(np.mean((one - exact) ** 2)) / exact.std() for one in (ours, np.concatenate(theirs))
    )
    assert mistake < 0.03
    assert mistake < 1.5 * their_mistake


def test_word_pieces_are_those_of_transformers(packed: TextEncoder, bert: Any) -> None:
    theirs = BertTokenizer(str(bert.folder / "vocab.txt"), do_lower_case=True)
    for text in [*TEXTS, "Crème, the 3.4 eV gap-of\n silicons"]:
        assert packed.encode(text).tolist() == theirs.encode(text, add_special_tokens=False)


def test_heads_on_the_pooler_are_kept_under_their_names(bert: Any) -> None:
    torch.manual_seed(0)
    model = BertForPreTraining(bert.model.config)
    model.train(False)
    network = token_network(token_model_config(model.config.to_dict()), model.state_dict())
    assert network.heads.classes == {"seq_relationship": 2}
    ids = [2, 5, 6, 7, 3]
    batch = packed_ids([np.array(ids)])
    with torch.no_grad():
        ours = network.classes["seq_relationship"](network.pooled(batch, network(batch)))
        theirs = model(torch.tensor([ids])).seq_relationship_logits
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_bare_model_with_the_first_names_of_norms_is_read(bert: Any) -> None:
    torch.manual_seed(0)
    model = BertModel(bert.model.config)
    model.train(False)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in model.state_dict().items()
    }
    assert any(name.endswith("gamma") for name in old)
    network = token_network(token_model_config(model.config.to_dict()), old)
    batch = packed_ids([np.array([2, 5, 6, 3])])
    with torch.no_grad():
        theirs = model(torch.tensor([[2, 5, 6, 3]])).last_hidden_state[0]
        torch.testing.assert_close(network(batch), theirs, atol=1e-4, rtol=0)


def test_a_long_text_is_read_to_its_end(packed: TextEncoder) -> None:
    long = " ".join(["the band gap of"] * 200)
    changed = f"{long} silicon"
    assert len(packed.encode(long)) == 800
    first, second = packed.embed([long, changed])
    assert np.abs(first - second).max() > 1e-4
    assert len(packed.embed_tokens([changed])[0]) == 801


@pytest.mark.parametrize(
    ("name", "stored", "message"),
    [
        (
            "modules.json",
            [{"type": "sentence_transformers.models.Transformer"}, {"type": "a.models.Dense"}],
            r"parts that are not supported: \['a.models.Dense'\]",
        ),
        ("modules.json", {"type": "x"}, "parts that are not supported: .'x'"),
        ("1_Pooling/config.json", [], "it holds no settings"),
        ("tokenizer_config.json", [], "it holds no settings"),
        ("tokenizer_config.json", {"strip_accents": "yes"}, "its strip_accents is 'yes', and nei"),
    ],
)
def test_settings_of_a_text_encoder_that_cannot_be_right_are_refused(
    bert: Any, tmp_path: Path, name: str, stored: Any, message: str
) -> None:
    folder = tmp_path / "sentences"
    shutil.copytree(bert.folder, folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(stored))
    with pytest.raises(InputError, match=message):
        load_public(folder)


@pytest.mark.parametrize("odd", [None, float("nan"), 3])
def test_what_is_no_string_is_told_with_its_place(odd: object) -> None:
    with pytest.raises(InputError, match=rf"text 2: {odd} is no text"):
        strings(["the band gap", odd], "text")
    with pytest.raises(InputError, match="sequences must be a list"):
        strings("MKT", "sequence")


def test_pooling_follows_the_sentence_encoders_own_file(bert: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sentences"
    shutil.copytree(bert.folder, folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text(
        json.dumps({"word_embedding_dimension": 768, "pooling_mode_cls_token": True})
    )
    loaded = load_public(folder)
    assert isinstance(loaded, TextEncoder)
    ids = [2, *loaded.encode(TEXTS[0]).tolist(), 3]
    with torch.no_grad():
        theirs = bert.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, 0]
    np.testing.assert_allclose(loaded.embed([TEXTS[0]])[0], theirs.numpy(), atol=1e-4)
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(InputError, match="it pools by"):
        load_public(folder)


@pytest.mark.parametrize("texts", [["gap", "  "], "gap"])
def test_what_is_no_list_of_texts_is_refused(packed: TextEncoder, texts: Any) -> None:
    with pytest.raises(InputError, match=r"text 2: the text is empty|texts must be a list"):
        packed.embed(texts)
