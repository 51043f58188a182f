"""Classical features: what each domain computed from its data before there were neural networks.

They stand beside the learned embeddings because on laboratory-sized tables they are often the
better half: on MoleculeACE a support vector machine on circular fingerprints beats every published
deep model (https://github.com/molML/MoleculeACE).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from kagaku.registry import Registry

Raw = TypeVar("Raw")
KernelName = Literal["tanimoto", "rbf"]


@dataclass(frozen=True)
class FeatureBlock:
    """One group of features that belong together, and how similarity is measured on it."""

    name: str
    """Such as ``"smiles:ecfp"``: the input, then what was computed from it."""

    values: Float[np.ndarray, "record feature"]
    """Float32. Counts for the Tanimoto kernel; standardised on training records for the RBF."""

    kernel: KernelName
    """The kernel that suits it: Tanimoto for counts, RBF for dense descriptors."""

    present: Bool[np.ndarray, " record"]
    """False where the input was missing; the values are 0 there."""

    for_kernels: bool = False
    """Whether only models that compare records read it, and not those that read columns: a further
    fingerprint tells how alike two molecules are, and trees drown in its thousands of columns."""

    def subset(self, indices: np.ndarray | Sequence[int]) -> "FeatureBlock":
        """Return the rows at ``indices``."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, values=self.values[chosen], present=self.present[chosen])


def input_of(block: FeatureBlock) -> str:
    """Return the name of the input that a block was computed from."""
    return block.name.rpartition(":")[0]


class Featurizer(ABC, Generic[Raw]):
    """Computes the classical features of one modality.

    To give a new modality classical features, write one subclass under
    ``@FEATURIZERS.register("<modality>")`` in its domain's folder.
    """

    modality: ClassVar[str]
    """The modality whose raw values it reads."""

    def fit(self, values: Sequence[Raw | None]) -> None:
        """Learn what is needed (a vocabulary, means, components) from training values only."""

    @abstractmethod
    def transform(self, name: str, values: Sequence[Raw | None]) -> list[FeatureBlock]:
        """Return the feature blocks of the input called ``name``; None is a missing value."""

    def state(self) -> dict[str, Any]:
        """Return what `fit` learnt: JSON values and NumPy arrays, by name."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` gave."""


FEATURIZERS: Registry[Featurizer[Any]] = Registry("featurizer")


def spread_rows(
    rows: Float[np.ndarray, "present feature"], present: Bool[np.ndarray, " record"]
) -> Float[np.ndarray, "record feature"]:
    """Return float32 features of all records: the given rows where present, zeros elsewhere."""
    spread = np.zeros((len(present), rows.shape[1]), dtype=np.float32)
    spread[present] = rows
    return spread
