"""The card of released weights: what they learnt from, what they know, and what they do not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kagaku.bases import SHIPPED
from kagaku.data.corpora.manifest import Manifest
from kagaku.data.corpora.storage import load_manifest
from kagaku.data.whole_files import write_whole
from kagaku.models.pretraining.scaling_plan import TOKENS_PER_PARAMETER
from kagaku.pretraining.card_knowledge import knowledge, transfer_table
from kagaku.pretraining.card_parts import of_these_weights, read_json, trained_sources
from kagaku.pretraining.card_training import (
    before,
    corpus_table,
    curves,
    left_out,
    repeated,
    training,
)
from kagaku.pretraining.machines import where_trained
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.pretraining.run_files import CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE

CARD_FILE = "card.md"

EVALUATION_FILE = "evaluation.json"
"""What `kagaku evaluate` measured."""

TRANSFER_FILE = "transfer.json"
"""Scores of readouts on frozen embeddings, a list of tasks; `scripts/frozen_embeddings.py`."""

FOUND_LATER_FILE = "found_later.md"
"""What became known of the weights after they were made, written by hand; in the card if there."""


def write_pretrain_card(folder: Path) -> Path:
    """Write the card of a release from its other files alone, and return its path.

    Raises:
        InputError: A file is missing or damaged.
    """
    recipe = load_pretrain_recipe(folder / CONFIG_FILE)
    manifest = load_manifest(folder)
    summary, provenance = (read_json(folder / name) for name in (SUMMARY_FILE, PROVENANCE_FILE))
    evaluation = of_these_weights(folder, EVALUATION_FILE)
    transfer = of_these_weights(folder, TRANSFER_FILE)
    header = yaml.safe_dump(
        {
            "library_name": "kagaku",
            "license": "other",
            "tags": ["kagaku", "science", *_modalities(manifest, summary)],
            "datasets": [one.name for one in trained_sources(manifest, summary)],
        },
        sort_keys=False,
    )
    parts = [
        f"---\n{header}---",
        f"# {recipe.name}",
        _opening(recipe, summary, provenance, where_trained(folder, summary["steps"])),
        "## Use",
        _use(recipe, folder),
        "## What it learnt from",
        corpus_table(manifest, summary),
        left_out(manifest),
        before(folder),
        "## How it was trained",
        training(recipe, summary, provenance),
        repeated(recipe, manifest, summary, provenance),
        curves(folder, recipe, manifest, summary),
        *_found_later(folder),
        "## What it knows",
        knowledge(evaluation),
        "## What its embeddings are worth",
        transfer_table(transfer),
        "## What it cannot do",
        _limits(summary),
        "## How to get these figures again",
        _again(recipe, manifest, evaluation, provenance),
    ]
    path = folder / CARD_FILE
    write_whole("\n\n".join(part for part in parts if part) + "\n", path)
    return path


def _opening(
    recipe: PretrainRecipe, summary: Mapping[str, Any], provenance: Mapping[str, Any], where: str
) -> str:
    sizes, last = recipe.backbone, provenance["machine"]
    # Runs of an older kagaku tell the last machine only.
    device = ", ".join(last["gpus"]) or f"{last['cores']} cores of {last['cpu']}"
    place = where or f"{device} with torch {provenance['packages'].get('torch')}"
    return (
        f"One Transformer of {sizes.depth} layers and width {sizes.dim} for all modalities: "
        f"{summary['encoder_parameters']:,} parameters in the encoder, "
        f"{summary['parameters']:,} with the heads. Pretrained for {summary['steps']:,} steps on "
        f"{summary['tokens']:,} tokens in {summary['seconds'] / 3600:.1f} hours on {place}."
    )


def _use(recipe: PretrainRecipe, folder: Path) -> str:
    name = recipe.name if recipe.name in SHIPPED else folder.name
    return (
        "For fine-tuning, as frozen features, for generating and for going on with pretraining:\n\n"
        "```bash\n"
        f"kagaku finetune lab.csv --target NAME --base {name} --output run\n"
        f"kagaku embed lab.csv --model {name} --output vectors.parquet\n"
        f"kagaku generate molecule --weights {name} --output molecules.csv\n"
        "```"
    )


def _found_later(folder: Path) -> list[str]:
    path = folder / FOUND_LATER_FILE
    if not path.is_file():
        return []
    return ["## What was found later", path.read_text(encoding="utf-8").strip()]


def _limits(summary: Mapping[str, Any]) -> str:
    millions = summary["tokens"] / 1e6
    each = summary["tokens"] / summary["parameters"]
    return (
        f"This run has seen {millions:,.0f} million tokens, {each:,.2g} for each parameter; the "
        f"usual rule is {TOKENS_PER_PARAMETER:g} (Hoffmann et al. 2022, "
        "https://arxiv.org/abs/2203.15556). What no table above measures is not known; what it "
        "generates follows its corpus and is neither checked for "
        "stability nor for safety. Judge it by the tables above: where classical features alone do "
        "as well, use those. Whether a prediction built on it can be trusted is measured anew in "
        "each fine-tuning.\n\n"
        "The weights are numbers computed from the sources above, whose licences differ; abstracts "
        "and photographs belong to their owners and are not passed on here."
    )


def _again(
    recipe: PretrainRecipe,
    manifest: Manifest,
    evaluation: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> str:
    """Return the commands that lead to the same figures."""
    wishes = [
        f" --pairs {name.removeprefix('table: ')}"
        for name in evaluation.get("parts", {})
        if name.startswith("table: ")
    ]
    if on := evaluation.get("measured_on", {}).get("generated"):
        wishes.append(f" --molecules {on.split(' ')[0]}")
        compared = on.rpartition("compared with ")[2].split(" ")[0]
        wishes += [] if compared == "nothing" else [f" --reference {compared}"]
    corpus = f"corpora/{manifest.name}"
    made_with = provenance.get("commit")
    which = f"at commit `{made_with}`" if made_with else "in the version that made these weights"
    return (
        f"With kagaku as it was {which} (planning {provenance['identity']['planning']}): another "
        "version may build another corpus, compose other batches and so make similar weights, not "
        "the same. The corpus is built with the recipe of its sources (for kagaku-tiny "
        "`configs/corpus_tiny.yaml`), with the benchmark files in the folder that `KAGAKU_DATA` "
        "names if `manifest.json` says that they were held out.\n\n"
        "```bash\n"
        f"kagaku corpus build RECIPE --output {corpus}\n"
        f"kagaku pretrain {CONFIG_FILE} --corpus {corpus} --output run\n"
        f"kagaku release run --output {recipe.name}\n"
        f"kagaku evaluate {recipe.name} --corpus {corpus}{''.join(wishes)}\n"
        "```"
    )


def _modalities(manifest: Manifest, summary: Mapping[str, Any]) -> list[str]:
    sources = trained_sources(manifest, summary)
    return sorted({kind for one in sources for kind in one.inputs.values()})
