"""Tracing: from a value back to the training samples near it."""

from kagaku.data.corpora.tracing.index import Match, TraceIndex, indexed_modalities
from kagaku.data.corpora.tracing.likeness import Likeness

__all__ = ["Likeness", "Match", "TraceIndex", "indexed_modalities"]
