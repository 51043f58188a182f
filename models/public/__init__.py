"""Public encoders on the packed path: the ESM family, BERT's, and timm's vision transformers."""

from kagaku.models.public.encoder import PublicEncoder
from kagaku.models.public.opening import load_public
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.models.public.texts import TextEncoder
from kagaku.models.public.vision import VisionEncoder

__all__ = [
    "ProteinLanguageModel",
    "PublicEncoder",
    "TextEncoder",
    "VisionEncoder",
    "load_public",
]
