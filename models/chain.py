"""A linear chain over labels: what follows what, learnt with the scores of single tokens."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class LabelChain(nn.Module):
    """Scores whole sequences of labels, so that an impossible one cannot be the answer.

    A sequence scores the sum of its tokens' scores and of its transitions; its probability is what
    that makes among all sequences (a linear-chain conditional random field: Lafferty et al. 2001,
    https://dl.acm.org/doi/10.5555/645530.655813; on networks: Collobert et al. 2011,
    https://www.jmlr.org/papers/v12/collobert11a.html).

    Args:
        n_labels: How many labels there are.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(n_labels))
        self.last = nn.Parameter(torch.zeros(n_labels))
        self.follows = nn.Parameter(torch.zeros(n_labels, n_labels))

    def loss(
        self,
        scores: Float[Tensor, "sequence token label"],
        labels: Int[Tensor, "sequence token"],
        there: Bool[Tensor, "sequence token"],
    ) -> Float[Tensor, ""]:
        """Return the mean negative log probability of the labels, per token.

        Args:
            scores: Of each label at each token.
            labels: The right ones; anything where no token is.
            there: Where a token is; every sequence begins with one and has no gaps.
        """
        total = self._all(scores, there) - self._one(scores, labels, there)
        return total.sum() / there.sum()

    def _one(self, scores: Tensor, labels: Tensor, there: Tensor) -> Tensor:
        """Return the score of the given labels, (sequence,)."""
        labels = labels.masked_fill(~there, 0)
        own = scores.gather(2, labels[:, :, None])[:, :, 0]
        steps = self.follows[labels[:, :-1], labels[:, 1:]]
        end = labels.gather(1, (there.sum(1) - 1)[:, None])[:, 0]
        return (
            (own * there).sum(1)
            + (steps * there[:, 1:]).sum(1)
            + self.first[labels[:, 0]]
            + self.last[end]
        )

    def _all(self, scores: Tensor, there: Tensor) -> Tensor:
        """Return the log of the summed exponential scores of all label sequences, (sequence,)."""
        alpha = self.first + scores[:, 0]
        for step in range(1, scores.shape[1]):
            onward = torch.logsumexp(alpha[:, :, None] + self.follows, dim=1) + scores[:, step]
            alpha = torch.where(there[:, step, None], onward, alpha)
        return torch.logsumexp(alpha + self.last, dim=1)

    @torch.no_grad()
    def best(
        self,
        scores: Float[Tensor, "sequence token label"],
        there: Bool[Tensor, "sequence token"],
    ) -> list[list[int]]:
        """Return the likeliest labels of each sequence (Viterbi's algorithm)."""
        alpha = self.first + scores[:, 0]
        came_from = []
        for step in range(1, scores.shape[1]):
            reached, source = (alpha[:, :, None] + self.follows).max(dim=1)
            alpha = torch.where(there[:, step, None], reached + scores[:, step], alpha)
            came_from.append(source)
        label = (alpha + self.last).argmax(dim=1)
        back = [label]
        for step in range(len(came_from) - 1, -1, -1):
            # A sequence that is shorter keeps its last label until its own last token.
            earlier = came_from[step].gather(1, label[:, None])[:, 0]
            label = torch.where(there[:, step + 1], earlier, label)
            back.append(label)
        table = torch.stack(back[::-1], dim=1).tolist()
        return [row[:count] for row, count in zip(table, there.sum(1).tolist(), strict=True)]
