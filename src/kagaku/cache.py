"""Where fetched things are kept, and whether anything may be fetched."""

import os
from collections.abc import Mapping
from pathlib import Path

OFFLINE_VARIABLES = ("KAGAKU_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Environment variables that forbid downloads when they hold 1, ON, YES or TRUE."""


def cache_folder(kind: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the user's cache that keeps one kind of fetched things.

    ``KAGAKU_CACHE`` names the cache itself; without it, it is ``kagaku`` in the platform's cache.

    Args:
        kind: Such as ``"packages"`` or ``"datasets"``.
        environment: Where to look.
    """
    own = environment.get("KAGAKU_CACHE")
    if own:
        return Path(own).expanduser() / kind
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "kagaku" / kind


def offline_variable(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the environment variable that forbids downloads, or None if none does."""
    for name in OFFLINE_VARIABLES:
        if environment.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return name
    return None
