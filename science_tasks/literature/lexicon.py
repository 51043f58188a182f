"""The simplest finder of entities: names that were seen are found again."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.literature.conll import Entity, Sentence
from kagaku.science_tasks.literature.entities import EntityCase, entity_answers

LONGEST = 12
"""Most words of a name that is looked up."""

Name = tuple[str, ...]


def lexicon(case: EntityCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing is random)
    """Answer with the longest names that were entities more often than not in training.

    The baseline of CoNLL's shared tasks, https://aclanthology.org/W03-0419, but for names of
    several kinds, which take their usual one.
    """
    names = known_names(case.train)
    return entity_answers(case, [look_up(one.words, names) for one in case.test])


def known_names(sentences: Iterable[Sentence]) -> dict[Name, str]:
    """Return the usual kind of each name that is an entity wherever it stands, or mostly."""
    sentences = list(sentences)
    kinds: dict[Name, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for one in sentence.entities:
            if one.end - one.start <= LONGEST:
                kinds[sentence.words[one.start : one.end]][one.kind] += 1
    seen: Counter[Name] = Counter()
    for sentence in sentences:
        for start in range(len(sentence.words)):
            for end in range(start + 1, min(start + LONGEST, len(sentence.words)) + 1):
                if (name := sentence.words[start:end]) in kinds:
                    seen[name] += 1
    return {
        name: several.most_common(1)[0][0]
        for name, several in kinds.items()
        if 2 * sum(several.values()) > seen[name]
    }


def look_up(words: Sequence[str], names: dict[Name, str]) -> list[Entity]:
    """Return the known names of a sentence from left to right, the longest at each place."""
    found, start = [], 0
    while start < len(words):
        for end in range(min(start + LONGEST, len(words)), start, -1):
            if kind := names.get(tuple(words[start:end])):
                found.append(Entity(start, end, kind))
                start = end
                break
        else:
            start += 1
    return found
