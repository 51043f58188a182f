"""`kagaku pretrain`: from a recipe and a corpus to a run folder with weights to fine-tune."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from kagaku.bases import weights_folder
from kagaku.data.corpora.storage import MANIFEST
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, TrainedOn
from kagaku.data.whole_files import write_json
from kagaku.models import load_encoder
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.models.pretraining.starting import start_from
from kagaku.models.pretraining.state import latest_state, load_counters
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.models.pretraining.training import pretrain
from kagaku.outputs import check_job_folder
from kagaku.pretraining.machines import note_machine
from kagaku.pretraining.prepared import Prepared, make_network, prepare
from kagaku.pretraining.progress import watching
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe, save_pretrain_recipe
from kagaku.pretraining.results import show_outcome, write_results
from kagaku.pretraining.run_files import CONFIG_FILE, START_FILE, SUMMARY_FILE
from kagaku.provenance import sha256
from kagaku.terminal import Terminal


def run_pretraining(
    recipe_file: Path,
    *,
    corpus: Path | None = None,
    output: Path | None = None,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    terminal: Terminal | None = None,
) -> Path:
    """Pretrain as a recipe says, from where the run in its folder stopped; return the folder.

    Args:
        recipe_file: The YAML file.
        corpus: In place of the recipe's.
        output: In place of the recipe's.
        max_minutes: When this call stops, in place of the recipe's.
        max_steps: Steps of the whole run, in place of the recipe's.
        terminal: Where to show what happens; None shows nothing.

    Raises:
        InputError: Recipe, corpus or run folder are wrong, or do not belong together.
        KeyboardInterrupt: A signal asked to stop; the state is saved.
    """
    started = time.time()
    changes = {
        "corpus": corpus,
        "output": output,
        "max_minutes": max_minutes,
        "max_steps": max_steps,
    }
    recipe = load_pretrain_recipe(recipe_file, changes)
    shown = terminal if terminal is not None and is_first_process() else Terminal(quiet=True)
    folder = Path(recipe.output)
    if is_first_process():  # the others may come while the first one writes
        check_job_folder(folder, mark=CONFIG_FILE, what="run")
    shown.say(f"Opening the corpus {recipe.corpus}")
    prepared = prepare(recipe)
    network = make_network(recipe, prepared)
    start = None if recipe.start is None else start_of(recipe.start)
    if start is not None:
        prepared = replace(prepared, identity=prepared.identity | {"start": start["sha256"][:16]})
        new = start_from(
            network,
            load_pretrained(weights_folder(recipe.start)),
            prepared.corpus.manifest.descriptors,
        )
        shown.say(f"Starting from {start['name']}" + (f"; anew: {', '.join(new)}" if new else ""))
    show_plan(recipe, prepared, shown)
    if is_first_process():
        folder.mkdir(parents=True, exist_ok=True)
        if latest_state(folder) is None:
            save_pretrain_recipe(recipe, folder / CONFIG_FILE)
            shutil.copyfile(prepared.corpus.folder / MANIFEST, folder / MANIFEST)
            keep_fingerprints(prepared.corpus.folder, folder, recipe.start)
            if start is not None:
                write_json(start, folder / START_FILE)
        state = latest_state(folder)
        done = 0 if state is None else load_counters(state).step
        if done < recipe.training.max_steps:
            note_machine(folder, done)
    with watching(shown) as watcher:
        outcome = pretrain(
            network,
            prepared.data,
            recipe.optimiser,
            recipe.training,
            folder=folder,
            identity=prepared.identity,
            watcher=watcher,
        )
    if outcome.stopped_by == "signal":
        raise KeyboardInterrupt
    if outcome.is_writer:
        write_results(recipe, prepared, outcome, folder, started)
        show_outcome(recipe, outcome, folder, shown)
    return folder


def start_of(name: str) -> dict[str, Any]:
    """Return which weights a run starts from, how much these had seen, and their manifest.

    Raises:
        InputError: There are no weights of that name, and no such folder.
    """
    folder = weights_folder(name)
    files = [one for one in (START_FILE, MANIFEST, SUMMARY_FILE) if (folder / one).is_file()]
    stored = {one: json.loads((folder / one).read_text(encoding="utf-8")) for one in files}
    return {
        "name": load_encoder(folder).config.name,
        "sha256": sha256(folder / WEIGHTS_FILE),
        "tokens": stored.get(SUMMARY_FILE, {}).get("tokens"),
        "manifest": stored.get(MANIFEST),
        "before": stored.get(START_FILE),
    }


def keep_fingerprints(corpus: Path, folder: Path, start: str | None) -> None:
    """Write what a run learns from, and what the weights it starts from had learnt from before.

    Where either is not known nothing is written: half the truth would look like the whole.

    Args:
        corpus: The corpus' folder; one of an older kagaku has no fingerprints.
        folder: The run's folder.
        start: The weights that it starts from; None if from none.
    """
    paths = [corpus / TRAINED_ON_FILE]
    if start is not None:
        paths.append(weights_folder(start) / TRAINED_ON_FILE)
    if all(one.is_file() for one in paths):
        first, *others = (TrainedOn.load(one) for one in paths)
        for one in others:
            first = first.joined(one)
        first.save(folder / TRAINED_ON_FILE)


def is_first_process() -> bool:
    """Tell whether this is the process, of all that run together, that writes and talks."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if (value := os.environ.get(name, "")).isdecimal():
            return int(value) == 0
    return True


def show_plan(recipe: PretrainRecipe, prepared: Prepared, terminal: Terminal) -> None:
    """Print what is read how often."""
    order = prepared.data.order
    epochs, fill = order.epochs(recipe.training.max_steps), order.fill()
    rows = [
        [
            name,
            f"{prepared.corpus.n_samples(name):,}",
            f"{prepared.corpus.source(name).n_tokens:,}",
            f"{share:.1%}",
            f"{epochs[name]:.2f}",
            f"{fill[name]:.1%}",
        ]
        for name, share in order.shares.items()
    ]
    terminal.table(
        f"{recipe.training.max_steps:,} steps of {order.config.micro_batches} micro-batches with "
        f"{order.config.tokens_per_micro_batch:,} tokens",
        ["source", "samples", "tokens", "share", "epochs", "rows filled"],
        rows,
    )
