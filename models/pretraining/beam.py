"""Beam search: the likeliest values that a network generates from what is given to it.

At each place the likeliest continuations of a few partial values are followed, for many inputs side
by side. What has ended competes by its log-probability over a power of its length, since a longer
value is less likely for its length alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kagaku.errors import InputError
from kagaku.modalities import RecordTokens
from kagaku.modalities.sequence import END_ID, N_SPECIALS, START_ID
from kagaku.models.pretraining.decoding import Decoder
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.registry import did_you_mean


@dataclass(frozen=True)
class BeamConfig:
    """How far and how widely is searched."""

    n_beams: int = 10
    """Partial values that are followed, and the most that are returned for an input."""

    most_tokens: int = 256
    """Longest value, with start and end."""

    length_exponent: float = 0.6
    """Power of the length by which log-probabilities are divided; 0 leaves them as they are, 1
    compares means per token. Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14."""

    batch_size: int = 16
    """Inputs that are searched side by side."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name, least in (("n_beams", 1), ("most_tokens", 2), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name} must be at least {least}, got {getattr(self, name)}",
                    fix="Choose a larger value.",
                )
        if not 0 <= self.length_exponent <= 2:
            raise InputError(
                f"length_exponent must lie between 0 and 2, got {self.length_exponent}",
                fix="0 does not look at lengths, 1 compares means per token.",
            )

    def score(self, log_probability: float, n_tokens: int) -> float:
        """Return what values are ranked by.

        Args:
            log_probability: Of the whole value, in nats.
            n_tokens: How many were chosen, with the end.
        """
        # 5 and 6 as in the equation: a value of one token is left as it is.
        return float(log_probability / ((5 + n_tokens) / 6) ** self.length_exponent)


@dataclass(frozen=True)
class Found:
    """One value that was found."""

    ids: Int[np.ndarray, " token"]
    """Its tokens, with start and, if it is whole, end."""

    log_probability: float
    """Of the value given the input, in nats."""

    score: float
    """What it is ranked by; see `BeamConfig.score`."""

    is_whole: bool = True
    """Whether it ended by itself before it was cut."""


def beam_search(
    network: PretrainingNetwork,
    modality: str,
    prefixes: Sequence[RecordTokens],
    config: BeamConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Found]]:
    """Return the best values for each prefix, the best first, all different.

    Where none ended before it was cut, those that were followed last are returned, cut.

    Args:
        network: Trained with generation, in evaluation mode.
        modality: What is generated; one with a vocabulary.
        prefixes: By record, the given inputs by column; all have equally many.
        config: Settings.
        progress: Called with (records done, records in all) after each batch.

    Raises:
        InputError: The network cannot generate the modality.
    """
    config = config or BeamConfig()
    if modality not in network.vocabularies:
        raise InputError(
            f"{modality!r} cannot be generated", fix=did_you_mean(modality, network.vocabularies)
        )
    lengths = [sum(len(tokens) for _, tokens in one.values()) for one in prefixes]
    found: list[list[Found]] = [[] for _ in prefixes]
    # Inputs of like length side by side: the keys of a short one are filled up to the longest's.
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), config.batch_size):
        batch = order[start : start + config.batch_size]
        search = _Search(network, modality, [prefixes[one] for one in batch], config)
        for place, values in zip(batch, search.run(), strict=True):
            found[place] = values
        if progress is not None:
            progress(min(start + config.batch_size, len(order)), len(order))
    return found


