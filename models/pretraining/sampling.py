"""Drawing new values from a pretrained network: molecules, proteins, texts, from given inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, Modality, RecordTokens
from kagaku.modalities.sequence import (
    END_ID,
    N_SPECIALS,
    START_ID,
    Grammar,
    SequenceModality,
)
from kagaku.models.pretraining.decoding import Decoder
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.registry import did_you_mean

ENDED_SHARE = 0.25
"""Share of the records computed that have ended, above which they are left out."""


@dataclass(frozen=True)
class SamplingConfig:
    """How values are drawn."""

    temperature: float = 1.0
    """1 draws from what was learnt, less prefers the likely, 0 always takes the likeliest."""

    top_p: float = 1.0
    """Only the likeliest tokens that together have this probability are drawn (Holtzman et al.
    2020, https://arxiv.org/abs/1904.09751); 1 draws from all."""

    most_tokens: int = 128
    """Longest value, with start and end; what has not ended by then is cut there."""

    batch_size: int = 256
    """Values drawn side by side."""

    seed: int = 0
    """Fixes what is drawn."""

    grammar: bool = False
    """Whether only tokens are drawn that the modality's grammar lets follow: branches and rings
    that close and valences that hold, of molecules."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        if not 0 <= self.temperature <= 10:
            raise InputError(
                f"temperature must lie between 0 and 10, got {self.temperature}",
                fix="1 draws from what was learnt.",
            )
        if not 0 < self.top_p <= 1:
            raise InputError(
                f"top_p must lie above 0 and up to 1, got {self.top_p}", fix="1 draws from all."
            )
        for name, least in (("most_tokens", 2), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name} must be at least {least}, got {getattr(self, name)}",
                    fix="Choose a larger value.",
                )


def prefix_of(
    given: Sequence[tuple[str, Any]], modalities: Mapping[str, Modality[Any]]
) -> RecordTokens:
    """Return the prefix that stands for some raw values, each in a column of its own.

    Args:
        given: Modality and raw value of each input: a text, or properties as `Quantity`.
        modalities: By name, as fitted to the corpus.

    Raises:
        InputError: A modality is unknown, or a value is refused by its modality.
    """
    prefix = {}
    for column, (name, value) in enumerate(given):
        if name not in modalities:
            raise InputError(
                f"the pretraining had no inputs of the modality {name!r}",
                fix=did_you_mean(name, modalities),
            )
        modality = modalities[name]
        prefix[column] = (name, modality.tokenize(modality.check(value)))
    return prefix


def sample_tokens(
    network: PretrainingNetwork,
    modality: str,
    prefixes: Sequence[RecordTokens],
    config: SamplingConfig | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Int[np.ndarray, " token"]]:
    """Return one new value per prefix, as ids with start and (unless it was cut) end.

    Args:
        network: Trained with generation; put it into evaluation mode first.
        modality: What to draw; one with a vocabulary, whose ``decode`` turns ids into a value.
        prefixes: By record, the given inputs by column, from 0 up; empty to draw from nothing.
        config: Settings.
        progress: Called with (values done, values in all) after each batch.

    Raises:
        InputError: The network knows no such modality, or it has no vocabulary.
    """
    config = config or SamplingConfig()
    if modality not in network.vocabularies:
        raise InputError(
            f"{modality!r} cannot be generated",
            fix=did_you_mean(modality, network.vocabularies)
            if modality not in MODALITIES
            else f"Choose from {sorted(network.vocabularies)}.",
        )
    generator = torch.Generator().manual_seed(config.seed)
    drawn: list[np.ndarray] = []
    for start in range(0, len(prefixes), config.batch_size):
        part = prefixes[start : start + config.batch_size]
        decoder = Decoder(network, modality, part, config.most_tokens)
        drawn += _drawn(decoder, config, generator, _grammars(modality, len(part), config))
        if progress is not None:
            progress(len(drawn), len(prefixes))
    return drawn


def _grammars(modality: str, number: int, config: SamplingConfig) -> list[Grammar] | None:
    """Return the rules of each record; None where they are not asked for."""
    if not config.grammar:
        return None
    kind = MODALITIES[modality]()
    assert isinstance(kind, SequenceModality)
    found = [kind.grammar(config.most_tokens) for _ in range(number)]
    if None in found:
        raise InputError(
            f"there is no grammar of the modality {modality!r}", fix="Generate without grammar."
        )
    return [one for one in found if one is not None]


def _drawn(
    decoder: Decoder,
    config: SamplingConfig,
    generator: torch.Generator,
    grammars: list[Grammar] | None,
) -> list[np.ndarray]:
    """Return the ids of one batch; most of the records that have ended are no longer computed."""
    device, n_records = decoder.network.generating.device, len(decoder.kept.is_there)
    ids = torch.full((n_records,), START_ID, device=device)
    going = torch.arange(n_records)
    drawn = torch.full((n_records, config.most_tokens), END_ID)
    lengths = torch.full((n_records,), config.most_tokens)
    for place in range(1, config.most_tokens):
        logits = decoder.step(ids)
        if grammars is not None:
            _forbid(logits, [grammars[one] for one in going])
        ids = chosen_tokens(logits, config, generator)
        drawn[going, place] = ids.cpu()
        if grammars is not None:
            for one, token in zip(going.tolist(), ids.tolist(), strict=True):
                grammars[one].add(token)
        has_ended = (drawn[going] == END_ID)[:, 1 : place + 1].any(dim=1)
        lengths[going[has_ended]] = lengths[going[has_ended]].clamp(max=place + 1)
        if bool(has_ended.all()):
            break
        # Leaving records out copies the keys of all others, so it waits until it is worth it.
        if float(has_ended.float().mean()) > ENDED_SHARE:
            rest = (~has_ended).nonzero()[:, 0]
            decoder.keep(rest.to(device))
            ids, going = ids[rest.to(device)], going[rest]
    drawn[:, 0] = START_ID
    return [row[:length].numpy() for row, length in zip(drawn, lengths.tolist(), strict=True)]


def _forbid(logits: Float[Tensor, "record vocabulary"], grammars: Sequence[Grammar]) -> None:
    """Leave to each record what its grammar lets follow; all, where that is nothing."""
    for row, grammar in zip(logits, grammars, strict=True):
        if allowed := grammar.allowed():
            forbidden = torch.ones(len(row), dtype=torch.bool, device=row.device)
            forbidden[allowed] = False
            row[forbidden] = -torch.inf


def chosen_tokens(
    logits: Float[Tensor, "record vocabulary"], config: SamplingConfig, generator: torch.Generator
) -> Int[Tensor, " record"]:
    """Return one token per record; never a start or a mask.

    Args:
        logits: Of the next token.
        config: Temperature and top-p.
        generator: On the CPU, so that every device draws the same.
    """
    allowed = logits.clone()
    allowed[:, [one for one in range(N_SPECIALS) if one != END_ID]] = -torch.inf
    if config.temperature == 0:
        return allowed.argmax(dim=1)
    chances = (allowed.double() / config.temperature).softmax(dim=1).cpu()
    ordered, token = chances.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(dim=1) - ordered
    ordered = ordered.where(before < config.top_p, 0.0)
    place = torch.multinomial(ordered, 1, generator=generator)
    return token.gather(1, place)[:, 0].to(logits.device)
