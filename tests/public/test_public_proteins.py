"""What a protein language model answers: any length, any order, variants, and errors that help."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.errors import InputError
from kagaku.models.public import ProteinLanguageModel, load_public, marginals
from kagaku.models.public.windows import window_around, windows

WILD_TYPE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture(scope="module")
def model(small_esm: Any) -> ProteinLanguageModel:
    loaded = load_public(small_esm.folder)
    assert isinstance(loaded, ProteinLanguageModel)
    loaded.framing = replace(loaded.framing, overlap=20)
    return loaded


@pytest.fixture(scope="module")
def sequences() -> list[str]:
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), size)) for size in (9, 40, 12, 40, 55)]


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(5)), budget=st.sampled_from([1, 60, 100, 8192]))
def test_neither_order_nor_budget_changes_an_answer(
    model: ProteinLanguageModel, sequences: list[str], order: list[int], budget: int
) -> None:
    alone = np.concatenate([model.embed([one]) for one in sequences])
    model.token_budget = budget
    together = model.embed([sequences[index] for index in order])
    np.testing.assert_allclose(together, alone[order], atol=1e-5)
    residues = model.embed_residues([sequences[index] for index in order])
    for index, one in zip(order, residues, strict=True):
        np.testing.assert_allclose(one.mean(axis=0), alone[index], atol=1e-5)


def test_one_sequence_changes_no_other(model: ProteinLanguageModel, sequences: list[str]) -> None:
    before = model.logits(sequences)
    after = model.logits([*sequences[:-1], "W" * 55])
    for one, other in zip(before[:-1], after[:-1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(before[-1] - after[-1]).max() > 0.1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(1, 80), st.data())
def test_windows_cover_a_sequence_once(length: int, longest: int, data: Any) -> None:
    overlap = data.draw(st.integers(0, longest - 1))
    found = windows(length, longest, overlap)
    kept = [place for one in found for place in range(one.keep_from, one.keep_to)]
    assert kept == list(range(length))
    for one in found:
        assert 0 <= one.start <= one.keep_from
        assert one.keep_to <= one.stop <= length
        assert one.stop - one.start == min(length, longest)
    for one, other in pairwise(found):
        assert one.stop - other.start >= overlap
    start, stop = window_around(length // 2, length, longest)
    assert start <= length // 2 < stop
    assert stop - start == min(length, longest)


def test_a_long_protein_is_read_in_windows_that_overlap(model: ProteinLanguageModel) -> None:
    rng = np.random.default_rng(2)
    long = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 150))
    (whole,) = model.embed_residues([long])
    assert whole.shape == (150, 32)
    for one in windows(150, 62, 20):
        (part,) = model.embed_residues([long[one.start : one.stop]])
        kept = slice(one.keep_from - one.start, one.keep_to - one.start)
        np.testing.assert_allclose(whole[one.keep_from : one.keep_to], part[kept], atol=1e-5)
    np.testing.assert_allclose(model.embed([long])[0], whole.mean(axis=0), atol=1e-5)
    (contacts,) = model.contacts([long])
    assert np.isfinite(contacts[:62, :62]).all()
    assert np.isnan(contacts[0, 149])
    np.testing.assert_allclose(contacts, contacts.T, atol=1e-6)


def test_forty_thousand_residues_are_read(small_esm: Any) -> None:
    model = load_public(small_esm.folder)
    assert isinstance(model, ProteinLanguageModel)
    model.framing = replace(model.framing, longest=1022)
    rng = np.random.default_rng(3)
    huge = "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 40_000))
    short, vector = model.embed(["MKT", huge])
    assert np.isfinite(vector).all()
    np.testing.assert_allclose(model.embed(["MKT"])[0], short, atol=1e-5)
    (score,) = model.score_variants(huge, [f"{huge[39_998]}39999A"])
    assert np.isfinite(score)
    with pytest.raises(InputError, match="40000 residues, too many for a matrix of contacts"):
        model.contacts([huge])


def test_residues_may_be_hidden_where_logits_are_asked_for(
    model: ProteinLanguageModel, small_esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    hidden = "<mask>KT\n<mask><mask>IAK*"
    (ours,) = model.logits([hidden])
    with torch.no_grad():
        theirs = small_esm.model(torch.tensor([esm_ids("_KT__IAK")])).logits[0, 1:-1]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)
    with pytest.raises(InputError, match="not amino-acid codes"):
        model.embed([hidden])


def test_masked_marginals_are_what_they_are_defined_as(
    model: ProteinLanguageModel, small_esm: Any, esm_ids: Callable[..., list[int]]
) -> None:
    variants = ["K2A", "Y5W:Q9E", "M1V", "K2A"]
    scores = model.score_variants(WILD_TYPE, variants)

    def logp(hidden: str) -> torch.Tensor:
        with torch.no_grad():
            answer = small_esm.model(torch.tensor([esm_ids(hidden)])).logits[0, 1:-1]
        found: torch.Tensor = answer.double().log_softmax(-1)
        return found

    def ratio(hidden: str, place: int, residue: str) -> float:
        table = logp(hidden)[place - 1]
        ids = esm_ids(residue + WILD_TYPE[place - 1])
        return float(table[ids[1]] - table[ids[2]])

    first = ratio("M_TAYIAKQRQISFVKSHFSRQ", 2, "A")
    both = "MKTA_IAK_RQISFVKSHFSRQ"
    second = ratio(both, 5, "W") + ratio(both, 9, "E")
    third = ratio("_KTAYIAKQRQISFVKSHFSRQ", 1, "V")
    assert abs(first) > 0.01
    np.testing.assert_allclose(scores, [first, second, third, first], atol=1e-4)
    seen = model.score_variants(WILD_TYPE, variants[:2], method="wild-type-marginals")
    expected = [ratio(WILD_TYPE, 2, "A"), ratio(WILD_TYPE, 5, "W") + ratio(WILD_TYPE, 9, "E")]
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_variant_of_a_long_protein_is_judged_in_the_window_around_it(
    model: ProteinLanguageModel,
) -> None:
    rng = np.random.default_rng(2)
    long = "".join(rng.choice(list("CDEFGHIKLMNPQRSTVWY"), 150))
    (whole,) = model.score_variants(long, [f"{long[80]}81A"])
    start, stop = window_around(80, 150, 62)
    (part,) = model.score_variants(long[start:stop], [f"{long[80]}{80 - start + 1}A"])
    assert whole == pytest.approx(part, abs=1e-5)


def test_a_long_wild_type_is_seen_once_in_windows(model: ProteinLanguageModel) -> None:
    rng = np.random.default_rng(3)
    long = "".join(rng.choice(list("CDEFGHIKLMNPQRSTVWY"), 150))
    variants = [f"{residue}{place}A" for place, residue in enumerate(long, start=1)]
    with patch.object(marginals, "windows", wraps=windows) as cut:
        scores = model.score_variants(long, variants, method="wild-type-marginals")
    assert cut.call_count == 1
    (logits,) = model.logits([long])
    before = [model.alphabet.ids[one] for one in long]
    ratios = logits[:, model.alphabet.ids["A"]] - logits[np.arange(150), before]
    np.testing.assert_allclose(scores, ratios, atol=1e-4)


def test_numbering_may_begin_elsewhere(model: ProteinLanguageModel) -> None:
    (first,) = model.score_variants(WILD_TYPE, ["K2A"])
    (shifted,) = model.score_variants(WILD_TYPE, ["K25A"], first_residue=24)
    assert first == shifted
    assert model.score_variants(WILD_TYPE, []).shape == (0,)
    assert model.score_variants(WILD_TYPE, ["k2k"])[0] == 0


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("K2", "'K2' is no variant of substitutions"),
        ("K2del", "is no variant of substitutions"),
        ("", "'' is no variant"),
        ("K2A:", "'K2A:' is no variant"),
        ("A2G", "residue 2 is A, and the sequence has K there"),
        ("Q23A", "outside of the sequence, which has residues 1 to 22"),
        ("M0A", "outside of the sequence"),
        ("K2X", "'X', which is none of the 20 standard residues"),
        ("K2A:K2R", "names position 2 twice"),
    ],
)
def test_a_variant_that_does_not_fit_is_refused(
    model: ProteinLanguageModel, variant: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        model.score_variants(WILD_TYPE, [variant])


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (["MKT", ""], "sequence 2: the protein sequence is empty"),
        (["MK1"], "sequence 1: .*not amino-acid codes"),
        ("MKT", "sequences must be a list"),
        (["M" * 40_001], "40001 residues, more than 40000"),
    ],
)
def test_a_sequence_that_cannot_be_read_is_refused(
    model: ProteinLanguageModel, sequences: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        model.embed(sequences)


def test_questions_that_make_no_sense_are_refused(model: ProteinLanguageModel) -> None:
    with pytest.raises(InputError, match="there is no layer 3"):
        model.embed(["MKT"], layer=3)
    with pytest.raises(InputError, match="Did you mean 'masked-marginals'"):
        model.score_variants(WILD_TYPE, ["K2A"], method="masked-marginal")
    with pytest.raises(InputError, match="variants must be a list"):
        model.score_variants(WILD_TYPE, "K2A")


def test_no_sequences_give_no_vectors(model: ProteinLanguageModel) -> None:
    assert model.embed([]).shape == (0, 32)
    assert model.embed_residues([]) == []
    assert model.contacts([]) == []


def test_letters_that_the_model_lacks_are_read_as_unknown(model: ProteinLanguageModel) -> None:
    np.testing.assert_array_equal(model.embed(["MJT"]), model.embed(["MXT"]))
    assert np.abs(model.embed(["MUT"]) - model.embed(["MXT"])).max() > 1e-3
