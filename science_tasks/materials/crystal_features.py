"""What can be seen in a crystal: how dense it is, how its atoms are coordinated, its symmetry."""

import warnings

import numpy as np
from jaxtyping import Float

from kagaku.data.crystals import Crystal
from kagaku.data.elements import INDEX, element_property
from kagaku.modalities.crystal_sites import neighbours

NAMES = (
    "density",
    "volume_per_atom",
    "packing",
    "mean_coordination",
    "min_coordination",
    "max_coordination",
    "mean_nearest",
    "min_nearest",
    "max_nearest",
    "mean_stretch",
    "min_stretch",
    "space_group",
    "log_symmetry_operations",
)
"""Names of the features of `crystal_features`, in order; see there for units."""

COORDINATED = 1.2
"""Neighbours farther than this many times the nearest are not counted as coordinated."""

SYMMETRY_TOLERANCE = 0.01
"""Angstrom by which atoms may miss their symmetric places; pymatgen's default."""


def crystal_features(crystal: Crystal) -> Float[np.ndarray, " feature"]:
    """Return the features named in `NAMES`; NaN where there is no neighbour or no spglib.

    Density in g/cm3, volume in cubic angstrom, nearest distances in angstrom. Packing is the share
    of the volume inside spheres of covalent radius. A stretch is the nearest distance over the sum
    of the two covalent radii. Symmetry is that of the cell as a set of sites, each with its
    commonest element.
    """
    radii = element_property("covalent_radius") / 100  # angstrom
    radii = np.nan_to_num(radii, nan=float(np.nanmean(radii)))
    radius = radii[[INDEX[symbol] for symbol in crystal.species]]
    spheres = float(4 / 3 * np.pi * radius**3 @ crystal.occupancies)
    bulk = [crystal.density, crystal.volume_per_atom, spheres / crystal.volume]
    one, other, distance = neighbours(crystal)
    stretch = distance / (radius[one] + radius[other])
    nearest = np.full(len(radius), np.inf)
    np.minimum.at(nearest, one, distance)
    closest = np.full(len(radius), np.inf)
    np.minimum.at(closest, one, stretch)
    counted = distance <= COORDINATED * nearest[one]
    coordination = np.bincount(one[counted], crystal.occupancies[other[counted]], len(radius))
    weights = crystal.occupancies / crystal.occupancies.sum()
    has_neighbours = bool(np.isfinite(nearest).all())
    shells = [
        float(weights @ coordination), coordination.min(), coordination.max(),
        float(weights @ nearest), nearest.min(), nearest.max(),
        float(weights @ closest), closest.min(),
    ]  # fmt: skip
    return np.array([*bulk, *(shells if has_neighbours else [np.nan] * 8), *_symmetry(crystal)])


def _symmetry(crystal: Crystal) -> tuple[float, float]:
    """Return the number of the space group and log(symmetry operations of its point group)."""
    try:
        import spglib
    except ImportError:
        return np.nan, np.nan
    kept: dict[bytes, int] = {}
    order = np.argsort(-crystal.occupancies, kind="stable")
    for atom in order.tolist():
        kept.setdefault(crystal.positions[atom].round(4).tobytes(), atom)
    atoms = sorted(kept.values())
    numbers = [INDEX[crystal.species[atom]] + 1 for atom in atoms]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spglib.get_symmetry_dataset(
            (crystal.lattice, crystal.positions[atoms], numbers), symprec=SYMMETRY_TOLERANCE
        )
    if found is None:
        return np.nan, np.nan
    turns = {rotation.tobytes() for rotation in found.rotations}
    return float(found.number), float(np.log(len(turns)))
