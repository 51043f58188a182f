"""The model that a field has long used on its own features: the one to beat."""

from collections.abc import Sequence

from kagaku.data.records import Records
from kagaku.science_tasks.features import FeatureBlock

CLASSICAL_MODELS = {
    "molecule": (("ecfp",), "forest"),
    "protein": (("onehot", "kmers"), "linear"),
    "nucleotide": (("onehot", "kmers"), "linear"),
    "material": (("magpie",), "forest"),
    "text": (("tfidf",), "linear"),
    "image": ((), "forest"),
    "climate": (("eof",), "linear"),
}
"""By modality, the feature blocks of its classical model (the first that is there; all, if none is
named) and the registered name of the readout on them."""


def classical_model(
    records: Records, blocks: Sequence[FeatureBlock]
) -> tuple[str | None, str, tuple[FeatureBlock, ...]]:
    """Return (name of its features, name of its readout, its features) for some records.

    Tables of several modalities have no tradition; a forest on everything stands in, and the name
    is None as wherever all features are read.
    """
    modalities = {one.modality for one in records.schema.inputs}
    if len(modalities) == 1 and (known := CLASSICAL_MODELS.get(next(iter(modalities)))):
        names, readout = known
        for name in names:
            chosen = tuple(block for block in blocks if block.name.endswith(f":{name}"))
            if chosen:
                return name, readout, chosen
        return None, readout, tuple(blocks)
    return None, "forest", tuple(blocks)
