"""How much a generated text shares with the right one: BLEU and ROUGE-L, from counts per text.

Words are runs of letters and digits, and every other sign that is no space, in lower case. Counts
are kept per text, so that a corpus' BLEU can be had of any part of it, such as a resample.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kagaku.science_tasks.benchmark.measures import Measure

LONGEST = 4
"""Words of the longest n-gram."""

_WORD = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")


def words_of(text: str) -> list[str]:
    """Return the words of a text.

    Example:
        >>> words_of("A 3-oxo steroid.")
        ['a', '3', '-', 'oxo', 'steroid', '.']
    """
    return _WORD.findall(text.lower())


def overlap_counts(given: str, truth: str) -> dict[str, float]:
    """Return what `bleu` and `rouge_l` read: counts of n-grams and of words, and ROUGE-L.

    ``matched_2`` and ``tried_2`` are how many pairs of neighbouring words of the given text stand
    in the true one (each as often as there at most), and how many there are; ``n_given`` and
    ``n_true`` are numbers of words.
    """
    one, other = words_of(given), words_of(truth)
    counts: dict[str, float] = {"n_given": float(len(one)), "n_true": float(len(other))}
    for n in range(1, LONGEST + 1):
        tried, there = _grams(one, n), _grams(other, n)
        counts[f"matched_{n}"] = float((tried & there).total())
        counts[f"tried_{n}"] = float(tried.total())
    counts["rouge_l"] = rouge_l(one, other)
    return counts


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def bleu(n: int) -> Measure:
    """Return BLEU of n-grams up to a length, over all texts together, with equal weights.

    Papineni et al. 2002, https://doi.org/10.3115/1073083.1073135, with one reference: the geometric
    mean of the shares of n-grams that match, times exp(1 - true / given words) where the given
    texts are the shorter ones. 0 where no n-gram of some length matches.
    """

    def compute(answers: pd.DataFrame) -> float:
        sums = answers[columns].sum()
        matched = np.array([sums[f"matched_{k}"] for k in range(1, n + 1)])
        tried = np.array([sums[f"tried_{k}"] for k in range(1, n + 1)])
        if not matched.all():
            return 0.0
        brevity = min(0.0, 1 - sums["n_true"] / sums["n_given"])
        return float(np.exp(np.log(matched / tried).mean() + brevity))

    counts = [f"{what}_{k}" for k in range(1, n + 1) for what in ("matched", "tried")]
    columns = ["n_given", "n_true", *counts]
    return Measure(f"BLEU-{n}", compute, columns=tuple(columns))


def rouge_l(given: Sequence[str], truth: Sequence[str]) -> float:
    """Return ROUGE-L: F1 of the longest common subsequence of words; 0 for an empty text.

    Lin 2004, https://aclanthology.org/W04-1013, with recall and precision of equal weight.
    """
    if not given or not truth:
        return 0.0
    ids = {word: number for number, word in enumerate({*given, *truth})}
    row = np.array([ids[word] for word in truth])
    lengths = np.zeros(len(truth) + 1, dtype=np.int64)
    for word in given:
        # The usual recurrence by rows: what ends here, or the best of what came before.
        ending = np.where(row == ids[word], lengths[:-1] + 1, lengths[1:])
        lengths[1:] = np.maximum.accumulate(np.maximum(ending, lengths[1:]))
    return 2 * float(lengths[-1]) / (len(given) + len(truth))
