"""What materials scientists compute from a composition or a crystal."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kagaku.data.crystals import Crystal, composition_of
from kagaku.data.elements import INDEX, SYMBOLS
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.materials import composition_statistics as compositions
from kagaku.science_tasks.materials import crystal_features as crystals
from kagaku.science_tasks.standardise import RobustScale

Material = str | Crystal


@FEATURIZERS.register("material")
class MaterialFeatures(Featurizer[Material]):
    """Statistics over the elements (`magpie`), their fractions, and what a crystal shows.

    `magpie` (dense) and `fractions` (shares of the atoms, compared by Tanimoto: what two materials
    have in common over what they have together) exist for every material. `crystal` (dense) is
    there if a training material is a crystal, and absent for records that are formulas.

    Example:
        >>> features = MaterialFeatures()
        >>> features.fit(["NaCl", "SrTiO3", None])
        >>> [block.name for block in features.transform("composition", ["MgO", None])]
        ['composition:magpie', 'composition:fractions']
    """

    modality: ClassVar[str] = "material"

    def __init__(self) -> None:
        self._scale: RobustScale | None = None
        self._crystal_scale: RobustScale | None = None

    def fit(self, values: Sequence[Material | None]) -> None:
        """Learn the median and spread of each dense feature.

        Raises:
            InputError: A formula states no composition.
        """
        present = [value for value in values if value is not None]
        self._scale = self._crystal_scale = None
        if present:
            self._scale = RobustScale()
            self._scale.fit(_statistics(present))
        if found := [value for value in present if isinstance(value, Crystal)]:
            self._crystal_scale = RobustScale()
            self._crystal_scale.fit(np.stack([crystals.crystal_features(one) for one in found]))

    def transform(self, name: str, values: Sequence[Material | None]) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had a material.

        Raises:
            InputError: A formula states no composition.
        """
        if self._scale is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        materials = [value for value in values if value is not None]
        statistics = self._scale(_statistics(materials))
        shares = spread_rows(_fractions(materials), present)
        blocks = [
            FeatureBlock(f"{name}:magpie", spread_rows(statistics, present), "rbf", present),
            FeatureBlock(f"{name}:fractions", shares, "tanimoto", present),
        ]
        if self._crystal_scale is not None:
            blocks.append(self._crystal_block(name, values, self._crystal_scale))
        return blocks

    def _crystal_block(
        self, name: str, values: Sequence[Material | None], scale: RobustScale
    ) -> FeatureBlock:
        present = np.array([isinstance(value, Crystal) for value in values], dtype=bool)
        rows = [crystals.crystal_features(one) for one in values if isinstance(one, Crystal)]
        numbers = np.array(rows).reshape(-1, len(crystals.NAMES))
        return FeatureBlock(f"{name}:crystal", spread_rows(scale(numbers), present), "rbf", present)

    def state(self) -> dict[str, Any]:
        """Return the medians and spreads."""
        return {
            "scale": None if self._scale is None else self._scale.state(),
            "crystal_scale": None if self._crystal_scale is None else self._crystal_scale.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""
        self._scale = _restored(state["scale"])
        self._crystal_scale = _restored(state["crystal_scale"])


def _restored(state: Mapping[str, Any] | None) -> RobustScale | None:
    if state is None:
        return None
    scale = RobustScale()
    scale.load_state(state)
    return scale


def _statistics(materials: Sequence[Material]) -> np.ndarray:
    """Return the statistics of each material; what occurs twice is computed once."""
    known: dict[str, np.ndarray] = {}
    rows = []
    for one in materials:
        composition = composition_of(one)
        if composition.formula not in known:
            known[composition.formula] = compositions.composition_statistics(composition)
        rows.append(known[composition.formula])
    return np.array(rows).reshape(-1, len(compositions.NAMES))


def _fractions(materials: Sequence[Material]) -> np.ndarray:
    """Return the share of the atoms that each element has."""
    shares = np.zeros((len(materials), len(SYMBOLS)), dtype=np.float32)
    for row, one in enumerate(materials):
        for symbol, share in composition_of(one).fractions.items():
            shares[row, INDEX[symbol]] = share
    return shares
