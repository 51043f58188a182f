"""`kagaku retrosynthesis learn`: from a table of reactions to a folder that proposes them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.bases import load_base
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.outputs import check_writable
from kagaku.science_tasks.chemistry.retrosynthesis.planner import Planner, PlannerConfig
from kagaku.science_tasks.chemistry.retrosynthesis.precedents import Precedents
from kagaku.science_tasks.chemistry.retrosynthesis.storage import (
    BASE_FOLDER,
    PLANNER_FILE,
    REACTIONS_FILE,
    save_planner,
)
from kagaku.synthesis.reactions import ReactionColumns, Reactions, read_reactions
from kagaku.terminal import Terminal

METRICS_FILE, WORK_FOLDER = "metrics.json", "work"
OWN = {WORK_FOLDER, PLANNER_FILE, REACTIONS_FILE, BASE_FOLDER, METRICS_FILE}
"""Everything that learning writes; finished are folders with both planner and metrics."""

FEWEST = 20
"""Reactions below which nothing is learnt."""

MOST_HELD_OUT = 2_000
"""Products that are asked about at most; more would take long and say little more."""

WITHIN = (1, 3, 5, 10)
"""How many of the best proposals are looked at."""

SHOWN_ROWS = 5
"""Rows that cannot be used of which the reason is told."""


@dataclass(frozen=True)
class LearningWishes:
    """How to learn."""

    columns: ReactionColumns = field(default_factory=ReactionColumns)
    """Where the reactions stand."""

    base: str | None = None
    """The weights that look at products; None takes the default."""

    test_fraction: float = 0.1
    """Share of the products that is held out and asked about."""

    seed: int = 0
    """Fixes whatever is random."""

    overwrite: bool = False
    """Replace what another learning left in the folder."""

    planner: PlannerConfig = field(default_factory=PlannerConfig)
    """Sizes and lengths."""

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            InputError: It is not between 0 and 0.5.
        """
        if not 0 < self.test_fraction <= 0.5:
            raise InputError(
                f"test_fraction must be above 0 and at most 0.5, got {self.test_fraction}",
                fix="Set it to 0.1 or so.",
            )


def learn(
    data: Path, output: Path, wishes: LearningWishes | None = None, terminal: Terminal | None = None
) -> dict[str, Any]:
    """Learn reactions, measure on those held out, and leave a folder; return its metrics.

    Stopped, the same call goes on with the training.

    Args:
        data: A table of reactions.
        output: The folder to write.
        wishes: How; None takes the usual.
        terminal: Where to tell of it; None tells nothing.

    Raises:
        InputError: The table cannot be used, or the folder holds something else.
    """
    wishes, terminal = wishes or LearningWishes(), terminal or Terminal(quiet=True)
    _check_output(output, overwrite=wishes.overwrite)
    reactions = read_reactions(data, wishes.columns)
    _tell(reactions, terminal)
    if len(reactions.products) < FEWEST:
        raise InputError(
            f"{len(reactions.products)} reactions are too few to learn from, which takes {FEWEST}",
            fix="Give more.",
            where=str(data),
        )
    encoder = load_base(wishes.base)
    learnt, asked = held_out(reactions.products, wishes.test_fraction, wishes.seed)
    products = [reactions.products[row] for row in learnt]
    reactants = [reactions.reactants[row] for row in learnt]
    with terminal.progress("learning reactions") as progress:
        planner = Planner.learnt(
            products,
            reactants,
            encoder,
            wishes.planner,
            folder=output / WORK_FOLDER,
            report=progress,
        )
        given = sorted({reactions.products[row] for row in asked})
        proposals = planner.propose(given, max(WITHIN), progress)
    answers = {
        product: [one.smiles for one in own] for product, own in zip(given, proposals, strict=True)
    }
    ranks = [
        _rank(answers[reactions.products[row]], reactions.reactants[row]) for row in asked.tolist()
    ]
    metrics = {
        "data": data.name,
        "base": encoder.config.name,
        "seed": wishes.seed,
        "n_learnt": len(learnt),
        "n_explained": planner.n_explained,
        "n_edits": len(planner.edits),
        "n_held_out": len(asked),
        "n_repeated": reactions.n_repeated,
        "n_bad": len(reactions.bad),
        **{f"top_{most}": float(np.mean([rank <= most for rank in ranks])) for most in WITHIN},
    }
    save_planner(planner, Precedents(products, reactants, planner.known), output)
    write_json(metrics, output / METRICS_FILE)
    shutil.rmtree(output / WORK_FOLDER, ignore_errors=True)
    _conclude(metrics, output, terminal)
    return metrics


def held_out(
    products: tuple[str, ...], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to learn from and those to ask about, a product on one side only."""
    names, product_of_row = np.unique(
        np.array(products, dtype=object).astype(str), return_inverse=True
    )
    n_asked = min(MOST_HELD_OUT, max(1, round(fraction * len(names))))
    chosen = np.zeros(len(names), dtype=bool)
    chosen[np.random.default_rng(seed).permutation(len(names))[:n_asked]] = True
    is_asked = chosen[product_of_row]
    return np.flatnonzero(~is_asked), np.flatnonzero(is_asked)


def _rank(proposals: list[str], wanted: str) -> float:
    return proposals.index(wanted) + 1.0 if wanted in proposals else float("inf")


def _check_output(output: Path, *, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise InputError(
            "this is a file, not a folder", fix="Choose another --output.", where=str(output)
        )
    check_writable(output)
    there = {one.name for one in output.iterdir()} if output.is_dir() else set()
    if METRICS_FILE in there and PLANNER_FILE in there:
        if not overwrite:
            raise InputError(
                "this folder has learnt reactions already",
                fix="Choose another --output, or replace it with --overwrite.",
                where=str(output),
            )
        (output / METRICS_FILE).unlink()
    elif there - OWN:  # its own are what a stopped learning left
        raise InputError(
            "the folder holds other files", fix="Choose another --output.", where=str(output)
        )


def _tell(reactions: Reactions, terminal: Terminal) -> None:
    terminal.say(f"{len(reactions.products):,} different reactions can be used.")
    if reactions.n_repeated:
        terminal.say(f"{reactions.n_repeated:,} rows repeat another and count once.")
    if reactions.bad:
        terminal.say(f"{len(reactions.bad):,} rows cannot be used:")
        for row, why in reactions.bad[:SHOWN_ROWS]:
            terminal.say(f"  row {row}: {why}")


def _conclude(metrics: dict[str, Any], output: Path, terminal: Terminal) -> None:
    terminal.say(
        f"{metrics['n_edits']:,} kinds of change explain {metrics['n_explained']:,} of "
        f"{metrics['n_learnt']:,} reactions."
    )
    terminal.table(
        f"What was recorded is among the first proposals, of {metrics['n_held_out']:,} reactions "
        "held out",
        [f"first {most}" for most in WITHIN],
        [[f"{metrics[f'top_{most}']:.1%}" for most in WITHIN]],
    )
    terminal.say("Other ways than the recorded one may work, too, and count as wrong here.")
    terminal.say("Ask it for reactants of a product:")
    terminal.command(f"kagaku retrosynthesis propose {output} SMILES")
