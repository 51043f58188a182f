"""The scaling law on synthetic losses: constants, intervals, doubts, and the plan's arithmetic."""

import numpy as np
import pytest
from torch.optim import Muon

from kagaku.errors import InputError
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import OptimiserConfig, make_optimisers
from kagaku.models.pretraining.scaling import LawSearch, RunEnds, ScalingLaw, fit_law
from kagaku.models.pretraining.scaling_fit import (
    Estimate,
    Exponent,
    LawFit,
    _weights,
    compute_slope,
    fit_with_intervals,
    frontier,
)
from kagaku.models.pretraining.scaling_plan import (
    CorpusNeed,
    Hardware,
    Measured,
    Planned,
    Sizes,
    plan,
    planned_tokens,
    sizes_of,
)

LAW = ScalingLaw(irreducible=1.2, a=30.0, alpha=0.28, b=200.0, beta=0.32)
SIZES, LENGTHS = (2.7e4, 1.1e5, 3.3e5, 8e5, 2.2e6), (2.5e6, 6.5e6, 1.6e7)
LARGEST = (4.8e6, 1.6e7)
"""Parameters and tokens of a run that no fit here sees."""


def ladder(
    law: ScalingLaw = LAW,
    noise: float = 0.0,
    seed: int = 0,
    sizes: tuple[float, ...] = SIZES,
    lengths: tuple[float, ...] = LENGTHS,
) -> RunEnds:
    """Return runs of every size and length whose losses follow a law, but for some noise."""
    size, length = (one.ravel() for one in np.meshgrid(sizes, lengths))
    factors = np.exp(noise * np.random.default_rng(seed).normal(size=len(size)))
    return RunEnds(size, length, law.losses(size, length) * factors)


def made_up_fit(*draws: ScalingLaw) -> LawFit:
    """Return a fit without scatter that is certain but for the given draws."""
    return LawFit(ladder(), LAW, draws or (LAW, LAW), np.zeros(max(len(draws), 2)), 0.9)


@pytest.mark.parametrize(
    "law",
    [
        LAW,
        ScalingLaw(irreducible=0.5, a=400.0, alpha=0.5, b=20.0, beta=0.15),
        # As in the paper: E = 1.69, A = 406.4, B = 410.7, alpha = .34, beta = .28.
        ScalingLaw(irreducible=1.69, a=406.4, alpha=0.34, b=410.7, beta=0.28),
    ],
)
def test_losses_without_noise_give_back_every_constant(law: ScalingLaw) -> None:
    found = fit_law(ladder(law))
    # L-BFGS stops when steps change the objective by less than its tolerance.
    assert found.irreducible == pytest.approx(law.irreducible, rel=1e-3)
    assert found.alpha == pytest.approx(law.alpha, rel=1e-3)
    assert found.beta == pytest.approx(law.beta, rel=1e-3)
    assert found.a == pytest.approx(law.a, rel=1e-2)
    assert found.b == pytest.approx(law.b, rel=1e-2)


def test_noise_moves_exponents_little_and_one_bad_run_hardly_more() -> None:
    runs = ladder(noise=0.003, seed=1)
    found = fit_law(runs)
    assert found.alpha == pytest.approx(LAW.alpha, abs=0.06)
    assert found.beta == pytest.approx(LAW.beta, abs=0.06)
    losses = runs.losses.copy()
    losses[7] *= 1.3
    spoilt = fit_law(RunEnds(runs.parameters, runs.tokens, losses))
    # Least squares would move by far more; Huber's loss lets one run go.
    assert spoilt.loss(*LARGEST) == pytest.approx(found.loss(*LARGEST), rel=0.02)


def test_the_gradient_is_that_of_the_objective() -> None:
    search = LawSearch(ladder(noise=0.01), 1e-3)
    weights = np.linspace(0.5, 1.5, 15)
    at = np.array([0.1, 0.4, 0.3, 0.2, 0.4])
    gradient = search.objective(at, weights, 0.01)[1]
    for place in range(5):
        step = np.zeros(5)
        step[place] = 1e-7
        rise = search.objective(at + step, weights, 0.01)[0]
        fall = search.objective(at - step, weights, 0.01)[0]
        assert gradient[place] == pytest.approx((rise - fall) / 2e-7, rel=1e-4)


def test_a_run_left_out_is_predicted_and_intervals_hold_the_truth() -> None:
    rounds, noise = 8, 0.005
    hits = {"loss": 0, "alpha": 0, "beta": 0}
    for seed in range(rounds):
        fit = fit_with_intervals(ladder(noise=noise, seed=seed), resamples=24, seed=seed)
        predicted = fit.predict(*LARGEST)
        assert predicted.value == pytest.approx(LAW.loss(*LARGEST), rel=0.04)
        assert predicted.spread < 1.2
        hits["loss"] += predicted.holds(LAW.loss(*LARGEST))
        hits["alpha"] += fit.estimate(Exponent("alpha")).holds(LAW.alpha)
        hits["beta"] += fit.estimate(Exponent("beta")).holds(LAW.beta)
    # Of 90% intervals; 5 or fewer of 8 are seen once in 26 times, and this seed is fixed.
    assert min(hits.values()) >= 6, hits


