"""Where samples come from: one file per source or family of sources."""

from kagaku.data.corpora.sources import (
    chebi,
    chemicals,
    compositions,
    dictionaries,
    genomes,
    grids,
    images,
    micrographs,
    moses,
    pdb_components,
    pubmed,
    speedy,
    swissprot,
    transport,
)
from kagaku.data.corpora.sources.base import SOURCES, Package, Source

__all__ = [
    "SOURCES",
    "Package",
    "Source",
    "chebi",
    "chemicals",
    "compositions",
    "dictionaries",
    "genomes",
    "grids",
    "images",
    "micrographs",
    "moses",
    "pdb_components",
    "pubmed",
    "speedy",
    "swissprot",
    "transport",
]
