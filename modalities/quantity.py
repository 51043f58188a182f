"""Quantities: measured numbers with units, as inputs beside a molecule or a sample."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import nn

from kagaku.data.records import Quantity
from kagaku.data.units import canonical_unit, convert
from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.bloom import BloomEmbedder, bloom_ids
from kagaku.modalities.stored_config import restore_config
from kagaku.registry import did_you_mean

NAME_HASHES, UNIT_HASHES = 4, 2
"""How many hashes stand for a quantity's name and for its base unit."""

FREQUENCIES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the Fourier features, in radians per standard deviation: coarse place to fine detail."""

LARGEST = 1e36
"""Largest size accepted, in base units; the sun has 2e30 kg, and single precision ends at 3e38."""

FARTHEST = 1e3
"""Standard deviations from the mean after which a value only counts as far away."""


@dataclass(frozen=True)
class QuantityConfig:
    """Settings of the quantity modality."""

    log_span: float = 100.0
    """Values that are never negative and span more than this factor (two decades) go on a log
    scale."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if not self.log_span > 1:
            raise InputError(
                f"log_span must be more than 1, got {self.log_span}",
                fix="Give the factor from the smallest to the largest value, such as 100.",
            )


@dataclass(frozen=True)
class Scale:
    """How the values of one quantity are standardised."""

    unit: str
    """Base unit that ``mean``, ``std`` and ``threshold`` refer to."""

    mean: float
    """Mean of the training values, after the logarithm where there is one."""

    std: float
    """Standard deviation of the training values, positive, after the logarithm likewise."""

    threshold: float | None = None
    """For log scales, the smallest positive training value, in ``unit``: the scale is
    log(1 + x / threshold), odd in x, so that zero (a control without the reagent) has a place.
    None for linear scales."""

    def standardise(self, value: float) -> float:
        """Return a value in ``unit`` as standard deviations from the mean, at most `FARTHEST`."""
        z = (_bend(value, self.threshold) - self.mean) / self.std
        return max(-FARTHEST, min(FARTHEST, z))


def _bend(value: float, threshold: float | None) -> float:
    if threshold is None:
        return value
    if value == 0:
        return 0.0
    # log(1 + x / threshold), written so that the quotient cannot overflow
    bent = float(np.logaddexp(0.0, math.log(abs(value)) - math.log(threshold)))
    return math.copysign(bent, value)


def fit_scale(values: Sequence[float], unit: str, log_span: float) -> Scale:
    """Return the scale that suits training values: log where none is negative and they span much.

    Example:
        >>> fit_scale([1e-9, 1e-6, 1e-3], "mole", log_span=100.0).threshold
        1e-09
    """
    positive = [value for value in values if value > 0]
    spans = bool(positive) and min(values) >= 0 and max(positive) > log_span * min(positive)
    threshold = min(positive) if spans else None
    bent = np.array([_bend(value, threshold) for value in values], dtype=np.float64)
    # Scaled first: the squares of values near the smallest numbers there are would be 0.
    largest = float(np.abs(bent).max()) or 1.0
    std = largest * float((bent / largest).std())
    # Where one value was seen there is no spread to divide by; its size is the next best measure.
    if std <= 1e-12 * abs(float(bent.mean())):
        std = abs(float(bent.mean())) or 1.0
    return Scale(unit, float(bent.mean()), std, threshold)


