"""Materials as compositions or crystals: a set of elements or sites, one token each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.data.crystals import Crystal, is_cif, read_crystal
from kagaku.data.elements import INDEX, SYMBOLS, element_property, element_table
from kagaku.data.formulas import parse_formula
from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Tokens
from kagaku.modalities.cropping import take
from kagaku.modalities.crystal_sites import N_FEATURES, crystal_sites
from kagaku.modalities.sequence import (
    END_ID,
    N_SPECIALS,
    START_ID,
    SequenceModality,
    VocabularyEmbedder,
)
from kagaku.modalities.stored_config import restore_config

WAVES = (0.5, 1.0, 2.0, 4.0)
"""Of the Fourier features of a share of the atoms, in turns from 0 to 1."""

N_AMOUNTS = 3 + 2 * len(WAVES)
"""Reals of a token that say how much of its element there is."""

N_WHOLE = 6
"""Reals of the start token that are about the material as a whole."""

SMALLEST_SHARE = 1e-6
"""Share of the atoms below which amounts are no longer told apart on the log scale."""

SMALLEST_VOLUME = 0.5
"""Cubic angstrom per atom; diamond has 5.7, and metallic hydrogen would have about 1.5."""

LARGEST_VOLUME = 1e5
"""Cubic angstrom per atom, beyond which the cell is in another unit."""


@dataclass(frozen=True)
class MaterialConfig:
    """Settings of the material modality."""

    max_sites: int = 256
    """Most kinds of sites of a crystal; where there are more, the most alike are pooled."""

    max_atoms: int = 10_000
    """Most atoms in the cell of a crystal."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name, value in asdict(self).items():
            if value <= 0:
                raise InputError(
                    f"{name} must be positive, got {value}", fix="Set it to 1 or more."
                )


