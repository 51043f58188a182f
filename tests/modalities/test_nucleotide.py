import numpy as np
import pytest
import torch
from Bio.Data.IUPACData import ambiguous_dna_letters
from hypothesis import given
from hypothesis import strategies as st

from kagaku.errors import InputError
from kagaku.modalities import Nucleotide
from kagaku.modalities.nucleotide import CODES, NucleotideConfig

NUCLEOTIDE = Nucleotide()


def vectors(sequence: str) -> torch.Tensor:
    """Return the embedding of each triplet, without start and end."""
    torch.manual_seed(0)
    tokens = NUCLEOTIDE.tokenize(NUCLEOTIDE.check(sequence))
    embedder = NUCLEOTIDE.embedder(64)
    with torch.no_grad():
        found: torch.Tensor = embedder(
            torch.from_numpy(tokens.ids), torch.from_numpy(tokens.values)
        )
    return found[1:-1]


@given(st.text(alphabet=CODES, min_size=1, max_size=200))
def test_three_bases_are_a_token_and_all_of_them_come_back(sequence: str) -> None:
    ids = NUCLEOTIDE.tokenize(NUCLEOTIDE.check(sequence)).ids[:, 0].tolist()
    assert len(ids) == 2 + -(-len(sequence) // 3)
    assert NUCLEOTIDE.decode(ids) == sequence


def test_the_codes_are_those_of_iupac() -> None:
    assert sorted(CODES) == sorted(set(ambiguous_dna_letters) - {"X"})


def test_a_coding_sequence_is_read_codon_by_codon() -> None:
    ids = NUCLEOTIDE.tokenize("ATGGCCATGTAA").ids[1:-1, 0].tolist()
    assert ids[0] == ids[2]
    assert [NUCLEOTIDE.decode([one]) for one in ids] == ["ATG", "GCC", "ATG", "TAA"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("acgt", "ACGT"),
        ("AC GT\r\nAC\tGT", "ACGTACGT"),
        (">seq 1 Homo sapiens\nACGT\nAC\n", "ACGTAC"),
        (">transcript of HTT\nACGUAC", "ACGTAC"),  # letters of the header are none of the sequence
        ("AC--GT..A", "ACGTA"),
        ("AUGGCU", "ATGGCT"),
    ],
)
def test_case_space_headers_gaps_and_rna_are_understood(written: str, read: str) -> None:
    assert NUCLEOTIDE.check(written) == read


def test_a_code_stands_between_its_bases() -> None:
    known, blurred = vectors("ACA")[0], vectors("ACN")[0]
    near = torch.cosine_similarity(known, blurred, dim=0)
    assert 0.4 < float(near) < 0.9
    purine = vectors("ACR")[0]
    to_a = torch.cosine_similarity(purine, known, dim=0)
    to_c = torch.cosine_similarity(purine, vectors("ACC")[0], dim=0)
    assert to_a > near
    assert to_a > to_c


def test_all_triplets_have_vectors_of_their_own_and_of_one_size() -> None:
    parts = NUCLEOTIDE.embedder(8).get_buffer("parts").numpy()
    np.testing.assert_allclose(np.square(parts).sum(axis=1), 1, atol=1e-6)
    assert len(np.unique(parts.round(5), axis=0)) == NUCLEOTIDE.vocabulary_size


def test_the_parts_are_not_stored_with_the_weights() -> None:
    assert list(NUCLEOTIDE.embedder(8).state_dict()) == ["table.weight"]


def test_the_limit_counts_bases_and_travels_with_the_state() -> None:
    restored = Nucleotide()
    restored.load_state(Nucleotide(NucleotideConfig(max_bases=5)).state())
    assert restored.check("ACG-TA") == "ACGTA"
    with pytest.raises(InputError, match=r"has 6 bases, more than 5\. Cut it into windows"):
        restored.check("ACGTAC")
    with pytest.raises(InputError, match=r"max_bases must be positive, got 0"):
        NucleotideConfig(max_bases=0)
