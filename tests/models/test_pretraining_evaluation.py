"""Scores and simple baselines against examples worked by hand."""

import math

import numpy as np
import pytest
import torch

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.evaluation import evaluate, explained, n_asked
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.neighbours import (
    PRIOR,
    UNKNOWN,
    NeighbourCounts,
    neighbour_scores,
    visible_neighbours,
)
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.retrieval import (
    projected,
    retrieval_scores,
    sample_retrieval,
)

SCALE = DescriptorScale(("MolLogP", "TPSA"), (0.0, 0.0), (1.0, 1.0))
SMALL = BackboneConfig(dim=32, depth=2, heads=2, hidden=48)
INPUTS = {
    "molecules": {"molecule": "molecule"},
    "named": {"molecule": "molecule", "text": "text"},
}


def batch_of(smiles: list[str], source: str = "molecules", **settings: float) -> PretrainingBatch:
    samples = [
        CorpusSample(
            f"{source}/{i}",
            source,
            {"molecule": one, "text": f"number {i}"} if source == "named" else {"molecule": one},
            np.array([i, -i], dtype=np.float32),
        )
        for i, one in enumerate(smiles)
    ]
    modalities = fit_pretraining_modalities({source: samples}, INPUTS, SCALE)
    config = ObjectiveConfig(generated={"molecule": settings.pop("generate", 0.0)}, **settings)  # type: ignore[arg-type]
    made = Composer(modalities, INPUTS, SCALE, config)
    return made.compose([[one] for one in samples], row_length=64, seed=0)


@pytest.fixture(scope="module")
def network() -> PretrainingNetwork:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(modalities=("molecule", "quantity", "text"), backbone=SMALL))
    return PretrainingNetwork(encoder, ObjectiveConfig(), 2)


def test_losses_of_several_batches_are_weighted_by_what_was_asked(
    network: PretrainingNetwork,
) -> None:
    batches = [batch_of(["CCO"]), batch_of(["c1ccccc1C(=O)OCC", "CCN", "CCCCC"])]
    counts = [n_asked(batch, "masked/molecule") for batch in batches]
    alone = [evaluate(network, [batch])["masked/molecule"] for batch in batches]
    together = evaluate(network, batches)
    assert counts[0] != counts[1]
    assert together["masked/molecule"] == pytest.approx(np.average(alone, weights=counts), rel=1e-5)
    assert 0 <= together["masked/molecule accuracy"] <= 1
    assert network.training


def test_the_accuracy_is_the_share_of_right_first_guesses(network: PretrainingNetwork) -> None:
    batch = batch_of(["CCO", "CCCCN"], generate=1.0, from_properties=0.0)
    with torch.no_grad():
        tokens = network.eval().encode(batch)
        asked = batch.generated["molecule"]
        logits = network.token_logits("generated", "molecule", tokens[asked.token])
    right = sum(
        int(row.argmax()) == int(label) for row, label in zip(logits, asked.label, strict=True)
    )
    scores = evaluate(network, [batch])
    assert scores["generated/molecule accuracy"] == pytest.approx(right / len(asked.label))


def test_every_loss_of_an_aligned_batch_is_evaluated(network: PretrainingNetwork) -> None:
    batch = batch_of(["CCO", "CCN", "CCCl"], source="named", aligned=1.0)
    scores = evaluate(network, [batch])
    assert set(scores) == {"aligned/molecule-text", "descriptors", "descriptors explained"}
    assert n_asked(batch, "aligned/molecule-text") == 3
    assert n_asked(batch, "descriptors") == 3


def test_explained_variance_is_1_for_the_truth_and_0_for_the_mean() -> None:
    truth = np.array([[1.0, 5.0, 2.0], [3.0, np.nan, 2.0], [5.0, 7.0, 2.0]])
    predicted = np.array([[1.0, 6.0, 0.0], [3.0, 99.0, 0.0], [5.0, 6.0, 0.0]])
    shares = explained(predicted, truth)
    assert shares[:2].tolist() == [1.0, 0.0]
    assert math.isnan(shares[2])  # what never varies cannot be explained


def test_bigrams_between_neighbours_are_as_worked_out_by_hand() -> None:
    # Ids 3, 4 and 5 are content; 0 starts and 1 ends.
    counts = NeighbourCounts.count([np.array([0, 3, 4, 3, 1]), np.array([0, 3, 5, 1])], 6)
    assert counts.single.tolist() == [0, 0, 0, 3, 1, 1]
    unigram = np.array([0, 0, 0, 4, 2, 2]) / 8
    np.testing.assert_allclose(counts.unigram(), unigram)
    # After 3 stand 4, 5 and the end; before 3 stand 4 and the start twice.
    after_3 = (np.array([0, 0, 0, 0, 1, 1]) + PRIOR * unigram) / (2 + PRIOR)
    before_3 = (np.array([0, 0, 0, 0, 1, 0]) + PRIOR * unigram) / (1 + PRIOR)
    joint = np.divide(after_3 * before_3, unigram, out=np.zeros(6), where=unigram > 0)
    got = counts.bigram(np.array([3, UNKNOWN]), np.array([3, UNKNOWN]))
    np.testing.assert_allclose(got[0], joint / joint.sum())
    np.testing.assert_allclose(got[1], unigram)
    assert got[0].argmax() in {3, 4}