@MODALITIES.register("quantity")
class QuantityModality(Modality[Quantity]):
    """Numbers with units: a temperature, a pH, a concentration. One token each.

    A quantity is told apart by its name and its dimension, both hashed, so any column of any
    laboratory works. Values come in any compatible unit and are brought to base units.

    Args:
        config: When a log scale is used; see `QuantityConfig`.
    """

    name: ClassVar[str] = "quantity"
    n_ids = NAME_HASHES + UNIT_HASHES
    n_values = 2 + 2 * len(FREQUENCIES)

    def __init__(self, config: QuantityConfig | None = None) -> None:
        self.config = config or QuantityConfig()
        self._scales: dict[str, Scale] = {}

    def check(self, value: Quantity) -> Quantity:
        """Return the quantity in base units (or in the unit seen in training, which is one).

        Raises:
            InputError: The value is not finite, the unit is unknown or of another dimension than
                in training, or (after `fit`) the name is unknown.
        """
        if not math.isfinite(value.value):
            raise InputError(
                f"the {value.name} is {value.value}, not a finite number",
                fix="Leave the cell empty where nothing was measured.",
            )
        scale = self._scale(value.name) if self._scales else None
        unit = canonical_unit(value.unit)[0] if scale is None else scale.unit
        converted = value
        if unit != value.unit:
            number = float(convert(np.array([value.value]), value.unit, unit)[0])
            converted = Quantity(value.name, number, unit)
        if not abs(converted.value) <= LARGEST:
            raise InputError(
                f"{value.value} {value.unit} is no number of {unit} up to {LARGEST:g}",
                fix="Correct the value or its unit.",
            )
        return converted

    def _scale(self, name: str) -> Scale:
        if not self._scales:
            raise InputError(
                f"the scale of {name!r} is not known yet",
                fix="Call fit with the training values before tokenizing.",
            )
        key = name.strip().casefold()
        if key not in self._scales:
            raise InputError(
                f"there were no quantities named {name!r} in training",
                fix=did_you_mean(key, self._scales),
            )
        return self._scales[key]

    def fit(self, values: Sequence[Quantity]) -> None:
        """Learn the scale of each named quantity from checked training values."""
        by_name: dict[str, list[Quantity]] = defaultdict(list)
        for value in values:
            by_name[value.name.strip().casefold()].append(value)
        scales = {}
        for name, quantities in by_name.items():
            unit = canonical_unit(quantities[0].unit)[0]
            in_unit = [
                float(convert(np.array([one.value]), one.unit, unit)[0])
                if one.unit != unit
                else one.value
                for one in quantities
            ]
            scales[name] = fit_scale(in_unit, unit, self.config.log_span)
        self._scales = scales

    def tokenize(self, value: Quantity) -> Tokens:
        """Return one token: hashes of name and unit; the value standardised, as waves, and raw.

        Values: the standardised value z; sin and cos of z at each of `FREQUENCIES`; and
        sign(x) * log(1 + |x|) of the value x in base units, which means the same in every run.

        Raises:
            InputError: As in `check`; also if `fit` has never been called.
        """
        scale = self._scale(value.name)
        x = self.check(value).value
        z = scale.standardise(x)
        waves = [wave(frequency * z) for frequency in FREQUENCIES for wave in (math.sin, math.cos)]
        ids = [*bloom_ids(value.name, NAME_HASHES), *bloom_ids(scale.unit, UNIT_HASHES)]
        return Tokens(
            ids=np.array([ids], dtype=np.int64),
            values=np.array([[z, *waves, _bend(x, 1.0)]], dtype=np.float32),
            positions=np.zeros((1, 3), dtype=np.float32),
        )

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen numbers blanked; name and unit stay."""
        return replace(tokens, values=np.where(chosen[:, None], np.float32(0), tokens.values))

    def answers(
        self, tokens: Tokens
    ) -> tuple[Float[np.ndarray, "token answer"], Float[np.ndarray, "token answer"]]:
        """Return the standardised value of each token, which counts fully."""
        return tokens.values[:, :1], np.ones((len(tokens), 1), dtype=np.float32)

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:  # noqa: ARG002
        """Return the tokens as they are: there is one."""
        return tokens

    def embedder(self, dim: int) -> nn.Module:
        """Return the hashed names and units plus a projection of the values."""
        return BloomEmbedder((NAME_HASHES, UNIT_HASHES), self.n_values, dim)

    def state(self) -> dict[str, Any]:
        """Return the settings and the scale of each quantity."""
        scales = {name: asdict(scale) for name, scale in self._scales.items()}
        return {"config": asdict(self.config), "scales": scales}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self.config = restore_config(QuantityConfig, state, self.name)
        self._scales = {name: Scale(**scale) for name, scale in state.get("scales", {}).items()}
