"""Sentences with two marked entities: what stands in, between and around them."""

import re
from collections.abc import Iterator
from itertools import pairwise

_MARKS = re.compile(r"\[\[|\]\]|<<|>>")
_WORDS = re.compile(r"\w+|[^\w\s]")


def relation_terms(text: str) -> list[str]:
    """Return what a sentence says about its two marked entities, as names of features.

    Words and endings of each entity, words and pairs between them, two words on each side, how far
    apart they stand and which comes first. After Kambhatla (2004),
    https://aclanthology.org/P04-3022, without parsing.

    Args:
        text: With the first entity in ``[[ ]]`` and the second in ``<< >>``.

    Example:
        >>> relation_terms("[[ Cats ]] are << animals >> .")[:3]
        ['order forward', 'apart 1', 'between are']
    """
    return list(_terms(text))


def _terms(text: str) -> Iterator[str]:
    pieces = _MARKS.split(text)
    if len(pieces) != 5:  # not two marked entities: only the words are left
        yield from (f"word {one}" for one in _words(text))
        return
    before, first, between, second, after = map(_words, pieces)
    is_forward = text.find("[[") < text.find("<<")
    yield f"order {'forward' if is_forward else 'backward'}"
    yield f"apart {min(len(between), 10)}"
    yield from (f"between {one}" for one in between)
    yield from (f"between {one} {two}" for one, two in pairwise(between))
    yield f"between all {' '.join(between[:6])}"
    named = {"marked [[": first, "marked <<": second}
    if not is_forward:
        named = {"marked [[": second, "marked <<": first}
    for name, words in named.items():
        yield from (f"{name} {one}" for one in words)
        yield from (f"{name} ends {one}" for one in words[-1:])
        yield from (f"{name} ...{one[-4:]}" for one in words[-1:])
    yield from (f"before {one}" for one in before[-2:])
    yield from (f"after {one}" for one in after[:2])
    yield from (f"order {is_forward} between {one}" for one in between)
    yield from (f"word {one}" for one in (*before, *after))


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())