def test_hidden_and_missing_neighbours_are_unknown() -> None:
    batch = batch_of(["CCOCCNCCSCC"], unmasked=0.0, in_spans=1.0)
    asked = batch.masked["molecule"].token.tolist()
    left, right = visible_neighbours(batch, "molecule")
    ids = batch.packed.ids["molecule"][:, 0].tolist()
    for token, before, after in zip(asked, left.tolist(), right.tolist(), strict=True):
        assert before == (UNKNOWN if token - 1 in asked else ids[token - 1])
        assert after == (UNKNOWN if token + 1 in asked else ids[token + 1])


def test_a_token_at_the_edge_of_another_record_has_no_neighbour_there() -> None:
    batch = batch_of(["C" * 100, "N" * 100], unmasked=0.0, in_spans=0.0)  # windows of 64
    starts = {0, 64}
    left, _ = visible_neighbours(batch, "molecule")
    asked = batch.masked["molecule"].token.tolist()
    assert all(left[i] == UNKNOWN for i, token in enumerate(asked) if token in starts)


def test_bigrams_know_a_pattern_that_unigrams_do_not() -> None:
    modality = MODALITIES["molecule"]()
    counts = NeighbourCounts.count(
        [modality.tokenize("CNCNCNCNCN" * 3).ids[:, 0]] * 20, modality.vocabulary_size
    )
    scores = neighbour_scores(counts, [batch_of(["CN" * 10] * 6, unmasked=0.0)], "molecule")
    assert scores["bigram accuracy"] > 0.9
    assert 0.2 < scores["unigram accuracy"] < 0.8
    assert scores["bigram loss"] < 0.5 * scores["unigram loss"]


def test_retrieval_ranks_are_as_worked_out_by_hand() -> None:
    queries = np.eye(3)
    answers = np.array([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 0.5, 0.5]])
    # The first query finds its answer at once; the second sees the third's answer before its
    # own; the third finds its own.
    scores = retrieval_scores(queries, answers)
    assert scores["recall@1"] == pytest.approx(2 / 3)
    assert scores["recall@10"] == 1.0
    assert scores["mean reciprocal rank"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert scores["chance recall@1"] == pytest.approx(1 / 3)
    assert scores["chance recall@10"] == 1.0
    assert scores["chance mean reciprocal rank"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_equal_vectors_find_nothing() -> None:
    same = np.ones((20, 4)) / 2
    scores = retrieval_scores(same, same)
    assert scores["recall@1"] == scores["recall@10"] == 0
    assert scores["mean reciprocal rank"] == pytest.approx(1 / 20)


def test_distinct_pairs_are_found_in_both_directions(network: PretrainingNetwork) -> None:
    modalities = {name: MODALITIES[name]() for name in ("molecule", "text")}
    rows: list[dict[str, str]] = [
        {"molecule": "CCO", "text": "an alcohol"},
        {"molecule": "CCN", "text": "an amine"},
        {"molecule": "CCO", "text": "ethanol"},
        {"molecule": "CCCl"},
        {"molecule": "CC", "text": "an alcohol"},
    ]
    samples = [CorpusSample(f"named/{i}", "named", dict(row)) for i, row in enumerate(rows)]
    scores = sample_retrieval(network, modalities, INPUTS["named"], samples)
    assert set(scores) == {"molecule to text", "text to molecule"}
    assert all(one["pairs"] == 2 for one in scores.values())
    with pytest.raises(InputError, match=r"only 1 of 1 samples are distinct pairs. Give at"):
        sample_retrieval(network, modalities, INPUTS["named"], samples[:1])
    with pytest.raises(InputError, match=r"nothing to pair in the inputs \{'molecule'.*Choose"):
        sample_retrieval(network, modalities, INPUTS["molecules"], samples)


def test_projected_values_have_length_1_and_do_not_depend_on_their_neighbours(
    network: PretrainingNetwork,
) -> None:
    modality = MODALITIES["molecule"]()
    tokens = [modality.tokenize(one) for one in ("CCO", "c1ccccc1", "CCN")]
    vectors = projected(network, "molecule", tokens)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    alone = projected(network, "molecule", tokens[1:2])
    np.testing.assert_allclose(vectors[1], alone[0], atol=1e-5)
