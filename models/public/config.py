"""What a transformers config.json says of a public model, as far as its arithmetic goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kagaku.errors import InputError
from kagaku.registry import did_you_mean

FAMILIES = ("bert", "esm")
"""The `model_type` of config.json that can be loaded as a token model."""

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu")
"""Names of activations in transformers' spelling."""


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

    @property
    def longest(self) -> int:
        """Most tokens, specials included, that the model has seen in one sequence."""
        return self.max_positions - self.first_position


def token_model_config(stored: Mapping[str, Any]) -> TokenModelConfig:
    """Return the configuration that a config.json of transformers describes.

    Raises:
        InputError: The architecture or one of its variants is not supported, or an entry is missing
            or makes no sense.
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
        kind = dict(stored.get(name) or {}).get("rope_type", "default")
        if kind != "default":
            raise InputError(
                f"it stretches rotary positions ({name}: {kind!r})",
                fix="Name a model with plain rotary positions.",
            )
    try:
        return _esm(stored) if family == "esm" else _bert(stored)
    except KeyError as error:
        raise InputError(
            f"it has no entry {error}", fix="Copy the model's config.json again."
        ) from None


def _sizes(stored: Mapping[str, Any], *, is_pre_norm: bool, activation: str) -> TransformerSizes:
    return TransformerSizes(
        dim=stored["hidden_size"],
        depth=stored["num_hidden_layers"],
        heads=stored["num_attention_heads"],
        hidden=stored["intermediate_size"],
        # transformers leaves out what equals its default.
        norm_eps=float(stored.get("layer_norm_eps", 1e-12)),
        is_pre_norm=is_pre_norm,
        activation=activation,
    )


def _esm(stored: Mapping[str, Any]) -> TokenModelConfig:
    position = stored.get("position_embedding_type", "absolute")
    _check_position(position, ("absolute", "rotary"))
    rotary = dict(stored.get("rope_parameters") or {})
    return TokenModelConfig(
        family="esm",
        sizes=_sizes(stored, is_pre_norm=True, activation="gelu"),
        vocabulary_size=stored["vocab_size"],
        max_positions=stored.get("max_position_embeddings", 1026),
        first_position=stored["pad_token_id"] + 1,
        is_rotary=position == "rotary",
        has_embedding_norm=bool(stored.get("emb_layer_norm_before")),
        dropped_token=stored["mask_token_id"] if stored.get("token_dropout") else None,
        rotary_base=float(rotary.get("rope_theta", stored.get("rope_theta", 10_000.0))),
    )


def _bert(stored: Mapping[str, Any]) -> TokenModelConfig:
    _check_position(stored.get("position_embedding_type", "absolute"), ("absolute",))
    return TokenModelConfig(
        family="bert",
        sizes=_sizes(stored, is_pre_norm=False, activation=str(stored.get("hidden_act", "gelu"))),
        vocabulary_size=stored["vocab_size"],
        max_positions=stored.get("max_position_embeddings", 512),
        first_position=0,
        is_rotary=False,
        n_kinds=stored.get("type_vocab_size", 2),
        has_embedding_norm=True,
    )


def _check_position(kind: object, known: tuple[str, ...]) -> None:
    if kind not in known:
        raise InputError(
            f"its positions are {kind!r}", fix=f"Models of this family may have {list(known)}."
        )
