"""The Gaussian process against gpytorch, and its own promises."""

import warnings

import numpy as np
import torch

from kagaku.data.records import TargetValues
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.readouts.gaussian_process import GaussianProcess, GaussianProcessConfig
from kagaku.science_tasks.readouts.gaussian_process_readout import (
    GaussianProcessReadout,
    dirichlet_targets,
)
from kagaku.science_tasks.readouts.marginal_likelihood import factorise, log_evidence

with warnings.catch_warnings():
    # linear_operator calls torch.jit.script, which newer torch deprecates.
    warnings.simplefilter("ignore")
    import gpytorch


def dense_block(n_rows: int, seed: int = 0, dim: int = 2) -> FeatureBlock:
    values = np.random.default_rng(seed).standard_normal((n_rows, dim)).astype(np.float32)
    return FeatureBlock("x:dense", values, "rbf", np.ones(n_rows, dtype=bool))


class Reference(gpytorch.models.ExactGP):  # type: ignore[misc]
    """The same process, term by term, in gpytorch."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, theta: np.ndarray) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood()
        likelihood.noise = float(np.exp(theta[3]))
        super().__init__(x, y, likelihood)
        self.mean_module = gpytorch.means.ZeroMean()
        rbf = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())
        linear = gpytorch.kernels.LinearKernel()
        rbf.outputscale = float(np.exp(theta[0]))
        # Distances are divided by sqrt(dim) = sqrt(2) here, so the lengthscale is longer there.
        rbf.base_kernel.lengthscale = float(np.exp(theta[2])) * np.sqrt(2)
        linear.variance = float(np.exp(theta[1])) / 2
        self.covar_module = rbf + linear
        self.double()

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def test_prediction_and_evidence_agree_with_gpytorch() -> None:
    block = dense_block(60)
    y = np.sin(2 * block.values[:, 0]) + 0.3 * block.values[:, 1]
    y = y + 0.3 * np.random.default_rng(5).standard_normal(60)
    process = GaussianProcess()
    process.fit([block], y[None].astype(np.float64), np.zeros((1, 60)), seed=0)
    x = torch.from_numpy(block.values).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Reference(x, torch.from_numpy(y).double(), process.hyperparameters)
        model.train()
        evidence = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
        expected = float(evidence(model(x), torch.from_numpy(y).double())) * 60
        model.eval()
        new = dense_block(20, seed=1)
        told = model.likelihood(model(torch.from_numpy(new.values).double()))
    mean, variance = process.predict([new])
    # gpytorch solves in float64 too; the tolerance is for its own jitter.
    np.testing.assert_allclose(mean[0], told.mean.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(variance[0], told.variance.detach().numpy(), rtol=1e-3, atol=1e-5)
    covariance = process._factor[0] @ process._factor[0].T
    found = float(log_evidence(covariance, torch.from_numpy(y).double()))
    assert abs(found - expected) < 1e-3 * abs(expected)


def test_the_closed_form_gradient_is_the_automatic_one() -> None:
    rng = np.random.default_rng(0)
    root = torch.from_numpy(rng.standard_normal((2, 8, 8)))
    matrix = root @ root.mT + 0.5 * torch.eye(8, dtype=torch.float64)
    targets = torch.from_numpy(rng.standard_normal((2, 8)))
    closed = matrix.clone().requires_grad_()
    log_evidence(closed, targets).backward()  # type: ignore[no-untyped-call]
    plain = matrix.clone().requires_grad_()
    density = torch.distributions.MultivariateNormal(torch.zeros(8).double(), plain)
    density.log_prob(targets).sum().backward()  # type: ignore[no-untyped-call]
    assert closed.grad is not None
    assert plain.grad is not None
    symmetric = (plain.grad + plain.grad.mT) / 2
    torch.testing.assert_close(closed.grad, symmetric, atol=1e-9, rtol=1e-7)


def test_dirichlet_targets_are_those_of_gpytorch() -> None:
    classes = np.array([0, 2, 1, 1, 0])
    likelihood = gpytorch.likelihoods.DirichletClassificationLikelihood(
        torch.from_numpy(classes), dtype=torch.float64
    )
    targets, noise = dirichlet_targets(classes, 3)
    np.testing.assert_allclose(targets, likelihood.transformed_targets.numpy())
    np.testing.assert_allclose(noise, likelihood.noise.detach().numpy())


def test_leave_one_out_is_what_refitting_without_the_row_gives() -> None:
    block = dense_block(30)
    y = block.values[:, :1].T.astype(np.float64)
    process = GaussianProcess()
    process.fit([block], y, np.full((1, 30), 0.1), seed=0)
    mean, variance = process.leave_one_out()
    other = GaussianProcess()
    other.components, other.hyperparameters = process.components, process.hyperparameters
    other.blocks = [block.subset(np.arange(1, 30))]
    other.condition(y[:, 1:], np.full((1, 29), 0.1))
    alone, spread = other.predict([block.subset([0])])
    np.testing.assert_allclose(mean[0, 0], alone[0, 0], rtol=1e-8)
    # The row's own known noise is part of its leave-one-out variance.
    np.testing.assert_allclose(variance[0, 0], spread[0, 0] + 0.1, rtol=1e-8)


def test_a_missing_input_is_as_uncertain_as_the_prior() -> None:
    block = dense_block(80)
    y = 2 * np.sin(2 * block.values[:, 0]).astype(np.float64)
    target = TargetValues(y, np.zeros(80, dtype=np.int64))
    readout = GaussianProcessReadout()
    readout.fit([block], target, "regression", 0, seed=0)
    seen = block.subset(np.arange(2))
    gone = FeatureBlock(seen.name, np.zeros_like(seen.values), "rbf", np.zeros(2, dtype=bool))
    known, unknown = readout.predict([seen]), readout.predict([gone])
    assert known.spread is not None
    assert unknown.spread is not None
    assert unknown.mean is not None
    assert (unknown.spread > 2 * known.spread).all()
    np.testing.assert_allclose(unknown.mean, y.mean())


def test_large_tables_are_fitted_on_a_subset_of_the_stated_size() -> None:
    block = dense_block(120)
    process = GaussianProcess(GaussianProcessConfig(hyperparameter_rows=30, rows=50, steps=5))
    process.fit([block], block.values[:, :1].T.astype(np.float64), np.zeros((1, 120)), seed=0)
    assert len(process.rows) == len(process.blocks[0].present) == 50


def test_duplicate_records_without_noise_do_not_break_the_factorisation() -> None:
    factor = factorise(torch.ones(5, 5, dtype=torch.float64))
    torch.testing.assert_close(
        factor @ factor.mT, torch.ones(5, 5, dtype=torch.float64), atol=1e-3, rtol=0
    )
