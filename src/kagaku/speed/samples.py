"""The shipped samples that speed is measured on."""

from importlib.resources import files
from pathlib import Path


def sample_file(name: str) -> Path:
    """Return the table of a shipped sample, such as ``"molecules"``."""
    return Path(str(files("kagaku.data.samples") / f"{name}.csv"))
