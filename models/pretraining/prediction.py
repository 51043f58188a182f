"""The heads of pretraining: from an embedding to what was hidden, comes next, or belongs to it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, normalize


class TokenHead(nn.Module):
    """Scores every token of a vocabulary, by its likeness to the token's own embedding.

    Args:
        dim: Width of an embedding.
        vocabulary_sizes: By modality, how many tokens there are.
    """

    def __init__(self, dim: int, vocabulary_sizes: dict[str, int]) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.biases = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(size)) for name, size in vocabulary_sizes.items()}
        )

    def forward(
        self,
        embeddings: Float[Tensor, "token dim"],
        modality: str,
        table: Float[Tensor, "vocabulary dim"],
    ) -> Float[Tensor, "token vocabulary"]:
        """Return one logit per token of the vocabulary, in float32.

        Args:
            embeddings: Of the tokens that answer.
            modality: Whose vocabulary it is.
            table: The vectors by which the encoder embeds its tokens.
        """
        query = self.norm(gelu(self.dense(embeddings)))
        # Rows of the table have unit variance, so without this the first logits would have that
        # of `dim`, and the first loss would be far worse than that of a uniform guess.
        logits: Tensor = linear(query * table.shape[1] ** -0.5, table).float()
        biased: Tensor = logits + self.biases[modality]
        return biased


class ValueHead(nn.Module):
    """Reconstructs the reals of a hidden patch or number.

    Args:
        dim: Width of an embedding.
        n_answers: Reals per token.
    """

    def __init__(self, dim: int, n_answers: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, n_answers)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embeddings: Float[Tensor, "token dim"]) -> Float[Tensor, "token answer"]:
        """Return the standardised reals, in float32."""
        out: Tensor = self.linear(embeddings)
        return out.float()


class DescriptorHead(nn.Module):
    """Predicts the computed descriptors of a molecule from its pooled embedding.

    Args:
        dim: Width of an embedding.
        n_descriptors: How many there are.
    """

    def __init__(self, dim: int, n_descriptors: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(2 * dim, n_descriptors)

    def forward(self, pooled: Float[Tensor, "record dim"]) -> Float[Tensor, "record descriptor"]:
        """Return the standardised descriptors, in float32."""
        out: Tensor = self.out(gelu(self.hidden(self.norm(pooled))))
        return out.float()


class SummaryHead(nn.Module):
    """Predicts the summary of a value from its pooled embedding.

    Linear, unlike that of descriptors: what it learns to read, a linear readout can read as well.

    Args:
        dim: Width of an embedding.
        n_numbers: How many there are.
    """

    def __init__(self, dim: int, n_numbers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, n_numbers)

    def forward(self, pooled: Float[Tensor, "record dim"]) -> Float[Tensor, "record number"]:
        """Return the standardised numbers, in float32."""
        out: Tensor = self.linear(self.norm(pooled))
        return out.float()


class Projection(nn.Module):
    """Brings the pooled embedding of one modality where it is compared with the others'.

    Args:
        dim: Width of an embedding.
        projected: Width of what is compared.
    """

    def __init__(self, dim: int, projected: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, projected, bias=False)

    def forward(self, pooled: Float[Tensor, "record dim"]) -> Float[Tensor, "record projected"]:
        """Return vectors of length 1, in float32."""
        out: Tensor = self.linear(self.norm(pooled))
        return normalize(out.float(), dim=1)
