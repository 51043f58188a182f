"""`kagaku scaling`: a ladder of small runs, the law of their losses, and a plan for larger ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from kagaku.data.corpora.manifest import Manifest
from kagaku.data.corpora.order import OrderConfig, source_shares
from kagaku.data.corpora.storage import load_manifest
from kagaku.errors import InputError
from kagaku.models.pretraining.scaling import RunEnds, fit_law
from kagaku.models.pretraining.scaling_fit import (
    Estimate,
    LawFit,
    compute_slope,
    fit_with_intervals,
)
from kagaku.models.pretraining.scaling_plan import (
    CorpusNeed,
    Hardware,
    Measured,
    Plan,
    Planned,
    Sizes,
    plan,
    sizes_of,
)
from kagaku.outputs import check_job_folder
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.pretraining.summaries import summary_widths
from kagaku.pretraining.verb import run_pretraining
from kagaku.scaling.figures import draw_scaling
from kagaku.scaling.ladder import TOTAL, Pretrain, RunEnd, run_ladder
from kagaku.scaling.recipe import COUNTS, ScalingRecipe, load_scaling_recipe, run_recipes
from kagaku.scaling.report import check_page, fill_page, show_results, write_results
from kagaku.scaling.results import LeftOut, Scaling
from kagaku.terminal import Terminal

MARK = "recipes"
"""A folder of a ladder is known by this folder in it, or is empty."""


@dataclass(frozen=True)
class Wishes:
    """What a call asks for beside the recipe; None where it does not say it."""

    corpus: Path | None = None
    """Folder of the corpus, in place of the pretraining recipe's."""

    output: Path | None = None
    """The ladder's folder, in place of the recipe's."""

    max_minutes: float | None = None
    """When this call stops; a later one goes on."""

    page: Path | None = None
    """A Markdown page whose marked part gets the tables."""


def run_scaling(
    recipe_file: Path,
    wishes: Wishes | None = None,
    *,
    pretrain: Pretrain | None = None,
    terminal: Terminal | None = None,
) -> Scaling | None:
    """Do a ladder as a recipe says, from where it stopped; fit, predict, plan and write.

    Args:
        recipe_file: The YAML file.
        wishes: What the call asks for beside it.
        pretrain: Does one run; None is `run_pretraining`.
        terminal: Where to show what happens; None shows nothing.

    Returns:
        What came out; None if the time was up before.

    Raises:
        InputError: A recipe, the corpus, the folder or a run in it are wrong, or do not belong
            together.
        KeyboardInterrupt: A signal asked to stop; the state of the run is saved.
    """
    wishes, shown = wishes or Wishes(), terminal or Terminal(quiet=True)
    recipe = load_scaling_recipe(recipe_file, {"output": wishes.output})
    recipes = run_recipes(recipe, wishes.corpus)
    larger = {name: load_pretrain_recipe(Path(path)) for name, path in recipe.plan.recipes.items()}
    if wishes.page is not None:
        check_page(wishes.page)
    folder = Path(recipe.output)
    check_job_folder(folder, mark=MARK, what="ladder")
    manifest = load_manifest(Path(next(iter(recipes.values())).corpus))
    sizes = {name: network_sizes(one, manifest) for name, one in recipes.items()}
    does = pretrain or partial(_pretrain, shown)
    ends = run_ladder(recipes, sizes, folder, does, shown, wishes.max_minutes)
    if ends is None:
        return None
    found = analyse(recipe, ends, shown)
    order = next(iter(recipes.values())).order
    found = found.with_plans(plans(recipe, found, larger, manifest, order))
    write_results(found, folder)
    draw_scaling(found, folder)
    if wishes.page is not None:
        fill_page(found, wishes.page)
    show_results(found, folder, shown)
    return found


def analyse(
    recipe: ScalingRecipe, ends: Mapping[str, RunEnd], terminal: Terminal | None = None
) -> Scaling:
    """Return the fits of finished runs, without plans.

    Args:
        recipe: The ladder.
        ends: By name, where its runs ended.
        terminal: Where to show progress.

    Raises:
        InputError: The runs are too few, or too alike, to be fitted.
    """
    runs = list(ends.values())
    seen = [ends[name] for name in recipe.seen()]
    fit = partial(
        fit_with_intervals,
        resamples=recipe.resamples,
        confidence=recipe.confidence,
        delta=recipe.huber_delta,
        seed=recipe.seed,
    )
    fits, errors, unfitted = {}, {}, {}
    names = sorted({name for one in runs for name in one.losses} - {TOTAL})
    names = [TOTAL, *names]
    with (terminal or Terminal(quiet=True)).progress("Fitting") as move:
        left_out = _left_out(recipe, ends[recipe.left_out], fit(run_ends(seen, recipe.parameters)))
        for place, name in enumerate(names):
            move(place, len(names) + 1, name)
            try:
                fits[name] = fit(run_ends(runs, recipe.parameters, name))
                errors[name] = _error(recipe, seen, ends[recipe.left_out], name)
            except InputError as error:
                if name == TOTAL:
                    raise
                unfitted[name] = error.what
        move(len(names), len(names) + 1, "the other count")
        (other,) = (one for one in COUNTS if one != recipe.parameters)
        other_fit = fit(run_ends(runs, other))
        slope = compute_slope(
            np.array([one.flops for one in runs]),
            np.array([one.losses[TOTAL] for one in runs]),
            resamples=recipe.resamples,
            confidence=recipe.confidence,
            seed=recipe.seed,
        )
    return Scaling(
        recipe, tuple(runs), left_out, fits, errors, unfitted, other, other_fit, slope, plans=()
    )


