"""What a run has come to: weights, plots and a summary in its folder, and tables on the screen."""

import json
from pathlib import Path

from kagaku.data.corpora.storage import MANIFEST
from kagaku.data.whole_files import write_json
from kagaku.models.pretraining.logs import LOSSES_FILE
from kagaku.models.pretraining.stored import save_pretrained
from kagaku.models.pretraining.training import Outcome
from kagaku.models.pretraining.validation import total_loss
from kagaku.pretraining.figures import draw_losses
from kagaku.pretraining.prepared import Prepared, make_network
from kagaku.pretraining.recipe import PretrainRecipe
from kagaku.pretraining.run_files import CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE
from kagaku.provenance import collect
from kagaku.terminal import Terminal


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


def _steps_told(folder: Path) -> int | None:
    """Return how many steps the summary tells of; None if there is none."""
    path = folder / SUMMARY_FILE
    if not path.is_file():
        return None
    return int(json.loads(path.read_text(encoding="utf-8"))["steps"])
