"""Kagaku: one foundation-model suite for text, images, proteins, molecules and climate grids."""

import os
from typing import TYPE_CHECKING

# Idle OpenMP threads sleep instead of spinning. With another busy process on a two-core machine,
# fitting a Gaussian process to 333 rows took 20 s with spinning threads and 0.7 s with sleeping
# ones; torch reads this when it is loaded. A value that the user has set stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from kagaku.api import embed as embed
    from kagaku.api import finetune as finetune
    from kagaku.api import load as load
    from kagaku.api import trace as trace
    from kagaku.errors import InputError as InputError
    from kagaku.errors import KagakuError as KagakuError
    from kagaku.run import Run as Run

__version__ = "0.1.0"
__all__ = ["InputError", "KagakuError", "Run", "__version__", "embed", "finetune", "load", "trace"]


def __getattr__(name: str) -> object:
    """Import the API on first use, so that `import kagaku` does not wait for torch."""
    if name in {"InputError", "KagakuError"}:
        from kagaku import errors

        return getattr(errors, name)
    if name in __all__:
        from kagaku import api

        return getattr(api, name)
    raise AttributeError(f"module 'kagaku' has no attribute {name!r}")
