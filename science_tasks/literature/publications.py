"""Publications whose scores stand beside ours."""

SCIBERT = "https://doi.org/10.18653/v1/D19-1371"
"""Beltagy, Lo, Cohan 2019: SciBERT, a pretrained language model for scientific text."""


def read_at(publication: str, address: str) -> str:
    """Return where a score stands: the publication, and the list of results it was read in."""
    return f"{publication}, read at {address}"
