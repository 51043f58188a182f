"""What chemists compute from a molecule: circular fingerprint counts and descriptors."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator

from kagaku.errors import InputError
from kagaku.science_tasks.chemistry.descriptors import DESCRIPTORS, VERSION, descriptors
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock, Featurizer, spread_rows
from kagaku.science_tasks.standardise import RobustScale

N_BITS = 2048
"""Length of the folded fingerprint."""

# Radius 2 is ECFP4. Counts, not bits: how often a group occurs matters for bulk properties.
# Source: Rogers and Hahn (2010), https://doi.org/10.1021/ci100050t
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, countSimulation=False, fpSize=N_BITS)


@FEATURIZERS.register("molecule")
class MoleculeFeatures(Featurizer[str]):
    """Circular fingerprint counts (`ecfp`) and standardised descriptors (`descriptors`).

    Example:
        >>> features = MoleculeFeatures()
        >>> features.fit(["CCO", "CCCO", "c1ccccc1"])
        >>> [block.name for block in features.transform("smiles", ["CCN", None])]
        ['smiles:ecfp', 'smiles:descriptors']
    """

    modality: ClassVar[str] = "molecule"

    def __init__(self) -> None:
        self._scale: RobustScale | None = None

    def fit(self, values: Sequence[str | None]) -> None:
        """Learn the median and spread of each descriptor.

        Raises:
            InputError: A value is not a molecule.
        """
        molecules = _molecules(values)
        self._scale = None
        if molecules:
            self._scale = RobustScale()
            self._scale.fit(np.stack([descriptors(molecule) for molecule in molecules]))

    def transform(self, name: str, values: Sequence[str | None]) -> list[FeatureBlock]:
        """Return the blocks; none if no training record had a molecule.

        Raises:
            InputError: A value is not a molecule.
        """
        if self._scale is None:
            return []
        present = np.array([value is not None for value in values], dtype=bool)
        molecules = _molecules(values)
        counts = np.zeros((len(molecules), N_BITS), dtype=np.float32)
        numbers = np.zeros((len(molecules), len(DESCRIPTORS)))
        for row, molecule in enumerate(molecules):
            counts[row] = _MORGAN.GetCountFingerprintAsNumPy(molecule)
            numbers[row] = descriptors(molecule)
        return [
            FeatureBlock(f"{name}:ecfp", spread_rows(counts, present), "tanimoto", present),
            FeatureBlock(
                f"{name}:descriptors", spread_rows(self._scale(numbers), present), "rbf", present
            ),
        ]

    def state(self) -> dict[str, Any]:
        """Return the medians and spreads of the descriptors, with the version of their list."""
        scale = None if self._scale is None else self._scale.state()
        return {"descriptors_version": VERSION, "scale": scale}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave.

        Raises:
            InputError: It was fitted with another list of descriptors.
        """
        if state["descriptors_version"] != VERSION:
            raise InputError(
                f"the run was fitted with version {state['descriptors_version']} of the molecular "
                f"descriptors, and this kagaku computes version {VERSION}",
                fix="Fine-tune again, or use the kagaku version named in the run's card.",
            )
        self._scale = None
        if state["scale"] is not None:
            self._scale = RobustScale()
            self._scale.load_state(state["scale"])


def _molecules(values: Sequence[str | None]) -> list[Any]:
    """Return the molecules of the values that are present, in order."""
    # Blocking the log costs as much as a tenth of reading a molecule, so it is done once for all.
    with rdBase.BlockLogs():
        return [_molecule(value) for value in values if value is not None]


def _molecule(smiles: str) -> Any:
    # RDKit's stubs promise a molecule, but it gives None for what it cannot read.
    molecule: Any = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise InputError(
            f"{smiles!r} is not a molecule that RDKit can read",
            fix="Correct the SMILES, or leave the cell empty.",
        )
    return molecule
