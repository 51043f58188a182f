"""What can be said of a protein of any length: composition, bulk properties and short words."""

import numpy as np
from Bio.Data import IUPACData
from Bio.SeqUtils import ProtParamData
from Bio.SeqUtils.IsoelectricPoint import IsoelectricPoint
from jaxtyping import Float

from kagaku.science_tasks.proteins.residue_scales import (
    CHARGE,
    HYDROPATHY,
    SCALES,
    STANDARD,
    TRIAD_CLASSES,
    UNKNOWN,
    residue_codes,
)

TERMINUS = 30
"""Residues at either end whose composition is told apart: sorting signals are there. Signal
peptides have 15 to 30 residues."""

N_HASHED = 2048
"""Columns that the counts of three-residue words are folded to."""

BULK_NAMES = (
    "log_length", "molecular_weight_per_residue", "gravy", "aromaticity", "charge_per_residue",
    "isoelectric_point", "instability_index", "extinction_per_residue", "unknown_fraction",
)  # fmt: skip
"""Names of the numbers of `bulk_properties`, in order."""

_WATER = 18.0153  # g/mol; residues lose one water per peptide bond
_MASS = np.array([IUPACData.protein_weights[r] - _WATER for r in STANDARD])
_HYDROPATHY = np.array([HYDROPATHY[r] for r in STANDARD])
_CHARGE = np.array([CHARGE.get(r, 0.0) for r in STANDARD])
_AROMATIC = np.array([float(r in "FWY") for r in STANDARD])
# Molar extinction at 280 nm, 1/(M cm), cystines counted half. Source: Pace et al. (1995),
# https://doi.org/10.1002/pro.5560041120
_EXTINCTION = np.array([{"W": 5500.0, "Y": 1490.0, "C": 62.5}.get(r, 0.0) for r in STANDARD])
# Weights of dipeptides for the instability index. Source: Guruprasad, Reddy and Pandit (1990),
# https://doi.org/10.1093/protein/4.2.155, from Biopython's table.
_INSTABILITY = np.array([[ProtParamData.DIWV[a][b] for b in STANDARD] for a in STANDARD])

_CLASS = np.array([next(i for i, c in enumerate(TRIAD_CLASSES) if r in c) for r in STANDARD])


def bulk_properties(sequence: str) -> list[float]:
    """Return the numbers named in `BULK_NAMES`; other than standard residues count nowhere.

    Weights in g/mol, GRAVY and instability dimensionless, charge in elementary charges at pH 7.
    """
    codes = residue_codes(sequence)
    known = codes[codes != UNKNOWN]
    counts = np.bincount(known, minlength=UNKNOWN).astype(np.float64)
    n_known = max(len(known), 1)
    pairs = codes[:-1], codes[1:]
    standard = (pairs[0] != UNKNOWN) & (pairs[1] != UNKNOWN)
    instability = 10.0 / n_known * _INSTABILITY[pairs[0][standard], pairs[1][standard]].sum()
    point = IsoelectricPoint(sequence, dict(zip(STANDARD, counts, strict=True))).pi()
    return [
        np.log(len(sequence)),
        float(counts @ _MASS) / n_known,
        float(counts @ _HYDROPATHY) / n_known,
        float(counts @ _AROMATIC) / n_known,
        float(counts @ _CHARGE) / n_known,
        point,
        instability,
        float(counts @ _EXTINCTION) / n_known,
        1.0 - len(known) / len(sequence),
    ]


def composition(sequence: str) -> Float[np.ndarray, " feature"]:
    """Return bulk properties, residue fractions, both ends' classes and autocorrelations.

    The autocorrelation of hydropathy, volume and charge at lags 1 to 4 (Moreau and Broto's, on
    standardised scales) tells a sequence's patterns apart from its composition: alternation makes
    strands, a period of three to four makes helices.
    """
    codes = residue_codes(sequence)
    known = codes[codes != UNKNOWN]
    fractions = np.bincount(known, minlength=UNKNOWN) / max(len(known), 1)
    ends = [_class_fractions(codes[:TERMINUS]), _class_fractions(codes[-TERMINUS:])]
    return np.concatenate(
        [bulk_properties(sequence), fractions, *ends, _autocorrelation(known, lags=4)]
    )


def kmer_counts(sequence: str) -> Float[np.ndarray, " kmer"]:
    """Return counts of residues, dipeptides and folded three-residue words, float32.

    Words with other than standard residues are not counted. Three-residue words (8,000) are folded
    by a fixed multiplicative hash, so the columns never depend on the training set.
    """
    codes = residue_codes(sequence)
    known = codes != UNKNOWN
    single = np.bincount(codes[known], minlength=UNKNOWN)
    double = codes[:-1] * 20 + codes[1:]
    triple = (codes[:-2] * 20 + codes[1:-1]) * 20 + codes[2:]
    double_known = known[:-1] & known[1:]
    triple_known = double_known[:-1] & known[2:]
    folded = (triple[triple_known] * 2654435761 % 2**32) % N_HASHED
    return np.concatenate(
        [
            single,
            np.bincount(double[double_known], minlength=400),
            np.bincount(folded, minlength=N_HASHED),
        ]
    ).astype(np.float32)


def _class_fractions(codes: np.ndarray) -> np.ndarray:
    known = codes[codes != UNKNOWN]
    fractions: np.ndarray = np.bincount(_CLASS[known], minlength=len(TRIAD_CLASSES)) / max(
        len(known), 1
    )
    return fractions


def _autocorrelation(known: np.ndarray, *, lags: int) -> np.ndarray:
    properties = SCALES[known, :3]
    means = [
        (properties[:-lag] * properties[lag:]).mean(axis=0) if len(known) > lag else np.zeros(3)
        for lag in range(1, lags + 1)
    ]
    return np.concatenate(means)
