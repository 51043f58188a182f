"""Conditions of an experiment: what is computed from temperatures, pH and concentrations."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kagaku.data.records import Quantity
from kagaku.data.units import convert, parse_unit
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.standardise import RobustScale

DECADES = 1.0
"""Positive values that span at least this many powers of ten get a logarithm too."""

_TEMPERATURE = "[temperature]"


@FEATURIZERS.register("quantity")
class QuantityFeatures(Featurizer[Quantity]):
    """One block, `value`: the number, its logarithm, its reciprocal, each where it makes sense.

    The logarithm (base 10) belongs to concentrations and pressures, whose positive training values
    span a decade or more; later values that have none take the lowest one seen. The reciprocal
    belongs to temperatures (1/T in 1/K): rates and equilibria are linear in it on a log scale
    (Arrhenius, van 't Hoff). All are standardised on the training values, after conversion to the
    unit that the first of them had.
    """

    modality: ClassVar[str] = "quantity"

    def __init__(self) -> None:
        self._unit: str | None = None
        self._has_log = False
        self._lowest = 0.0
        self._scale = RobustScale()

    def fit(self, values: Sequence[Quantity | None]) -> None:
        """Learn the unit, the spread, and whether a logarithm makes sense.

        Raises:
            InputError: The values' units measure different things.
        """
        known = [value for value in values if value is not None]
        self._unit = known[0].unit if known else None
        if not known:
            return
        numbers = self._numbers(known)
        self._lowest = float(numbers.min())
        self._has_log = bool(
            self._lowest > 0
            and np.log10(numbers.max() / self._lowest) >= DECADES
            and parse_unit(known[0].unit).log is None
        )
        self._scale = RobustScale()
        self._scale.fit(self._columns(numbers))

    def transform(self, name: str, values: Sequence[Quantity | None]) -> list[FeatureBlock]:
        """Return the block; none if no training record had a value.

        Raises:
            InputError: A value's unit cannot be converted to the training values' unit.
        """
        if self._unit is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        numbers = self._numbers([value for value in values if value is not None])
        scaled = self._scale(self._columns(numbers))
        return [FeatureBlock(f"{name}:value", spread_rows(scaled, present), "rbf", present)]

    def _numbers(self, known: Sequence[Quantity]) -> np.ndarray:
        assert self._unit is not None
        unit = self._unit
        return np.array(
            [
                value.value if value.unit == unit else float(convert(value.value, value.unit, unit))
                for value in known
            ]
        )

    def _columns(self, numbers: np.ndarray) -> np.ndarray:
        assert self._unit is not None
        columns = [numbers]
        if self._has_log:
            columns.append(np.log10(np.maximum(numbers, self._lowest)))
        unit = parse_unit(self._unit)
        if unit.dimension == _TEMPERATURE and unit.log is None:
            kelvin = np.maximum(convert(numbers, self._unit, "K"), 1.0)
            columns.append(1.0 / kelvin)
        return np.stack(columns, axis=1)

    def state(self) -> dict[str, Any]:
        """Return the unit, the spread and the smallest training value."""
        return {
            "unit": self._unit,
            "has_log": self._has_log,
            "lowest": self._lowest,
            "scale": self._scale.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._unit = state["unit"]
        self._has_log, self._lowest = bool(state["has_log"]), float(state["lowest"])
        self._scale = RobustScale()
        self._scale.load_state(state["scale"])
