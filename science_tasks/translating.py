"""Answers that are generated: a network is taught pairs, then asked for the likeliest answers."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, RecordTokens
from kagaku.models.pretraining.beam import BeamConfig, beam_search
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.translation import (
    Pair,
    Respell,
    TranslationConfig,
    TranslationData,
    train_translation,
)
from kagaku.science_tasks.benchmark.task import Context

BASE_HEADS, NEW_HEADS = "heads of the base", "new heads"
"""What answers say they were generated with."""


@dataclass(frozen=True)
class Translator:
    """Teaches the base to generate one value from another, and asks it."""

    given: str
    """Modality of what is given."""

    wanted: str
    """Modality of what is generated."""

    config: TranslationConfig = field(default_factory=TranslationConfig)
    """How it is taught."""

    beams: BeamConfig = field(default_factory=BeamConfig)
    """How it is asked."""

    respell: Respell | None = None
    """Writes what is given in another way each time that it is learnt from."""

    def __call__(
        self, pairs: Sequence[Pair], asked: Sequence[str], context: Context
    ) -> tuple[list[list[str]], str]:
        """Return the answers to what is asked, the best first, and what generated them.

        Args:
            pairs: To learn from; none asks the base as it is.
            asked: Checked values.
            context: Where the base comes from; finished steps are kept in its folder.

        Raises:
            InputError: There are no pairs, and the base has no heads.
        """
        if not pairs:
            return self.answers(own_network(context), asked, context), BASE_HEADS
        network, heads = taught_network(
            self.given, self.wanted, self.config, pairs, context, self.respell
        )
        return self.answers(network, asked, context), heads

    def answers(
        self, network: PretrainingNetwork, asked: Sequence[str], context: Context
    ) -> list[list[str]]:
        """Return the decoded values that a search finds, the best first."""
        given, wanted = MODALITIES[self.given](), MODALITIES[self.wanted]()
        prefixes: list[RecordTokens] = [{0: (self.given, given.tokenize(one))} for one in asked]
        progress = context.reporter("searching")
        found = beam_search(network, self.wanted, prefixes, self.beams, progress=progress)
        decode: Callable[[list[int]], str] = wanted.decode  # type: ignore[attr-defined]
        return [[decode(one.ids.tolist()) for one in of_record] for of_record in found]


def own_network(context: Context) -> PretrainingNetwork:
    """Return the base with its heads, where it computes fastest; not to be changed.

    Raises:
        InputError: It has none.
    """
    return context.pretrained().network.eval().to(_device())


def taught_network(
    given: str | None,
    wanted: str,
    config: TranslationConfig,
    pairs: Sequence[Pair],
    context: Context,
    respell: Respell | None = None,
) -> tuple[PretrainingNetwork, str]:
    """Return a copy of the base that was taught pairs, and whose heads it has.

    A base that is an encoder alone gets heads with random weights.

    Args:
        given: Modality of the first value of each pair; None to generate from nothing.
        wanted: Modality of the second.
        config: How it is taught; the context's seed takes the place of its own.
        pairs: Checked values.
        context: Where the base comes from; states are kept in its folder.
        respell: Writes first values in another way each time; None leaves them.
    """
    network, heads = _copied(context)
    modalities = None if given is None else MODALITIES[given](), MODALITIES[wanted]()
    config = replace(config, seed=context.seed)
    data = TranslationData(*modalities, pairs, config, respell)
    folder = None if context.work is None else context.work / "taught"
    train_translation(network, data, folder=folder, report=context.report)
    return network, heads


def _copied(context: Context) -> tuple[PretrainingNetwork, str]:
    try:
        return copy.deepcopy(context.pretrained().network).to(_device()), BASE_HEADS
    except InputError:
        encoder = copy.deepcopy(context.own_encoder())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            network = PretrainingNetwork(encoder, ObjectiveConfig(), 0)
        return network.to(_device()), NEW_HEADS


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
