"""Swiss-Prot sequences, alone and with what the Gene Ontology says of them."""

import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.corpora.sources.blast import read_blast, read_titles

ONTOLOGIES = {"MFO": "Function", "BPO": "Process", "CCO": "Location"}
"""By the database's folder, the word for what its terms tell of a protein."""

MOST_TERMS = 6
"""Terms of one kind in a protein's text, the rarest first: they say most."""

MOST_DEFINITIONS = 2
"""Terms of a protein that are also defined."""

DEFINITION_WORDS = 40
"""Words of a definition at most."""

_METASTUDENT = Package(
    "apt",
    "metastudent-data",
    "2.0.1",
    225,
    ("usr/share/metastudent-data/dataset_201401/*/goasp.fasta.p*",),
    "deb",
)
_GO = Package(
    "apt",
    "r-bioc-go.db",
    "3.16.0",
    13,
    ("usr/lib/R/site-library/GO.db/extdata/GO.sqlite",),
    "deb",
)


def _database(source: Source, kind: str) -> Path:
    """Return what the files of one ontology's database have in common."""
    folder = source.folders["metastudent-data"]
    return folder / f"usr/share/metastudent-data/dataset_201401/{kind}/goasp.fasta"


def _proteins(source: Source) -> Iterator[tuple[str, str]]:
    """Yield (accession, sequence) of every protein once."""
    seen: set[str] = set()
    for kind in ONTOLOGIES:
        for title, sequence in read_blast(_database(source, kind)):
            accession = title.partition("|")[0]
            if accession not in seen:
                seen.add(accession)
                yield accession, sequence


@SOURCES.register("swissprot")
class SwissProt(Source):
    """Sequences of Swiss-Prot proteins with known function, release of January 2014."""

    packages: ClassVar[tuple[Package, ...]] = (_METASTUDENT,)
    inputs: ClassVar[Mapping[str, str]] = {"protein": "protein"}
    licence: ClassVar[str] = "GPL-2+ as packaged; UniProt: CC BY 4.0"
    n_about: ClassVar[int] = 435_059

    def read(self) -> Iterator[RawSample]:
        """Yield the sequences."""
        for accession, sequence in _proteins(self):
            yield RawSample(accession, {"protein": sequence})


@dataclass(frozen=True)
class GoTerm:
    """One term of the Gene Ontology."""

    name: str
    """What it is called."""

    definition: str
    """What it means, cut to `DEFINITION_WORDS`."""


@SOURCES.register("swissprot-go")
class SwissProtGo(Source):
    """The same proteins with function, process and location as text.

    Source: Gene Ontology Consortium 2021, https://doi.org/10.1093/nar/gkaa1113
    """

    packages: ClassVar[tuple[Package, ...]] = (_METASTUDENT, _GO)
    inputs: ClassVar[Mapping[str, str]] = {"protein": "protein", "text": "text"}
    licence: ClassVar[str] = "GPL-2+ as packaged; UniProt and GO: CC BY 4.0; GO.db: Artistic-2.0"
    n_about: ClassVar[int] = 435_059

    def read(self) -> Iterator[RawSample]:
        """Yield the proteins that have at least one term."""
        terms = read_go(self)
        listed, counts = self._annotations
        for accession, sequence in _proteins(self):
            known = {
                kind: [one for one in ids if one in terms]
                for kind, ids in listed[accession].items()
            }
            if text := protein_text(known, terms, counts):
                yield RawSample(accession, {"protein": sequence, "text": text})

    @cached_property
    def _annotations(self) -> tuple[dict[str, dict[str, tuple[str, ...]]], Counter[str]]:
        """The ids of each protein's terms by kind, and how many proteins have each term."""
        listed: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        counts: Counter[str] = Counter()
        for kind in ONTOLOGIES:
            for title in read_titles(_database(self, kind)):
                accession, _, ids = title.partition("|")
                listed[accession][kind] = tuple(dict.fromkeys(map(sys.intern, ids.split(","))))
                counts.update(listed[accession][kind])
        return listed, counts


def protein_text(
    listed: Mapping[str, Sequence[str]], terms: Mapping[str, GoTerm], counts: Mapping[str, int]
) -> str:
    """Return what terms say of a protein, by kind, then the definitions of the rarest.

    Args:
        listed: By kind (`ONTOLOGIES`), the ids of its terms.
        terms: The ontology.
        counts: How many proteins have each term.
    """
    said, chosen = [], []
    for kind, word in ONTOLOGIES.items():
        rarest = sorted(listed.get(kind, ()), key=lambda one: (counts[one], one))[:MOST_TERMS]
        if rarest:
            said.append(f"{word}: {', '.join(terms[one].name for one in rarest)}.")
            chosen += rarest
    defined = [one for one in sorted(chosen, key=lambda one: (counts[one], one))
               if terms[one].definition][:MOST_DEFINITIONS]  # fmt: skip
    said += [f"{terms[one].name}: {terms[one].definition}" for one in defined]
    return " ".join(said)


def read_go(source: Source) -> dict[str, GoTerm]:
    """Return the terms of the Gene Ontology by id."""
    path = source.file("r-bioc-go.db", "usr/lib/R/site-library/GO.db/extdata/GO.sqlite")
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT go_id, term, definition FROM go_term ORDER BY go_id")
        return {
            one: GoTerm(name, _shortened(definition or ""))
            for one, name, definition in rows
            if one.startswith("GO:")
        }
    finally:
        connection.close()


def _shortened(definition: str) -> str:
    """Return the first sentence, or its first words."""
    first = definition.partition(". ")[0].rstrip(".")
    found = first.split()
    if not found:
        return ""
    return " ".join(found[:DEFINITION_WORDS]) + ("." if len(found) <= DEFINITION_WORDS else " ...")
