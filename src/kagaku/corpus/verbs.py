"""`kagaku corpus build` and `kagaku corpus show`."""

from pathlib import Path

from kagaku.corpus.cluster import workers
from kagaku.corpus.plan import corpus_plan, default_cache, fetch_all
from kagaku.corpus.recipe import load_corpus_recipe
from kagaku.corpus.tools import ModalityTools
from kagaku.data.corpora import Corpus, Manifest, SourceInfo
from kagaku.data.corpora.build import build_corpus
from kagaku.terminal import Terminal

MOST_SETS = 12
"""Held-out sets that the table lists, those with the most removed samples first."""


def build(
    recipe_path: Path,
    output: Path | None,
    *,
    cache: Path | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    slurm: int | None = None,
    terminal: Terminal | None = None,
) -> Manifest:
    """Build the corpus of a recipe and return its manifest.

    Args:
        recipe_path: The recipe.
        output: Where the corpus shall lie; None takes its name, beneath the working folder.
        cache: Keeps fetched packages; None takes the user's cache.
        n_workers: As in `workers`.
        scheduler: As in `workers`.
        slurm: As in `workers`.
        terminal: Where to tell what happens.

    Raises:
        InputError: The recipe is wrong, a package cannot be fetched, or a file cannot be read.
    """
    terminal = terminal or Terminal()
    recipe = load_corpus_recipe(recipe_path)
    folder = (output or Path(recipe.name)).expanduser()
    fetched = fetch_all(recipe, (cache or default_cache()).expanduser(), terminal)
    plan = corpus_plan(recipe, fetched)
    for note in plan.notes:
        terminal.say(note)
    tools = ModalityTools()
    with (
        workers(n_workers, scheduler=scheduler, slurm=slurm) as run,
        terminal.progress(f"Building {folder}") as progress,
    ):
        manifest = build_corpus(plan, folder, tools, run, progress)
    show_manifest(manifest, folder, terminal)
    return manifest


def show(folder: Path, *, verify: bool = False, terminal: Terminal | None = None) -> None:
    """Print what a corpus is made of.

    Args:
        folder: The corpus.
        verify: Compare every file with its checksum first.
        terminal: Where to print.

    Raises:
        InputError: It is no corpus, or damaged.
    """
    terminal = terminal or Terminal()
    corpus = Corpus.open(folder)
    if verify:
        corpus.verify()
        terminal.say("Every file has the checksum that the manifest says.")
    show_manifest(corpus.manifest, folder, terminal)


def show_manifest(manifest: Manifest, folder: Path, terminal: Terminal) -> None:
    """Print the tables of a manifest: sources, what cleaning did, what was held out."""
    terminal.table(
        f"{manifest.name}, in {folder}",
        ["source", "inputs", "train", "valid", "tokens", "MB"],
        [_row(one) for one in manifest.sources],
    )
    terminal.table(
        "Where it comes from",
        ["source", "origin", "version", "licence"],
        [[one.name, one.origin, one.version, one.licence] for one in manifest.sources],
    )
    terminal.table(
        "What each step left",
        ["source", "step", "before", "after"],
        [
            [one.name, step.step, f"{step.before:,}", f"{step.after:,}"]
            for one in manifest.sources
            for step in one.steps
            if step.before != step.after or step is one.steps[0]
        ],
    )
    removed = sorted(manifest.held_out.items(), key=lambda pair: -pair[1])
    if removed:
        rest = sum(count for _, count in removed[MOST_SETS:])
        rows = [[name, f"{count:,}"] for name, count in removed[:MOST_SETS]]
        if removed[MOST_SETS:]:
            rows.append([f"{len(removed) - MOST_SETS} further sets", f"{rest:,}"])
        terminal.table("Removed because a benchmark has it", ["held-out set", "samples"], rows)
    for note in manifest.notes:
        terminal.say(note)


def _row(source: SourceInfo) -> list[str]:
    size = sum(shard.n_bytes for shard in (*source.train, *source.valid))
    return [
        source.name,
        ", ".join(dict.fromkeys(source.inputs.values())),
        f"{sum(shard.n_samples for shard in source.train):,}",
        f"{sum(shard.n_samples for shard in source.valid):,}",
        f"{source.n_tokens:,}",
        f"{size / 1e6:.1f}",
    ]
