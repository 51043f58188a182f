"""Climate and weather fields: physical variables on a latitude-longitude grid."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import nn

from kagaku.data.records import Field
from kagaku.data.units import convert, parse_unit
from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.bloom import BloomEmbedder, bloom_ids
from kagaku.modalities.cropping import region
from kagaku.modalities.field_checks import (
    check_cells,
    check_coordinates,
    check_shape,
    variable_key,
)
from kagaku.modalities.field_layout import FieldLayout, assemble, field_layout, split_field
from kagaku.modalities.stored_config import restore_config
from kagaku.registry import did_you_mean

__all__ = ["Climate", "ClimateConfig", "FieldLayout", "assemble", "field_layout", "split_field"]

NAME_HASHES, UNIT_HASHES = 4, 2
"""How many hashes stand for a variable's CF name and for its unit's dimension."""

N_SEASON = 2
"""Reals of a token after its cells: sine and cosine of the day of the year."""


@dataclass(frozen=True)
class ClimateConfig:
    """Settings of the climate modality."""

    patch_cells: int = 4
    """Rows and columns of a patch, in grid cells."""

    max_tokens: int = 8_192
    """Most tokens of one field: variables x patches."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name, value in asdict(self).items():
            if value <= 0:
                raise InputError(
                    f"{name} must be positive, got {value}", fix="Set it to 1 or more."
                )


@dataclass(frozen=True)
class Variable:
    """What training fields told about one physical variable."""

    unit: str
    """Unit that ``mean`` and ``std`` are in: the first one seen."""

    mean: float
    """Mean over all training cells, weighted by their area."""

    std: float
    """Standard deviation over the same, positive."""


@dataclass(frozen=True)
class _Moments:
    """Weighted mean and squares of some cells; two of them join into that of all their cells.

    So no more than one field is held at a time. Chan, Golub and LeVeque 1983,
    https://doi.org/10.1080/00031305.1983.10483115
    """

    weight: float
    mean: float
    squares: float

    @classmethod
    def of(cls, cells: np.ndarray, weights: np.ndarray) -> "_Moments":
        total = float(weights.sum())
        if total <= 0:
            return cls(0.0, 0.0, 0.0)
        mean = float(np.dot(cells, weights)) / total
        return cls(total, mean, float(np.dot((cells - mean) ** 2, weights)))

    def joined(self, other: "_Moments") -> "_Moments":
        total = self.weight + other.weight
        if total <= 0:
            return self
        apart, share = other.mean - self.mean, other.weight / total
        squares = self.squares + other.squares + apart**2 * self.weight * share
        return _Moments(total, self.mean + apart * share, squares)

    def std(self) -> float:
        """Return the standard deviation; 1 where there are no cells or all are equal."""
        std = math.sqrt(self.squares / self.weight) if self.weight > 0 else 0.0
        return std if std > 1e-12 * abs(self.mean) else 1.0


