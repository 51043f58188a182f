"""What words mean: WordNet, the Collaborative International Dictionary, CF standard names."""

import gzip
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar
from xml.etree import ElementTree as ET

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.corpora.sources.passages import passages

_KINDS = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}
_GCIDE_SOURCE = re.compile(r"\s*\[(?:1913 Webster|WordNet[^]]*|PJC|Webster 1913[^]]*)[^]]*\]")
_GCIDE_MARKS = re.compile(r"\\[^\\\n]*\\|[{}]")
"""Pronunciation between backslashes, and the braces of references."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGIT = {letter: value for value, letter in enumerate(_LETTERS)}
_SHORTEST_ENTRY = 12
"""Words below which a dictionary's entry teaches nothing."""


@SOURCES.register("wordnet")
class WordNet(Source):
    """Concepts with their words and definitions.

    Source: Miller 1995, https://doi.org/10.1145/219717.219748
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("apt", "wordnet-base", "3.0", 7, ("usr/share/wordnet/data.*",), "deb"),
    )
    inputs: ClassVar[Mapping[str, str]] = {"text": "text"}
    licence: ClassVar[str] = "WordNet 3.0 licence (BSD-like)"
    n_about: ClassVar[int] = 78_568

    def read(self) -> Iterator[RawSample]:
        """Yield the definition of every concept that has a few words."""
        for kind, word in _KINDS.items():
            path = self.file("wordnet-base", f"usr/share/wordnet/data.{kind}")
            with path.open(encoding="utf-8") as stream:
                for line in stream:
                    if not line.startswith(" "):  # the licence stands in front, indented
                        yield from _concept(line, kind, word)


def _concept(line: str, kind: str, word: str) -> Iterator[RawSample]:
    """Yield one concept. Format: https://wordnet.princeton.edu/documentation/wndb5wn."""
    told, _, gloss = line.partition(" | ")
    cells = told.split()
    n_words = int(cells[3], 16)
    words = [one.replace("_", " ").partition("(")[0] for one in cells[4 : 4 + 2 * n_words : 2]]
    text = f"{', '.join(words)} ({word}): {gloss.strip()}"
    if len(text.split()) >= _SHORTEST_ENTRY:
        yield RawSample(f"{kind}/{cells[0]}", {"text": text})


@SOURCES.register("gcide")
class Gcide(Source):
    """Entries of the GNU version of the Collaborative International Dictionary of English."""

    packages: ClassVar[tuple[Package, ...]] = (
        Package("apt", "dict-gcide", "0.48.5", 15, ("usr/share/dictd/gcide.*",), "deb"),
    )
    inputs: ClassVar[Mapping[str, str]] = {"text": "text"}
    licence: ClassVar[str] = "GPL-3+"
    n_about: ClassVar[int] = 100_900

    def read(self) -> Iterator[RawSample]:
        """Yield the passages of every entry.

        Format: https://manpages.debian.org/dictfmt (word, start and size in base 64, by tabs)
        """
        index = self.file("dict-gcide", "usr/share/dictd/gcide.index")
        content = gzip.decompress(
            self.file("dict-gcide", "usr/share/dictd/gcide.dict.dz").read_bytes()
        )
        seen = set()
        for line in index.read_text(encoding="utf-8").splitlines():
            cells = line.split("\t")
            if len(cells) < 3 or cells[0].startswith("00-database") or cells[1] in seen:
                continue
            seen.add(cells[1])
            start, size = _number(cells[1]), _number(cells[2])
            entry = content[start : start + size].decode("utf-8", "replace")
            text = " ".join(_GCIDE_MARKS.sub("", _GCIDE_SOURCE.sub("", entry)).split())
            for place, passage in enumerate(passages(text)):
                if len(passage.split()) >= _SHORTEST_ENTRY:
                    name = f"{start}/{place}"
                    yield RawSample(name, {"text": passage}, (f"gcide {start}",))


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 64 + _DIGIT[letter]
    return number


@SOURCES.register("cf-names")
class CfNames(Source):
    """Variables of climate science: their CF standard names, units and definitions.

    Source: https://cfconventions.org/standard-names.html
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package(
            "pip", "compliance-checker", "6.1.0", 1,
            ("compliance_checker/data/cf-standard-name-table.xml",),
        ),
    )  # fmt: skip
    inputs: ClassVar[Mapping[str, str]] = {"text": "text"}
    licence: ClassVar[str] = "CF standard names: CC BY 4.0"
    n_about: ClassVar[int] = 6_322

    def read(self) -> Iterator[RawSample]:
        """Yield the passages of every definition."""
        path = self.file("compliance-checker", "compliance_checker/data/cf-standard-name-table.xml")
        for entry in ET.parse(path).getroot().iterfind("entry"):
            name, unit = entry.get("id", ""), entry.findtext("canonical_units", "") or "1"
            told = (entry.findtext("description", "") or "").strip()
            if told:
                text = f"{name.replace('_', ' ')} ({unit}): {told}"
                for place, passage in enumerate(passages(text)):
                    group = f"cf-names {name}"
                    yield RawSample(f"{name}/{place}", {"text": passage}, (group,))
