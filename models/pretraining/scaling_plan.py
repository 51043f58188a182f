"""What a larger pretraining takes, from a scaling law and the sizes of its network."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from kagaku.models.backbone import BackboneConfig
from kagaku.models.encoder import Encoder, EncoderConfig
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import OptimiserConfig, parameter_groups
from kagaku.models.pretraining.scaling_fit import MOST_SPREAD, Estimate, LawFit
from kagaku.models.pretraining.throughput import flops_per_token

# Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556: about 20 tokens for each parameter.
TOKENS_PER_PARAMETER = 20.0

FAR = 10.0
"""A figure this many times beyond what was measured is warned about: a decade."""

FLOAT_BYTES = 4
"""Of each stored number: weights, optimiser and average are kept in float32."""


@dataclass(frozen=True)
class Sizes:
    """How many numbers a network is made of."""

    backbone: int
    """Weights of the backbone, without embeddings and heads."""

    encoder: int
    """Weights of backbone and embeddings."""

    network: int
    """Weights of encoder and heads: all that is trained."""

    matrices: int
    """Weights that the optimiser keeps one number for; it keeps two for each of the others."""

    def counted(self, what: str) -> float:
        """Return the parameters N of the law: ``"backbone"`` or ``"encoder"``."""
        return float(self.backbone if what == "backbone" else self.encoder)

    def checkpoint_bytes(self, *, has_average: bool) -> int:
        """Return the size of a saved state: weights, optimiser, and an average if there is one.

        Example:
            >>> Sizes(80, 90, 100, 80).checkpoint_bytes(has_average=False)
            880
        """
        optimiser = self.matrices + 2 * (self.network - self.matrices)
        return FLOAT_BYTES * (self.network * (2 if has_average else 1) + optimiser)


@dataclass(frozen=True)
class Planned:
    """A run that is planned."""

    name: str
    """What its recipe calls it."""

    sizes: Sizes
    """Of its network."""

    backbone: BackboneConfig
    """Sizes of its backbone."""

    row_length: int
    """Tokens of a row."""

    tokens_per_step: int
    """Places for tokens in a step."""

    steps: int
    """Steps that its recipe says."""

    has_average: bool
    """Whether it keeps an average of its weights."""


@dataclass(frozen=True)
class Hardware:
    """What the runs are planned for."""

    name: str
    """What reports call it."""

    peak_tflops: float
    """Matrix products of one device at best, in 10^12 floating-point operations per second."""

    share: float
    """Share of it that training is assumed to reach."""

    def hours(self, flops: float) -> float:
        """Return device hours of some floating-point operations.

        Example:
            >>> round(Hardware("made up", 100.0, 0.5).hours(1.8e17), 9)
            1.0
        """
        return flops / (self.peak_tflops * 1e12 * self.share) / 3600


@dataclass(frozen=True)
class CorpusNeed:
    """How tokens become files."""

    bytes_per_token: float
    """Of the shards of the ladder's corpus, in the ladder's mixture of sources."""

    n_tokens: int
    """Tokens of that corpus."""

    epochs: float
    """How often a planned run may see each token."""

    shard_bytes: int
    """About how large a shard is."""


@dataclass(frozen=True)
class Measured:
    """How far the ladder reaches."""

    parameters: float
    """Most parameters of a run."""

    tokens: float
    """Most tokens of a run."""

    flops: float
    """Most floating-point operations of a run."""


@dataclass(frozen=True)
class Plan:
    """What one larger run takes."""

    name: str
    """What its recipe calls it."""

    sizes: Sizes
    """Of its network."""

    tokens: float
    """Tokens that it should see."""

    tokens_rule: str
    """Where the tokens are from."""

    steps: int
    """Steps that show as many."""

    recipe_tokens: int
    """Tokens that the recipe shows as it is."""

    flops: float
    """Floating-point operations of training: 6 N D and attention."""

    device_hours: float
    """Hours of one device."""

    corpus_tokens: float
    """Tokens that the corpus must have."""

    corpus_bytes: float
    """Bytes of its shards."""

    shards: int
    """How many shards that is."""

    checkpoint_bytes: int
    """Bytes of a saved state."""

    loss: Estimate
    """Held-out loss, in the ladder's corpus and objectives."""

    recipe_loss: Estimate
    """The same after the steps that the recipe says."""

    warnings: tuple[str, ...]
    """What is far beyond anything measured."""


