"""What cleaning needs from the rooms above data: checks, token counts, descriptors."""

from typing import Any

import numpy as np
from jaxtyping import Float

from kagaku.data.records import Field, Quantity
from kagaku.modalities import MODALITIES, Modality
from kagaku.science_tasks.chemistry.descriptors import DESCRIPTORS, VERSION, descriptors

TOOLS_VERSION = 2
"""Raised whenever a modality's check changes what it returns, or tokenising how many tokens."""


class ModalityTools:
    """Checks by the registered modalities, and RDKit's descriptors.

    Example:
        >>> tools = ModalityTools()
        >>> tools.check("molecule", "OCC"), tools.n_tokens("molecule", "CCO")
        ('CCO', 5)
    """

    def __init__(self) -> None:
        self.descriptor_names: tuple[str, ...] = DESCRIPTORS
        self.version = f"{TOOLS_VERSION}.{VERSION}"
        self._modalities: dict[str, Modality[Any]] = {
            name: MODALITIES[name]() for name in MODALITIES
        }

    def check(self, modality: str, value: Any) -> Any:
        """Return a value in its canonical form.

        Raises:
            InputError: It has none.
        """
        return self._modalities[modality].check(value)

    def n_tokens(self, modality: str, value: Any) -> int:
        """Return how many tokens a checked value has."""
        one = self._modalities[modality]
        if isinstance(value, Field | Quantity):
            one = type(one)()  # a number of tokens does not depend on what is learnt here
            one.fit([value])
        return len(one.tokenize(value))

    def describe(self, smiles: str) -> Float[np.ndarray, " descriptor"]:
        """Return the descriptors of a molecule; NaN where one is not defined."""
        from rdkit import Chem, rdBase

        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(smiles)
            numbers = descriptors(molecule)
        # float32 ends at 3e38; a descriptor beyond that says nothing.
        numbers[~(np.abs(numbers) < 1e30)] = np.nan
        return numbers.astype(np.float32)