class _Search:
    """The state of one batch: partial values, and those that have ended."""

    def __init__(
        self,
        network: PretrainingNetwork,
        modality: str,
        prefixes: Sequence[RecordTokens],
        config: BeamConfig,
    ) -> None:
        self.config, n_beams = config, config.n_beams
        self.decoder = Decoder(network, modality, prefixes, config.most_tokens)
        self.device = network.generating.device
        self.going = np.arange(len(prefixes))
        """Which records are still searched, in the order of the tensors below."""
        self.ended: list[list[Found]] = [[] for _ in prefixes]
        self.values = torch.full((len(prefixes), n_beams, config.most_tokens), START_ID)
        # All beams of a record start alike, so only the first may go on at first.
        self.scores = torch.full((len(prefixes), n_beams), -torch.inf)
        self.scores[:, 0] = 0.0
        rows = torch.arange(len(prefixes)).repeat_interleave(n_beams)
        self.decoder.keep(rows.to(self.device))

    def run(self) -> list[list[Found]]:
        """Search to the end, and return what was found for each record."""
        for place in range(1, self.config.most_tokens):
            ids = self.values[:, :, place - 1].flatten().to(self.device)
            chances = _allowed(self.decoder.step(ids)).log_softmax(1).float().cpu()
            self._advance(chances, place)
            if not len(self.going):
                break
        for row, record in enumerate(self.going):
            if not self.ended[record]:
                self.ended[record] = self._cut(row)
        return [
            sorted(one, key=lambda value: -value.score)[: self.config.n_beams] for one in self.ended
        ]

    def _advance(self, chances: Float[Tensor, "beam vocabulary"], place: int) -> None:
        """Follow the likeliest continuations by one token, and leave out what is done."""
        n_records, n_beams = self.scores.shape
        vocabulary = chances.shape[1]
        totals = (self.scores.flatten()[:, None] + chances).view(n_records, n_beams * vocabulary)
        # Of twice as many, at least so many have not ended.
        best, index = totals.topk(min(2 * n_beams, totals.shape[1]), dim=1)
        parent, token = index // vocabulary, index % vocabulary
        has_ended = token == END_ID
        self._keep_ended(best, parent, has_ended, place)
        # Stable, so that the likeliest of those that go on come first.
        live = has_ended.int().argsort(dim=1, stable=True)[:, :n_beams]
        parent, token = parent.gather(1, live), token.gather(1, live)
        self.scores = best.where(~has_ended, -torch.inf).gather(1, live)
        self.values = self.values.gather(1, parent[:, :, None].expand(-1, -1, self.values.shape[2]))
        self.values[:, :, place] = token
        rest = np.flatnonzero([not self._is_done(row, place) for row in range(n_records)])
        rows = torch.from_numpy(rest)
        self.going, self.values, self.scores = (
            self.going[rest],
            self.values[rows],
            self.scores[rows],
        )
        if len(rest):
            kept = (torch.arange(n_records)[:, None] * n_beams + parent)[rows]
            self.decoder.keep(kept.flatten().to(self.device))

    def _keep_ended(self, best: Tensor, parent: Tensor, has_ended: Tensor, place: int) -> None:
        """Put aside the values that end at a place."""
        for row, number in (has_ended & best.isfinite()).nonzero().tolist():
            total = float(best[row, number])
            ids = self.values[row, int(parent[row, number]), : place + 1].numpy().copy()
            ids[place] = END_ID
            value = Found(ids, total, self.config.score(total, place))
            self.ended[self.going[row]].append(value)

    def _is_done(self, row: int, place: int) -> bool:
        """Tell whether nothing better is to be expected for a record.

        A partial value is judged by the score that it would have if it ended here: it can only lose
        probability, though a longer one is divided by more.
        """
        best = float(self.scores[row, 0])
        if best == -np.inf:
            return True
        scores = sorted((one.score for one in self.ended[self.going[row]]), reverse=True)
        worst = scores[self.config.n_beams - 1] if len(scores) >= self.config.n_beams else -np.inf
        return self.config.score(best, place) <= worst

    def _cut(self, row: int) -> list[Found]:
        return [
            Found(
                self.values[row, beam].numpy().copy(),
                total,
                self.config.score(total, self.config.most_tokens - 1),
                is_whole=False,
            )
            for beam, total in enumerate(self.scores[row].tolist())
            if total > -np.inf
        ]


def _allowed(logits: Float[Tensor, "beam vocabulary"]) -> Float[Tensor, "beam vocabulary"]:
    """Return the logits without those of a start and a mask."""
    allowed = logits.clone()
    allowed[:, [one for one in range(N_SPECIALS) if one != END_ID]] = -torch.inf
    return allowed
