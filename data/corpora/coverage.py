"""Where and when the fields of a corpus lie."""

import numpy as np

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.manifest import SourceInfo
from kagaku.data.corpora.trained_on import Span
from kagaku.data.records import Field

SIMULATED = "simulation"
"""Stands in the origin of a source whose days are a model's own."""


def spans_of(corpus: Corpus) -> tuple[Span, ...]:
    """Return what the climate sources of a corpus cover, by reading all their training samples."""
    found = []
    for source in corpus.manifest.sources:
        inputs = [name for name, modality in source.inputs.items() if modality == "climate"]
        if inputs:
            fields = [
                sample.inputs[name]
                for sample in (
                    corpus.read(source.name, index)
                    for index in range(corpus.n_samples(source.name))
                )
                for name in inputs
                if isinstance(sample.inputs.get(name), Field)  # a series' value has no place
            ]
            if fields:
                found.append(_span(source, fields))
    return tuple(found)


def _span(source: SourceInfo, fields: list[Field]) -> Span:
    latitudes = np.concatenate([one.latitudes for one in fields])
    times = [one.time for one in fields if one.time is not None] or [-np.inf, np.inf]
    return Span(
        source=source.name,
        variables=tuple(sorted({name for one in fields for name in one.names})),
        south=float(latitudes.min()),
        north=float(latitudes.max()),
        first=float(min(times)),
        last=float(max(times)),
        is_simulated=SIMULATED in source.origin,
    )
