"""Classical features of proteins."""

import itertools

import numpy as np
import pytest
from Bio.SeqUtils.ProtParam import ProteinAnalysis

from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.proteins.composition import (
    BULK_NAMES,
    bulk_properties,
    composition,
    kmer_counts,
)
from kagaku.science_tasks.proteins.features import ProteinFeatures
from kagaku.science_tasks.proteins.residue_scales import (
    HELIX_COST,
    SCALES,
    STANDARD,
    TRIAD_CLASSES,
    VOLUME,
    Z_SCALES,
)

UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
INSULIN_B = "FVNQHLCGSHLVEALYLVCGERGFFYTPKT"


def by_kind(featurizer: ProteinFeatures, values: list[str | None]) -> dict[str, FeatureBlock]:
    return {b.name.removeprefix("p:"): b for b in featurizer.transform("p", values)}


def fitted(*sequences: str) -> ProteinFeatures:
    featurizer = ProteinFeatures()
    featurizer.fit(sequences)
    return featurizer


def test_every_scale_has_a_value_for_each_standard_residue() -> None:
    assert SCALES.shape == (20, 9)
    assert set(VOLUME) == set(HELIX_COST) == set(Z_SCALES) == set(STANDARD)
    assert sorted("".join(TRIAD_CLASSES)) == sorted(STANDARD)
    np.testing.assert_allclose(SCALES.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(SCALES.std(axis=0), 1)


@pytest.mark.parametrize("sequence", [UBIQUITIN, INSULIN_B, "MK"])
def test_bulk_properties_are_those_of_protparam(sequence: str) -> None:
    ours = dict(zip(BULK_NAMES, bulk_properties(sequence), strict=True))
    protparam = ProteinAnalysis(sequence)
    weight = ours["molecular_weight_per_residue"] * len(sequence) + 18.0153
    assert weight == pytest.approx(protparam.molecular_weight(), abs=0.05)
    assert ours["gravy"] == pytest.approx(protparam.gravy())
    assert ours["aromaticity"] == pytest.approx(protparam.aromaticity())
    assert ours["isoelectric_point"] == pytest.approx(protparam.isoelectric_point(), abs=0.01)
    assert ours["instability_index"] == pytest.approx(protparam.instability_index())
    extinction = ours["extinction_per_residue"] * len(sequence)
    reduced, cystines = protparam.molar_extinction_coefficient()
    assert reduced - 1e-6 <= extinction <= cystines + 63


def test_letters_other_than_the_standard_residues_are_counted_nowhere() -> None:
    clean, with_others = bulk_properties("MKTAYI"), bulk_properties("MKTAYIXX")
    index = BULK_NAMES.index
    assert with_others[index("gravy")] == pytest.approx(clean[index("gravy")])
    assert with_others[index("unknown_fraction")] == pytest.approx(0.25)
    for sequence in ("X", "XXBZ", "A", "AC"):
        assert np.isfinite(composition(sequence)).all()
    assert kmer_counts("XXXX").sum() == 0


def test_kmers_count_residues_pairs_and_triples() -> None:
    counts = kmer_counts("ACAC")
    assert counts.sum() == 4 + 3 + 2
    assert counts[STANDARD.index("A")] == 2
    assert counts[20 + 20 * STANDARD.index("A") + STANDARD.index("C")] == 2
    # The pair across an unknown residue is no pair.
    assert kmer_counts("AXC")[20:].sum() == 0


def test_autocorrelation_tells_patterns_of_one_composition_apart() -> None:
    alternating, blocks = composition("IKIKIKIKIK"), composition("IIIIIKKKKK")
    assert alternating[BULK_NAMES.index("gravy")] == pytest.approx(
        blocks[BULK_NAMES.index("gravy")]
    )
    assert np.abs(alternating[-12:] - blocks[-12:]).max() > 0.5


def test_onehot_has_a_column_for_each_residue_seen_at_a_variable_position() -> None:
    features = fitted("MKTA", "MRTA", "MKTV", "MKTA")
    blocks = by_kind(features, ["MKTA", "MRTV"])
    assert blocks["onehot"].values.shape == (2, 4)  # K or R, A or V
    assert blocks["residues"].values.shape == (2, 2 * SCALES.shape[1])
    assert (blocks["onehot"].values[0] != blocks["onehot"].values[1]).all()


def test_the_distance_of_variants_is_the_number_of_their_mutations() -> None:
    sequences = ["".join(letters) for letters in itertools.product("AV", "KR", "DE", "FW")]
    onehot = by_kind(fitted(*sequences), list(sequences))["onehot"].values
    squared = ((onehot[:, None] - onehot[None]) ** 2).sum(-1)
    mutations = np.array(
        [[sum(a != b for a, b in zip(s, t, strict=True)) for t in sequences] for s in sequences]
    )
    np.testing.assert_allclose(squared, mutations * squared[0, -1] / 4, atol=1e-4)


def test_a_mutation_never_seen_is_judged_by_what_it_is_like() -> None:
    features = fitted("MKTA", "MDTA", "MKTV")
    blocks = by_kind(features, ["MKTA", "MDTA", "META"])
    residues = blocks["residues"].values
    # Glutamate was never at position 2, but it is more like aspartate than like lysine.
    assert np.linalg.norm(residues[2] - residues[1]) < np.linalg.norm(residues[2] - residues[0])
    assert blocks["onehot"].present.all()


def test_a_sequence_of_another_length_keeps_the_blocks_that_need_no_alignment() -> None:
    blocks = by_kind(fitted("MKTA", "MRTA"), ["MKTA", "MKTAA", None])
    assert blocks["onehot"].present.tolist() == [True, False, False]
    assert blocks["residues"].present.tolist() == [True, False, False]
    assert not blocks["onehot"].values[1].any()
    assert blocks["composition"].present.tolist() == [True, True, False]
    assert blocks["kmers"].present.tolist() == [True, True, False]


def test_sequences_of_different_lengths_or_all_alike_are_not_read_as_variants() -> None:
    assert list(by_kind(fitted("MKTA", "MKTAA"), ["MKTA"])) == ["composition", "kmers"]
    assert list(by_kind(fitted("MKTA", "MKTA"), ["MKTA"])) == ["composition", "kmers"]
    assert list(by_kind(fitted("MKXA", "MKBA"), ["MKTA"])) == ["composition", "kmers"]
