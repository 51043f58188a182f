"""What surrounds the atoms of a crystal, told so that the choice of cell does not matter.

An environment is the density of neighbours around an atom as a function of distance, through all
periodic images, once of neighbours of the same element and once of other elements. It does not
change if the cell is turned, shifted, repeated or chosen otherwise. Atoms of one element with equal
environments are one kind of site, with its share of all atoms: so a cell and its supercell have the
same sites.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from kagaku.data.crystals import Crystal
from kagaku.data.elements import INDEX

CUTOFF = 6.0
"""Angstrom to which neighbours are counted."""

CENTRES = np.linspace(1.0, CUTOFF, 16)
"""Distances, in angstrom, around which neighbours are counted, in bells that overlap."""

WIDTH = float(CENTRES[1] - CENTRES[0])
"""Standard deviation of a bell, angstrom."""

N_FEATURES = 2 * (len(CENTRES) + 1)
"""Reals of an environment: `CENTRES` and the inverse distance of the nearest, like and unlike."""

SAME_PLACE = 0.1
"""Angstrom below which two atoms share one site by turns, and are no neighbours."""

TOLERANCE = 1e-3
"""Largest difference of two environments that are the same; coordinates in CIF files are rounded to
about as much."""


@dataclass(frozen=True)
class Sites:
    """The kinds of sites of a crystal, the commonest first."""

    elements: Int[np.ndarray, " site"]
    """Place of each site's element in `kagaku.data.elements.SYMBOLS`."""

    shares: Float[np.ndarray, " site"]
    """Share of all atoms that are on sites of this kind; their sum is 1."""

    features: Float[np.ndarray, "site feature"]
    """The environment of each."""


def crystal_sites(crystal: Crystal, most: int) -> Sites:
    """Return the kinds of sites of a crystal.

    Args:
        crystal: A checked crystal.
        most: Most kinds; where there are more, as in large or disordered cells, those of one
            element that are most alike are pooled, with ever coarser tolerance.
    """
    elements = np.array([INDEX[symbol] for symbol in crystal.species], dtype=np.int64)
    features = environments(crystal)
    tolerance = TOLERANCE
    while True:
        groups = _pooled(elements, features, tolerance)
        n_groups = int(groups.max()) + 1
        if n_groups <= max(most, len(np.unique(elements))):
            break
        tolerance *= 2
    weights = np.bincount(groups, crystal.occupancies, n_groups)
    sums = np.stack(
        [np.bincount(groups, column * crystal.occupancies, n_groups) for column in features.T], 1
    )
    means = sums / weights[:, None]
    of_group = np.zeros(n_groups, dtype=np.int64)
    of_group[groups] = elements
    shares = weights / weights.sum()
    order = np.lexsort((*means.round(4).T[::-1], of_group, -shares.round(6)))
    return Sites(of_group[order], shares[order], means[order])


def environments(crystal: Crystal) -> Float[np.ndarray, "atom feature"]:
    """Return what surrounds each atom of the cell.

    First the bells of like neighbours, then those of unlike ones, both as log(1 + count); then the
    inverse distances of the nearest like and unlike neighbour, 1/angstrom, 0 where there is none.
    """
    one, other, distance = neighbours(crystal)
    elements = np.array([INDEX[symbol] for symbol in crystal.species])
    is_like = elements[one] == elements[other]
    weight = 0.5 * (np.cos(np.pi * distance / CUTOFF) + 1) * crystal.occupancies[other]
    bells = np.exp(-0.5 * ((distance[:, None] - CENTRES) / WIDTH) ** 2) * weight[:, None]
    n_atoms = len(elements)
    features = np.zeros((n_atoms, N_FEATURES))
    for part, chosen in enumerate((is_like, ~is_like)):
        start = part * len(CENTRES)
        for place in range(len(CENTRES)):
            features[:, start + place] = np.bincount(
                one[chosen], bells[chosen, place], minlength=n_atoms
            )
        np.maximum.at(features[:, 2 * len(CENTRES) + part], one[chosen], 1 / distance[chosen])
    features[:, : 2 * len(CENTRES)] = np.log1p(features[:, : 2 * len(CENTRES)])
    return features


def neighbours(
    crystal: Crystal, cutoff: float = CUTOFF
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """Return (atom, neighbour, distance in angstrom) of all pairs nearer than the cutoff.

    A neighbour may be a periodic image of any atom, also of the atom itself.
    """
    centres = crystal.positions @ crystal.lattice
    # The planes of a lattice are as far apart as its reciprocal vectors are short.
    spacing = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    reach = np.ceil(cutoff / spacing).astype(int) + 1
    ranges = [np.arange(-n, n + 1) for n in reach]
    shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    n_atoms = len(centres)
    images = (centres[None] + (shifts @ crystal.lattice)[:, None]).reshape(-1, 3)
    low, high = centres.min(0) - cutoff, centres.max(0) + cutoff
    near = np.flatnonzero(((images >= low) & (images <= high)).all(axis=1))
    found = cKDTree(images[near]).query_ball_point(centres, cutoff)
    one = np.repeat(np.arange(n_atoms), [len(part) for part in found])
    image = near[np.concatenate([np.asarray(part, dtype=np.int64) for part in found])]
    distance = np.linalg.norm(images[image] - centres[one], axis=1)
    apart = distance > SAME_PLACE
    return one[apart], (image % n_atoms)[apart], distance[apart]


def _pooled(
    elements: Int[np.ndarray, " atom"],
    features: Float[np.ndarray, "atom feature"],
    tolerance: float,
) -> Int[np.ndarray, " atom"]:
    """Return the group of each atom: the same element, and features alike within a tolerance."""
    groups = np.full(len(elements), -1, dtype=np.int64)
    n_groups = 0
    # From the lowest features up, so that the order of the atoms in the file does not matter.
    waiting = np.lexsort((*features.round(3).T[::-1], elements))
    while len(waiting):
        first = waiting[0]
        alike = (elements[waiting] == elements[first]) & (
            np.abs(features[waiting] - features[first]) <= tolerance
        ).all(axis=1)
        groups[waiting[alike]] = n_groups
        waiting = waiting[~alike]
        n_groups += 1
    return groups
