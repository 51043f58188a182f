"""The card of released weights: what they learnt from, what they know, and what they do not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kagaku.bases import SHIPPED
from kagaku.data.corpora.manifest import Manifest
from kagaku.data.corpora.storage import load_manifest
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.models.pretraining.logs import VALID_FILE
from kagaku.models.pretraining.scaling_plan import TOKENS_PER_PARAMETER
from kagaku.pretraining.figures import PNG_FILE
from kagaku.pretraining.machines import where_trained
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.pretraining.verb import CONFIG_FILE, PROVENANCE_FILE, START_FILE, SUMMARY_FILE
from kagaku.provenance import sha256

CARD_FILE = "card.md"

EVALUATION_FILE = "evaluation.json"
"""What `kagaku evaluate` measured."""

TRANSFER_FILE = "transfer.json"
"""Scores of readouts on frozen embeddings, a list of tasks; `scripts/frozen_embeddings.py`."""

REPEATS_DIFFER = 5
"""The first planning that shows a sample otherwise where a micro-batch has it twice."""

HIGHER_IS_BETTER = ("ROC-AUC", "Spearman", "accuracy")


def write_pretrain_card(folder: Path) -> Path:
    """Write the card of a release from its other files alone, and return its path.

    Raises:
        InputError: A file is missing or damaged.
    """
    recipe = load_pretrain_recipe(folder / CONFIG_FILE)
    manifest = load_manifest(folder)
    summary, provenance = (_read(folder / name) for name in (SUMMARY_FILE, PROVENANCE_FILE))
    evaluation = _of_these_weights(folder, EVALUATION_FILE)
    transfer = _of_these_weights(folder, TRANSFER_FILE)
    header = yaml.safe_dump(
        {
            "library_name": "kagaku",
            "license": "other",
            "tags": ["kagaku", "science", *_modalities(manifest, summary)],
            "datasets": [one.name for one in _sources(manifest, summary)],
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
        _corpus_table(manifest, summary),
        _left_out(manifest),
        _before(folder),
        "## How it was trained",
        _training(recipe, summary, provenance),
        _repeated(recipe, manifest, summary, provenance),
        _curves(folder),
        "## What it knows",
        _knowledge(evaluation),
        "## What its embeddings are worth",
        _transfer(transfer),
        "## What it cannot do",
        _limits(summary),
        "## How to get these figures again",
        _again(recipe, manifest, evaluation),
    ]
    path = folder / CARD_FILE
    write_whole("\n\n".join(part for part in parts if part) + "\n", path)
    return path


def shown(value: float) -> str:
    """Return a number as a table shows it: counts whole, others with four digits.

    Example:
        >>> shown(10000.0), shown(0.123456)
        ('10,000', '0.1235')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


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


def _corpus_table(manifest: Manifest, summary: Mapping[str, Any]) -> str:
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
        for one in _sources(manifest, summary)
    ]
    columns = ["source", "modalities", "samples", "tokens", "times seen", "from", "licence"]
    return _table(columns, rows)


def _left_out(manifest: Manifest) -> str:
    removed = sum(manifest.held_out.values())
    text = (
        f"{removed:,} samples were removed since one of {len(manifest.held_out)} benchmark sets "
        "has them, exactly or nearly; every step of cleaning is counted in `manifest.json`."
        if removed
        else "No sample was removed for the sake of a benchmark."
    )
    return " ".join([text, *manifest.notes])


def _before(folder: Path) -> str:
    """Return what the weights that the run started from had learnt from; empty without any."""
    if not (folder / START_FILE).is_file():
        return ""
    start: Mapping[str, Any] | None = _read(folder / START_FILE)
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
            blocks.append(f"{told}, and whose corpus had\n\n{_table(columns, rows)}")
        start = start["before"]
    return "\n\n".join(blocks)


def _training(
    recipe: PretrainRecipe, summary: Mapping[str, Any], provenance: Mapping[str, Any]
) -> str:
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


