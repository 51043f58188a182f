"""Raw scientific data in, tokens and embeddings out: one file per kind of data."""

from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.climate import Climate
from kagaku.modalities.image import Image
from kagaku.modalities.material import Material
from kagaku.modalities.molecule import Molecule
from kagaku.modalities.nucleotide import Nucleotide
from kagaku.modalities.packing import (
    PackedBatch,
    RecordTokens,
    n_tokens,
    pack,
    plan_batches,
    plan_by_length,
)
from kagaku.modalities.protein import Protein
from kagaku.modalities.quantity import QuantityModality
from kagaku.modalities.text import Text

__all__ = [
    "MODALITIES",
    "Climate",
    "Image",
    "Material",
    "Modality",
    "Molecule",
    "Nucleotide",
    "PackedBatch",
    "Protein",
    "QuantityModality",
    "RecordTokens",
    "Text",
    "Tokens",
    "n_tokens",
    "pack",
    "plan_batches",
    "plan_by_length",
]
