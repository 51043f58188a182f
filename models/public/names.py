"""Which stored weights, by transformers' names, make up each weight of a `TokenNetwork`."""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from kagaku.errors import InputError
from kagaku.models.public.config import TokenModelConfig
from kagaku.models.public.network import Heads, TokenNetwork

SHOWN = 6
"""Most names that an error lists."""

PREFIXES = {"esm": "esm.", "bert": "bert."}
"""What stands before the encoder's names where the checkpoint has heads too."""

_LAYERS = {
    "esm": {
        "attention.out": "attention.output.dense",
        "attention_norm": "attention.LayerNorm",
        "feed_forward.rise": "intermediate.dense",
        "feed_forward.fall": "output.dense",
        "feed_forward_norm": "LayerNorm",
    },
    "bert": {
        "attention.out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "feed_forward.rise": "intermediate.dense",
        "feed_forward.fall": "output.dense",
        "feed_forward_norm": "output.LayerNorm",
    },
}

_LANGUAGE = {
    "esm": {
        "dense": "lm_head.dense",
        "norm": "lm_head.layer_norm",
        "bias": "lm_head.bias",
        "decoder": "lm_head.decoder",
    },
    "bert": {
        "dense": "cls.predictions.transform.dense",
        "norm": "cls.predictions.transform.LayerNorm",
        "bias": "cls.predictions.bias",
        "decoder": "cls.predictions.decoder",
    },
}

# Old checkpoints hold counters of positions, which are no weights.
_NO_WEIGHT = re.compile(r"(^|\.)embeddings\.position_ids$")
_FREQUENCIES = re.compile(r"(^|\.)rotary_embeddings\.inv_freq$")
_CLASSES = re.compile(r"^cls\.(?!predictions\.)(\w+)\.weight$")
_OLD_NORM = {"gamma": "weight", "beta": "bias"}

Sources = dict[str, tuple[str, ...]]
"""By name of ours, the stored weights that are joined to it along their first axis."""


