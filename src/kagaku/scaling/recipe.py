"""Scaling recipes: a ladder of small pretraining runs, and the larger ones to plan from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kagaku.errors import InputError
from kagaku.models import BackboneConfig
from kagaku.models.pretraining.scaling import HUBER_DELTA, shortage
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.pretraining.sections import Section, build, read_sections
from kagaku.registry import did_you_mean

COUNTS = ("backbone", "encoder")

MIN_SIZES = 5
"""Fewest different sizes of a ladder, the run that is left out included."""


@dataclass(frozen=True)
class LadderRun:
    """One run of the ladder."""

    dim: int
    """Width of the backbone."""

    depth: int
    """Its blocks."""

    heads: int
    """Its attention heads."""

    hidden: int
    """Width inside its feed-forward parts."""

    steps: int
    """Steps of the run; the learning rate falls towards the last one."""

    learning_rate: float | None = None
    """In place of the pretraining recipe's."""

    muon_learning_rate: float | None = None
    """In place of the pretraining recipe's."""

    def __post_init__(self) -> None:
        """Check the steps; the sizes are checked by the backbone's own rules."""
        if not 1 <= self.steps <= 10**9:
            raise InputError(
                f"steps must lie between 1 and 10^9, got {self.steps}", fix="Correct it."
            )
        self.backbone()

    def backbone(self) -> BackboneConfig:
        """Return the sizes of the backbone.

        Raises:
            InputError: They do not go together.
        """
        return BackboneConfig(self.dim, self.depth, self.heads, self.hidden)


@dataclass(frozen=True)
class HardwareConfig:
    """What the larger runs are planned for; assumptions, which nothing here measures."""

    name: str
    """What reports call one device."""

    peak_tflops: float
    """Matrix products of one device at best, in 10^12 floating-point operations per second."""

    share: float
    """Share of it that training is assumed to reach."""

    def __post_init__(self) -> None:
        """Check that the figures can be."""
        if not 0 < self.peak_tflops < 1e9:
            raise InputError(
                f"peak_tflops must be positive, got {self.peak_tflops:g}",
                fix="Give 10^12 operations per second of one device.",
            )
        if not 0 < self.share <= 1:
            raise InputError(
                f"share must lie above 0 and at most at 1, got {self.share:g}",
                fix="Give the share of the peak, such as 0.4.",
            )


@dataclass(frozen=True)
class PlanConfig:
    """The larger runs."""

    recipes: dict[str, str]
    """By name, a pretraining recipe; paths start from the scaling recipe's folder."""

    hardware: HardwareConfig
    """What they shall run on."""

    # Up to 4 epochs cost little against fresh tokens: Muennighoff et al. 2023,
    # https://arxiv.org/abs/2305.16264.
    epochs: float = 4.0
    """How often a planned run may see each token."""

    shard_megabytes: int = 64
    """About how large a shard is, in 10^6 bytes."""

    def __post_init__(self) -> None:
        """Check that the figures can be."""
        if not 1 <= self.epochs <= 1_000:
            raise InputError(
                f"epochs must lie between 1 and 1,000, got {self.epochs:g}", fix="Correct it."
            )
        if not 1 <= self.shard_megabytes <= 100_000:
            raise InputError(
                f"shard_megabytes must lie between 1 and 100,000, got {self.shard_megabytes}",
                fix="Correct it.",
            )


