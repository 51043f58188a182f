"""ChEBI: small molecules of biological interest, with definitions and roles."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Term:
    """One term of an OBO file."""

    id: str = ""
    name: str = ""
    definition: str = ""
    smiles: str = ""
    parents: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)


@SOURCES.register("chebi")
class Chebi(Source):
    """Molecules with name, definition, class and roles as text.

    Source: Hastings et al. 2013, https://doi.org/10.1093/nar/gks1146
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("apt", "emboss-data", "6.6.0", 62, ("usr/share/EMBOSS/data/OBO/chebi.obo",), "deb"),
    )
    inputs: ClassVar[Mapping[str, str]] = {"molecule": "molecule", "text": "text"}
    licence: ClassVar[str] = "ChEBI: CC BY"
    n_about: ClassVar[int] = 25_924

    def read(self) -> Iterator[RawSample]:
        """Yield the molecules that have a SMILES and at least a definition, class or role."""
        terms = {
            term.id: term
            for term in read_terms(self.file("emboss-data", "usr/share/EMBOSS/data/OBO/chebi.obo"))
        }
        for term in terms.values():
            if term.smiles and (text := term_text(term, terms)):
                yield RawSample(term.id, {"molecule": term.smiles, "text": text})


def term_text(term: Term, terms: Mapping[str, Term]) -> str:
    """Return what ChEBI tells of a molecule in sentences; empty if it is no more than the name."""
    names = {one: [terms[other].name for other in getattr(term, one) if other in terms]
             for one in ("parents", "roles")}  # fmt: skip
    said = []
    if term.definition:
        said.append(term.definition if term.definition.endswith(".") else f"{term.definition}.")
    if names["parents"]:
        said.append(f"It is a kind of {_listed(names['parents'])}.")
    if names["roles"]:
        said.append(f"It has the role of {_listed(names['roles'])}.")
    return f"{term.name}: {' '.join(said)}" if said else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def read_terms(path: Path) -> Iterator[Term]:
    """Yield the terms of an OBO file that are not obsolete.

    Format: https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_2.html
    """
    term: Term | None = None
    obsolete = False
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            line = line.rstrip("\n")
            if line.startswith("["):
                if term is not None and term.id and not obsolete:
                    yield term
                term, obsolete = (Term() if line == "[Term]" else None), False
            elif term is not None:
                obsolete |= line.startswith("is_obsolete: true")
                _read_line(term, *line.partition(": ")[::2])
    if term is not None and term.id and not obsolete:
        yield term


def _read_line(term: Term, tag: str, value: str) -> None:
    if tag in ("id", "name"):
        setattr(term, tag, value)
    elif tag == "def" and (quoted := _QUOTED.match(value)):
        term.definition = quoted[1].replace('\\"', '"').strip()
    elif tag == "synonym" and " SMILES " in value and (quoted := _QUOTED.match(value)):
        term.smiles = term.smiles or quoted[1].replace("\\\\", "\\")
    elif tag == "is_a":
        term.parents.append(value.split(" ", 1)[0])
    elif tag == "relationship" and value.startswith("has_role "):
        term.roles.append(value.split()[1])