def normal_names(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under today's names: norms of BERT's first checkpoints had gamma and beta."""
    renamed = {}
    for name, value in stored.items():
        before, dot, last = name.rpartition(".")
        renamed[f"{before}{dot}{_OLD_NORM.get(last, last)}"] = value
    return renamed


def encoder_prefix(config: TokenModelConfig, stored: Mapping[str, Tensor]) -> str:
    """Return what stands before the encoder's names: nothing if it was stored alone."""
    prefix = PREFIXES[config.family]
    return prefix if any(name.startswith(prefix) for name in stored) else ""


def stored_heads(config: TokenModelConfig, stored: Mapping[str, Tensor]) -> Heads:
    """Return which heads a checkpoint has: those of which it has any part."""
    prefix = encoder_prefix(config, stored)
    language = _LANGUAGE[config.family]
    words = stored.get(f"{prefix}embeddings.word_embeddings.weight")
    decoder = stored.get(f"{language['decoder']}.weight")
    differs = decoder is not None and (
        words is None or decoder.shape != words.shape or not torch.equal(decoder, words)
    )
    return Heads(
        has_language=any(name.startswith(language["dense"]) for name in stored),
        has_own_decoder=differs,
        has_pooler=any(name.startswith(f"{prefix}pooler.") for name in stored),
        has_contacts=any(name.startswith(f"{prefix}contact_head.") for name in stored),
        classes={
            found[1]: len(value)
            for name, value in stored.items()
            if (found := _CLASSES.match(name)) and value.dim() == 2
        },
    )


def stored_frequencies(
    config: TokenModelConfig, stored: Mapping[str, Tensor]
) -> tuple[float, ...] | None:
    """Return the rotary frequencies that a checkpoint keeps; None if it keeps none.

    Raises:
        InputError: They are not one positive number for each pair of a head.
    """
    n_pairs, found = config.sizes.head_dim // 2, None
    for name in sorted(one for one in stored if _FREQUENCIES.search(one)):
        speeds: tuple[float, ...] = tuple(stored[name].float().flatten().tolist())
        if len(speeds) != n_pairs or not all(0 < one < math.inf for one in speeds):
            raise InputError(
                f"{name} holds {len(speeds)} numbers, and not {n_pairs} positive ones, one per "
                "pair of a head",
                fix="Copy the folder again.",
            )
        if found not in (None, speeds):
            raise InputError(
                f"{name} differs from those of the layers before it", fix="Copy the folder again."
            )
        found = speeds
    return found


def sources(config: TokenModelConfig, heads: Heads, prefix: str) -> Sources:
    """Return which stored weights make up each weight of the network."""
    found: Sources = {"words.weight": (f"{prefix}embeddings.word_embeddings.weight",)}
    if not config.is_rotary:
        found["positions.weight"] = (f"{prefix}embeddings.position_embeddings.weight",)
    if config.n_kinds:
        found["kinds.weight"] = (f"{prefix}embeddings.token_type_embeddings.weight",)
    pairs: list[tuple[str, str]] = []
    if config.has_embedding_norm:
        norm = "layer_norm" if config.family == "esm" else "LayerNorm"
        pairs.append(("embedding_norm", f"{prefix}embeddings.{norm}"))
    if config.sizes.is_pre_norm:
        pairs.append(("final_norm", f"{prefix}encoder.emb_layer_norm_after"))
    for number in range(config.sizes.depth):
        layer = f"{prefix}encoder.layer.{number}"
        for part in ("weight", "bias"):
            found[f"blocks.{number}.attention.query_key_value.{part}"] = tuple(
                f"{layer}.attention.self.{name}.{part}" for name in ("query", "key", "value")
            )
        for ours, theirs in _LAYERS[config.family].items():
            pairs.append((f"blocks.{number}.{ours}", f"{layer}.{theirs}"))
    language = _LANGUAGE[config.family]
    if heads.has_language:
        pairs += [(f"language.{name}", language[name]) for name in ("dense", "norm")]
        found["language.bias"] = (language["bias"],)
    if heads.has_own_decoder:
        found["language.decoder.weight"] = (f"{language['decoder']}.weight",)
    if heads.has_pooler:
        pairs.append(("pooler", f"{prefix}pooler.dense"))
    if heads.has_contacts:
        pairs.append(("contact", f"{prefix}contact_head.regression"))
    pairs += [(f"classes.{name}", f"cls.{name}") for name in heads.classes]
    for ours, theirs in pairs:
        for part in ("weight", "bias"):
            found[f"{ours}.{part}"] = (f"{theirs}.{part}",)
    return found


def _unused(config: TokenModelConfig, heads: Heads, prefix: str, name: str) -> bool:
    """Return whether a stored name is known to hold nothing that the network lacks."""
    language = _LANGUAGE[config.family]
    doubles = {f"{language['decoder']}.bias"}
    if not heads.has_own_decoder:
        doubles.add(f"{language['decoder']}.weight")
    if config.is_rotary:
        # ESM-2's checkpoints keep a table of positions that rotary models never read.
        doubles.add(f"{prefix}embeddings.position_embeddings.weight")
    return name in doubles or bool(_NO_WEIGHT.search(name) or _FREQUENCIES.search(name))


def token_network(
    config: TokenModelConfig, stored: Mapping[str, Tensor], *, dtype: torch.dtype = torch.float32
) -> TokenNetwork:
    """Return a network with stored weights, on the CPU, in evaluation mode.

    Args:
        config: What config.json says.
        stored: Weights by transformers' names.
        dtype: Precision of the weights, and so of all that is computed.

    Raises:
        InputError: A weight is missing, unknown, or of another shape than the configuration says;
            the message names it.
    """
    stored = normal_names(stored)
    prefix = encoder_prefix(config, stored)
    heads = stored_heads(config, stored)
    wanted = sources(config, heads, prefix)
    used = {name for names in wanted.values() for name in names}
    _check_names(
        missing=sorted(used - set(stored)),
        unknown=sorted(
            name for name in set(stored) - used if not _unused(config, heads, prefix, name)
        ),
    )
    _check_bias(stored, _LANGUAGE[config.family])
    with torch.device("meta"):
        network = TokenNetwork(config, heads, stored_frequencies(config, stored))
    shapes = {name: tuple(one.shape) for name, one in network.state_dict().items()}
    assert set(shapes) == set(wanted), "every weight of the network has its source"
    weights = {}
    for ours, theirs in wanted.items():
        parts = [stored[name] for name in theirs]
        _check_shape(shapes[ours], parts, theirs)
        joined = torch.cat(parts) if len(parts) > 1 else parts[0]
        weights[ours] = joined.to(dtype)
    network.load_state_dict(weights, assign=True)
    return network.eval()


def _check_names(*, missing: list[str], unknown: list[str]) -> None:
    for names, what in ((missing, "lacks"), (unknown, "has unknown")):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise InputError(
                f"the checkpoint {what} weights: {', '.join(names[:SHOWN])}{more}",
                fix="Check that config.json and the weights belong together, and that this is a "
                "plain encoder of its family.",
            )


def _check_bias(stored: Mapping[str, Tensor], language: Mapping[str, str]) -> None:
    """Check that the two names of the language head's bias hold the same."""
    first, second = stored.get(language["bias"]), stored.get(f"{language['decoder']}.bias")
    if first is not None and second is not None and not torch.equal(first, second):
        raise InputError(
            f"{language['bias']} and {language['decoder']}.bias differ, and are one weight",
            fix="Save the checkpoint again with transformers.",
        )


def _check_shape(shape: tuple[int, ...], parts: list[Tensor], names: tuple[str, ...]) -> None:
    expected = (shape[0] // len(parts), *shape[1:])
    for part, name in zip(parts, names, strict=True):
        if tuple(part.shape) != expected:
            raise InputError(
                f"{name} has shape {tuple(part.shape)}, and config.json says {expected}",
                fix="Check that config.json and the weights belong together.",
            )
