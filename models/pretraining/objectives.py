"""What a model is asked during pretraining, and how often: the settings of all objectives."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.registry import did_you_mean

OBJECTIVES = (
    "masked",
    "generated",
    "reconstructed",
    "retained",
    "descriptors",
    "summaries",
    "aligned",
)
"""What can be asked; a loss is named by one of them, a slash, and the modality."""

SHARES = (
    "in_spans",
    "unmasked",
    "apart",
    "varied",
    "from_properties",
    "aligned",
    "joint",
    "forecast",
)
"""Names of the settings that are one share each."""

SMALLEST_TEMPERATURE = 0.01
"""Lowest temperature of the contrastive softmax, as in CLIP (https://arxiv.org/abs/2103.00020)."""


def _hidden() -> dict[str, float]:
    # Wettig et al. 2023 (https://arxiv.org/abs/2202.08005) found shares above 15% no worse, and no
    # use in showing a hidden token as itself or as a random one; so it is always the mask.
    # A formula has few elements, so that of most of them one is asked for.
    shares = {"molecule": 0.2, "protein": 0.2, "text": 0.2, "nucleotide": 0.2, "material": 0.3}
    return {**shares, "image": 0.5, "climate": 0.5}


def _generated() -> dict[str, float]:
    return {"molecule": 0.3, "protein": 0.15, "text": 0.1}


def _summarised() -> dict[str, float]:
    return dict.fromkeys(("climate", "image", "material", "nucleotide", "protein"), 1.0)


def _weights() -> dict[str, float]:
    # Cross-entropies start at 3 to 9 nats, the Huber loss of standardised descriptors at about 0.2
    # (a corpus of drug-like molecules), and descriptors shape a molecule's embedding the most.
    return {**dict.fromkeys(OBJECTIVES, 1.0), "retained": 0.5, "descriptors": 5.0, "summaries": 2.0}


@dataclass(frozen=True)
class ObjectiveConfig:
    """Settings of the pretraining objectives. Shares are probabilities, 0 to 1."""

    hidden: Mapping[str, float] = field(default_factory=_hidden)
    """By modality, the share of the tokens of an encoded record that is hidden; a modality that
    is not named hides none."""

    summarised: Mapping[str, float] = field(default_factory=_summarised)
    """By modality, the share of the encoded values that are asked for their computed summary; a
    modality that is not named never is."""

    in_spans: float = 0.5
    """Share of the records with hidden sequence tokens in which they stand together in spans,
    so that whole groups of atoms or words are asked for."""

    span_length: float = 3.0
    """Mean length of a span, in tokens."""

    unmasked: float = 0.5
    """Share of the encoded molecules with descriptors, and of the other values with summaries, in
    which nothing is hidden, as when the model is used; they are asked for these only."""

    describe_masked: bool = True
    """Whether what has hidden tokens is asked for its descriptors or its summary as well."""

    apart: float = 0.5
    """Share of the samples with several inputs, the first of which is of patches, in which that is
    encoded alone."""

    varied: float = 0.7
    """Share of the values of several patches encoded alone that are shown as they might as well
    have been measured (`Modality.vary`)."""

    generated: Mapping[str, float] = field(default_factory=_generated)
    """By modality, the share of records of one input alone that is generated from left to right
    instead of encoded; a modality that is not named never is."""

    from_properties: float = 0.5
    """Share of the generated molecules that follow some of their properties as quantities, where
    the row has room for these."""

    most_properties: int = 3
    """Most properties that a molecule follows."""

    aligned: float = 0.4
    """Share of the micro-batches of paired inputs in which the two are told apart from those of
    other samples (contrastive), each in a record of its own."""

    joint: float = 0.4
    """Of the other samples with several inputs, the share that is encoded in one record with hidden
    tokens; in the rest one input is generated from the others."""

    forecast: float = 0.7
    """Share of the samples with a later field in which this is asked for as a whole; in the rest
    the two fields are encoded apart, with hidden patches."""

    temperature: float = 0.07
    """First temperature of the contrastive softmax; it is learnt."""

    projected: int = 128
    """Width of the embeddings that are compared across modalities."""

    weights: Mapping[str, float] = field(default_factory=_weights)
    """By objective, the weight of its losses in the total; an objective that is not named has 1."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name in ("hidden", "generated", "summarised"):
            for modality, share in getattr(self, name).items():
                MODALITIES[modality]
                _check_share(f"{name} of {modality}", share)
        for name in SHARES:
            _check_share(name, getattr(self, name))
        for name, least in (("span_length", 1.0), ("most_properties", 0), ("projected", 1)):
            if not least <= getattr(self, name) < math.inf:
                raise InputError(
                    f"{name} must be at least {least:g}, got {getattr(self, name)}",
                    fix="Choose a larger value.",
                )
        if not SMALLEST_TEMPERATURE <= self.temperature <= 1:
            raise InputError(
                f"temperature must lie between {SMALLEST_TEMPERATURE:g} and 1, "
                f"got {self.temperature}",
                fix="Choose a value such as 0.07.",
            )
        for name, weight in self.weights.items():
            if name not in OBJECTIVES:
                raise InputError(
                    f"there is no objective named {name!r}", fix=did_you_mean(name, OBJECTIVES)
                )
            if not 0 <= weight < math.inf:
                raise InputError(
                    f"the weight of {name} must be 0 or more, got {weight}",
                    fix="Choose 0 to leave the objective out of the total.",
                )

    def weight(self, loss: str) -> float:
        """Return the weight of a loss by its name, such as ``"masked/protein"``."""
        return self.weights.get(loss.partition("/")[0], 1.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file or a recipe."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "ObjectiveConfig":
        """Rebuild what `to_json` gave; settings that are not named take their defaults.

        Raises:
            InputError: A setting is unknown or out of range.
        """
        known = [one.name for one in fields(cls)]
        for name in stored:
            if name not in known:
                raise InputError(
                    f"there is no objective setting named {name!r}", fix=did_you_mean(name, known)
                )
        return cls(**stored)


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"{name} must lie between 0 and 1, got {share}", fix="Give a share.")
