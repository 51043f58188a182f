"""Sentences with a tag per word, and the entities that their tags mean."""

from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = "O"
"""Tag of a word that belongs to no entity."""

DOCUMENT = "-DOCSTART-"
"""The word that begins a document."""


@dataclass(frozen=True)
class Sentence:
    """One sentence: its words, each with a tag."""

    words: tuple[str, ...]
    """At least one."""

    tags: tuple[str, ...]
    """One per word, such as ``"B-MAT"``, ``"I-MAT"`` or ``"O"``."""

    document: int = 0
    """Number of the document that it stands in; where a file does not say, each sentence has its
    own."""

    @property
    def text(self) -> str:
        """The words with a space between them."""
        return " ".join(self.words)

    @property
    def entities(self) -> frozenset["Entity"]:
        """The entities that its tags mean."""
        return frozenset(entities_of(self.tags))


@dataclass(frozen=True, order=True)
class Entity:
    """Some words in a row that name one thing."""

    start: int
    """Index of the first word."""

    end: int
    """Index behind the last word."""

    kind: str
    """What it is, such as ``"MAT"``."""


def read_conll(text: str) -> list[Sentence]:
    r"""Return the sentences of a file in CoNLL's form.

    A line is a word, perhaps further columns, and the tag, by tabs or spaces; an empty line ends a
    sentence; a line that begins with `DOCUMENT` begins a document. A word without a tag is outside
    of entities, and a tag without a word (a blank that was lost) is left out.

    Example:
        >>> read_conll("NiZn B-MAT\nferrite I-MAT\n\n")[0].entities
        frozenset({Entity(start=0, end=2, kind='MAT')})
    """
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    document = -1

    def finish() -> None:
        if words:
            place = len(sentences) if document < 0 else document
            sentences.append(Sentence(tuple(words), tuple(tags), place))
        words.clear()
        tags.clear()

    for line in text.split("\n"):
        if line.startswith(DOCUMENT):
            finish()
            document += 1
        elif not line.strip():
            finish()
        else:
            word, tag = _word_and_tag(line)
            if word:
                words.append(word)
                tags.append(tag or OUTSIDE)
    finish()
    return sentences


def _word_and_tag(line: str) -> tuple[str, str]:
    first, *rest = line.split("\t" if "\t" in line else " ")
    return first.strip(), rest[-1].strip() if rest else ""


def entities_of(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sentence's tags, by the rules of CoNLL's own scoring program.

    An entity begins where a tag says ``B-``, where its kind differs from the one before, or behind
    a word outside; so IO, IOB1 (``B-`` only between neighbours) and BIO are all read alike. Source:
    `conlleval`, https://www.cnts.ua.ac.be/conll2000/chunking/conlleval.txt

    Example:
        >>> [one.start for one in entities_of(["I-X", "I-X", "B-X", "O", "I-Y"])]
        [0, 2, 4]
    """
    found: list[Entity] = []
    start, open_kind = 0, ""
    for place, tag in enumerate((*tags, OUTSIDE)):
        prefix, kind = _parts(tag)
        if open_kind and (prefix == "B" or kind != open_kind):
            found.append(Entity(start, place, open_kind))
            open_kind = ""
        if kind and not open_kind:
            start, open_kind = place, kind
    return found


def _parts(tag: str) -> tuple[str, str]:
    prefix, _, kind = tag.partition("-")
    return (prefix, kind) if prefix in {"B", "I"} and kind else ("", "")


def bio_tags(entities: Sequence[Entity] | frozenset[Entity], n_words: int) -> tuple[str, ...]:
    """Return the tags of entities where each begins with ``B-``: what models here are taught."""
    tags = [OUTSIDE] * n_words
    for one in entities:
        tags[one.start : one.end] = [f"I-{one.kind}"] * (one.end - one.start)
        tags[one.start] = f"B-{one.kind}"
    return tuple(tags)
