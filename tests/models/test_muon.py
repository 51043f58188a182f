"""Muon in float32 beside torch's own in bfloat16."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Muon

from kagaku.models import Encoder, EncoderConfig
from kagaku.models.pretraining.muon import Float32Muon, orthogonalised
from kagaku.models.pretraining.optimisers import OptimiserConfig, make_optimisers

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def trained(kind: type[Muon], shape: tuple[int, int], n_steps: int = 3) -> tuple[Tensor, Muon]:
    """Return a weight after some steps with gradients that depend on nothing, and its optimiser."""
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(*shape, generator=generator))
    rests = nn.Parameter(torch.ones(2, 2))
    optimiser = kind([weight, rests], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(n_steps):
        weight.grad = torch.randn(*shape, generator=generator)
        optimiser.step()  # type: ignore[no-untyped-call]
    assert torch.equal(rests, torch.ones(2, 2))  # it has no gradient
    return weight.detach(), optimiser


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (32, 32)])
def test_it_does_the_steps_of_torch_but_for_rounding(shape: tuple[int, int]) -> None:
    ours, mine = trained(Float32Muon, shape)
    theirs, other = trained(Muon, shape)
    start, _ = trained(Muon, shape, 0)
    assert (ours - theirs).norm() < 0.02 * (theirs - start).norm()
    for one, two in zip(mine.state.values(), other.state.values(), strict=True):
        assert one.keys() == two.keys()
        torch.testing.assert_close(one["momentum_buffer"], two["momentum_buffer"])


def test_it_goes_on_from_a_state_that_was_stored_as_json() -> None:
    weight, optimiser = trained(Float32Muon, (24, 40), 1)
    group = optimiser.param_groups[0]
    group["ns_coefficients"] = list(group["ns_coefficients"])  # what a tuple becomes there
    before = weight.clone()
    optimiser.step()  # type: ignore[no-untyped-call]
    assert not torch.equal(weight, before)


def test_only_a_run_in_float32_takes_it() -> None:
    network = Encoder(EncoderConfig(modalities=("molecule",)))
    for is_bfloat16, kind in ((True, Muon), (False, Float32Muon)):
        _, found = make_optimisers(network, OptimiserConfig(), is_bfloat16=is_bfloat16)
        assert type(found) is kind


@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = orthogonalised(matrix, COEFFICIENTS, 5, smallest=1e-7)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ found @ right.T
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-9, rtol=0.0)


def test_a_matrix_of_zeros_stays_one() -> None:
    zeros = torch.zeros(3, 4)
    assert torch.equal(orthogonalised(zeros, COEFFICIENTS, 5, smallest=1e-7), zeros)
