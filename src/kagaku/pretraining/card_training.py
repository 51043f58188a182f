"""What a card tells of the corpus and of the training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kagaku.data.corpora.manifest import Manifest
from kagaku.models.pretraining.logs import VALID_FILE
from kagaku.pretraining.card_parts import markdown_table, read_json, trained_sources
from kagaku.pretraining.figures import PNG_FILE
from kagaku.pretraining.recipe import PretrainRecipe
from kagaku.pretraining.run_files import CONFIG_FILE, START_FILE

REPEATS_DIFFER = 5
"""The first planning that shows a sample otherwise where a micro-batch has it twice."""


def corpus_table(manifest: Manifest, summary: Mapping[str, Any]) -> str:
    """Return one line per source that was trained on."""
    rows = [
        [
            one.name,
            ", ".join(dict.fromkeys(one.inputs.values())),
            f"{sum(shard.n_samples for shard in one.train):,}",
            f"{one.n_tokens:,}",
            f"{summary['epochs'][one.name]:.2f}",
            f"{one.origin} {one.version}",
            one.licence,
        ]
        for one in trained_sources(manifest, summary)
    ]
    columns = ["source", "modalities", "samples", "tokens", "times seen", "from", "licence"]
    return markdown_table(columns, rows)


def left_out(manifest: Manifest) -> str:
    """Return how many samples were removed for the sake of benchmarks."""
    removed = sum(manifest.held_out.values())
    n_found = sum(count > 0 for count in manifest.held_out.values())
    text = (
        f"{removed:,} samples were removed since one of {n_found} benchmark sets has them, exactly "
        f"or nearly, of {len(manifest.held_out)} that were looked through; every step of cleaning "
        "is counted in `manifest.json`."
        if removed
        else "No sample was removed for the sake of a benchmark."
    )
    return " ".join([text, *manifest.notes])


def before(folder: Path) -> str:
    """Return what the weights that the run started from had learnt from; empty without any."""
    if not (folder / START_FILE).is_file():
        return ""
    start: Mapping[str, Any] | None = read_json(folder / START_FILE)
    blocks = []
    while start is not None:
        told = f"It started from the weights {start['name']} (sha256 `{start['sha256'][:16]}`)"
        if start.get("tokens"):
            told += f", which had seen {start['tokens']:,} tokens"
        if (stored := start["manifest"]) is None:
            blocks.append(f"{told}, and whose folder did not say what they had learnt from.")
        else:
            rows = [
                [one["name"], f"{one['n_tokens']:,}", f"{one['origin']} {one['version']}",
                 one["licence"]]
                for one in stored["sources"]
            ]  # fmt: skip
            columns = ["source", "tokens", "from", "licence"]
            blocks.append(f"{told}, and whose corpus had\n\n{markdown_table(columns, rows)}")
        start = start["before"]
    return "\n\n".join(blocks)


def training(
    recipe: PretrainRecipe, summary: Mapping[str, Any], provenance: Mapping[str, Any]
) -> str:
    """Return how it was trained, in a sentence or two."""
    order = recipe.order
    tokens = order.micro_batches * order.tokens_per_micro_batch
    started = "random weights" if recipe.start is None else f"the weights of {recipe.start}"
    rdkit = provenance["packages"].get("rdkit")  # None on a machine that only trained
    return (
        f"From {started}, with {recipe.optimiser.name}, {recipe.training.precision}, steps of "
        f"{tokens:,} places for tokens in rows of {order.row_length}; "
        f"{summary['skipped_steps']} steps were skipped for their gradient. "
        + ("" if rdkit is None else f"rdkit {rdkit}. ")
        + f"The recipe is `{CONFIG_FILE}`."
    )


def repeated(
    recipe: PretrainRecipe,
    manifest: Manifest,
    summary: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Return what "times seen" hides of a run that showed repeats within a micro-batch alike."""
    if provenance["identity"]["planning"] >= REPEATS_DIFFER:
        return ""
    order = recipe.order
    small = []
    for one in trained_sources(manifest, summary):
        n_samples = sum(shard.n_samples for shard in one.train)
        if min(n_samples, one.n_tokens / order.row_length) < order.n_rows:
            small.append(one.name)
    if not small:
        return ""
    return (
        f"A micro-batch has {order.n_rows} rows of one source. Sources that fill fewer were shown "
        "several times in each, and this version cropped and hid the same of a sample each time, "
        "so their times seen count views that were alike: "
        f"{', '.join(small)}. Later versions show a sample otherwise each time."
    )


def curves(
    folder: Path, recipe: PretrainRecipe, manifest: Manifest, summary: Mapping[str, Any]
) -> str:
    """Return the held-out losses at the start, halfway and at the end, and the picture."""
    if not (folder / VALID_FILE).is_file():
        return ""
    valid = pd.read_csv(folder / VALID_FILE)
    valid = valid[valid["loss"] != "total"]
    steps = sorted(valid["step"].unique())
    if len(steps) < 2:
        return ""
    shown = list(dict.fromkeys([steps[0], steps[len(steps) // 2], steps[-1]]))
    rows = []
    for (loss, source), curve in valid.groupby(["loss", "source"]):
        values = curve.set_index("step")["value"]
        cells = [f"{values[step]:.3f}" if step in values.index else "" for step in shown]
        rows.append([str(loss), str(source), *cells])
    columns = ["held-out loss", "source", *(f"step {step:,}" for step in shown)]
    picture = f"![Losses over training]({PNG_FILE})\n\n" if (folder / PNG_FILE).is_file() else ""
    return (
        picture + markdown_table(columns, rows) + _never_aligned(valid, recipe, manifest, summary)
    )


def _never_aligned(
    valid: pd.DataFrame, recipe: PretrainRecipe, manifest: Manifest, summary: Mapping[str, Any]
) -> str:
    """Return of which sources of pairs no held-out alignment was measured during training."""
    aligned = set(valid[valid["loss"].str.startswith("aligned/")]["source"])
    if not recipe.objectives.aligned:
        return ""
    kinds = {"molecule", "protein", "nucleotide", "material", "image", "text"}
    pairs = [
        one.name
        for one in trained_sources(manifest, summary)
        if len(kinds & set(one.inputs.values())) > 1
    ]
    if not (missing := [name for name in pairs if name not in aligned]):
        return ""
    return (
        "\n\nWhether a held-out micro-batch is aligned is drawn as in training, and with "
        f"{recipe.training.valid_micro_batches} of each source it never was of "
        f"{', '.join(missing)}: no curve tells of their alignment during training."
    )
