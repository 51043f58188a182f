"""Families of sequences are those that comparing all candidates would give, found quickly."""

import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from kagaku.data import grouping
from kagaku.data.grouping import (
    KMER,
    KMER_SIMILARITY,
    PERMUTATIONS,
    group_of_keys,
    joined,
    nucleotide_groups,
    sequence_groups,
)

RESIDUES, BASES = np.array(list("ACDEFGHIKLMNPQRSTVWY")), np.array(list("ACGT"))


def relatives(letters: np.ndarray, length: int, seed: int) -> list[str]:
    """Return families whose members differ from their parent in some places, more or fewer."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(12):
        parent = rng.choice(letters, length)
        for _ in range(6):
            changed = rng.random(length) < rng.uniform(0.0, 0.3)
            child = np.where(changed, rng.choice(letters, length), parent)
            found.append("".join(child))
    return [found[one] for one in rng.permutation(len(found))]


def all_compared(sequences: Sequence[str]) -> np.ndarray:
    """Return the families that comparing every candidate of the search gives."""
    search = MinHashLSH(threshold=KMER_SIMILARITY, num_perm=PERMUTATIONS)
    sketches = []
    for number, one in enumerate(sequences):
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
        sketch.update_batch({one.encode()[i : i + KMER] for i in range(len(one) - KMER + 1)})
        search.insert(number, sketch)
        sketches.append(sketch)
    groups = np.arange(len(sequences))
    for number, sketch in enumerate(sketches):
        for other in search.query(sketch):
            if sketch.jaccard(sketches[other]) >= KMER_SIMILARITY:
                pair = np.arange(len(sequences))
                pair[number] = pair[other]
                groups = joined(groups, group_of_keys(pair.tolist()))
    return groups


@pytest.mark.parametrize("seed", range(3))
def test_families_are_those_of_all_candidates(seed: int) -> None:
    sequences = relatives(RESIDUES, 60, seed)
    groups = sequence_groups(sequences)
    assert 12 < groups.max() + 1 < len(sequences)
    assert groups.tolist() == all_compared(sequences).tolist()


def test_families_do_not_depend_on_the_order_of_the_records() -> None:
    sequences = relatives(BASES, 200, 0)
    order = np.random.default_rng(0).permutation(len(sequences))
    again = nucleotide_groups([sequences[one] for one in order])
    assert group_of_keys(nucleotide_groups(sequences)[order].tolist()).tolist() == again.tolist()


def test_a_scan_of_thousands_of_variants_is_one_family_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    parent = rng.choice(RESIDUES, 120)
    variants = []
    for _ in range(2_000):
        child = parent.copy()
        child[rng.integers(len(child), size=3)] = rng.choice(RESIDUES, 3)
        variants.append("".join(child))
    compared = []
    are_alike = grouping._are_alike

    def counted(own: np.ndarray, others: np.ndarray) -> np.ndarray:
        compared.append(len(others))
        return are_alike(own, others)

    monkeypatch.setattr(grouping, "_are_alike", counted)
    assert sequence_groups([*variants, None]).max() == 1
    # Of two million pairs.
    assert sum(compared) < 100_000
