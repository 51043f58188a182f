"""Pretraining corpora: samples in shards, with a manifest that says where each came from."""

from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.manifest import TRAIN, VALID, DescriptorScale, Manifest, SourceInfo
from kagaku.data.corpora.sample import CorpusSample

__all__ = [
    "TRAIN",
    "VALID",
    "Corpus",
    "CorpusSample",
    "DescriptorScale",
    "Manifest",
    "SourceInfo",
]
