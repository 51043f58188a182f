"""The packed ESM gives what transformers' gives, sequence by sequence."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import EsmForMaskedLM, EsmModel

from kagaku.models.attention import segment_layout
from kagaku.models.attention_kernels import plan_attention
from kagaku.models.attention_on_cpu import CachedAttention
from kagaku.models.public import ProteinLanguageModel, load_public
from kagaku.models.public.config import token_model_config
from kagaku.models.public.names import token_network
from kagaku.models.public.running import packed_ids

TOLERANCE = 1e-4
"""float32 through up to 33 blocks, with sums in another order."""


def reference_logits(model: EsmForMaskedLM, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        answer: torch.Tensor = model(torch.tensor([ids])).logits[0]
    return answer


@pytest.fixture(scope="module")
def packed(esm: Any) -> ProteinLanguageModel:
    loaded = load_public(esm.folder)
    assert isinstance(loaded, ProteinLanguageModel)
    return loaded


def test_logits_of_mixed_lengths_are_those_of_one_sequence_at_a_time(
    packed: ProteinLanguageModel, esm: Any, proteins: list[str], esm_ids: Callable[..., list[int]]
) -> None:
    for sequence, ours in zip(proteins, packed.logits(proteins), strict=True):
        theirs = reference_logits(esm.model, esm_ids(sequence))[1:-1].numpy()
        assert ours.shape == (len(sequence), 33)
        assert theirs.std() > 0.5
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_hidden_residues_rescale_the_rest_of_their_own_sequence_only(
    packed: ProteinLanguageModel, esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    shown = ["MK_AYI_KQR", "MKTAYIAKQRQISFVKSHFSRQ", "____", "MKTAYI_KQR"]
    batch = packed_ids([np.array(esm_ids(one)) for one in shown])
    with torch.no_grad():
        ours = packed.network.logits(packed.network(batch))
    for start, one in zip(batch.record_offsets.tolist(), shown, strict=False):
        theirs = reference_logits(esm.model, esm_ids(one))
        torch.testing.assert_close(
            ours[start : start + len(theirs)], theirs, atol=TOLERANCE, rtol=0
        )


def test_every_layer_can_be_read(
    packed: ProteinLanguageModel, esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    sequence = "MKTAYIAKQRQISFVKSHFSRQ"
    with torch.no_grad():
        hidden = esm.model(torch.tensor([esm_ids(sequence)]), output_hidden_states=True)
    assert len(hidden.hidden_states) == 7
    for layer, theirs in enumerate(hidden.hidden_states):
        (ours,) = packed.embed_residues([sequence], layer=layer)
        np.testing.assert_allclose(ours, theirs[0, 1:-1].numpy(), atol=TOLERANCE)
        (mean,) = packed.embed([sequence], layer=layer)
        np.testing.assert_allclose(mean, theirs[0, 1:-1].mean(0).numpy(), atol=TOLERANCE)


def test_contacts_are_those_of_predict_contacts(
    packed: ProteinLanguageModel,
    esm: Any,
    proteins: list[str],
    esm_ids: Callable[..., list[int]],
) -> None:
    esm.model.set_attn_implementation("eager")
    long = [one for one in proteins if len(one) > 1]
    for sequence, ours in zip(long, packed.contacts(long), strict=True):
        ids = torch.tensor([esm_ids(sequence)])
        with torch.no_grad():
            theirs = esm.model.predict_contacts(ids, torch.ones_like(ids))[0].numpy()
        assert theirs.std() > 1e-3
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        np.testing.assert_allclose(ours, ours.T, atol=1e-6)


# Width, heads and inner width of ESM-2 with 35 M, 150 M and 650 M weights, one block of each.
# https://huggingface.co/facebook/esm2_t33_650M_UR50D/blob/main/config.json
@pytest.mark.parametrize("shape", [(480, 20, 1920), (640, 20, 2560), (1280, 20, 5120)])
def test_larger_shapes_agree_too(
    shape: tuple[int, int, int],
    make_esm: Callable[..., EsmForMaskedLM],
    esm_ids: Callable[..., list[int]],
) -> None:
    model = make_esm((1, *shape))
    check_agreement(model, esm_ids, longest=90)


@pytest.mark.slow
def test_esm_2_of_650_million_weights_agrees_whole(
    make_esm: Callable[..., EsmForMaskedLM], esm_ids: Callable[..., list[int]]
) -> None:
    check_agreement(make_esm((33, 1280, 20, 5120)), esm_ids, longest=300)


def test_learnt_positions_and_the_first_norm_of_esm_1b_agree(
    make_esm: Callable[..., EsmForMaskedLM], esm_ids: Callable[..., list[int]]
) -> None:
    model = make_esm((1, 1280, 20, 5120), is_rotary=False)
    assert model.esm.embeddings.layer_norm is not None
    check_agreement(model, esm_ids, longest=90)


def check_agreement(
    model: EsmForMaskedLM, esm_ids: Callable[..., list[int]], *, longest: int
) -> None:
    network = token_network(token_model_config(model.config.to_dict()), model.state_dict())
    rng = np.random.default_rng(0)
    shown = ["".join(rng.choice(list("ACDEFGHIKL_"), size)) for size in (longest, 40, 44, 5)]
    batch = packed_ids([np.array(esm_ids(one)) for one in shown])
    with torch.no_grad():
        ours = network.logits(network(batch))
    for start, one in zip(batch.record_offsets.tolist(), shown, strict=False):
        theirs = reference_logits(model, esm_ids(one))
        assert theirs.std() > 0.5
        torch.testing.assert_close(
            ours[start : start + len(theirs)], theirs, atol=TOLERANCE, rtol=0
        )


def test_bfloat16_stays_near_float32(
    packed: ProteinLanguageModel, esm: Any, proteins: list[str]
) -> None:
    rounded = load_public(esm.folder, precision="bfloat16")
    assert isinstance(rounded, ProteinLanguageModel)
    assert next(rounded.network.parameters()).dtype == torch.bfloat16
    exact = np.concatenate(packed.logits(proteins))
    near = np.concatenate(rounded.logits(proteins))
    # bfloat16 keeps 8 bits; over six blocks of random weights 1.4 % of the spread was seen.
    assert np.sqrt(np.mean((near - exact) ** 2)) < 0.03 * exact.std()


# 100 to 1,024 tokens take products of one record at a time, others torch's kernel; see
# models/attention_on_cpu.py. Logits are at most 25 with plain queries, which is a safe bound, and
# up to 170 with larger ones, where all rounding tells more.
@pytest.mark.parametrize(("growth", "tolerance"), [(1.0, 0.03), (6.0, 0.1)])
def test_bfloat16_of_long_proteins_is_nearer_than_that_of_transformers(
    make_esm: Callable[..., EsmForMaskedLM],
    esm_ids: Callable[..., list[int]],
    growth: float,
    tolerance: float,
) -> None:
    model = make_esm((2, 320, 20, 1280))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("self.query.weight"):
                parameter.mul_(growth)
    rng = np.random.default_rng(0)
    shown = ["".join(rng.choice(list("ACDEFGHIKL_"), size)) for size in (300, 300, 1022, 40)]
    sequences = [np.array(esm_ids(one)) for one in shown]
    batch = packed_ids(sequences)
    config, weights = token_model_config(model.config.to_dict()), model.state_dict()
    network = token_network(config, weights, dtype=torch.bfloat16)
    with torch.no_grad():
        plan = plan_attention(segment_layout(batch.record_offsets), torch.bfloat16, 16)
        assert isinstance(plan, CachedAttention)
        ours = network.logits(network(batch)).float()
        exact = torch.cat([reference_logits(model, one.tolist()) for one in sequences])
        rounded = copy.deepcopy(model).bfloat16()
        theirs = torch.cat([reference_logits(rounded, one.tolist()) for one in sequences]).float()
    mistake, their_mistake = (
        float((one - exact).square().mean().sqrt() / exact.std()) for one in (ours, theirs)
    )
    assert mistake < tolerance
    assert mistake < their_mistake


def test_a_plain_esm_model_without_heads_gives_embeddings_only(
    esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    torch.manual_seed(1)
    model = EsmModel(esm.model.config)
    model.train(False)
    network = token_network(token_model_config(model.config.to_dict()), model.state_dict())
    assert network.language is None
    assert network.pooler is not None
    ids = esm_ids("MKTAYIAKQR")
    with torch.no_grad():
        theirs = model(torch.tensor([ids]))
        batch = packed_ids([np.array(ids)])
        ours = network(batch)
        pooled = network.pooled(batch, ours)
    torch.testing.assert_close(ours, theirs.last_hidden_state[0], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(pooled, theirs.pooler_output, atol=TOLERANCE, rtol=0)


def test_gradients_are_those_of_transformers(
    packed: ProteinLanguageModel, esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    ids = esm_ids("MKTAY_AKQR")
    batch = packed_ids([np.array(ids)])
    packed.network.zero_grad()
    torch.autograd.backward(packed.network.logits(packed.network(batch))[6].log_softmax(-1)[5])
    esm.model.zero_grad()
    torch.autograd.backward(esm.model(torch.tensor([ids])).logits[0, 6].log_softmax(-1)[5])
    attention = esm.model.esm.encoder.layer[0].attention.self
    theirs = torch.cat(
        [one.weight.grad for one in (attention.query, attention.key, attention.value)]
    )
    ours = packed.network.get_submodule("blocks.0.attention.query_key_value").weight.grad
    assert theirs.abs().max() > 1e-3
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=1e-3)
    unused = {"contact.weight", "contact.bias"}
    without = {n for n, p in packed.network.named_parameters() if p.grad is None}
    assert without == unused
    packed.network.zero_grad()


def test_kept_frequencies_of_old_checkpoints_are_used(esm: Any) -> None:
    # Old checkpoints keep them in each block, rounded to half precision.
    stored = dict(esm.model.state_dict())
    rounded = stored.pop("esm.rotary_embeddings.inv_freq").half().float()
    for number in range(6):
        name = f"esm.encoder.layer.{number}.attention.self.rotary_embeddings.inv_freq"
        stored[name] = rounded
    stored["esm.embeddings.position_embeddings.weight"] = torch.zeros(1026, 320)
    stored["esm.embeddings.position_ids"] = torch.arange(1026)[None]
    network = token_network(token_model_config(esm.model.config.to_dict()), stored)
    assert network.frequencies == tuple(rounded.tolist())
