"""One sample of a corpus, as it is read back from a shard."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class CorpusSample:
    """Some raw values that belong together, with the id under which the manifest knows them."""

    id: str
    """Stable across rebuilds: the source's name and what the source calls the sample."""

    source: str
    """Name of the source that it came from."""

    inputs: dict[str, Any]
    """By input name, the checked raw value. Which modality an input has stands in the manifest.
    Molecules, proteins and texts are strings; images are arrays, (row, column, channel); grids are
    `Field`; numbers with units are `Quantity`. A sample need not have all inputs of its source."""

    descriptors: Float[ndarray, " descriptor"] | None = None
    """Computed descriptors of its molecule, as the manifest lists them; NaN where undefined. None
    for samples without a molecule."""
