"""What the modalities must learn before pretraining: the scales of numbers and of fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.modalities import MODALITIES, Modality
from kagaku.models.pretraining.properties import property_quantities


def fit_pretraining_modalities(
    samples: Mapping[str, Sequence[CorpusSample]],
    inputs: Mapping[str, Mapping[str, str]],
    descriptors: DescriptorScale | None = None,
) -> dict[str, Modality[Any]]:
    """Return every modality of a corpus, fitted to some training samples of each source.

    What they learnt is in `Modality.state` and travels with the weights.

    Args:
        samples: By source, samples to learn from; a few thousand are enough.
        inputs: By source, the modality of each of its inputs.
        descriptors: If the corpus has descriptors: those that are properties join the quantities,
            so that molecules can be generated from them.
    """
    values: dict[str, list[Any]] = {
        name: [] for of_source in inputs.values() for name in of_source.values()
    }
    for source, of_source in samples.items():
        for sample in of_source:
            for name, value in sample.inputs.items():
                if value is not None:
                    values[inputs[source][name]].append(value)
            if descriptors is not None and sample.descriptors is not None:
                quantities = property_quantities(sample.descriptors, descriptors)
                values.setdefault("quantity", []).extend(quantities)
    return {name: restored_modality(name, {}, values[name]) for name in sorted(values)}


def restored_modality(
    name: str, state: Mapping[str, Any], values: Sequence[Any] = ()
) -> Modality[Any]:
    """Return a modality with a stored state, or fitted to values.

    Args:
        name: Registered name.
        state: What `Modality.state` gave; empty for a fresh one.
        values: Checked raw values to fit it to; empty to leave it as stored.
    """
    modality = MODALITIES[name]()
    if state:
        modality.load_state(state)
    if values:
        modality.fit(values)
    return modality
