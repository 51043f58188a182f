"""Tracing: from a value back to the training samples near it."""

from kagaku.data.corpora.tracing.building import build_index
from kagaku.data.corpora.tracing.index import FOLDER, Match, TraceIndex, indexed_modalities
from kagaku.data.corpora.tracing.likeness import Likeness

__all__ = ["FOLDER", "Likeness", "Match", "TraceIndex", "build_index", "indexed_modalities"]
