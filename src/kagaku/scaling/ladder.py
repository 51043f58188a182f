"""The runs of a ladder: done one after the other, kept when finished, and read."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from kagaku.data.corpora.storage import MANIFEST
from kagaku.errors import InputError
from kagaku.models.pretraining.logs import VALID_FILE
from kagaku.models.pretraining.scaling_plan import Sizes
from kagaku.models.pretraining.throughput import flops_per_token
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe, save_pretrain_recipe
from kagaku.pretraining.run_files import CONFIG_FILE, SUMMARY_FILE
from kagaku.terminal import Terminal

RECIPES_FOLDER = "recipes"

Pretrain = Callable[[Path, Path, float | None], object]
"""Pretrains as a recipe file says into a folder, for so many minutes at most."""

TOTAL = "total"
"""The name of the weighted sum of all losses."""


@dataclass(frozen=True)
class RunEnd:
    """Where one run ended."""

    name: str
    """Its name in the ladder."""

    sizes: Sizes
    """Of its network."""

    flops_per_token: float
    """Floating-point operations of training for each token."""

    tokens: int
    """Tokens seen."""

    seconds: float
    """Time spent on training steps."""

    losses: dict[str, float]
    """Held-out losses by name, over all sources that have them; `TOTAL` among them."""

    @property
    def flops(self) -> float:
        """Floating-point operations of its training."""
        return self.flops_per_token * self.tokens


def run_ladder(
    recipes: Mapping[str, PretrainRecipe],
    sizes: Mapping[str, Sizes],
    folder: Path,
    pretrain: Pretrain,
    terminal: Terminal,
    max_minutes: float | None = None,
) -> dict[str, RunEnd] | None:
    """Do the runs that are not finished, cheapest first, and return where all ended.

    Args:
        recipes: By name, the recipe of each run.
        sizes: By name, the sizes of each run's network.
        folder: The ladder's folder.
        pretrain: Does one run, or the rest of one.
        terminal: Where to tell what happens.
        max_minutes: When to stop; a later call goes on.

    Returns:
        By name; None if the time was up before the last run ended.

    Raises:
        InputError: A finished run was made with other settings or another corpus, or is damaged.
    """
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    ends: dict[str, RunEnd] = {}
    # Finished ones first, so that the time left is known from them, and wrong ones cost no work.
    for name, recipe in recipes.items():
        if is_finished(recipe):
            ends[name] = read_run(name, recipe, sizes[name])
    if ends:
        terminal.say(f"{len(ends)} of {len(recipes)} runs are finished already and kept")
    waiting = sorted(set(recipes) - set(ends), key=lambda name: planned_flops(recipes[name]))
    while waiting:
        name = waiting[0]
        minutes = None if deadline is None else (deadline - time.monotonic()) / 60
        if minutes is not None and minutes <= 0:
            break
        recipe = recipes[name]
        left = _time_left(list(ends.values()), [recipes[one] for one in waiting])
        terminal.say(
            f"Run {len(recipes) - len(waiting) + 1} of {len(recipes)}: {name}, "
            f"{sizes[name].backbone:,} parameters in the backbone, "
            f"{recipe.training.max_steps:,} steps{left}"
        )
        file = folder / RECIPES_FOLDER / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        save_pretrain_recipe(recipe, file)
        pretrain(file, Path(recipe.output), minutes)
        if not is_finished(recipe):
            break
        ends[name] = read_run(name, recipe, sizes[name])
        waiting.pop(0)
    if waiting:
        terminal.say(
            f"The time is up with {len(waiting)} of {len(recipes)} runs to do. "
            "Run the same command again to go on."
        )
        return None
    return {name: ends[name] for name in recipes}


def is_finished(recipe: PretrainRecipe) -> bool:
    """Tell whether a run has been done to its end.

    Raises:
        InputError: It has, but with other settings or another corpus.
    """
    folder = Path(recipe.output)
    if not (folder / SUMMARY_FILE).is_file():
        return False
    check_same_run(recipe)
    steps = _summary(folder).get("steps")
    return steps == recipe.training.max_steps


def check_same_run(recipe: PretrainRecipe) -> None:
    """Refuse a run folder that was made with other settings or from another corpus.

    Raises:
        InputError: It was; names the first difference.
    """
    folder = Path(recipe.output)
    fix = "Choose another --output, or remove this folder to do the run again."
    before = _flat(load_pretrain_recipe(folder / CONFIG_FILE).identity())
    now = _flat(recipe.identity())
    different = sorted(name for name in before | now if before.get(name) != now.get(name))
    if different:
        one = different[0]
        raise InputError(
            f"this run was made with {one} {before.get(one)!r}, and the ladder says "
            f"{now.get(one)!r}",
            fix=fix,
            where=str(folder),
        )
    stored, present = folder / MANIFEST, Path(recipe.corpus) / MANIFEST
    if not (stored.is_file() and present.is_file()) or stored.read_bytes() != present.read_bytes():
        raise InputError(
            f"this run was made from another corpus than {recipe.corpus}",
            fix=fix,
            where=str(folder),
        )


def read_run(name: str, recipe: PretrainRecipe, sizes: Sizes) -> RunEnd:
    """Return where a finished run ended.

    Raises:
        InputError: Its files do not hold what they should.
    """
    folder = Path(recipe.output)
    summary = _summary(folder)
    try:
        tokens, seconds = int(summary["tokens"]), float(summary["seconds"])  # type: ignore[call-overload, arg-type]
        table = pd.read_csv(folder / VALID_FILE)
        last = table[table["step"] == recipe.training.max_steps]
        # By numpy: pandas' own sums leave out what is not a number, and so would hide a divergence.
        losses = {
            str(loss): float(
                np.average(rows["value"].to_numpy(), weights=rows["micro_batches"].to_numpy())
            )
            for loss, rows in last.groupby("loss")
        }
        total = losses[TOTAL]
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InputError(
            f"the run has no held-out losses of its last step ({error!r})",
            fix="Remove this folder to do the run again, with valid_micro_batches above 0.",
            where=str(folder),
        ) from None
    if not (math.isfinite(total) and total > 0):
        raise InputError(
            f"the run ended with a held-out loss of {total:g}, which no law can be fitted to",
            fix=f"Give the run {name!r} a lower learning_rate, and remove this folder.",
            where=str(folder),
        )
    per_token = flops_per_token(recipe.backbone, recipe.order.row_length)
    return RunEnd(name, sizes, per_token, tokens, seconds, losses)


def _summary(folder: Path) -> dict[str, object]:
    try:
        stored = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise InputError(
            "the summary of the run is damaged",
            fix="Remove this folder to do the run again.",
            where=str(folder / SUMMARY_FILE),
        )
    return stored


def planned_tokens(recipe: PretrainRecipe) -> int:
    """Return the tokens of a run with full rows."""
    order = recipe.order
    return recipe.training.max_steps * order.micro_batches * order.tokens_per_micro_batch


def planned_flops(recipe: PretrainRecipe) -> float:
    """Return the floating-point operations of a run with full rows."""
    return planned_tokens(recipe) * flops_per_token(recipe.backbone, recipe.order.row_length)


def _time_left(ends: Sequence[RunEnd], waiting: Sequence[PretrainRecipe]) -> str:
    """Return how long the rest takes, by a share for each token and one for each operation.

    Small networks spend their time on tokens, large ones on operations; one finished size does not
    tell the two apart.
    """
    if len({one.flops_per_token for one in ends}) < 2:
        return ""
    done = np.array([[one.tokens, one.flops] for one in ends], dtype=np.float64)
    scale = done.max(axis=0)
    costs, _ = nnls(done / scale, np.array([one.seconds for one in ends]))
    rest = np.array([[planned_tokens(one), planned_flops(one)] for one in waiting]).sum(axis=0)
    minutes = float((rest / scale) @ costs) / 60
    return f"; about {max(minutes, 1):,.0f} min left for all"


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
