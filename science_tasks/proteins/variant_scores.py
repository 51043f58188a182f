"""Scores of variants without any measurement: substitution tables, and a language model's say.

Each scorer takes a wild type and variants of it, and gives one number a variant, larger for those
that are more likely to work. A public protein language model fits in where its ``score_variants``
has this form.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kagaku.errors import InputError
from kagaku.modalities import Modality, Tokens, pack
from kagaku.modalities.protein import RESIDUES, Protein
from kagaku.modalities.sequence import N_SPECIALS
from kagaku.models.pretraining.network import MASKED, PretrainingNetwork
from kagaku.models.public.proteins import ProteinLanguageModel
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.proteins.global_epistasis import BLOSUM
from kagaku.science_tasks.proteins.residue_scales import HYDROPATHY, STANDARD, VOLUME
from kagaku.science_tasks.proteins.variants import STOP, Mutation, mutate, parse_variant

Scorer = Callable[[str, Sequence[str]], Float[np.ndarray, " variant"]]
"""(wild type, variants such as ``"A24C:T51D"``) -> scores."""

WINDOW = 1_022
"""Most residues that a network sees at once; of longer proteins, those around the mutation."""

BATCH_TOKENS = 16_384
"""Tokens of the masked copies that go through a network together."""

STOP_SCORE = -20.0
"""Of a mutation to a stop, whatever the scorer: in nats, further down than any substitution."""


def substitution_scores(wild_type: str, variants: Sequence[str]) -> Float[np.ndarray, " variant"]:
    """Return the summed BLOSUM62 scores, in half bits, less what the wild type's residues have."""

    def one(mutation: Mutation) -> float:
        before, after = STANDARD.find(mutation.before), STANDARD.find(mutation.after)
        if min(before, after) < 0:
            return float(BLOSUM.min() - BLOSUM.max())
        return float(BLOSUM[before, after] - BLOSUM[before, before])

    return _summed(wild_type, variants, one)


def hydropathy_scores(wild_type: str, variants: Sequence[str]) -> Float[np.ndarray, " variant"]:
    """Return minus the summed change of hydropathy (Kyte-Doolittle units), up or down."""
    return _summed(wild_type, variants, lambda one: -_change(HYDROPATHY, one))


def volume_scores(wild_type: str, variants: Sequence[str]) -> Float[np.ndarray, " variant"]:
    """Return minus the summed change of residue volume (cubic angstrom), up or down."""
    return _summed(wild_type, variants, lambda one: -_change(VOLUME, one))


def _change(scale: Mapping[str, float], mutation: Mutation) -> float:
    if mutation.before not in scale or mutation.after not in scale:
        return 0.0
    return abs(scale[mutation.after] - scale[mutation.before])


def _summed(
    wild_type: str, variants: Sequence[str], score: Callable[[Mutation], float]
) -> Float[np.ndarray, " variant"]:
    totals = np.zeros(len(variants))
    for row, text in enumerate(variants):
        mutations = parse_variant(text)
        mutate(wild_type, mutations)  # refuses what does not fit
        totals[row] = sum(STOP_SCORE if one.after == STOP else score(one) for one in mutations)
    return totals


class MaskedMarginals:
    """Scores by a network that was trained to fill in hidden residues.

    Each mutated position is hidden once in the wild type, and a variant's score is the sum over its
    mutations of log p(after) - log p(before), in nats. Source: Meier et al. (2021),
    https://doi.org/10.1101/2021.07.09.450648

    Args:
        network: In evaluation mode.
        protein: The protein modality as it was pretrained.
        report: Called with (positions done, positions in all).
    """

    def __init__(
        self,
        network: PretrainingNetwork,
        protein: Modality[Any],
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.network, self.protein, self.report = network, protein, report

    def __call__(self, wild_type: str, variants: Sequence[str]) -> Float[np.ndarray, " variant"]:
        """Return one score a variant.

        Args:
            wild_type: The sequence before mutation.
            variants: Counted from 1.

        Raises:
            InputError: A variant does not fit the wild type.
        """
        parsed = [parse_variant(one) for one in variants]
        for one in parsed:
            mutate(wild_type, one)
        positions = sorted({m.position - 1 for one in parsed for m in one if m.after != STOP})
        table = dict(zip(positions, self.log_chances(wild_type, positions), strict=True))
        code = {residue: index for index, residue in enumerate(RESIDUES)}

        def score(mutation: Mutation) -> float:
            row = table[mutation.position - 1]
            return float(row[code[mutation.after]] - row[code[mutation.before]])

        return _summed(wild_type, variants, score)

    @torch.no_grad()
    def log_chances(
        self, wild_type: str, positions: Sequence[int]
    ) -> Float[np.ndarray, "position residue"]:
        """Return log probabilities, in nats, of every residue of `RESIDUES` where one is hidden.

        Args:
            wild_type: The sequence.
            positions: Index of each hidden residue, one a pass.
        """
        rows: list[np.ndarray] = []
        size = max(1, BATCH_TOKENS // (min(len(wild_type), WINDOW) + 2))
        for begin in range(0, len(positions), size):
            part = positions[begin : begin + size]
            rows.append(self._log_chances(wild_type, part))
            if self.report is not None:
                self.report(begin + len(part), len(positions))
        return np.concatenate([*rows, np.zeros((0, len(RESIDUES)))])

    def _log_chances(self, wild_type: str, positions: Sequence[int]) -> np.ndarray:
        copies, places = [], []
        for position in positions:
            start = window_start(len(wild_type), position)
            tokens = self.protein.tokenize(wild_type[start : start + WINDOW])
            copies.append({0: ("protein", _hidden(tokens, position - start + 1))})
            places.append(position - start + 1)
        packed = pack(copies)
        at = packed.record_offsets[:-1] + torch.tensor(places)
        embedded = self.network.encoder(packed)[at]
        logits = self.network.token_logits(MASKED, "protein", embedded)
        # Only residues can stand there, so the special tokens get no probability.
        chances: np.ndarray = logits[:, N_SPECIALS:].double().log_softmax(dim=1).numpy()
        return chances


def _hidden(tokens: Tokens, place: int) -> Tokens:
    chosen = np.zeros(len(tokens.ids), dtype=bool)
    chosen[place] = True
    return Protein().hide(tokens, chosen)


def window_start(length: int, position: int) -> int:
    """Return where the window of `WINDOW` residues begins that has a position nearest its middle.

    Example:
        >>> window_start(100, 99), window_start(3000, 1500), window_start(3000, 2999)
        (0, 989, 1978)
    """
    return max(0, min(position - WINDOW // 2, length - WINDOW))


def language_scorer(context: Context) -> Scorer:
    """Return masked marginals of the base's language head: a public protein model's, or its own.

    Raises:
        InputError: The base is an encoder alone, or was not pretrained on proteins.
    """
    told = context.reporter("hiding residues")
    encoder = context.encoder()
    if isinstance(encoder, ProteinLanguageModel):
        return partial(encoder.score_variants, progress=told)
    base = context.pretrained()
    if "protein" not in base.network.vocabularies:
        raise InputError(
            "the base was not pretrained on proteins",
            fix="Choose one that was, such as kagaku-tiny.",
        )
    return MaskedMarginals(base.network, base.modalities["protein"], told)
