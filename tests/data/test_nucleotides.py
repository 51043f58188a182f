"""Nucleotide sequences in tables and FASTA files, and which of them belong together."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.data import infer_schema, parse_records, read_table, split_records
from kagaku.data.columns import guess_column
from kagaku.data.grouping import nucleotide_groups
from kagaku.data.identity import identity_keys
from kagaku.data.nucleotides import canonical_words, reverse_complement, word_length
from kagaku.data.table import table_from_frame

BASES = list("ACGT")


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(BASES, length))


def mutated(sequence: str, n_changes: int, seed: int) -> str:
    random, letters = np.random.default_rng(seed), list(sequence)
    for place in random.choice(len(letters), n_changes, replace=False):
        letters[place] = random.choice([one for one in BASES if one != letters[place]])
    return "".join(letters)


@pytest.mark.parametrize(
    ("heading", "cells", "modality"),
    [
        ("x", [dna(9, seed) for seed in range(30)], "nucleotide"),
        ("sequence", [dna(200, seed).lower() for seed in range(30)], "nucleotide"),
        ("mRNA", [dna(60, seed).replace("T", "U") for seed in range(30)], "nucleotide"),
        ("genome", [dna(400, seed) + "RYN" for seed in range(30)], "nucleotide"),
        ("aligned", [dna(40, seed) + "--" + dna(40, seed) for seed in range(30)], "nucleotide"),
        ("peptide", ["GAGAGAGATC" * (1 + seed % 3) for seed in range(30)], "protein"),
        ("sequence", ["GAGAGSGAAS" * (2 + seed % 3) for seed in range(30)], "protein"),
        ("x", ["MKTAYIAKQRQISFVK"[seed % 3 :] for seed in range(30)], "protein"),
        ("word", ["cat", "tag", "act", "gac"] * 5, "text"),
    ],
)
def test_columns_of_nucleotides_are_told_from_proteins_and_words(
    heading: str, cells: list[str], modality: str
) -> None:
    assert guess_column(heading, cells).modality == modality


def test_a_fasta_of_nucleotides_is_recognised_and_can_be_overruled(tmp_path: Path) -> None:
    lines = [f">p{i} strength={i / 7:.3f}\n{dna(60, i)}\n{dna(9, i)}\n" for i in range(20)]
    path = tmp_path / "promoters.fna.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))
    table = read_table(path)
    found = infer_schema(table, targets=["strength"]).input("sequence")
    assert (found.modality, found.reason) == (
        "nucleotide",
        "letters of nucleotides only (for a peptide, ask for 'sequence: protein')",
    )
    asked = infer_schema(table, targets=["strength"], inputs=["sequence: protein"])
    assert asked.input("sequence").modality == "protein"


def test_both_strands_case_and_rna_are_one_sample() -> None:
    one = dna(90, 0)
    table = table_from_frame(
        pd.DataFrame(
            {"dna": [one, reverse_complement(one), one.lower(), dna(90, 1)], "y": range(4)}
        )
    )
    schema = infer_schema(table, targets=["y"], inputs=["dna: nucleotide"])
    keys = identity_keys(parse_records(table, schema, with_targets=True)[0])
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_words_are_equal_for_both_strands_and_skip_unknown_bases() -> None:
    one = dna(200, 3)
    for length in (1, 6, 11, 21):
        np.testing.assert_array_equal(
            canonical_words(one, length), canonical_words(reverse_complement(one), length)
        )
    assert len(canonical_words("ACGTN", 3)) == 1  # ACG and CGT are one word
    assert len(canonical_words("AC", 3)) == 0


def test_families_hold_mutants_of_either_strand_and_no_strangers() -> None:
    parents = [dna(200, seed) for seed in range(6)]
    children = [reverse_complement(mutated(one, 8, 9)) for one in parents]
    groups = nucleotide_groups([*parents, *children, None, "ACG", "CGT"])
    assert groups[:6].tolist() == groups[6:12].tolist() == list(range(6))
    assert groups[13] == groups[14]  # too short for a word, but each other's strand
    assert len(set(groups.tolist())) == 8


def test_genomes_are_compared_by_longer_words_than_genes() -> None:
    genomes = [dna(12_000, seed) for seed in range(3)]
    groups = nucleotide_groups([*genomes, mutated(genomes[0], 200, 1)])
    assert groups.tolist() == [0, 1, 2, 0]
    assert word_length(12_000) > word_length(200)


def test_windows_of_genomes_are_split_by_family_and_guides_at_random() -> None:
    def kind(length: int) -> str:
        parents = [dna(length, seed) for seed in range(40)]
        frame = pd.DataFrame(
            {"dna": parents + [mutated(one, length // 30, 1) for one in parents], "y": range(80)}
        )
        table = table_from_frame(frame)
        schema = infer_schema(table, targets=["y"])
        records, _ = parse_records(table, schema, with_targets=True)
        split = split_records(records)
        if split.kind == "sequence":
            assert not {i % 40 for i in split.train} & {i % 40 for i in split.test}
        return split.kind

    assert kind(200) == "sequence"
    assert kind(30) == "random"
