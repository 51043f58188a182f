"""The network that pretraining trains: the encoder, and a head for each thing that is asked."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kagaku.modalities import MODALITIES, PackedBatch, Tokens
from kagaku.modalities.sequence import VocabularyEmbedder
from kagaku.models.encoder import Encoder, pool_columns
from kagaku.models.pretraining.batch import DescriptorTargets, PairTargets, PretrainingBatch
from kagaku.models.pretraining.losses import (
    alignment_loss,
    descriptor_loss,
    reconstruction_loss,
)
from kagaku.models.pretraining.objectives import SMALLEST_TEMPERATURE, ObjectiveConfig
from kagaku.models.pretraining.prediction import (
    DescriptorHead,
    Projection,
    SummaryHead,
    TokenHead,
    ValueHead,
)

MASKED, GENERATED = "masked", "generated"
"""The two ways of asking for a token of a vocabulary."""

RECONSTRUCTED, RETAINED = "reconstructed", "retained"
"""The two ways of asking for reals: hidden ones, and such as are shown."""


class PretrainingNetwork(nn.Module):
    """Encoder and heads of all objectives.

    Args:
        encoder: What is pretrained; changed in place by training.
        config: Objectives.
        n_descriptors: How many descriptors molecules have; 0 for none.
        n_summaries: By modality, how many numbers the summary of a value has.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: ObjectiveConfig,
        n_descriptors: int,
        n_summaries: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.config, self.n_descriptors = encoder, config, n_descriptors
        self.n_summaries = dict(sorted((n_summaries or {}).items()))
        dim, names = encoder.dim, encoder.config.modalities
        sizes = {name: MODALITIES[name].vocabulary_size for name in names}
        self.vocabularies = {name: size for name, size in sizes.items() if size}
        self.token_heads = nn.ModuleDict(
            {objective: TokenHead(dim, self.vocabularies) for objective in (MASKED, GENERATED)}
        )
        self.value_heads = nn.ModuleDict(
            {name: ValueHead(dim, _n_answers(name)) for name in names if not sizes[name]}
        )
        self.projections = nn.ModuleDict(
            {name: Projection(dim, config.projected) for name in names}
        )
        self.descriptor_head = DescriptorHead(dim, n_descriptors) if n_descriptors else None
        self.summary_heads = nn.ModuleDict(
            {name: SummaryHead(dim, count) for name, count in self.n_summaries.items()}
        )
        # One number in a vector, since sharded training takes no scalar parameters.
        self.log_scale = nn.Parameter(torch.full((1,), -math.log(config.temperature)))
        # Tells a token that it is to foretell the next one; never added when embeddings are made.
        self.generating = nn.Parameter(0.02 * torch.randn(dim))
        self.is_shared = False
        """Whether processes share a step. Then every parameter takes part in every forward pass, if
        only with nothing to read, so that they agree on gradients whatever data each one has."""

    def forward(self, batch: PretrainingBatch) -> dict[str, Tensor]:
        """Return the mean loss of each objective that the batch has, by name.

        Names are ``"masked/protein"``, ``"generated/molecule"``, ``"reconstructed/climate"``,
        ``"retained/climate"``, ``"descriptors"``, ``"summaries/image"``,
        ``"aligned/molecule-text"`` and the like.
        Cross-entropies are in nats per token, reconstructions are mean squares of standardised
        values.
        """
        tokens = self.encode(batch)
        losses: dict[str, Tensor] = {}
        for objective, asked in ((MASKED, batch.masked), (GENERATED, batch.generated)):
            for name, wanted in asked.items():
                logits = self.token_logits(objective, name, tokens[wanted.token])
                losses[f"{objective}/{name}"] = cross_entropy(logits, wanted.label)
        # A state that still tells what was shown keeps the value's content, not only what helps to
        # guess at what is hidden beside it.
        for objective, given in ((RECONSTRUCTED, batch.reconstructed), (RETAINED, batch.retained)):
            for name, patches in given.items():
                found = self.value_heads[name](tokens[patches.token])
                loss = reconstruction_loss(found, patches.values, patches.weights)
                losses[f"{objective}/{name}"] = loss
        if batch.descriptors is not None and self.descriptor_head is not None:
            predicted = self.predict_descriptors(batch.packed, tokens, batch.descriptors)
            losses["descriptors"] = descriptor_loss(predicted, batch.descriptors.values)
        for name, one in batch.summaries.items():
            if name in self.summary_heads:
                found = self.predict_summaries(name, batch.packed, tokens, one)
                losses[f"summaries/{name}"] = descriptor_loss(found, one.values)
        if batch.pairs is not None:
            first, second = self.project_pairs(batch.packed, tokens, batch.pairs)
            name = "-".join(batch.pairs.modalities)
            losses[f"aligned/{name}"] = alignment_loss(first, second, self.log_scale.exp())
        if losses and self.is_shared:
            first_name = next(iter(losses))
            losses[first_name] = losses[first_name] + self._unasked(batch, tokens)
        return losses

    def total(self, losses: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Return the weighted sum of the losses that `forward` gave; 0 where there is none."""
        if not losses:
            touched = [parameter.sum() * 0.0 for parameter in self.parameters()]
            return torch.stack(touched).sum()
        return torch.stack([self.config.weight(name) * loss for name, loss in losses.items()]).sum()

    @torch.no_grad()
    def limit_temperature(self) -> None:
        """Keep the contrastive temperature from falling too low; called after each step.

        Cutting the weight itself, and not what is made of it, leaves it a gradient to come back by.
        """
        self.log_scale.clamp_(max=-math.log(SMALLEST_TEMPERATURE))

    def encode(self, batch: PretrainingBatch) -> Float[Tensor, "token dim"]:
        """Return the contextual embedding of each token, in stream order."""
        packed = batch.packed
        embedded = self.encoder.embed_tokens(packed)
        asked = _is_generated(packed).to(embedded.dtype).unsqueeze(1)
        embedded = embedded + asked * self.generating.to(embedded.dtype)
        tokens: Tensor = self.encoder.backbone(embedded, packed.position, batch.rows.layout())
        return tokens

    def token_logits(
        self, objective: str, modality: str, embeddings: Float[Tensor, "token dim"]
    ) -> Float[Tensor, "token vocabulary"]:
        """Return the logits of a vocabulary for each embedding.

        Args:
            objective: `MASKED` or `GENERATED`.
            modality: Whose vocabulary it is.
            embeddings: What the backbone made of the tokens that answer.
        """
        embedder = self.encoder.embedders[modality]
        assert isinstance(embedder, VocabularyEmbedder)
        logits: Tensor = self.token_heads[objective](embeddings, modality, embedder.vectors())
        return logits

    def predict_descriptors(
        self,
        packed: PackedBatch,
        tokens: Float[Tensor, "token dim"],
        asked: DescriptorTargets,
    ) -> Float[Tensor, "target descriptor"]:
        """Return the standardised descriptors of the molecules that are asked for theirs."""
        assert self.descriptor_head is not None
        predicted: Tensor = self.descriptor_head(_pooled(packed, tokens, asked))
        return predicted

    def predict_summaries(
        self,
        modality: str,
        packed: PackedBatch,
        tokens: Float[Tensor, "token dim"],
        asked: DescriptorTargets,
    ) -> Float[Tensor, "target number"]:
        """Return the standardised summaries of the values of a modality that are asked for them."""
        predicted: Tensor = self.summary_heads[modality](_pooled(packed, tokens, asked))
        return predicted

    def project_pairs(
        self, packed: PackedBatch, tokens: Float[Tensor, "token dim"], pairs: PairTargets
    ) -> tuple[Float[Tensor, "pair projected"], Float[Tensor, "pair projected"]]:
        """Return the two vectors of each pair, of length 1."""
        n_columns = int(packed.column.max()) + 1
        pooled, _ = pool_columns(packed, tokens.float(), n_columns)
        one, two = pairs.modalities
        # The records of a pair have one input each, in column 0.
        first: Tensor = self.projections[one](pooled[pairs.first, 0])
        second: Tensor = self.projections[two](pooled[pairs.second, 0])
        return first, second

    def _unasked(
        self, batch: PretrainingBatch, tokens: Float[Tensor, "token dim"]
    ) -> Float[Tensor, ""]:
        """Return 0, with a graph to all that the batch has nothing for."""
        nothing, packed, pairs = tokens[:0], batch.packed, batch.pairs
        made: list[Tensor] = [self.log_scale[:0]]
        for name, embedder in self.encoder.embedders.items():
            if name not in packed.modalities:
                none, device = no_tokens(name), packed.position.device
                ids, values = torch.from_numpy(none.ids), torch.from_numpy(none.values)
                made.append(embedder(ids.to(device), values.to(device)))
        for objective, asked in ((MASKED, batch.masked), (GENERATED, batch.generated)):
            made += [
                self.token_logits(objective, name, nothing)
                for name in self.vocabularies
                if name not in asked
            ]
        for name, head in self.value_heads.items():
            if name not in batch.reconstructed and name not in batch.retained:
                made.append(head(nothing))
        if batch.descriptors is None and self.descriptor_head is not None:
            made.append(self.descriptor_head(nothing))
        for name, head in self.summary_heads.items():
            if name not in batch.summaries:
                made.append(head(nothing))
        for name, projection in self.projections.items():
            if pairs is None or name not in pairs.modalities:
                made.append(projection(nothing.float()))
        return torch.stack([one.sum() for one in made]).sum()


def _pooled(
    packed: PackedBatch, tokens: Float[Tensor, "token dim"], asked: DescriptorTargets
) -> Float[Tensor, "target dim"]:
    """Return the pooled embeddings of the inputs that are asked for something."""
    n_columns = int(packed.column.max()) + 1
    pooled, _ = pool_columns(packed, tokens.float(), n_columns)
    return pooled[asked.record, asked.column]


def no_tokens(name: str) -> Tokens:
    """Return an empty list of tokens of a modality in its default settings."""
    modality = MODALITIES[name]()
    blank = torch.zeros(0)
    return Tokens(
        blank.new_zeros(0, modality.n_ids, dtype=torch.long).numpy(),
        blank.new_zeros(0, modality.n_values).numpy(),
        blank.new_zeros(0, 3).numpy(),
    )


def _n_answers(name: str) -> int:
    """Return how many reals a modality asks of a hidden token."""
    answers, _ = MODALITIES[name]().answers(no_tokens(name))
    return int(answers.shape[1])


def _is_generated(packed: PackedBatch) -> Tensor:
    """Return which tokens stand after their record's prefix, bool (token,)."""
    offsets, prefix = packed.record_offsets, packed.prefix_lengths
    assert prefix is not None
    lengths = offsets.diff()
    first = torch.repeat_interleave(offsets[:-1] + prefix, lengths, output_size=packed.n_tokens)
    return torch.arange(packed.n_tokens, device=offsets.device) >= first