@MODALITIES.register("climate")
class Climate(Modality[Field]):
    """Observed or simulated fields, one or several variables on one grid at one time.

    One token is one variable in one patch of cells. Its ids are hashes of the variable's CF name
    and of its unit's dimension, so that any variable has an embedding without being listed
    anywhere. Its values are the standardised cells, a mask of the cells that are there, and the
    season. Cells that are missing or beyond the edge of the grid are 0 with mask 0.

    Positions are (0, degrees north, degrees east in 0..360) of the patch's centre. The first axis
    stays 0: all tokens of a field have one time, rotary embedding sees differences only, and days
    since 1970 would put a field tens of thousands of steps away from the text beside it. Season
    enters through the values; the year does not enter, so nothing can be learnt from the date.

    Tokens do not depend on how a file stores its grid; see `FieldLayout`.

    Args:
        config: Limits and patch size; see `ClimateConfig`.
    """

    name: ClassVar[str] = "climate"
    n_ids = NAME_HASHES + UNIT_HASHES
    n_values = 2 * 4**2 + N_SEASON

    def __init__(self, config: ClimateConfig | None = None) -> None:
        self._variables: dict[str, Variable] = {}
        self._configure(config or ClimateConfig())

    def _configure(self, config: ClimateConfig) -> None:
        self.config = config
        self.n_values = 2 * config.patch_cells**2 + N_SEASON

    def check(self, value: Field) -> Field:
        """Return the field with real values and, after `fit`, in the units seen in training.

        Raises:
            InputError: Shapes do not match, coordinates are not on Earth, every cell is missing,
                a variable or unit is unknown or of another dimension than in training, or there
                are too many tokens.
        """
        values = np.asarray(value.values)
        check_shape(value, values)
        check_coordinates(value)
        check_cells(values)
        self._check_size(value)
        if values.dtype.kind != "f":
            value = replace(value, values=values.astype(np.float32))
        return self._in_training_units(value) if self._variables else value

    def _check_size(self, field: Field) -> None:
        most, side = self.config.max_tokens, self.config.patch_cells
        if (count := _n_tokens(field, side)) <= most:
            return
        enough = next((one for one in range(side, 65) if _n_tokens(field, one) <= most), None)
        raise InputError(
            f"{len(field.names)} variables on {len(field.latitudes)} x {len(field.longitudes)} "
            f"cells make {count:,} tokens, more than {most:,}",
            fix="Choose fewer variables or a smaller region, average the grid onto a coarser one"
            + (f", or raise patch_cells to {enough}." if enough else "."),
        )

    def _known(self, name: str) -> Variable:
        if not self._variables:
            raise InputError(
                f"the mean and spread of {name!r} are not known yet",
                fix="Call fit with the training fields before tokenizing.",
            )
        if variable_key(name) not in self._variables:
            raise InputError(
                f"there was no variable {name!r} in training, only {sorted(self._variables)}",
                fix=did_you_mean(variable_key(name), self._variables),
            )
        return self._variables[variable_key(name)]

    def _in_training_units(self, field: Field) -> Field:
        units = tuple(self._known(name).unit for name in field.names)
        if units == field.units:
            return field
        values = np.array(
            [
                _in_unit(cells, name, unit, known)
                for cells, name, unit, known in zip(
                    field.values, field.names, field.units, units, strict=True
                )
            ]
        )
        return replace(field, values=values, units=units)

    def fit(self, values: Sequence[Field]) -> None:
        """Learn unit, mean and standard deviation of each variable from checked training fields.

        Cells count by their area, cos(latitude); otherwise the many small cells near the poles of
        a regular grid would set the scale.
        """
        moments: dict[str, _Moments] = {}
        units: dict[str, str] = {}
        for field in values:
            area = np.cos(np.deg2rad(field.latitudes.astype(np.float64))).clip(min=0)
            weights = np.repeat(area[:, None], len(field.longitudes), axis=1)
            for name, unit, cells in zip(field.names, field.units, field.values, strict=True):
                key = variable_key(name)
                units.setdefault(key, unit)
                in_unit = _in_unit(cells, name, unit, units[key]).astype(np.float64)
                present = np.isfinite(in_unit)
                seen = _Moments.of(in_unit[present], weights[present])
                moments[key] = moments[key].joined(seen) if key in moments else seen
        self._variables = {
            key: Variable(units[key], found.mean, found.std()) for key, found in moments.items()
        }

    def tokenize(self, value: Field) -> Tokens:
        """Return one token per variable and patch, variable by variable, in `FieldLayout`'s order.

        Values: the patch's cells standardised, the mask of cells that are there (both row by row
        from the north-western corner), sine and cosine of the day of the year (0 and 0 where the
        field has no time).

        Raises:
            InputError: A variable is unknown, or `fit` has never been called.
        """
        field = self._in_training_units(value)
        known = [self._known(name) for name in field.names]
        layout = field_layout(field, self.config.patch_cells)
        mean = np.array([one.mean for one in known])[:, None, None]
        std = np.array([one.std for one in known])[:, None, None]
        cells = split_field((field.values.astype(np.float64) - mean) / std, layout)
        mask = np.isfinite(cells)
        ids = [
            [*bloom_ids(name, NAME_HASHES), *bloom_ids(_dimension(one.unit), UNIT_HASHES)]
            for name, one in zip(field.names, known, strict=True)
        ]
        centre = np.stack([np.zeros(layout.n_patches), layout.latitudes, layout.longitudes], axis=1)
        season = np.tile(_season(field.day_of_year), (len(cells), 1))
        return Tokens(
            ids=np.repeat(np.array(ids, dtype=np.int64), layout.n_patches, axis=0),
            values=np.hstack([np.where(mask, cells, 0), mask, season]).astype(np.float32),
            positions=np.tile(centre, (len(known), 1)).astype(np.float32),
        )

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen patches blanked: cells that are not there.

        Variable, unit, place and season stay.
        """
        values = tokens.values.copy()
        values[chosen, :-N_SEASON] = 0
        return replace(tokens, values=values)

    def answers(
        self, tokens: Tokens
    ) -> tuple[Float[np.ndarray, "token answer"], Float[np.ndarray, "token answer"]]:
        """Return the standardised cells, and the area of each measured one.

        Areas are those at the patch's centre, relative to their mean over a regular grid of the
        whole Earth: the mean of cos(latitude) from pole to pole is 2 / pi.
        """
        cells, mask = np.split(tokens.values[:, :-N_SEASON], 2, axis=1)
        area = np.cos(np.deg2rad(tokens.positions[:, 1:2])).clip(min=0) * np.float32(math.pi / 2)
        return cells, mask * area

    def vary(self, value: Field, rng: np.random.Generator) -> Field:
        """Return the field's pattern over a smaller area, weaker, around another level.

        Weather looks alike at many scales, and global fields alone would leave regional ones
        strange. The grid's extent shrinks by up to a factor of 32 and lies anywhere on Earth;
        what the field varies about its mean shrinks with the root of that; its mean becomes the
        value that it has somewhere. Time and season stay.
        """
        extent = np.array([np.ptp(value.latitudes), np.ptp(value.longitudes)], dtype=np.float64)
        shrunk = 2.0 ** -rng.uniform(0, 5)
        south = rng.uniform(-90, 90 - extent[0] * shrunk)
        west = rng.uniform(0, 360 - extent[1] * shrunk)
        cells = value.values.astype(np.float64)
        for variable in cells:
            is_there = np.isfinite(variable)
            if is_there.any():
                level = rng.choice(variable[is_there])
                variable[:] = level + (variable - variable[is_there].mean()) * np.sqrt(shrunk)
        return replace(
            value,
            values=cells,
            latitudes=south + (value.latitudes - value.latitudes.min()) * shrunk,
            longitudes=west + (value.longitudes - value.longitudes.min()) * shrunk,
        )

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return a random region of at most ``most`` tokens, with all its variables."""
        return region(tokens, most, rng)

    def embedder(self, dim: int) -> nn.Module:
        """Return the hashed names and units plus a projection of the values."""
        return BloomEmbedder((NAME_HASHES, UNIT_HASHES), self.n_values, dim)

    def state(self) -> dict[str, Any]:
        """Return the settings, and unit, mean and spread of each variable."""
        variables = {name: asdict(variable) for name, variable in self._variables.items()}
        return {"config": asdict(self.config), "variables": variables}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._configure(restore_config(ClimateConfig, state, self.name))
        self._variables = {
            name: Variable(**stored) for name, stored in state.get("variables", {}).items()
        }


def _n_tokens(field: Field, side: int) -> int:
    """Return how many tokens a field makes in patches of ``side`` by ``side`` cells."""
    rows, columns = -(-len(field.latitudes) // side), -(-len(field.longitudes) // side)
    return len(field.names) * rows * columns


def _dimension(unit: str) -> str:
    """Return a unit's dimension, or the unit itself where it is none that pint knows."""
    try:
        return parse_unit(unit).dimension
    except InputError:
        return unit.strip()


def _in_unit(cells: np.ndarray, name: str, unit: str, wanted: str) -> np.ndarray:
    if unit == wanted:
        return cells
    try:
        return convert(cells, unit, wanted)
    except InputError as error:
        raise InputError(
            f"{name} is in {unit!r}, in training it was in {wanted!r}: {error.what}", fix=error.fix
        ) from None


def _season(day_of_year: float | None) -> tuple[float, float]:
    """Return sine and cosine of the position in the year (0 to 1), or 0 and 0 for no time."""
    if day_of_year is None:
        return 0.0, 0.0
    return math.sin(2 * math.pi * day_of_year), math.cos(2 * math.pi * day_of_year)
