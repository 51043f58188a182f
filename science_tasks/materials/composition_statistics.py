"""Statistics of a composition over the properties of its elements.

They follow Magpie: Ward et al. (2016), https://doi.org/10.1038/npjcompumats.2016.28, with the
properties of `kagaku.data.elements` in place of Magpie's tables.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.compositions import Composition
from kagaku.data.elements import (
    INDEX,
    NUMBERS,
    element_property,
    element_table,
    oxidation_states,
)

NORMS = (2, 3, 5, 7, 10)
"""Exponents p of the norms of the fractions, as in Magpie."""

SHELLS = {"s": 2, "p": 6, "d": 10, "f": 14}
"""Electrons that fill a shell."""

PROPERTIES = (
    *NUMBERS,
    "valence",
    *(f"{shell}_unfilled" for shell in SHELLS),
    "unfilled",
)
"""Properties of an element that statistics are made of: those of the table, all valence electrons,
and the places left in shells that have begun to fill."""

STATISTICS = ("min", "max", "range", "mean", "deviation", "mode")
"""Over the elements, weighted by fraction; the deviation is the mean absolute one from the mean,
the mode is the commonest element's value, the lowest if several are as common."""

MOST_COMBINATIONS = 20_000
"""Combinations of oxidation states that are tried for neutrality."""

NAMES = (
    "n_elements",
    *(f"norm_{p}" for p in NORMS),
    *(f"{statistic}_{name}" for statistic in STATISTICS for name in PROPERTIES),
    *(f"{shell}_valence_fraction" for shell in SHELLS),
    "can_be_ionic",
    "max_ionic_character",
    "mean_ionic_character",
    "charge_per_atom",
)
"""Names of the features of `composition_statistics`, in order."""


def composition_statistics(composition: Composition) -> Float[np.ndarray, " feature"]:
    """Return the features named in `NAMES`.

    Statistics of a property go over the elements that have a value, with their fractions; NaN
    where none has. Everything is dimensionless or in the unit of the property.
    """
    places = np.array([INDEX[symbol] for symbol in composition.fractions])
    fractions = np.array(list(composition.fractions.values()))
    norms = [float((fractions**p).sum() ** (1 / p)) for p in NORMS]
    return np.concatenate(
        [
            [len(places), *norms],
            property_statistics(property_table()[places], fractions).ravel(),
            _shell_fractions(places, fractions),
            [float(can_be_ionic(composition)), *_ionic_character(places, fractions)],
            [composition.charge_per_atom],
        ]
    )


@cache
def property_table() -> Float[np.ndarray, "element property"]:
    """Return the properties named in `PROPERTIES` of all elements; NaN where unknown."""
    shells = np.stack([element_property(f"{shell}_valence") for shell in SHELLS], axis=1)
    unfilled = np.where(shells > 0, np.array(list(SHELLS.values())) - shells, 0.0)
    sums = shells.sum(axis=1, keepdims=True), unfilled.sum(axis=1, keepdims=True)
    return np.concatenate([element_table(), sums[0], unfilled, sums[1]], axis=1)


def property_statistics(
    values: Float[np.ndarray, "element property"], fractions: Float[np.ndarray, " element"]
) -> Float[np.ndarray, "statistic property"]:
    """Return the `STATISTICS` of each property over some elements."""
    known = ~np.isnan(values)
    weights = np.where(known, fractions[:, None], 0.0)
    total = weights.sum(axis=0)
    filled = np.where(known, values, 0.0)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    mean = (share * filled).sum(axis=0)
    deviation = (share * np.abs(filled - mean)).sum(axis=0)
    commonest = known & (weights >= weights.max(axis=0) - 1e-9)
    mode = np.where(commonest, values, np.inf).min(axis=0)
    statistics = np.stack([low, high, high - low, mean, deviation, mode])
    return np.where(total > 0, statistics, np.nan)


def _shell_fractions(
    places: Int[np.ndarray, " element"], fractions: Float[np.ndarray, " element"]
) -> Float[np.ndarray, " shell"]:
    """Return the share of the valence electrons in s, p, d and f shells."""
    shells = np.stack([element_property(f"{shell}_valence")[places] for shell in SHELLS])
    electrons: np.ndarray = shells @ fractions
    shares: np.ndarray = electrons / electrons.sum()
    return shares


def _ionic_character(
    places: Int[np.ndarray, " element"], fractions: Float[np.ndarray, " element"]
) -> tuple[float, float]:
    """Return the largest and the mean ionic character of pairs of elements, 0 to 1.

    1 - exp(-d^2 / 4) of the difference d of Pauling electronegativities. Source: Pauling (1960),
    The Nature of the Chemical Bond, 3rd edition, as in Magpie.
    """
    electronegativity = element_property("electronegativity")[places]
    known = ~np.isnan(electronegativity)
    if not known.any():
        return np.nan, np.nan
    electronegativity, weight = electronegativity[known], fractions[known] / fractions[known].sum()
    character = 1 - np.exp(-(np.subtract.outer(electronegativity, electronegativity) ** 2) / 4)
    return float(character.max()), float(weight @ character @ weight)


def can_be_ionic(composition: Composition) -> bool:
    """Return whether one main oxidation state per element balances the charge.

    Example:
        >>> from kagaku.data.formulas import parse_formula
        >>> [can_be_ionic(parse_formula(one)) for one in ("Fe2O3", "FeO", "Fe3O4", "NaCl2")]
        [True, True, False, False]
    """
    sums = {-composition.charge + 0.0}
    for symbol, amount in composition.amounts.items():
        states = oxidation_states()[INDEX[symbol]]
        sums = {round(one + state * float(amount), 6) for one in sums for state in states}
        if not 0 < len(sums) <= MOST_COMBINATIONS:
            return False
    return any(abs(one) < 1e-4 for one in sums) and len(composition.amounts) > 1
