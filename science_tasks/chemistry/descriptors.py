"""Physico-chemical and topological descriptors of a molecule, chosen for what they cost.

RDKit names more than 200 descriptors. Those kept here took at most about 70 microseconds each (or
few microseconds per number, where a family is computed at once) on 400 drug-like molecules,
together under a millisecond, so that a million molecules stay feasible on one core. Left out for
their price: QED, BCUT, Bertz, Ipc, Balaban, the higher connectivity paths, and the 85 fragment
counts, of which `MQN` and the fingerprint say most.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from rdkit.Chem import rdMolDescriptors

from kagaku.science_tasks.chemistry.electrotopology import ESTATE_NAMES, estate_features

Family = tuple[tuple[str, ...], Callable[[Any], Sequence[float]]]

VERSION = 1
"""Version of the list below; a stored run computes exactly the list it was fitted with."""

# One number per call. Names are RDKit's.
_SINGLE = (
    "Chi0n", "Chi0v", "Chi1n", "Chi1v", "Kappa1", "HallKierAlpha", "LabuteASA", "TPSA",
    "FractionCSP3", "NumHBD", "NumRings", "NumAromaticRings", "NumSaturatedRings",
    "NumAliphaticHeterocycles", "NumAromaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms",
    "NumHeteroatoms", "NumAmideBonds", "NumAtomStereoCenters", "ExactMolWt", "NumLipinskiHBA",
)  # fmt: skip


def _single(molecule: Any) -> list[float]:
    return [float(calculate(molecule)) for calculate in _SINGLE_CALLS]


_SINGLE_CALLS = [getattr(rdMolDescriptors, f"Calc{name}") for name in _SINGLE]

FAMILIES: tuple[Family, ...] = (
    (_SINGLE, _single),
    # Octanol-water logP and molar refractivity by atom types. Source: Wildman and Crippen (1999),
    # https://doi.org/10.1021/ci990307l
    (("MolLogP", "MolMR"), rdMolDescriptors.CalcCrippenDescriptors),
    # Surface area by bins of an atom's logP, refractivity and charge. Source: Labute (2000),
    # https://doi.org/10.1016/S1093-3263(00)00068-1
    (tuple(f"SlogP_VSA{i}" for i in range(1, 13)), rdMolDescriptors.SlogP_VSA_),
    (tuple(f"SMR_VSA{i}" for i in range(1, 11)), rdMolDescriptors.SMR_VSA_),
    (tuple(f"PEOE_VSA{i}" for i in range(1, 15)), rdMolDescriptors.PEOE_VSA_),
    # Counts of atoms, bonds, polar groups and rings. Source: Nguyen, Blum, van Deursen and
    # Reymond (2009), https://doi.org/10.1002/cmdc.200900317
    (tuple(f"MQN{i}" for i in range(1, 43)), rdMolDescriptors.MQNs_),
    (ESTATE_NAMES, estate_features),
)

DESCRIPTORS: tuple[str, ...] = tuple(name for names, _ in FAMILIES for name in names)
"""The name of each number, in order. New ones need a new `VERSION`."""


def descriptors(molecule: Any) -> Float[np.ndarray, " descriptor"]:
    """Return the numbers named in `DESCRIPTORS`; NaN where one is not defined.

    A family is not defined for a molecule if RDKit lacks parameters for one of its elements.
    """
    numbers: list[float] = []
    for names, calculate in FAMILIES:
        try:
            numbers += list(calculate(molecule))
        except (ValueError, RuntimeError):
            numbers += [np.nan] * len(names)
    return np.array(numbers, dtype=np.float64)
