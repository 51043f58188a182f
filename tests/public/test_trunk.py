"""Public models as what fine-tuning trains: their own tokens, inputs apart, gradients, limits."""

from typing import Any

import numpy as np
import pytest
import torch

from kagaku.data.records import Records, TargetValues
from kagaku.data.schema import Input, Schema, Target
from kagaku.errors import InputError
from kagaku.modalities import pack
from kagaku.models.multitask import PUBLIC_LEARNING_RATE, FinetuningConfig, MultitaskNetwork
from kagaku.models.public import ProteinLanguageModel, TextEncoder, load_public
from kagaku.models.public.trunk import PublicTrunk
from kagaku.science_tasks.full import read_tokens, why_not_trainable
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
    trunk = PublicTrunk(protein).eval()
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
    trunk = PublicTrunk(protein)
    with torch.no_grad():
        trunk.network.words.weight.add_(torch.randn_like(trunk.network.words.weight))
    np.testing.assert_array_equal(protein.embed([HEAVY]), before)
    assert protein.network.language is not None
    assert not np.allclose(trunk.fine_tuned().embed([HEAVY]), before, atol=1e-2)


def test_texts_have_the_models_own_tokens_and_lose_their_tail(text: TextEncoder) -> None:
    trunk = PublicTrunk(text)
    ids = trunk.tokenize("the band gap of silicon").ids[:, 0]
    assert ids.tolist() == [2, 5, 6, 7, 8, 10, 3]
    long = trunk.tokenize("the band " * 400)
    assert len(long) == 512
    assert long.ids[-1, 0] == 3


def test_heads_on_it_learn_at_the_rate_of_public_models(text: TextEncoder) -> None:
    target = Target("kind", "kind", "binary", classes=("no", "yes"))
    schema = Schema((Input("note", "note", "text"),), (target,))
    plans = [target_plan(target, schema, 4)]
    network = MultitaskNetwork(PublicTrunk(text), plans, 1, FinetuningConfig())
    assert network.optimiser().param_groups[0]["lr"] == PUBLIC_LEARNING_RATE
    given = MultitaskNetwork(PublicTrunk(text), plans, 1, FinetuningConfig(learning_rate=1e-3))
    assert given.optimiser().param_groups[0]["lr"] == 1e-3


def test_a_labelled_protein_beyond_the_models_reach_is_refused(
    protein: ProteinLanguageModel,
) -> None:
    trunk = PublicTrunk(protein)
    (tokens,) = read_tokens(trunk, labelled(62 * "A"), {})
    assert len(tokens[0][1]) == 64
    message = (
        r"table.csv, row 7, column 'sequence': the protein has 63 letters, and esm_small reads"
    )
    with pytest.raises(InputError, match=message):
        read_tokens(trunk, labelled(63 * "A"), {})


def test_labels_of_letters_are_not_put_on_word_pieces(text: TextEncoder) -> None:
    target = Target("tag", "tag", "per-token", classes=("C", "H"), labels="note")
    schema = Schema((Input("note", "note", "text"),), (target,))
    assert why_not_trainable(text, schema) == (
        "the word pieces of scibert are not what the labels are about"
    )