@dataclass(frozen=True)
class ScalingRecipe:
    """Everything that decides a ladder and its plan."""

    name: str
    """What reports call the ladder."""

    pretrain: str
    """The pretraining recipe from which all runs take what is not said here; relative to this
    recipe's folder."""

    output: str
    """The folder to write; relative to this recipe's folder."""

    left_out: str
    """The run that a fit predicts which sees no run of its size; one of the largest."""

    runs: dict[str, LadderRun]
    """By name, which is also the run's folder."""

    plan: PlanConfig
    """What is planned from the fit."""

    parameters: str = "backbone"
    """Which parameters the law counts: ``"backbone"``, without embeddings, or ``"encoder"``, with
    them. The other count is fitted as well and reported beside it."""

    warmup_share: float = 0.1
    """Share of each run's steps over which its learning rate rises."""

    resamples: int = 200
    """Fits to randomly weighted runs, for the intervals."""

    confidence: float = 0.9
    """How often an interval shall hold the truth."""

    huber_delta: float = HUBER_DELTA
    """Relative error at which the Huber loss of the fit bends."""

    seed: int = 0
    """Fixes the intervals; the runs have the pretraining recipe's."""

    def __post_init__(self) -> None:
        """Check what the sections do not check themselves."""
        if self.parameters not in COUNTS:
            raise InputError(
                f"parameters cannot be {self.parameters!r}",
                fix=did_you_mean(self.parameters, COUNTS),
            )
        for name, (low, high) in {
            "warmup_share": (0.0, 0.9),
            "resamples": (10, 100_000),
            "confidence": (0.5, 0.99),
            "huber_delta": (1e-6, 10.0),
            "seed": (0, 2**32 - 1),
        }.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"{name} must lie between {low:g} and {high:g}, got {getattr(self, name):g}",
                    fix="Choose a value in that range.",
                )
        self._check_runs()

    def _check_runs(self) -> None:
        for name in self.runs:
            if not name.replace("-", "").replace("_", "").isalnum():
                raise InputError(
                    f"runs cannot have the name {name!r}, which is also a folder's",
                    fix="Use letters, digits, '-' and '_'.",
                )
        if self.left_out not in self.runs:
            raise InputError(
                f"left_out names {self.left_out!r}, which is no run of the ladder",
                fix=did_you_mean(self.left_out, self.runs),
            )
        n_sizes = len({one.backbone() for one in self.runs.values()})
        if n_sizes < MIN_SIZES:
            raise InputError(
                f"the runs of the ladder have {n_sizes} sizes, and it takes at least {MIN_SIZES}",
                fix="Add runs of other sizes.",
            )
        fitted = [self.runs[name] for name in self.seen()]
        sizes = {one.backbone(): float(place) for place, one in enumerate(fitted)}
        problem = shortage(
            [sizes[one.backbone()] for one in fitted], [float(one.steps) for one in fitted]
        )
        if problem:
            raise InputError(
                f"without the size left out, {problem}",
                fix="Add runs of other sizes and lengths to the recipe.",
            )

    def seen(self) -> tuple[str, ...]:
        """Return the names of the runs that the fit for `left_out` sees: those of other sizes."""
        size = self.runs[self.left_out].backbone()
        return tuple(name for name, one in self.runs.items() if one.backbone() != size)


def load_scaling_recipe(path: Path, changes: Mapping[str, Any] | None = None) -> ScalingRecipe:
    """Return the recipe in a file; paths in it start from its folder.

    Args:
        path: The YAML file.
        changes: What the command line says: ``output``; None where it does not say it.

    Raises:
        InputError: The file is missing or no YAML, or a key or value in it is wrong.
    """
    section = read_sections(path)
    values, places = dict(section.values), dict(section.places)
    for name in ("pretrain", "output"):
        if isinstance(values.get(name), str):
            values[name] = str(path.parent / Path(values[name]).expanduser())
    for name, value in (changes or {}).items():
        if value is not None:
            values[name], places[name] = str(value), f"--{name}"
    recipe = build(ScalingRecipe, Section(str(path), values, places))
    recipes = {
        name: str(path.parent / Path(one).expanduser()) for name, one in recipe.plan.recipes.items()
    }
    return replace(recipe, plan=replace(recipe.plan, recipes=recipes))


def run_recipes(recipe: ScalingRecipe, corpus: Path | None) -> dict[str, PretrainRecipe]:
    """Return the pretraining recipe of each run of the ladder, by name.

    Args:
        recipe: The ladder.
        corpus: Folder of the corpus, in place of the pretraining recipe's.

    Raises:
        InputError: The pretraining recipe is missing or wrong.
    """
    base = load_pretrain_recipe(Path(recipe.pretrain), {"corpus": corpus})
    return {name: _run_recipe(recipe, base, name) for name in recipe.runs}


def _run_recipe(recipe: ScalingRecipe, base: PretrainRecipe, name: str) -> PretrainRecipe:
    run = recipe.runs[name]
    optimiser = replace(
        base.optimiser,
        warmup_steps=round(recipe.warmup_share * run.steps),
        learning_rate=run.learning_rate or base.optimiser.learning_rate,
        muon_learning_rate=run.muon_learning_rate or base.optimiser.muon_learning_rate,
    )
    return replace(
        base,
        name=f"{recipe.name}-{name}",
        output=str(Path(recipe.output) / "runs" / name),
        backbone=run.backbone(),
        optimiser=optimiser,
        # One device for each run: a ladder compares losses, and its runs are small.
        training=replace(
            base.training,
            max_steps=run.steps,
            max_minutes=None,
            devices=1,
            nodes=1,
            strategy="auto",
        ),
    )