def test_the_same_seed_gives_the_same_intervals_and_another_does_not() -> None:
    runs = ladder(noise=0.01)
    first, second, other = (
        fit_with_intervals(runs, resamples=10, seed=seed).predict(*LARGEST) for seed in (3, 3, 4)
    )
    assert first == second
    assert other != first


def test_losses_that_do_not_change_with_tokens_leave_beta_unidentified() -> None:
    flat = ScalingLaw(irreducible=1.0, a=30.0, alpha=0.3, b=1e-9, beta=0.3)
    fit = fit_with_intervals(ladder(flat, noise=0.004), resamples=10)
    doubts = [one for one in fit.doubts() if "beta is not identified" in one]
    assert doubts
    assert "the loss changes with tokens by" in doubts[0]
    tokens, rule = planned_tokens(fit, 1e6)
    assert tokens == 2e7
    assert rule.startswith(
        "20 tokens per parameter, a rule of Hoffmann et al. 2022, since the loss"
    )


def test_an_exponent_on_its_bound_and_a_wide_one_are_told() -> None:
    steep = ScalingLaw(1.2, 1e4, 2.0, 200.0, 0.32)
    size = LawFit(
        ladder(steep, sizes=(2.0, 4.0, 8.0, 16.0, 32.0)), steep, (steep, steep), np.zeros(2), 0.9
    )
    assert any("alpha lies on its upper bound 2" in one for one in size.doubts())
    wide = made_up_fit(
        ScalingLaw(1.2, 30.0, 0.1, 200.0, 0.32), ScalingLaw(1.2, 30.0, 0.7, 200.0, 0.32)
    )
    assert any("alpha is only known to lie between 0.1" in one for one in wide.doubts())


def test_an_irreducible_loss_that_may_be_nothing_is_told() -> None:
    nothing = ScalingLaw(1e-6, 30.0, 0.28, 200.0, 0.32)
    fit = made_up_fit(nothing, nothing)
    assert any("E is not told from 0" in one for one in fit.doubts())
    assert not made_up_fit().doubts()


def test_few_runs_beyond_the_constants_are_told() -> None:
    whole = ladder()
    few = [0, 4, 6, 8, 10, 14]
    runs = RunEnds(whole.parameters[few], whole.tokens[few], whole.losses[few])
    fit = fit_with_intervals(runs, resamples=10)
    assert any("only 1 runs more than constants" in one for one in fit.doubts())
    assert any("the intervals are too narrow" in one for one in fit.doubts())


