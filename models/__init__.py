"""The shared Transformer: tokens in, embeddings and predictions out."""

from kagaku.models.backbone import Backbone, BackboneConfig
from kagaku.models.checkpoint import load_encoder, save_encoder, untrained_encoder
from kagaku.models.encoder import Encoder, EncoderConfig, pool_columns, pool_records
from kagaku.models.extending import extended

__all__ = [
    "Backbone",
    "BackboneConfig",
    "Encoder",
    "EncoderConfig",
    "extended",
    "load_encoder",
    "pool_columns",
    "pool_records",
    "save_encoder",
    "untrained_encoder",
]
