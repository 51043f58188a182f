"""Nucleotides in corpora: both strands are one, and benchmarks are found inside genomes."""

import gzip
from pathlib import Path

import numpy as np

from kagaku.corpus.tools import ModalityTools
from kagaku.data.corpora.held_out import (
    NOT_HELD_OUT,
    HeldOutTask,
    HeldOutValue,
    hold_out,
    in_pieces,
    load_held_out,
)
from kagaku.data.corpora.held_out_files import read_held_out_folder
from kagaku.data.corpora.keys import kin_key, site_keys, value_key
from kagaku.data.corpora.signatures import near_groups, signature
from kagaku.data.nucleotides import reverse_complement


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def test_both_strands_have_one_key_and_one_signature() -> None:
    one = dna(300, 0)
    other = reverse_complement(one)
    assert value_key("nucleotide", one) == value_key("nucleotide", other)
    assert kin_key("nucleotide", one) != kin_key("nucleotide", dna(300, 1))
    np.testing.assert_array_equal(signature("nucleotide", one), signature("nucleotide", other))


def test_near_duplicates_are_grouped_whatever_their_strand() -> None:
    one = dna(1_530, 0)
    swapped = "A" if one[700] != "A" else "C"
    changed = reverse_complement(one[:700] + swapped + one[701:])
    rows = [signature("nucleotide", value) for value in (one, changed, dna(1_530, 1), "ACG")]
    groups = near_groups(np.stack(rows))
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3


def test_a_benchmark_sequence_is_found_inside_a_genome(tmp_path: Path) -> None:
    enhancer, genome = dna(200, 2), dna(1_200, 3)
    window = genome[:600] + reverse_complement(enhancer) + genome[600:]
    task = HeldOutTask([HeldOutValue("set", "nucleotide", enhancer.lower())], tmp_path / "a.npz")
    held = load_held_out([hold_out(task, ModalityTools())])
    assert (held.find(np.array(site_keys(window), dtype=np.uint64)) >= 0).any()
    assert not (held.find(np.array(site_keys(genome), dtype=np.uint64)) >= 0).any()


def test_sets_of_several_files_are_told_apart(tmp_path: Path) -> None:
    def left(name: str, *values: tuple[str, str, str]) -> Path:
        task = HeldOutTask([HeldOutValue(*one) for one in values], tmp_path / name)
        return hold_out(task, ModalityTools())

    protein = "MKTAYIAKQRQISFVKSHFSRQ"
    held = load_held_out(
        [
            left("a.npz", ("later", "molecule", "CCO"), ("first", "protein", protein)),
            left("b.npz", ("early", "molecule", "CCO"), ("later", "molecule", "CCN")),
            left("c.npz"),
        ]
    )
    assert held.sets == ("early", "first", "later")
    asked = [kin_key("molecule", one) for one in ("CCO", "CCN", "CCC")]
    assert held.find(np.array(asked, dtype=np.uint64)).tolist() == [0, 2, NOT_HELD_OUT]
    assert held.set_of_signature["protein"].tolist() == [1]
    assert held.signatures["nucleotide"].shape == (0, 64)
    assert load_held_out([]).find(np.array(asked, dtype=np.uint64)).tolist() == [NOT_HELD_OUT] * 3


def test_sequences_are_found_in_fasta_files_and_tables(tmp_path: Path) -> None:
    first, second = dna(60, 4), dna(60, 5)
    (tmp_path / "a.fa.gz").write_bytes(
        gzip.compress(f">x\n{first}\n>y\nACGT\n>z\nMKTAYIAKQRQ\n".encode())
    )
    rows = "".join(f"{dna(60, seed)},{seed}\n" for seed in range(5, 25))
    (tmp_path / "b.csv").write_text(f"enhancer,label\n{rows}")
    found = [(one.set_name, one.modality, one.value) for one in read_held_out_folder(tmp_path)]
    assert found[0] == ("a.fa.gz", "nucleotide", first)
    assert found[1] == ("a.fa.gz", "protein", "MKTAYIAKQRQ")
    assert found[2] == ("b.csv", "nucleotide", second)


def test_long_values_go_into_smaller_pieces() -> None:
    values = [HeldOutValue("genomes", "nucleotide", "A" * length) for length in (5, 5, 9, 1, 1, 1)]
    pieces = in_pieces(iter(values), most=2, letters=8)
    assert [len(piece) for piece in pieces] == [2, 1, 2, 1]
    assert list(in_pieces(iter([]), most=2, letters=8)) == []
