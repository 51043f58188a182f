"""What each domain computes from a value, as targets of pretraining: one line per modality."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from kagaku.data.crystals import composition_of
from kagaku.modalities.sequence import SequenceModality
from kagaku.models.pretraining.summaries import Compute, Shown
from kagaku.science_tasks.climate.summary import N_NUMBERS, field_summary
from kagaku.science_tasks.genomes import composition as nucleotides
from kagaku.science_tasks.materials.composition_statistics import NAMES, composition_statistics
from kagaku.science_tasks.microscopy.features import image_summary
from kagaku.science_tasks.proteins import composition as proteins


@dataclass(frozen=True)
class OfSequence:
    """A summary of the letters that are shown."""

    compute: Callable[[str], np.ndarray]
    """Of a sequence."""

    def __call__(self, shown: Shown) -> np.ndarray | None:
        """Return the summary; None where there is no letter."""
        assert isinstance(shown.modality, SequenceModality)
        letters = shown.modality.decode(shown.tokens.ids[:, 0].tolist())
        return self.compute(letters) if letters else None


def of_image(shown: Shown) -> np.ndarray | None:
    """Return the summary of a whole image; of a part of one nothing is said."""
    return image_summary(shown.value) if shown.is_whole else None


def of_field(shown: Shown) -> np.ndarray | None:
    """Return the summary of what is shown of a field."""
    return field_summary(shown.modality, shown.tokens)


def of_material(shown: Shown) -> np.ndarray | None:
    """Return the statistics over a material's elements."""
    return composition_statistics(composition_of(shown.value)) if shown.is_whole else None


SUMMARIES: Mapping[str, Compute] = {
    "climate": of_field,
    "image": of_image,
    "material": of_material,
    "nucleotide": OfSequence(nucleotides.composition),
    "protein": OfSequence(proteins.composition),
}
"""By modality; that of molecules are their descriptors, which the corpus keeps."""


def summary_widths() -> dict[str, int]:
    """Return how many numbers the summary of a value has, by modality."""
    return {
        "climate": N_NUMBERS,
        "image": len(image_summary(np.zeros((8, 8, 1)))),
        "material": len(NAMES),
        "nucleotide": len(nucleotides.composition("ACGT")),
        "protein": len(proteins.composition("A")),
    }
