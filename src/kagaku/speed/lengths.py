"""Speed of embedding against length, with the same number of residues at each length."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from kagaku.speed.embedding import check_same
from kagaku.speed.part import Measured, Wishes
from kagaku.speed.proteins import (
    ReferenceModel,
    fastest_precision,
    made_proteins,
    our_model,
    save_random_esm,
)
from kagaku.speed.timing import Comparison, rates, spread, take_turns

BATCH_TOKENS = (2_048, 8_192)
"""Tokens of one batch of the reference, which is run both ways and shown at its best; ours takes
what `reading_budget` says. Lengths are equal: no padding."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure both contenders at each length.

    The model's positions are rotary, so it is made to read the longest length whole: otherwise
    kagaku would cut long proteins into windows, and the two would not do the same.
    """
    sizes = wishes.sizes
    shape = replace(sizes.esm, positions=max(sizes.lengths) + 4)
    stored = save_random_esm(folder / "esm", shape)
    precision = fastest_precision()
    ours, theirs = our_model(stored, precision), ReferenceModel(stored, precision)
    comparisons = []
    for length in sizes.lengths:
        n_proteins = max(1, sizes.tokens_per_length // length)
        proteins = made_proteins([length] * n_proteins)
        ids = theirs.token_ids(proteins)
        contenders = {"ours": partial(ours.embed, proteins)}
        for batch in sorted({max(1, tokens // (length + 2)) for tokens in BATCH_TOKENS}):
            contenders[str(batch)] = partial(theirs.embed, ids, batch, is_sorted=True)
        first = ours.embed(proteins[:2]), theirs.embed(ids[:2], 2, is_sorted=True)
        check_same(precision, *first)
        seconds = take_turns(contenders, wishes.turns)
        mine = seconds.pop("ours")
        best = min(seconds, key=lambda name: spread(seconds[name])["median"])
        comparisons.append(
            Comparison(
                f"embed proteins of {length:,} residues, {precision}",
                "residues/s",
                rates(length * n_proteins, mine),
                rates(length * n_proteins, seconds[best]),
                f"transformers EsmModel, batches of {best}",
            )
        )
    return Measured(tuple(comparisons), details={"lengths": list(sizes.lengths)})
