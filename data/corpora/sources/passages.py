"""Long texts cut into passages, sentence by sentence."""

import re
from collections.abc import Iterator

MOST_WORDS = 150
"""Words of a passage at most; about 250 tokens of the text modality."""

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def passages(text: str, most_words: int = MOST_WORDS) -> Iterator[str]:
    """Yield a text in passages of whole sentences; a longer sentence is cut.

    White space becomes single spaces.

    Example:
        >>> list(passages("One two. Three four. Five.", most_words=4))
        ['One two. Three four.', 'Five.']
    """
    passage: list[str] = []
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        found = sentence.split()
        if passage and len(passage) + len(found) > most_words:
            yield " ".join(passage)
            passage = []
        passage += found
        while len(passage) > most_words:
            yield " ".join(passage[:most_words])
            passage = passage[most_words:]
    if passage:
        yield " ".join(passage)