@MODALITIES.register("material")
class Material(SequenceModality[str | Path | Crystal]):
    """Inorganic materials, alloys, glasses, salts: by composition, or as crystals.

    A raw value is a formula, the path of a CIF file, its text, or a `Crystal`. Formulas of one
    composition have one canonical form, whose amounts are the lowest: what a formula says of a
    material is what share of the atoms each element has, and ``Fe4O6`` says no more than ``Fe2O3``.
    For the same reason tokens know shares and not the size of a formula unit.

    *Compositions* have one token per element between start and end. *Crystals* have one token per
    kind of site (see `crystal_sites`): the element, the share of the atoms, and the environment,
    through all periodic images. Turning or shifting the cell, repeating it or listing its atoms in
    another order leaves the tokens as they are. Nothing tells mirror images apart, and of angles
    only what distances up to 6 angstrom tell.

    *Positions* are all 0. The elements of a material are a set, without order or place; with equal
    positions attention cannot tell one order from another.

    Args:
        config: Limits; see `MaterialConfig`.
    """

    name: ClassVar[str] = "material"
    n_values = N_AMOUNTS + N_FEATURES + N_WHOLE
    vocabulary_size: ClassVar[int] = N_SPECIALS + len(SYMBOLS)

    config: MaterialConfig

    def __init__(self, config: MaterialConfig | None = None) -> None:
        self.config = config or MaterialConfig()

    def check(self, value: str | Path | Crystal) -> str | Crystal:
        """Return the canonical formula, or the crystal with all atoms inside its cell.

        Raises:
            InputError: The formula states no composition, the file holds no crystal, or the cell
                is too large, flat, or has atoms that are none.

        Example:
            >>> Material().check("(Ba0.5Sr0.5)TiO3")
            'BaSrTi2O6'
        """
        if isinstance(value, str) and not is_cif(value):
            return parse_formula(value).formula
        crystal = value if isinstance(value, Crystal) else read_crystal(value)
        return _checked_crystal(crystal, self.config.max_atoms)

    def tokenize(self, value: str | Path | Crystal) -> Tokens:
        """Return a start token, one token per element or kind of site, and an end token.

        Values: how much there is of the element (share, log share, share relative to the commonest,
        waves of the share), the environment of a site (0 for compositions), and in the start token
        what is true of the whole: number of elements, charge, and for crystals their volume per
        atom, density and packing.
        """
        checked = value if isinstance(value, str) and not is_cif(value) else self.check(value)
        if isinstance(checked, Crystal):
            sites = crystal_sites(checked, self.config.max_sites)
            elements, shares, surroundings = sites.elements, sites.shares, sites.features
            whole = _whole_crystal(checked)
        else:
            composition = parse_formula(checked)
            elements = np.array([INDEX[one] for one in composition.fractions])
            shares = np.array(list(composition.fractions.values()))
            surroundings = np.zeros((len(elements), N_FEATURES))
            whole = np.zeros(N_WHOLE)
            whole[:2] = np.log(len(elements)), composition.charge_per_atom
        values = np.zeros((len(elements) + 2, self.n_values), dtype=np.float32)
        values[0, -N_WHOLE:] = whole
        values[1:-1, :-N_WHOLE] = np.hstack([_amount_features(shares), surroundings])
        ids = np.concatenate([[START_ID], N_SPECIALS + elements, [END_ID]])
        return Tokens(ids[:, None], values, np.zeros((len(ids), 3), dtype=np.float32))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the chemical system that tokens name: amounts are values, which ids do not have.

        Example:
            >>> Material().decode(Material().tokenize("SrTiO3").ids[:, 0].tolist())
            'O-Sr-Ti'
        """
        return "-".join(sorted({SYMBOLS[one - N_SPECIALS] for one in ids if one >= N_SPECIALS}))

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen elements masked; amounts and distances stay.

        So what is asked is which element belongs there, as in the search for substitutions.
        """
        return super().hide(tokens, chosen)

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return at most ``most`` random tokens in their order: a set has no connected parts."""
        if len(tokens) <= most:
            return tokens
        return take(tokens, np.sort(rng.permutation(len(tokens))[:most]))

    def embedder(self, dim: int) -> nn.Module:
        """Return a lookup table plus projections of the element's properties and of the values."""
        return ElementEmbedder(self.n_values, dim)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the limits."""
        self.config = restore_config(MaterialConfig, state, self.name)


class ElementEmbedder(VocabularyEmbedder):
    """Embeds elements by what they are: a vector each, and their place in the periodic table.

    The properties of an element (`kagaku.data.elements`) are projected and added, so that an
    element that was rare in training resembles its neighbours. A masked token has none of them.

    Args:
        n_values: Reals of a token.
        dim: Width of an embedding.
    """

    def __init__(self, n_values: int, dim: int) -> None:
        super().__init__(N_SPECIALS + len(SYMBOLS), dim)
        self.register_buffer("properties", torch.from_numpy(_standardised_properties().copy()))
        self.from_properties = nn.Linear(self.properties.shape[1], dim, bias=False)
        self.from_values = nn.Linear(n_values, dim, bias=False)

    properties: Float[Tensor, "vocabulary property"]

    def forward(
        self, ids: Int[Tensor, "token one"], values: Float[Tensor, "token n_values"]
    ) -> Float[Tensor, "token dim"]:
        """Return the vector of each token."""
        known: Tensor = self.from_properties(self.properties[ids[:, 0]])
        embeddings: Tensor = self.table(ids[:, 0]) + known + self.from_values(values)
        return embeddings


@cache
def _standardised_properties() -> Float[np.ndarray, "vocabulary property"]:
    """Return each property with mean 0 and spread 1 over the elements; 0 where unknown."""
    table = element_table()
    scaled = (table - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    specials = np.zeros((N_SPECIALS, table.shape[1]))
    return np.concatenate([specials, np.nan_to_num(scaled)]).astype(np.float32)


def _amount_features(
    shares: Float[np.ndarray, " element"],
) -> Float[np.ndarray, "element amount"]:
    turns = 2 * np.pi * np.outer(shares, WAVES)
    log_share = np.log10(np.maximum(shares, SMALLEST_SHARE)) / 3
    plain = np.stack([shares, log_share, shares / shares.max()], axis=1)
    return np.hstack([plain, np.sin(turns), np.cos(turns)])


def _whole_crystal(crystal: Crystal) -> Float[np.ndarray, " whole"]:
    """Return log(number of elements), charge (0), 1, log volume per atom, log density, packing."""
    radii = element_property("covalent_radius") / 100  # angstrom
    spheres = 4 / 3 * np.pi * np.nan_to_num(radii, nan=float(np.nanmean(radii))) ** 3
    filled = float(spheres[[INDEX[one] for one in crystal.species]] @ crystal.occupancies)
    return np.array(
        [
            np.log(len(set(crystal.species))),
            0.0,
            1.0,
            np.log(crystal.volume_per_atom),
            np.log(crystal.density),
            np.log1p(filled / crystal.volume),
        ]
    )


def _checked_crystal(crystal: Crystal, most: int) -> Crystal:
    """Return the crystal with fractional coordinates from 0 to below 1."""
    n_atoms = len(crystal.species)
    if not 0 < n_atoms <= most:
        raise InputError(
            f"the cell has {n_atoms:,} atoms, not 1 to {most:,}", fix="Use a smaller cell."
        )
    if unknown := sorted(set(crystal.species) - set(INDEX)):
        raise InputError(f"there is no element {unknown[0]!r}", fix="Correct the atom's symbol.")
    numbers = (crystal.lattice, crystal.positions, crystal.occupancies)
    if not all(np.isfinite(one).all() for one in numbers):
        raise InputError("the crystal has a coordinate that is no number", fix="Export it again.")
    if not ((crystal.occupancies > 0) & (crystal.occupancies <= 1 + 1e-6)).all():
        raise InputError(
            "the crystal has an occupancy outside of 0 to 1", fix="Correct it in the file."
        )
    if not SMALLEST_VOLUME <= crystal.volume_per_atom <= LARGEST_VOLUME:
        raise InputError(
            f"the cell has {crystal.volume_per_atom:.3g} cubic angstrom per atom",
            fix="Correct its lengths, which are in angstrom, and its angles.",
        )
    inside = crystal.positions - np.floor(crystal.positions)
    return replace(crystal, positions=np.where(inside >= 1, 0.0, inside))
