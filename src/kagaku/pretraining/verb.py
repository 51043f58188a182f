"""`kagaku pretrain`: from a recipe and a corpus to a run folder with weights to fine-tune."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from kagaku.bases import weights_folder
from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.manifest import TRAIN, VALID
from kagaku.data.corpora.order import CorpusOrder, MicroBatch
from kagaku.data.corpora.sample import CorpusSample
from kagaku.data.corpora.storage import MANIFEST
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, TrainedOn
from kagaku.data.whole_files import write_json
from kagaku.modalities import Modality
from kagaku.models import Encoder, EncoderConfig, load_encoder
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.models.pretraining.composing import Composer, cropped_lengths
from kagaku.models.pretraining.fitting import fit_pretraining_modalities
from kagaku.models.pretraining.loader import PretrainingData
from kagaku.models.pretraining.logs import LOSSES_FILE
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.planning import PLANNING_VERSION
from kagaku.models.pretraining.starting import start_from
from kagaku.models.pretraining.state import latest_state, load_counters
from kagaku.models.pretraining.stored import load_pretrained, save_pretrained
from kagaku.models.pretraining.summaries import Summary, fit_summaries
from kagaku.models.pretraining.training import Outcome, pretrain
from kagaku.models.pretraining.validation import total_loss, valid_micro_batches
from kagaku.outputs import check_job_folder
from kagaku.pretraining.figures import draw_losses
from kagaku.pretraining.machines import note_machine
from kagaku.pretraining.progress import watching
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe, save_pretrain_recipe
from kagaku.pretraining.summaries import SUMMARIES
from kagaku.provenance import collect, sha256
from kagaku.terminal import Terminal

CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE = "config.yaml", "provenance.json", "summary.json"

START_FILE = "start.json"
"""In the folder of a run that started from other weights: which, and what those learnt from."""

FITTED_SAMPLES = 1_000
"""Samples of each source from which the modalities learn their scales."""


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs, made from its recipe and corpus."""

    corpus: Corpus
    """What is read."""

    modalities: Mapping[str, Modality[Any]]
    """By name, fitted to the corpus."""

    summaries: Mapping[str, Summary]
    """By modality, what is asked of pooled embeddings."""

    data: PretrainingData
    """Batches and their order."""

    identity: dict[str, Any]
    """What decides the run."""


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


def prepare(recipe: PretrainRecipe) -> Prepared:
    """Return what a run needs: the same in every process and at every restart.

    Raises:
        InputError: The corpus is damaged, or a weight names no source of it.
    """
    corpus = Corpus.open(Path(recipe.corpus))
    order = CorpusOrder(row_lengths(corpus, recipe, TRAIN), recipe.order)
    inputs = {one.name: one.inputs for one in corpus.manifest.sources}
    samples = _some_samples(corpus, order.sources, recipe.seed)
    inputs = {name: inputs[name] for name in order.sources}
    modalities = fit_pretraining_modalities(samples, inputs, corpus.manifest.descriptors)
    compute = {
        name: one for name, one in SUMMARIES.items() if recipe.objectives.summarised.get(name)
    }
    summaries = fit_summaries(compute, samples, inputs, modalities)
    composer = Composer(
        modalities, inputs, corpus.manifest.descriptors, recipe.objectives, summaries
    )
    valid = held_out_micro_batches(corpus, recipe, order.sources)
    identity = recipe.identity() | {
        "corpus": {
            "name": corpus.manifest.name,
            "manifest": corpus.manifest.digest(),
            "order": order.fingerprint()[:16],
        },
        "planning": PLANNING_VERSION,
        "summaries": {name: _digest(one) for name, one in summaries.items()},
    }
    data = PretrainingData(corpus, order, composer, valid)
    return Prepared(corpus, modalities, summaries, data, identity)


def _digest(summary: Summary) -> str:
    """Return what stands for a summary's scales, as far as another machine computes the same."""
    digits = [f"{one:.4e}" for one in (*summary.mean, *summary.std)]
    return hashlib.sha256(" ".join(digits).encode()).hexdigest()[:16]


def held_out_micro_batches(
    corpus: Corpus, recipe: PretrainRecipe, sources: Sequence[str], most: int | None = None
) -> tuple[MicroBatch, ...]:
    """Return fixed micro-batches of held-out samples, up to so many of each source.

    Args:
        corpus: Where the samples are.
        recipe: Sizes and seed.
        sources: Those that are trained on.
        most: Micro-batches of a source; None takes what the recipe measures while it trains.
    """
    if most is None:
        most = recipe.training.valid_micro_batches
    return valid_micro_batches(row_lengths(corpus, recipe, VALID), sources, recipe.order, most)


