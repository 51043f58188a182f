"""The encoder: every modality's embedder in front of one shared backbone."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, PackedBatch
from kagaku.models.attention import segment_layout
from kagaku.models.backbone import Backbone, BackboneConfig

MAX_COLUMNS = 64
"""Most input columns a record may have; the column embedding is this long."""


FOUNDING_MODALITIES = ("climate", "image", "molecule", "protein", "quantity", "text")
"""What an encoder reads unless told otherwise. Random weights are drawn for these in one go, so a
further name here would change all of `untrained-tiny`; `extending.extended` adds others instead."""


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is made of."""

    name: str = "untrained-tiny"
    """What this encoder is called in reports; a weights name once it is pretrained."""

    modalities: tuple[str, ...] = FOUNDING_MODALITIES
    """Registered names of the modalities it can read."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """Sizes of the backbone."""

    is_pretrained: bool = False
    """Whether the weights have learnt anything yet."""

    untrained: tuple[str, ...] = ()
    """Modalities that a pretrained encoder can read, but has learnt nothing of."""

    def __post_init__(self) -> None:
        """Check that every modality is known."""
        for name in self.modalities:
            MODALITIES[name]

    def has_learnt(self, modality: str) -> bool:
        """Return whether the weights have learnt anything of a modality."""
        is_read = modality in self.modalities and modality not in self.untrained
        return self.is_pretrained and is_read

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a checkpoint's JSON part."""
        stored = asdict(self)
        if not self.untrained:
            del stored["untrained"]  # as encoders were stored before they could be extended
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "EncoderConfig":
        """Rebuild what `to_json` gave."""
        parts = dict(stored)
        parts["backbone"] = BackboneConfig(**parts["backbone"])
        parts["modalities"] = tuple(parts["modalities"])
        parts["untrained"] = tuple(parts.get("untrained", ()))
        return cls(**parts)


class Encoder(nn.Module):
    """Turns a packed batch of any mixture of modalities into contextual embeddings.

    Args:
        config: Modalities and sizes.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.backbone.dim
        self.embedders = nn.ModuleDict(
            {name: MODALITIES[name]().embedder(dim) for name in config.modalities}
        )
        # Tells two columns of one modality apart: a solvent from a ligand.
        self.column_embedding = nn.Embedding(MAX_COLUMNS, dim)
        nn.init.normal_(self.column_embedding.weight, std=0.02)
        self.backbone = Backbone(config.backbone)

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.config.backbone.dim

    @property
    def sizes(self) -> BackboneConfig:
        """Sizes of the stack of blocks."""
        return self.config.backbone

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.column_embedding.weight.device

    def embed_tokens(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return the embedding of each token before the backbone.

        Raises:
            InputError: The batch has a modality that this encoder was not built for.
        """
        weight = self.column_embedding.weight
        out = weight.new_zeros(batch.n_tokens, self.dim)
        for index, name in enumerate(batch.modalities):
            if name not in self.embedders:
                raise InputError(
                    f"the encoder {self.config.name!r} cannot read the modality {name!r}",
                    fix=f"It reads {sorted(self.embedders)}; choose another base or leave the "
                    "column out.",
                )
            embedded = self.embedders[name](batch.ids[name], batch.values[name].to(weight.dtype))
            out = out.index_put((batch.modality == index,), embedded.to(out.dtype))
        column: Tensor = self.column_embedding(batch.column)
        return out + column

    def forward(self, batch: PackedBatch) -> Float[Tensor, "token dim"]:
        """Return one contextual embedding per token, in stream order."""
        layout = segment_layout(batch.record_offsets, batch.prefix_lengths)
        out: Tensor = self.backbone(self.embed_tokens(batch), batch.position, layout)
        return out


def pool_columns(
    batch: PackedBatch, tokens: Float[Tensor, "token dim"], n_columns: int
) -> tuple[Float[Tensor, "record column dim"], Bool[Tensor, "record column"]]:
    """Return the mean embedding of each input of each record, and which inputs are there.

    Pooling by column first keeps a 20-token molecule audible beside a 500-residue protein.
    """
    cell = batch.record * n_columns + batch.column
    size = batch.n_records * n_columns
    totals = tokens.new_zeros(size, tokens.shape[1]).index_add(0, cell, tokens)
    counts = torch.bincount(cell, minlength=size).to(tokens.dtype)
    means = totals / counts.clamp(min=1).unsqueeze(1)
    shape = (batch.n_records, n_columns)
    return means.view(*shape, -1), (counts > 0).view(shape)


def pool_records(
    batch: PackedBatch, tokens: Float[Tensor, "token dim"], n_columns: int
) -> Float[Tensor, "record dim"]:
    """Return one embedding per record: the mean over its present inputs; 0 if it has none."""
    means, present = pool_columns(batch, tokens, n_columns)
    weights = present.to(tokens.dtype)
    return (means * weights.unsqueeze(2)).sum(1) / weights.sum(1).clamp(min=1).unsqueeze(1)
