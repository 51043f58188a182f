"""Named properties of molecules as quantities, so that a molecule can be asked for by its numbers.

A property is one of the corpus' computed descriptors. As a quantity it has the name and unit that
a chemist would write, since quantities are told apart by these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.data.records import Quantity
from kagaku.modalities import Modality


@dataclass(frozen=True)
class Property:
    """How one descriptor is called outside."""

    name: str
    """Name of the quantity."""

    unit: str
    """Its unit, as pint spells it."""


PROPERTIES: Mapping[str, Property] = {
    "MolLogP": Property("logP", "dimensionless"),
    "MolWt": Property("molecular weight", "g/mol"),
    "ExactMolWt": Property("exact mass", "g/mol"),
    "TPSA": Property("polar surface area", "angstrom**2"),
    "qed": Property("drug-likeness", "dimensionless"),
    "QED": Property("drug-likeness", "dimensionless"),
    "NumHDonors": Property("hydrogen-bond donors", "dimensionless"),
    "NumHBD": Property("hydrogen-bond donors", "dimensionless"),
    "NumHAcceptors": Property("hydrogen-bond acceptors", "dimensionless"),
    "NumHBA": Property("hydrogen-bond acceptors", "dimensionless"),
    "NumLipinskiHBA": Property("hydrogen-bond acceptors", "dimensionless"),
    "NumRotatableBonds": Property("rotatable bonds", "dimensionless"),
    "RingCount": Property("rings", "dimensionless"),
    "NumRings": Property("rings", "dimensionless"),
    "HeavyAtomCount": Property("heavy atoms", "dimensionless"),
    "FractionCSP3": Property("fraction of sp3 carbons", "dimensionless"),
}
"""By the descriptor's name in RDKit, the property that a molecule may be generated from."""


def property_quantities(
    values: Float[np.ndarray, " descriptor"], scale: DescriptorScale
) -> list[Quantity]:
    """Return a molecule's properties that are known, in the order of its descriptors."""
    quantities: dict[str, Quantity] = {}
    for name, value in zip(scale.names, values.tolist(), strict=True):
        known = PROPERTIES.get(name)
        if known is not None and np.isfinite(value):
            quantities.setdefault(known.name, Quantity(known.name, value, known.unit))
    return list(quantities.values())


def fitted_properties(quantity: Modality[Any] | None) -> frozenset[str]:
    """Return which properties a fitted quantity modality has a scale for.

    Args:
        quantity: The modality of quantities; None where the corpus has none.
    """
    scales = {} if quantity is None else quantity.state()["scales"]
    return frozenset(one.name for one in PROPERTIES.values() if one.name.casefold() in scales)
