"""Speed of embedding against length, with the same number of residues at each length."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from kagaku.speed.part import Measured, Wishes
from kagaku.speed.proteins import ReferenceModel, made_proteins, our_model, save_random_esm
from kagaku.speed.timing import Comparison, rates, take_turns

BATCH_TOKENS = 8_192
"""Tokens of one batch of the reference, as many as of ours; lengths are equal: no padding."""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure both contenders at each length.

    The model's positions are rotary, so it is made to read the longest length whole: otherwise
    kagaku would cut long proteins into windows, and the two would not do the same.
    """
    sizes = wishes.sizes
    shape = replace(sizes.esm, positions=max(sizes.lengths) + 4)
    stored = save_random_esm(folder / "esm", shape)
    ours, theirs = our_model(stored, "bfloat16"), ReferenceModel(stored, "bfloat16")
    comparisons = []
    for length in sizes.lengths:
        n_proteins = max(1, sizes.tokens_per_length // length)
        proteins = made_proteins([length] * n_proteins)
        ids = theirs.token_ids(proteins)
        batch = max(1, BATCH_TOKENS // (length + 2))
        seconds = take_turns(
            {
                "ours": partial(ours.embed, proteins),
                "theirs": partial(theirs.embed, ids, batch, is_sorted=True),
            },
            wishes.turns,
        )
        comparisons.append(
            Comparison(
                f"embed proteins of {length:,} residues",
                "residues/s",
                rates(length * n_proteins, seconds["ours"]),
                rates(length * n_proteins, seconds["theirs"]),
                f"transformers EsmModel, batches of {batch}",
            )
        )
    return Measured(tuple(comparisons), details={"lengths": list(sizes.lengths)})