def _repeated(
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
    for one in _sources(manifest, summary):
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


def _curves(folder: Path) -> str:
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
    return picture + _table(columns, rows)


def _knowledge(evaluation: Mapping[str, Any]) -> str:
    parts = evaluation.get("parts", {})
    if not parts:
        return _unmeasured(evaluation, "kagaku evaluate")
    blocks = []
    counted = {
        name.removeprefix("neighbours: "): found
        for name, found in parts.items()
        if name.startswith("neighbours: ")
    }
    if counted:
        kinds = ("", "bigram ", "unigram ")
        blocks.append(
            "Hidden tokens of held-out samples (accuracy, and loss in nats per token), beside "
            "guesses from the tokens next to them and from how common each is. In records of "
            "several parts this model also sees the other part, which the guesses do not:\n\n"
            + _table(
                ["modality", "tokens asked", "this model", "bigrams", "unigrams"],
                [
                    [
                        name,
                        f"{found['tokens']:,.0f}",
                        *(
                            f"{found[f'{kind}accuracy']:.1%}, {found[f'{kind}loss']:.3f}"
                            for kind in kinds
                        ),
                    ]
                    for name, found in counted.items()
                ],
            )
        )
    pairs = [
        [
            name.replace("pairs: ", "held out of ").replace("table: ", ""),
            direction,
            f"{scores['pairs']:,.0f}",
            f"{scores['recall@1']:.1%}",
            f"{scores['recall@10']:.1%}",
            f"{scores['chance recall@10']:.1%}",
            f"{scores['mean reciprocal rank']:.3f}",
        ]
        for name, found in parts.items()
        if name.startswith(("pairs: ", "table: "))
        for direction, scores in found.items()
    ]
    if pairs:
        columns = ["pairs of", "direction", "number", "first", "first ten", "chance", "MRR"]
        blocks.append(
            "How often the partner of a value comes first, or among ten, of all partners:\n\n"
            + _table(columns, pairs)
        )
    if made := parts.get("generated"):
        on = evaluation["measured_on"]["generated"].rpartition("compared with ")[2].split(" ")[0]
        blocks.append(
            f"Molecules generated from nothing (temperature 1), compared with {on}:\n\n"
            + _table(["measure", "value"], [[key, shown(value)] for key, value in made.items()])
        )
    if held_out := parts.get("held-out"):
        rows = [[key, shown(value)] for key, value in held_out.items()]
        blocks.append(
            "All held-out figures, over all sources together:\n\n"
            + _table(["figure", "value"], rows)
        )
    return "\n\n".join(blocks)


def _transfer(transfer: Mapping[str, Any]) -> str:
    tasks = transfer.get("tasks", [])
    if not tasks:
        return _unmeasured(transfer, "scripts/frozen_embeddings.py")
    sets = ("classical", "untrained", "base", "classical + untrained", "classical + base")
    readouts = list(dict.fromkeys(key.partition(": ")[0] for key in tasks[0] if ": " in key))
    rows = [
        [
            f"{task['task']} ({task['metric']}{', cut' if task['is_cut'] else ''})",
            readout,
            *(f"{task[f'{readout}: {one}']:.3f}" for one in sets),
        ]
        for task in tasks
        for readout in readouts
    ]
    columns = ["task", "readout", *(one.replace("base", "this model") for one in sets)]
    if unknown := {task["metric"] for task in tasks} - {*HIGHER_IS_BETTER, "RMSE"}:
        raise InputError(
            f"whether more {sorted(unknown)[0]} is better is not known",
            fix="Name it in pretrain_card.HIGHER_IS_BETTER, or measure the RMSE.",
        )
    beaten = sum(_is_better(task, readout, "base", "untrained") for task, readout in _both(tasks))
    helped = sum(
        _is_better(task, readout, "classical + base", "classical") for task, readout in _both(tasks)
    )
    total = len(_both(tasks))
    return (
        f"Test scores of the same readout on different features, nothing fine-tuned; one seed, and "
        f"small differences mean nothing. Alone, the "
        f"embeddings beat an untrained encoder's in {beaten} of {total} rows; beside the classical "
        f"features they improve on these alone in {helped} of {total}. RMSE: lower is better; "
        f"{', '.join(HIGHER_IS_BETTER)}: higher is better.\n\n" + _table(columns, rows)
    )


def _unmeasured(stored: Mapping[str, Any], how: str) -> str:
    if stored.get("other"):
        return f"The figures beside this card are of other weights; measure these: `{how}`."
    return f"Not measured yet: `{how}`."


def _both(tasks: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    return [
        (task, key.partition(": ")[0]) for task in tasks for key in task if key.endswith(": base")
    ]


def _is_better(task: Mapping[str, Any], readout: str, one: str, other: str) -> bool:
    gain = task[f"{readout}: {one}"] - task[f"{readout}: {other}"]
    return bool(gain > 0 if task["metric"] in HIGHER_IS_BETTER else gain < 0)


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


def _again(recipe: PretrainRecipe, manifest: Manifest, evaluation: Mapping[str, Any]) -> str:
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
    return (
        "The corpus is built with the recipe of its sources (for kagaku-tiny "
        "`configs/corpus_tiny.yaml`), with the benchmark files in the folder that `KAGAKU_DATA` "
        "names if `manifest.json` says that they were held out.\n\n"
        "```bash\n"
        f"kagaku corpus build RECIPE --output {corpus}\n"
        f"kagaku pretrain {CONFIG_FILE} --corpus {corpus} --output run\n"
        f"kagaku release run --output {recipe.name}\n"
        f"kagaku evaluate {recipe.name} --corpus {corpus}{''.join(wishes)}\n"
        "```"
    )


def _sources(manifest: Manifest, summary: Mapping[str, Any]) -> list[Any]:
    """Return the sources that were trained on."""
    return [one for one in manifest.sources if summary["epochs"].get(one.name)]


def _modalities(manifest: Manifest, summary: Mapping[str, Any]) -> list[str]:
    sources = _sources(manifest, summary)
    return sorted({kind for one in sources for kind in one.inputs.values()})


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _of_these_weights(folder: Path, name: str) -> dict[str, Any]:
    """Return what a file says of the weights in the folder; empty if it is not there."""
    if not (folder / name).is_file():
        return {}
    stored = _read(folder / name)
    is_of_these = stored.get("weights") == sha256(folder / WEIGHTS_FILE)
    return stored if is_of_these else {"other": True}


def _read(path: Path) -> dict[str, Any]:
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"the file cannot be read ({error})", fix="Make the release again.", where=str(path)
        ) from None
    return stored
