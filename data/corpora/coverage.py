"""Where and when the fields of a corpus lie."""

from collections.abc import Iterable
from math import inf

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
            fields = (
                sample.inputs[name]
                for sample in (
                    corpus.read(source.name, index)
                    for index in range(corpus.n_samples(source.name))
                )
                for name in inputs
                if isinstance(sample.inputs.get(name), Field)  # a series' value has no place
            )
            span = _span(source, fields)
            if span is not None:
                found.append(span)
    return tuple(found)


def _span(source: SourceInfo, fields: Iterable[Field]) -> Span | None:
    """Return what some fields cover, holding one of them at a time; None if there is none."""
    names: set[str] = set()
    south, north, first, last = inf, -inf, inf, -inf
    for one in fields:
        names.update(one.names)
        south = min(south, float(one.latitudes.min()))
        north = max(north, float(one.latitudes.max()))
        if one.time is not None:
            first, last = min(first, one.time), max(last, one.time)
    if not names:
        return None
    if first > last:  # no field has a time, so each may be of any
        first, last = -inf, inf
    return Span(
        source=source.name,
        variables=tuple(sorted(names)),
        south=south,
        north=north,
        first=float(first),
        last=float(last),
        is_simulated=SIMULATED in source.origin,
    )
