import pytest
from Bio.Data.IUPACData import extended_protein_letters
from hypothesis import given
from hypothesis import strategies as st

from kagaku.errors import InputError
from kagaku.modalities import Protein
from kagaku.modalities.protein import RESIDUES, ProteinConfig
from kagaku.modalities.sequence import END_ID, MASK_ID, START_ID

PROTEIN = Protein()


@given(st.text(alphabet=RESIDUES, min_size=1, max_size=300))
def test_every_residue_is_one_token_between_start_and_end(sequence: str) -> None:
    ids = PROTEIN.tokenize(PROTEIN.check(sequence)).ids[:, 0]
    assert (ids[0], ids[-1]) == (START_ID, END_ID)
    assert "".join(RESIDUES[i - 3] for i in ids[1:-1]) == sequence
    assert MASK_ID not in ids


def test_the_residues_are_those_of_the_extended_alphabet() -> None:
    assert sorted(RESIDUES) == sorted(extended_protein_letters)


def test_line_breaks_lower_case_and_a_final_stop_are_forgiven() -> None:
    assert PROTEIN.check(" mkt\n aav\r\n*") == "MKTAAV"


def test_residue_letters_are_in_positions_of_the_first_axis() -> None:
    positions = PROTEIN.tokenize("MKT").positions
    assert positions[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert not positions[:, 1:].any()


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("MK*T", r"\['\*'\] \(first at residue 3\)"),
        ("MKT.", r"\['\.'\] \(first at residue 4\)"),
        (">sp|P1\nMKT", r"first at residue 1"),
        ("\u041c\u041a\u0422", r"first at residue 1"),  # Cyrillic look-alikes of MKT
        ("*", r"is empty"),
        ("m\u00df", r"first at residue 1"),
        ("M\u00df", r"first at residue 2"),
    ],
)
def test_what_is_no_residue_is_named_with_its_place(sequence: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PROTEIN.check(sequence)


def test_the_limit_counts_residues_and_travels_with_the_state() -> None:
    restored = Protein()
    restored.load_state(Protein(ProteinConfig(max_residues=5)).state())
    assert restored.check("MKTAA") == "MKTAA"
    with pytest.raises(InputError, match=r"has 6 residues, more than 5\. Cut it into domains"):
        restored.check("MKTAAV")
    with pytest.raises(InputError, match=r"max_residues must be positive, got 0"):
        ProteinConfig(max_residues=0)
