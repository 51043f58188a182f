"""What a transformers config.json says of a public model, as far as its arithmetic goes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kagaku.errors import InputError
from kagaku.registry import did_you_mean

FAMILIES = ("bert", "esm")
"""The `model_type` of config.json that can be loaded as a token model."""

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")
"""Names of activations in transformers' spelling."""

SHORTEST = 3
"""Fewest tokens that a sequence may have: its start, one more and its end."""

_MEND = "Copy the model's config.json again, or write what the model was trained with."


@dataclass(frozen=True)
class TransformerSizes:
    """Sizes and variants of a stack of blocks."""

    dim: int
    """Width of a token's embedding."""

    depth: int
    """Number of blocks."""

    heads: int
    """Attention heads per block."""

    hidden: int
    """Width inside the feed-forward part."""

    norm_eps: float
    """What layer norms add to the variance."""

    is_pre_norm: bool
    """Whether parts read the normed stream (ESM, ViT), or the stream is normed after (BERT)."""

    activation: str = "gelu"
    """One of `ACTIVATIONS`."""

    has_qkv_bias: bool = True
    """Whether queries, keys and values have a bias."""

    has_layer_scale: bool = False
    """Whether each part's contribution is scaled by channel, as in DINOv2."""

    def __post_init__(self) -> None:
        """Check the sizes together, once, where they are made."""
        for name in ("dim", "depth", "heads", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or value <= 0:
                raise InputError(
                    f"{name} must be a positive whole number, got {value!r}",
                    fix="Copy the model's config.json again.",
                )
        if self.dim % self.heads:
            raise InputError(
                f"a width of {self.dim} does not divide into {self.heads} heads",
                fix="Copy the model's config.json again.",
            )
        if self.activation not in ACTIVATIONS:
            raise InputError(
                f"the activation {self.activation!r} is not known",
                fix=did_you_mean(str(self.activation), ACTIVATIONS),
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads


@dataclass(frozen=True)
class TokenModelConfig:
    """Everything that decides the arithmetic of a public token model."""

    family: Literal["bert", "esm"]
    """Names of weights, and where norms stand."""

    sizes: TransformerSizes
    """Sizes of the stack."""

    vocabulary_size: int
    """Rows of the table of tokens."""

    max_positions: int
    """Rows of the table of positions; for rotary positions what the model was trained up to."""

    first_position: int
    """Position of a sequence's first token: 0, or one after the padding's id (ESM)."""

    is_rotary: bool
    """Whether positions turn queries and keys (ESM-2), or are learnt vectors (ESM-1b, BERT)."""

    n_kinds: int = 0
    """Rows of the table of token types (BERT); every token is of type 0 here."""

    has_embedding_norm: bool = False
    """Whether a norm follows the embeddings: BERT, and ESM-1b."""

    dropped_token: int | None = None
    """Under ESM's token dropout, the id of the mask, whose embedding is 0; else None."""

    rotary_base: float = 10_000.0
    """Longest wavelength of rotary positions, over 2 pi, in tokens."""

    def __post_init__(self) -> None:
        """Check what entries mean for each other, once, where they are made."""
        if self.longest < SHORTEST:
            raise InputError(
                f"its {self.max_positions} positions, of which the first {self.first_position} are "
                f"not used, leave no room for a token between start and end",
                fix=_MEND,
            )
        if self.is_rotary and self.sizes.head_dim % 2:
            raise InputError(
                f"its positions turn pairs of numbers, but heads are {self.sizes.head_dim} wide",
                fix=_MEND,
            )
        if self.dropped_token is not None and self.dropped_token >= self.vocabulary_size:
            raise InputError(
                f"its mask_token_id is {self.dropped_token}, beyond a vocabulary of "
                f"{self.vocabulary_size}",
                fix=_MEND,
            )

    @property
    def longest(self) -> int:
        """Most tokens, specials included, that the model has seen in one sequence."""
        return self.max_positions - self.first_position


def token_model_config(stored: Mapping[str, Any]) -> TokenModelConfig:
    """Return the configuration that a config.json of transformers describes.

    Raises:
        InputError: The architecture or one of its variants is not supported, or an entry is
            missing, null or makes no sense; names the entry.
    """
    # BERT's first checkpoints, SciBERT's among them, do not say what they are.
    family = stored.get("model_type", "bert" if "type_vocab_size" in stored else None)
    if family not in FAMILIES:
        raise InputError(
            f"the architecture (model_type) is {family!r}",
            fix=f"Public token models that can be loaded are of {list(FAMILIES)}.",
        )
    for name in ("is_folding_model", "is_decoder", "add_cross_attention"):
        if stored.get(name):
            raise InputError(
                f"it has {name}: true, which is another architecture",
                fix="Name the folder of the plain encoder.",
            )
    for name in ("rope_scaling", "rope_parameters"):
        rotary = entries_of(stored, name)
        kind = rotary.get("rope_type", rotary.get("type", "default"))  # "type" until 2024
        if kind != "default":
            raise InputError(
                f"it stretches rotary positions ({name}: {kind!r})",
                fix="Name a model with plain rotary positions.",
            )
    return _esm(stored) if family == "esm" else _bert(stored)


def entries_of(stored: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the entries within an entry; none where it is null or not there.

    Raises:
        InputError: It is something else.
    """
    found = stored.get(name)
    if found is not None and not isinstance(found, Mapping):
        raise InputError(f"its {name} is {found!r}, and no entries in braces", fix=_MEND)
    return found or {}


def _whole(
    stored: Mapping[str, Any], name: str, *, least: int = 1, default: int | None = None
) -> int:
    """Return an entry that is a whole number; without a default it must be there."""
    if name not in stored and default is None:
        raise InputError(f"it has no entry {name!r}", fix=_MEND)
    value = stored.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            f"its {name} is {value!r}, and no whole number of at least {least}", fix=_MEND
        )
    return value


def _positive(stored: Mapping[str, Any], name: str, default: float) -> float:
    """Return an entry that is a positive number; transformers leaves out what is its default."""
    value = stored.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise InputError(f"its {name} is {value!r}, and no positive number", fix=_MEND)
    return float(value)


def _sizes(stored: Mapping[str, Any], *, is_pre_norm: bool, activation: str) -> TransformerSizes:
    return TransformerSizes(
        dim=_whole(stored, "hidden_size"),
        depth=_whole(stored, "num_hidden_layers"),
        heads=_whole(stored, "num_attention_heads"),
        hidden=_whole(stored, "intermediate_size"),
        norm_eps=_positive(stored, "layer_norm_eps", 1e-12),
        is_pre_norm=is_pre_norm,
        activation=activation,
    )


def _esm(stored: Mapping[str, Any]) -> TokenModelConfig:
    position = stored.get("position_embedding_type", "absolute")
    _check_position(position, ("absolute", "rotary"))
    is_rotary = position == "rotary"
    # Learnt positions begin behind the padding's id. Rotary ones have no use for it, and
    # transformers' own default is null.
    needs_padding = not is_rotary or stored.get("pad_token_id") is not None
    base = _positive(stored, "rope_theta", 10_000.0)
    return TokenModelConfig(
        family="esm",
        sizes=_sizes(stored, is_pre_norm=True, activation="gelu"),
        vocabulary_size=_whole(stored, "vocab_size"),
        max_positions=_whole(stored, "max_position_embeddings", default=1026),
        first_position=_whole(stored, "pad_token_id", least=0) + 1 if needs_padding else 0,
        is_rotary=is_rotary,
        has_embedding_norm=bool(stored.get("emb_layer_norm_before")),
        dropped_token=(
            _whole(stored, "mask_token_id", least=0) if stored.get("token_dropout") else None
        ),
        rotary_base=_positive(entries_of(stored, "rope_parameters"), "rope_theta", base),
    )


def _bert(stored: Mapping[str, Any]) -> TokenModelConfig:
    _check_position(stored.get("position_embedding_type", "absolute"), ("absolute",))
    return TokenModelConfig(
        family="bert",
        sizes=_sizes(stored, is_pre_norm=False, activation=str(stored.get("hidden_act", "gelu"))),
        vocabulary_size=_whole(stored, "vocab_size"),
        max_positions=_whole(stored, "max_position_embeddings", default=512),
        first_position=0,
        is_rotary=False,
        n_kinds=_whole(stored, "type_vocab_size", default=2),
        has_embedding_norm=True,
    )


def _check_position(kind: object, known: tuple[str, ...]) -> None:
    if kind not in known:
        raise InputError(
            f"its positions are {kind!r}", fix=f"Models of this family may have {list(known)}."
        )
