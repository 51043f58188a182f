"""The label chain against every sequence of labels, counted out."""

from itertools import pairwise, product

import pytest
import torch

from kagaku.models.chain import LabelChain


@pytest.fixture
def chain() -> LabelChain:
    torch.manual_seed(0)
    made = LabelChain(3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


@torch.no_grad()
def score(chain: LabelChain, scores: torch.Tensor, labels: tuple[int, ...]) -> float:
    """Return the score of one sequence of labels, term by term."""
    total = float(chain.first[labels[0]] + chain.last[labels[-1]])
    total += sum(float(scores[i, one]) for i, one in enumerate(labels))
    return total + sum(float(chain.follows[pair]) for pair in pairwise(labels))


LENGTHS = (4, 2, 1)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    scores = torch.randn(len(LENGTHS), max(LENGTHS), 3)
    there = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return scores, torch.randint(0, 3, there.shape), there


def test_the_loss_is_that_of_all_label_sequences_counted_out(chain: LabelChain) -> None:
    scores, labels, there = batch()
    chain.requires_grad_(requires_grad=False)
    wanted = 0.0
    for row, length in enumerate(LENGTHS):
        every = torch.tensor(
            [score(chain, scores[row], one) for one in product(range(3), repeat=length)]
        )
        own = score(chain, scores[row], tuple(labels[row, :length].tolist()))
        wanted += float(torch.logsumexp(every, 0)) - own
    loss = float(chain.loss(scores, labels, there))
    assert loss == pytest.approx(wanted / sum(LENGTHS), rel=1e-5)  # float32


def test_the_best_labels_are_the_best_of_all_sequences(chain: LabelChain) -> None:
    scores, _, there = batch()
    for row, (length, found) in enumerate(zip(LENGTHS, chain.best(scores, there), strict=True)):
        every = list(product(range(3), repeat=length))
        assert tuple(found) == max(every, key=lambda one: score(chain, scores[row], one))


def test_what_stands_where_no_token_is_changes_nothing(chain: LabelChain) -> None:
    scores, labels, there = batch()
    chain.requires_grad_(requires_grad=False)
    noisy = torch.where(there[:, :, None], scores, torch.full_like(scores, 50.0))
    other = torch.where(there, labels, torch.full_like(labels, 2))
    assert float(chain.loss(noisy, other, there)) == pytest.approx(
        float(chain.loss(scores, labels, there)), rel=1e-6
    )
    assert chain.best(noisy, there) == chain.best(scores, there)
