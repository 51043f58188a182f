"""Zero-shot scores of variants: what a language model says of each substituted position."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from kagaku.models.public.alphabet import ResidueAlphabet
from kagaku.models.public.encoder import Progress
from kagaku.models.public.network import TokenNetwork
from kagaku.models.public.running import Framing, Piece, run_pieces
from kagaku.models.public.variants import Variant
from kagaku.models.public.windows import Window, window_around, windows

SLAB = 4_096
"""Passes whose tokens are held at once."""

Pass = tuple[int, int, frozenset[int]]
"""What a model is shown: from where to where, and which places are hidden."""

Question = tuple[int, int, int, int]
"""Asked of a pass: variant, place, id of the variant's residue, id of the wild type's."""


def masked_marginals(
    network: TokenNetwork,
    framing: Framing,
    alphabet: ResidueAlphabet,
    sequence: str,
    variants: Sequence[Variant],
    *,
    hides: bool,
    token_budget: int | None,
    progress: Progress | None = None,
) -> Float[np.ndarray, " variant"]:
    """Return the sum of log-likelihood ratios of each variant, in nats.

    Args:
        network: Has a language head.
        framing: What stands around a sequence, and how long one may be.
        alphabet: Which id each residue has.
        sequence: The wild type, checked.
        variants: Substitutions of each variant.
        hides: Whether a variant's positions are hidden; else the model sees the wild type.
        token_budget: Most tokens in one batch; None for what suits the device.
        progress: Called with passes done and passes in all.
    """
    ids = alphabet.encode(sequence)
    every = windows(len(ids), framing.longest, min(framing.overlap, framing.longest - 1))
    asked: dict[Pass, list[Question]] = {}
    for number, variant in enumerate(variants):
        for one in variant:
            shown = (
                _hiding(one.place, variant, len(ids), framing)
                if hides
                else _seeing(one.place, every)
            )
            question = (number, one.place, alphabet.ids[one.after], int(ids[one.place]))
            asked.setdefault(shown, []).append(question)
    scores = np.zeros(len(variants), dtype=np.float64)
    passes = list(asked)
    for begin in range(0, len(passes), SLAB):
        slab = passes[begin : begin + SLAB]
        pieces = [
            _piece(number, shown, ids, framing, alphabet) for number, shown in enumerate(slab)
        ]

        def report(done: int, _: int, begin: int = begin) -> None:
            if progress is not None:
                progress(begin + done, len(passes))

        _answer(
            network,
            pieces,
            [asked[shown] for shown in slab],
            scores,
            token_budget=token_budget,
            progress=report,
        )
    return scores


def _hiding(place: int, variant: Variant, length: int, framing: Framing) -> Pass:
    """Return the pass in which a place is judged with all of its variant's places hidden."""
    start, stop = window_around(place, length, framing.longest)
    return start, stop, frozenset(one.place for one in variant if start <= one.place < stop)


def _seeing(place: int, every: Sequence[Window]) -> Pass:
    """Return the pass over the wild type that a place's result is taken from."""
    window = every[bisect_right(every, place, key=lambda one: one.keep_to)]
    assert window.keep_from <= place < window.keep_to, "windows leave no token out"
    return window.start, window.stop, frozenset()


def _piece(
    number: int, shown: Pass, ids: np.ndarray, framing: Framing, alphabet: ResidueAlphabet
) -> Piece:
    start, stop, hidden = shown
    framed = np.concatenate([[framing.start], ids[start:stop], [framing.end]])
    framed[[place - start + 1 for place in sorted(hidden)]] = alphabet.mask
    return Piece(number, framed, Window(start, stop, start, stop), is_first=True, is_last=True)


def _answer(
    network: TokenNetwork,
    pieces: Sequence[Piece],
    questions: Sequence[Sequence[Question]],
    scores: np.ndarray,
    *,
    token_budget: int | None,
    progress: Progress,
) -> None:
    """Add to each variant's score what the passes say."""
    with torch.inference_mode():
        for batch, packed, tokens in run_pieces(
            network, pieces, token_budget=token_budget, progress=progress
        ):
            rows, variants, after, before = [], [], [], []
            for index, offset in zip(batch, packed.record_offsets.tolist(), strict=False):
                for variant, place, new, old in questions[index]:
                    rows.append(offset + place - pieces[index].window.start + 1)
                    variants.append(variant)
                    after.append(new)
                    before.append(old)
            # The normaliser is the same for both residues, so logits alone give the ratio.
            logits = network.logits(tokens[torch.tensor(rows, device=tokens.device)]).double()
            each = torch.arange(len(rows), device=logits.device)
            new_ids, old_ids = (torch.tensor(one, device=logits.device) for one in (after, before))
            ratios = logits[each, new_ids] - logits[each, old_ids]
            np.add.at(scores, variants, ratios.cpu().numpy())
