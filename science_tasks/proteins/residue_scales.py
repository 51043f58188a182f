"""Physico-chemical scales of the twenty standard residues."""

import numpy as np
from Bio.SeqUtils import ProtParamData

STANDARD = "ACDEFGHIKLMNPQRSTVWY"
"""The twenty standard residues, the order of every array here."""

# Residue volume, cubic angstrom. Source: Zamyatnin (1972),
# https://doi.org/10.1016/0079-6107(72)90005-3
VOLUME = {
    "A": 88.6, "R": 173.4, "N": 114.1, "D": 111.1, "C": 108.5, "Q": 143.8, "E": 138.4, "G": 60.1,
    "H": 153.2, "I": 166.7, "L": 166.7, "K": 168.6, "M": 162.9, "F": 189.9, "P": 112.7, "S": 89.0,
    "T": 116.1, "W": 227.8, "Y": 193.6, "V": 140.0,
}  # fmt: skip

# Cost of a residue in the middle of a helix relative to alanine, kcal/mol. Source: Pace and
# Scholtz (1998), https://doi.org/10.1016/S0006-3495(98)77529-0
HELIX_COST = {
    "A": 0.0, "L": 0.21, "R": 0.21, "M": 0.24, "K": 0.26, "Q": 0.39, "E": 0.40, "I": 0.41,
    "W": 0.49, "S": 0.50, "Y": 0.53, "F": 0.54, "H": 0.61, "V": 0.61, "N": 0.65, "T": 0.66,
    "C": 0.68, "D": 0.69, "G": 1.0, "P": 3.16,
}  # fmt: skip

# Net charge at pH 7, elementary charges; a free histidine is about a tenth protonated there.
CHARGE = {"R": 1.0, "K": 1.0, "D": -1.0, "E": -1.0, "H": 0.1}

# Principal properties from 26 measured ones: roughly lipophilicity, bulk, polarity, and two
# electronic ones. Source: Sandberg et al. (1998), https://doi.org/10.1021/jm9700575
Z_SCALES = {
    "A": (0.24, -2.32, 0.60, -0.14, 1.30), "R": (3.52, 2.50, -3.50, 1.99, -0.17),
    "N": (3.05, 1.62, 1.04, -1.15, 1.61), "D": (3.98, 0.93, 1.93, -2.46, 0.75),
    "C": (0.84, -1.67, 3.71, 0.18, -2.65), "Q": (1.75, 0.50, -1.44, -1.34, 0.66),
    "E": (3.11, 0.26, -0.11, -3.04, -0.25), "G": (2.05, -4.06, 0.36, -0.82, -0.38),
    "H": (2.47, 1.95, 0.26, 3.90, 0.09), "I": (-3.89, -1.73, -1.71, -0.84, 0.26),
    "L": (-4.28, -1.30, -1.49, -0.72, 0.84), "K": (2.29, 0.89, -2.49, 1.49, 0.31),
    "M": (-2.85, -0.22, 0.47, 1.94, -0.98), "F": (-4.22, 1.94, 1.06, 0.54, -0.62),
    "P": (-1.66, 0.27, 1.84, 0.70, 2.00), "S": (2.39, -1.07, 1.15, -1.39, 0.67),
    "T": (0.75, -2.18, -1.12, -1.46, -0.40), "W": (-4.36, 3.94, 0.59, 3.44, -1.59),
    "Y": (-2.54, 2.44, 0.43, 0.04, -1.47), "V": (-2.59, -2.64, -1.54, -0.85, -0.02),
}  # fmt: skip

# Hydropathy: Kyte and Doolittle (1982), https://doi.org/10.1016/0022-2836(82)90515-0, from
# Biopython's table.
HYDROPATHY: dict[str, float] = dict(ProtParamData.kd)

SCALE_NAMES = ("hydropathy", "volume", "charge", "helix_cost", "z1", "z2", "z3", "z4", "z5")
"""Names of the columns of `SCALES`."""

_RAW = np.array(
    [(HYDROPATHY[r], VOLUME[r], CHARGE.get(r, 0.0), HELIX_COST[r], *Z_SCALES[r]) for r in STANDARD]
)
SCALES: np.ndarray = (_RAW - _RAW.mean(axis=0)) / _RAW.std(axis=0)
"""Float (20, scale): each scale with mean 0 and standard deviation 1 over the twenty residues."""

# Classes by dipole and side-chain volume, for the conjoint triad. Source: Shen et al. (2007),
# https://doi.org/10.1073/pnas.0607879104
TRIAD_CLASSES = ("AGV", "ILFP", "YMTS", "HNQW", "RK", "DE", "C")

UNKNOWN = len(STANDARD)
"""Code of any other letter: ambiguous (B, Z, J, X), selenocysteine and pyrrolysine."""

_CODE_OF_BYTE = np.full(256, UNKNOWN, dtype=np.int64)
_CODE_OF_BYTE[np.frombuffer(STANDARD.encode(), dtype=np.uint8)] = np.arange(UNKNOWN)


def residue_codes(sequence: str) -> np.ndarray:
    """Return the index in `STANDARD` of each residue, integer (residue,); others `UNKNOWN`."""
    codes: np.ndarray = _CODE_OF_BYTE[np.frombuffer(sequence.encode("latin-1"), dtype=np.uint8)]
    return codes