def plan(
    run: Planned,
    fit: LawFit,
    counted: str,
    measured: Measured,
    hardware: Hardware,
    need: CorpusNeed,
) -> Plan:
    """Return what a larger run takes.

    Args:
        run: What is planned.
        fit: The law.
        counted: Which parameters the law counts: ``"backbone"`` or ``"encoder"``.
        measured: How far the runs behind the law reach.
        hardware: What it shall run on.
        need: How tokens become files.
    """
    parameters = run.sizes.counted(counted)
    tokens, rule = planned_tokens(fit, parameters)
    flops = flops_per_token(run.backbone, run.row_length) * tokens
    corpus_tokens = tokens / need.epochs
    corpus_bytes = corpus_tokens * need.bytes_per_token
    recipe_tokens = run.steps * run.tokens_per_step
    return Plan(
        name=run.name,
        sizes=run.sizes,
        tokens=tokens,
        tokens_rule=rule,
        steps=math.ceil(tokens / run.tokens_per_step),
        recipe_tokens=recipe_tokens,
        flops=flops,
        device_hours=hardware.hours(flops),
        corpus_tokens=corpus_tokens,
        corpus_bytes=corpus_bytes,
        shards=math.ceil(corpus_bytes / need.shard_bytes),
        checkpoint_bytes=run.sizes.checkpoint_bytes(has_average=run.has_average),
        loss=fit.predict(parameters, tokens),
        recipe_loss=fit.predict(parameters, float(recipe_tokens)),
        warnings=_warnings(parameters, tokens, flops, corpus_tokens, measured, need),
    )


def planned_tokens(fit: LawFit, parameters: float) -> tuple[float, str]:
    """Return the tokens for a network of this size, and where the number is from.

    That is the fit, where the runs identify how the loss goes with parameters and with tokens and
    the interval of what follows spans less than a factor of `MOST_SPREAD`; else the rule of 20
    tokens for each parameter.
    """
    if doubts := fit.size_doubts():
        return (
            TOKENS_PER_PARAMETER * parameters,
            f"20 tokens per parameter, a rule of Hoffmann et al. 2022, since {doubts[0]}",
        )
    best = fit.optimal_tokens(parameters)
    if best.spread > MOST_SPREAD:
        return (
            TOKENS_PER_PARAMETER * parameters,
            "20 tokens per parameter, a rule of Hoffmann et al. 2022, since the fit only says "
            f"{best.low:.2g} to {best.high:.2g} tokens",
        )
    return best.value, f"the fit: {best.low:.2g} to {best.high:.2g} tokens"


def sizes_of(
    backbone: BackboneConfig,
    modalities: Sequence[str],
    objectives: ObjectiveConfig,
    optimiser: OptimiserConfig,
    n_descriptors: int,
    n_summaries: Mapping[str, int],
) -> Sizes:
    """Return how many numbers a network has; its encoder is counted without giving it memory.

    Args:
        backbone: Sizes of its backbone.
        modalities: Names of the modalities that its corpus has; the encoder's own are added.
        objectives: What it is asked.
        optimiser: What keeps numbers beside its weights.
        n_descriptors: How many descriptors molecules have.
        n_summaries: By modality, how many numbers the summary of a value has.
    """
    names = tuple(sorted({*EncoderConfig().modalities, *modalities}))
    with torch.device("meta"):
        encoder = Encoder(EncoderConfig(modalities=names, backbone=backbone))
    with torch.random.fork_rng(devices=[]):  # the heads are small, and draw real weights
        network = PretrainingNetwork(encoder, objectives, n_descriptors, n_summaries)
    matrices, _, _ = parameter_groups(network)
    return Sizes(
        backbone=sum(one.numel() for one in encoder.backbone.parameters()),
        encoder=sum(one.numel() for one in encoder.parameters()),
        network=sum(one.numel() for one in network.parameters()),
        matrices=sum(one.numel() for one in matrices) if optimiser.name == "muon" else 0,
    )


def _warnings(
    parameters: float,
    tokens: float,
    flops: float,
    corpus_tokens: float,
    measured: Measured,
    need: CorpusNeed,
) -> tuple[str, ...]:
    """Return a sentence for each figure more than a decade beyond what was measured."""
    found = []
    for word, planned, most in (
        ("parameters", parameters, measured.parameters),
        ("tokens", tokens, measured.tokens),
        ("floating-point operations", flops, measured.flops),
    ):
        if planned > FAR * most:
            found.append(
                f"{planned:.2g} {word} are {planned / most:,.0f} times the {most:.2g} of the "
                "largest run measured: the loss is extrapolated"
            )
    if corpus_tokens > FAR * need.n_tokens:
        found.append(
            f"{corpus_tokens:.2g} tokens of corpus are {corpus_tokens / need.n_tokens:,.0f} times "
            f"the {need.n_tokens:.2g} of the ladder's corpus: bytes per token may differ"
        )
    return tuple(found)