def make_network(recipe: PretrainRecipe, prepared: Prepared) -> PretrainingNetwork:
    """Return the network with random weights, which depend on the seed alone."""
    descriptors = prepared.corpus.manifest.descriptors
    known = EncoderConfig(name=recipe.name, backbone=recipe.backbone)
    names = tuple(sorted({*known.modalities, *prepared.modalities}))
    config = replace(
        known,
        modalities=names,
        untrained=tuple(name for name in names if name not in prepared.modalities),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return PretrainingNetwork(
            Encoder(config),
            recipe.objectives,
            0 if descriptors is None else len(descriptors.names),
            {name: len(one) for name, one in prepared.summaries.items()},
        )


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


def write_results(
    recipe: PretrainRecipe, prepared: Prepared, outcome: Outcome, folder: Path, started: float
) -> None:
    """Write what the run has come to: weights, plots, and where they are from."""
    network = make_network(recipe, prepared)
    network.load_state_dict(outcome.weights)
    save_pretrained(
        network,
        prepared.modalities,
        prepared.corpus.manifest.descriptors,
        folder,
        name=recipe.name,
    )
    if (folder / LOSSES_FILE).is_file():
        draw_losses(folder)
    counters = outcome.counters
    summary = {
        "name": recipe.name,
        "steps": counters.step,
        "max_steps": recipe.training.max_steps,
        "tokens": counters.tokens,
        "seconds": round(counters.seconds, 1),
        "skipped_steps": counters.skipped,
        "parameters": sum(one.numel() for one in network.parameters()),
        "encoder_parameters": sum(one.numel() for one in network.encoder.parameters()),
        "epochs": prepared.data.order.epochs(counters.step),
        "held_out": {
            f"{source}: {name}": value / count
            for (source, name), (value, count) in sorted(outcome.held_out.items())
        },
    }
    if _steps_told(folder) == counters.step and (folder / PROVENANCE_FILE).is_file():
        return  # nothing was trained, so this call made nothing
    # The summary last: where it stands, the run is whole, whenever a kill may come.
    write_json(
        collect([folder / MANIFEST, folder / CONFIG_FILE], started)
        | {"identity": prepared.identity},
        folder / PROVENANCE_FILE,
    )
    write_json(summary, folder / SUMMARY_FILE)


def show_outcome(
    recipe: PretrainRecipe, outcome: Outcome, folder: Path, terminal: Terminal
) -> None:
    """Print where the run stands, and what to do with it."""
    counters = outcome.counters
    hours = counters.seconds / 3600
    terminal.say(
        f"{counters.step:,} of {recipe.training.max_steps:,} steps, {counters.tokens:,} tokens, "
        f"{hours:.2f} hours of training, {counters.skipped} steps skipped"
    )
    if outcome.held_out:
        rows = [
            [source, name, f"{value / count:.4f}"]
            for (source, name), (value, count) in sorted(outcome.held_out.items())
        ]
        terminal.table("Held-out losses", ["source", "loss", "mean"], rows)
        terminal.say(f"mean weighted loss: {total_loss(outcome.held_out):.4f}")
    if outcome.stopped_by == "time":
        terminal.say("The time is up. Run the same command again to go on.")
    terminal.say("Fine-tune from these weights with:")
    terminal.command(f"kagaku finetune lab.csv --target NAME --base {folder}")


def row_lengths(
    corpus: Corpus, recipe: PretrainRecipe, part: str
) -> dict[str, Int[np.ndarray, " sample"]]:
    """Return by source the tokens of each sample of a part, cropped to a row."""
    return {
        one.name: cropped_lengths(corpus.lengths(one.name, part), recipe.order.row_length)
        for one in corpus.manifest.sources
    }


def _some_samples(
    corpus: Corpus, sources: Sequence[str], seed: int
) -> dict[str, list[CorpusSample]]:
    """Return some training samples of each source, to learn scales from."""
    samples = {}
    for number, name in enumerate(sources):
        n_samples = corpus.n_samples(name)
        rng = np.random.default_rng([seed, number])
        chosen = rng.choice(n_samples, min(n_samples, FITTED_SAMPLES), replace=False)
        samples[name] = [corpus.read(name, int(index)) for index in np.sort(chosen)]
    return samples


def _steps_told(folder: Path) -> int | None:
    """Return how many steps the summary tells of; None if there is none."""
    path = folder / SUMMARY_FILE
    if not path.is_file():
        return None
    return int(json.loads(path.read_text(encoding="utf-8"))["steps"])
