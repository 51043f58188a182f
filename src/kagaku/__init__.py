"""Kagaku: one foundation-model suite for text, images, proteins, molecules and climate grids."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kagaku.api import Run as Run
    from kagaku.api import embed as embed
    from kagaku.api import finetune as finetune
    from kagaku.api import load as load
    from kagaku.errors import InputError as InputError
    from kagaku.errors import KagakuError as KagakuError

__version__ = "0.1.0"
__all__ = ["InputError", "KagakuError", "Run", "__version__", "embed", "finetune", "load"]


def __getattr__(name: str) -> object:
    """Import the API on first use, so that `import kagaku` does not wait for torch."""
    if name in {"InputError", "KagakuError"}:
        from kagaku import errors

        return getattr(errors, name)
    if name in __all__:
        from kagaku import api

        return getattr(api, name)
    raise AttributeError(f"module 'kagaku' has no attribute {name!r}")