@pytest.mark.parametrize(
    ("sizes", "lengths", "told"),
    [
        ((1e4, 1e5), (1e6, 1e7), "4 runs are too few to fit 5 constants, which takes at least 6"),
        ((1e4, 1e5), (1e6, 3e6, 1e7), "2 different sizes cannot tell"),
        ((1e4, 1e5, 1e6), (1e6, 1e7), "2 different lengths cannot tell"),
    ],
)
def test_too_few_runs_are_refused(
    sizes: tuple[float, ...], lengths: tuple[float, ...], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        ladder(sizes=sizes, lengths=lengths)
    assert caught.value.fix == "Add runs of other sizes and lengths to the ladder."


def test_a_loss_that_is_not_positive_is_refused() -> None:
    runs = ladder()
    losses = runs.losses.copy()
    losses[3] = float("nan")
    with pytest.raises(InputError, match="only be fitted to positive losses"):
        RunEnds(runs.parameters, runs.tokens, losses)


def test_the_best_tokens_are_those_of_the_lowest_loss_for_the_same_computing() -> None:
    parameters = 1e6
    best = LAW.optimal_tokens(parameters)
    lowest = LAW.loss(parameters, best)
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert LAW.loss(parameters * factor, best / factor) > lowest
    # Ten times the computing, shared by the exponents, is the best again.
    grown = 10**LAW.size_exponent
    assert LAW.optimal_tokens(parameters * grown) == pytest.approx(best * 10 / grown)


def test_the_frontier_leaves_out_what_something_cheaper_beats() -> None:
    compute, losses = np.array([1.0, 10.0, 20.0, 100.0]), np.array([4.0, 2.0, 3.0, 1.0])
    assert frontier(compute, losses) == [0, 1, 3]
    assert compute_slope(compute, losses) is None  # three on the frontier
    exact = np.geomspace(1e12, 1e15, 6)
    slope = compute_slope(exact, 7.0 * exact**-0.05)
    assert slope is not None
    assert slope.value == pytest.approx(0.05)
    assert slope.high - slope.low < 1e-6
    noisy = 7.0 * exact**-0.05 * np.exp(0.005 * np.random.default_rng(0).normal(size=6))
    slope = compute_slope(exact, noisy)
    assert slope is not None
    assert slope.holds(0.05)
    assert slope.low < slope.value < slope.high


def test_the_sizes_are_those_of_the_network() -> None:
    backbone, objectives = BackboneConfig(32, 2, 2, 64), ObjectiveConfig()
    found = sizes_of(backbone, ["molecule"], objectives, OptimiserConfig(), 3, {})
    encoder = Encoder(EncoderConfig(backbone=backbone))
    network = PretrainingNetwork(encoder, objectives, 3)
    (muon,) = (one for one in make_optimisers(network, OptimiserConfig()) if isinstance(one, Muon))
    by_muon = sum(one.numel() for group in muon.param_groups for one in group["params"])
    matrices = 2 * (4 * 32**2 + 3 * 32 * 64)
    assert found.matrices == matrices == by_muon
    assert found.backbone == sum(one.numel() for one in encoder.backbone.parameters())
    assert found.encoder == sum(one.numel() for one in encoder.parameters())
    assert found.network == sum(one.numel() for one in network.parameters())
    assert sizes_of(backbone, [], objectives, OptimiserConfig(name="adamw"), 3, {}).matrices == 0


def test_the_plan_is_what_a_hand_works_out() -> None:
    # E + A / N^.5 + B / D with A = 10, B = 100 at N = 100: .5 * 10 / 10 = 100 / D, so D = 200.
    law = ScalingLaw(1.0, 10.0, 0.5, 100.0, 1.0)
    fit = LawFit(
        ladder(law, sizes=(10.0, 40.0, 90.0), lengths=(50.0, 100.0, 150.0)),
        law,
        (law, law),
        np.zeros(2),
        0.9,
    )
    run = Planned(
        name="larger",
        sizes=Sizes(backbone=100, encoder=150, network=180, matrices=80),
        backbone=BackboneConfig(dim=4, depth=1, heads=1, hidden=2),
        row_length=8,
        tokens_per_step=64,
        steps=10,
        has_average=True,
    )
    hardware = Hardware("made up", peak_tflops=1e-9, share=0.5)
    need = CorpusNeed(bytes_per_token=5.0, n_tokens=9, epochs=2.0, shard_bytes=300)
    found = plan(run, fit, "backbone", Measured(90.0, 15.0, 1e9), hardware, need)
    assert found.tokens == pytest.approx(200)
    assert found.tokens_rule == "the fit: 2e+02 to 2e+02 tokens"
    assert found.steps == 4  # 200 / 64, rounded up
    assert found.recipe_tokens == 640
    # 6 (4 * 16 + 3 * 8 weights, and 2 * 4 * 8 for attention) for each of 200 tokens.
    assert found.flops == pytest.approx(6 * (88 + 64) * 200)
    assert found.device_hours == pytest.approx(182_400 / 500 / 3600)
    assert found.corpus_tokens == pytest.approx(100)
    assert found.corpus_bytes == pytest.approx(500)
    assert found.shards == 2
    # Weights and their average; one number for 80 matrices' weights and two for 100 others.
    assert found.checkpoint_bytes == 4 * (180 + 180 + 80 + 200)
    assert found.loss.value == pytest.approx(1 + 1 + 0.5)
    assert found.recipe_loss.value == pytest.approx(1 + 1 + 100 / 640)
    assert [one.split(" are ")[0] for one in found.warnings] == [
        "2e+02 tokens",
        "1e+02 tokens of corpus",
    ]
    near = Measured(90.0, 20.0, 1e9)
    enough = CorpusNeed(bytes_per_token=5.0, n_tokens=10, epochs=2.0, shard_bytes=300)
    assert not plan(run, fit, "backbone", near, hardware, enough).warnings


def test_a_fit_that_leaves_the_tokens_open_gives_way_to_the_rule() -> None:
    fit = made_up_fit(
        ScalingLaw(1.2, 30.0, 0.2, 200.0, 0.32), ScalingLaw(1.2, 30.0, 0.4, 200.0, 0.32)
    )
    tokens, rule = planned_tokens(fit, 1e9)
    assert tokens == 2e10
    assert "since the fit only says" in rule
    certain, rule = planned_tokens(made_up_fit(), 1e9)
    assert certain == pytest.approx(LAW.optimal_tokens(1e9))
    assert rule.startswith("the fit: ")


@pytest.mark.parametrize(("n_runs", "widening"), [(15, 1.5), (18, 1.35), (8, 2.0)])
def test_random_weights_vary_as_much_as_they_are_asked_to(n_runs: int, widening: float) -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([_weights(n_runs, widening, rng) for _ in range(20_000)])
    assert drawn.mean() == pytest.approx(1.0, abs=1e-3)
    assert drawn.var() == pytest.approx(widening**2, rel=0.03)


def test_an_interval_knows_what_it_holds() -> None:
    assert Estimate(2.0, 1.0, 4.0).spread == 4
    assert Estimate(0.0, 0.0, 1.0).spread == float("inf")
    assert Estimate(2.0, 1.0, 4.0).holds(1.0)
    assert not Estimate(2.0, 1.0, 4.0).holds(4.1)
