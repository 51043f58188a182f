"""Pretraining corpora: samples in shards, with a manifest that says where each came from."""

from kagaku.data.corpora.sample import CorpusSample

__all__ = ["CorpusSample"]
