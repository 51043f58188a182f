"""Contacts from attention: symmetrised, corrected, and weighed by a logistic regression.

Rao et al. 2021, https://doi.org/10.1101/2020.12.15.422761, for the method; its weights come with
the ESM checkpoints.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def corrected(maps: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query key"]:
    """Return symmetrised maps less their average product.

    The correction takes from each pair what its two residues have with everybody (Dunn et al. 2008,
    https://doi.org/10.1093/bioinformatics/btm604).
    """
    both = maps + maps.transpose(-1, -2)
    rows = both.sum(-1, keepdim=True)
    columns = both.sum(-2, keepdim=True)
    return both - rows * columns / both.sum((-1, -2), keepdim=True)


class ContactHead(nn.Module):
    """ESM's regression from all attention maps to contacts.

    It is linear, so each layer's maps are weighed and forgotten before the next layer's are made:
    all maps of a 33-layer model together would take 2.8 GB for 1,022 residues.

    Args:
        depth: Number of blocks.
        heads: Attention heads per block.
    """

    def __init__(self, depth: int, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, depth * heads))
        self.bias = nn.Parameter(torch.zeros(1))
        self.heads = heads

    def contribution(
        self, layer: int, maps: Float[Tensor, "record head residue residue"]
    ) -> Float[Tensor, "record residue residue"]:
        """Return what one layer's maps, without special tokens, add to the logits."""
        weights = self.weight[0, layer * self.heads : (layer + 1) * self.heads].float()
        return torch.einsum("h,rhqk->rqk", weights, corrected(maps))
