"""Pretraining recipes: what a YAML file says about one run."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kagaku.bases import SHIPPED
from kagaku.data.corpora.order import OrderConfig
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.models import BackboneConfig
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import OptimiserConfig
from kagaku.models.pretraining.settings import TrainingConfig
from kagaku.pretraining.sections import Section, build, read_sections

DECIDING = ("max_steps", "precision", "spike_factor", "ema_decay")
"""Settings of the training that a run may not change on its way; the others may."""


@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides how a pretraining goes."""

    name: str
    """What the weights are called in reports."""

    corpus: str
    """Folder of the corpus; in a recipe, relative to the recipe's folder."""

    output: str
    """The run folder to write; in a recipe, relative to the recipe's folder."""

    start: str | None = None
    """Weights to go on from: a shipped name, or the folder of a run or a release, in a recipe
    relative to the recipe's folder. None starts from random ones."""

    seed: int = 0
    """Fixes the first weights, the order of samples, and what is hidden."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """Sizes of the network."""

    order: OrderConfig = field(default_factory=OrderConfig)
    """Rows, micro-batches, and shares of the sources."""

    objectives: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is asked of the network."""

    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How weights are changed."""

    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How long, how exactly and where."""

    def __post_init__(self) -> None:
        """Check what the sections do not check themselves."""
        for name in ("name", "corpus", "output"):
            if not getattr(self, name).strip():
                raise InputError(f"{name} is empty", fix="Fill it in.")
        if not 0 <= self.seed < 2**32:
            raise InputError(
                f"seed must lie between 0 and {2**32 - 1:,}, got {self.seed}", fix="Correct it."
            )
        object.__setattr__(self, "order", replace(self.order, seed=self.seed))

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide the run, as JSON values.

        The corpus has its own, and so have the weights to start from.
        """
        stored = asdict(self)
        for name in ("name", "corpus", "output", "start"):
            del stored[name]
        stored["training"] = {name: stored["training"][name] for name in DECIDING}
        if stored["optimiser"]["table_learning_rate"] is None:
            del stored["optimiser"]["table_learning_rate"]  # as runs were begun before it was there
        return stored


def load_pretrain_recipe(path: Path, changes: Mapping[str, Any] | None = None) -> PretrainRecipe:
    """Return the recipe in a file; paths in it start from its folder.

    Args:
        path: The YAML file.
        changes: What the command line says: ``corpus`` and ``output``, ``max_steps`` and
            ``max_minutes``; None where it does not say it.

    Raises:
        InputError: The file is missing or no YAML, or a key or value in it is wrong. Names the
            line.
    """
    section = read_sections(path)
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    values, places = dict(section.values), dict(section.places)
    for name in ("corpus", "output"):
        if isinstance(values.get(name), str):
            values[name] = str(path.parent / Path(values[name]).expanduser())
        if name in given:
            values[name], places[name] = str(given[name]), f"--{name}"
    start = values.get("start")
    if isinstance(start, str) and start not in SHIPPED:
        values["start"] = str(path.parent / Path(start).expanduser())
    order = values.get("order")
    if isinstance(order, Section) and "seed" in order.values:
        raise InputError(
            "there is no setting 'seed' here",
            fix="Set the seed of the whole run, without indenting it.",
            where=order.places["seed"],
        )
    recipe = build(PretrainRecipe, Section(str(path), values, places))
    for name in ("max_steps", "max_minutes"):
        if name in given:
            recipe = replace(recipe, training=replace(recipe.training, **{name: given[name]}))
    return recipe


def save_pretrain_recipe(recipe: PretrainRecipe, path: Path) -> None:
    """Write a recipe that starts the same run again, through a temporary name.

    The corpus is named relative to the folder, and the output beside the run: a replay must not
    mix with what it replays.
    """
    stored = asdict(recipe)
    folder = path.parent.resolve()
    corpus = Path(recipe.corpus).expanduser().resolve()
    stored["corpus"] = Path(os.path.relpath(corpus, folder)).as_posix()
    stored["output"] = f"../{folder.name}-again"
    if recipe.start is not None and recipe.start not in SHIPPED:
        start = Path(recipe.start).expanduser().resolve()
        stored["start"] = Path(os.path.relpath(start, folder)).as_posix()
    stored["objectives"] = recipe.objectives.to_json()
    del stored["order"]["seed"]
    body = yaml.safe_dump(stored, sort_keys=False, allow_unicode=True, width=1_000)
    write_whole(f"# Starts this run again: kagaku pretrain config.yaml\n{body}", path)