def run_ends(runs: Sequence[RunEnd], counted: str, loss: str = TOTAL) -> RunEnds:
    """Return the points of a fit.

    Args:
        runs: Finished runs.
        counted: Which parameters count.
        loss: Name of the loss.

    Raises:
        InputError: They are too few or too alike, or a run does not have the loss.
    """
    if missing := [one.name for one in runs if loss not in one.losses]:
        raise InputError(
            f"the run {missing[0]!r} has no held-out loss {loss!r}",
            fix="All runs of a ladder must be asked the same.",
        )

    def column(values: Sequence[float]) -> Float[ndarray, " run"]:
        return np.array(values, dtype=np.float64)

    return RunEnds(
        column([one.sizes.counted(counted) for one in runs]),
        column([float(one.tokens) for one in runs]),
        column([one.losses[loss] for one in runs]),
    )


def plans(
    recipe: ScalingRecipe,
    found: Scaling,
    larger: Mapping[str, PretrainRecipe],
    manifest: Manifest,
    order: OrderConfig,
) -> tuple[Plan, ...]:
    """Return what the larger recipes take.

    Args:
        recipe: The ladder.
        found: Its fits.
        larger: By name, the pretraining recipes.
        manifest: Of the ladder's corpus.
        order: Of the ladder's runs, which decides the mixture of sources.
    """
    given = recipe.plan
    hardware = Hardware(given.hardware.name, given.hardware.peak_tflops, given.hardware.share)
    need = CorpusNeed(
        bytes_per_token(manifest, order),
        sum(one.n_tokens for one in manifest.sources),
        given.epochs,
        given.shard_megabytes * 1_000_000,
    )
    measured = Measured(
        max(one.sizes.counted(recipe.parameters) for one in found.runs),
        float(max(one.tokens for one in found.runs)),
        max(one.flops for one in found.runs),
    )
    return tuple(
        plan(
            planned(name, one, network_sizes(one, manifest)),
            found.fits[TOTAL],
            recipe.parameters,
            measured,
            hardware,
            need,
        )
        for name, one in larger.items()
    )


def planned(name: str, recipe: PretrainRecipe, sizes: Sizes) -> Planned:
    """Return a larger recipe as the plan sees it."""
    return Planned(
        name=name,
        sizes=sizes,
        backbone=recipe.backbone,
        row_length=recipe.order.row_length,
        tokens_per_step=recipe.order.micro_batches * recipe.order.tokens_per_micro_batch,
        steps=recipe.training.max_steps,
        has_average=recipe.training.ema_decay is not None,
    )


def network_sizes(recipe: PretrainRecipe, manifest: Manifest) -> Sizes:
    """Return how many numbers the network of a recipe has on a corpus."""
    modalities = {name for one in manifest.sources for name in one.inputs.values()}
    return sizes_of(
        recipe.backbone,
        sorted(modalities),
        recipe.objectives,
        recipe.optimiser,
        0 if manifest.descriptors is None else len(manifest.descriptors.names),
        {
            name: width
            for name, width in summary_widths().items()
            if name in modalities and recipe.objectives.summarised.get(name)
        },
    )


def bytes_per_token(manifest: Manifest, order: OrderConfig) -> float:
    """Return the bytes of shards for each token of a mixture of sources.

    Args:
        manifest: Of the corpus; its tokens are uncropped.
        order: Decides each source's share.
    """
    shares = source_shares({one.name: one.n_tokens for one in manifest.sources}, order)
    return sum(
        shares[one.name] * sum(shard.n_bytes for shard in one.train) / one.n_tokens
        for one in manifest.sources
        if one.name in shares
    )


def _left_out(recipe: ScalingRecipe, run: RunEnd, fit: LawFit) -> LeftOut:
    """Return what a fit without a run says of it."""
    predicted = fit.predict(run.sizes.counted(recipe.parameters), float(run.tokens))
    measured = run.losses[TOTAL]
    error = Estimate(
        predicted.value / measured - 1, predicted.low / measured - 1, predicted.high / measured - 1
    )
    return LeftOut(run.name, measured, predicted, error, fit)


def _error(recipe: ScalingRecipe, seen: Sequence[RunEnd], run: RunEnd, loss: str) -> float:
    """Return the relative error of one loss of the run that is left out."""
    law = fit_law(run_ends(seen, recipe.parameters, loss), delta=recipe.huber_delta)
    return law.loss(run.sizes.counted(recipe.parameters), float(run.tokens)) / run.losses[loss] - 1


def _pretrain(terminal: Terminal, recipe: Path, output: Path, max_minutes: float | None) -> Path:
    return run_pretraining(recipe, output=output, max_minutes=max_minutes, terminal=terminal)
