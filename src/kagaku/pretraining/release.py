"""`kagaku release`: a pretraining run made publishable: half the bytes, card, log, checksums."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from kagaku.bases import SHIPPED
from kagaku.data.corpora.storage import MANIFEST, load_manifest, save_manifest
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.models.checkpoint import CONFIG_FILE as ENCODER_FILE
from kagaku.models.checkpoint import WEIGHTS_FILE, write_tensors
from kagaku.models.pretraining.logs import LOSSES_FILE, STEPS_FILE, VALID_FILE
from kagaku.models.pretraining.stored import HEADS_FILE, OBJECTIVES_FILE, load_pretrained
from kagaku.outputs import check_writable
from kagaku.pretraining.card import write_pretrain_card
from kagaku.pretraining.figures import SVG_FILE, draw_losses
from kagaku.pretraining.machines import MACHINES_FILE
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.pretraining.run_files import CONFIG_FILE, PROVENANCE_FILE, START_FILE, SUMMARY_FILE
from kagaku.provenance import sha256
from kagaku.terminal import Terminal

CHECKSUMS_FILE = "checksums.json"

REQUIRED = (ENCODER_FILE, OBJECTIVES_FILE, SUMMARY_FILE, PROVENANCE_FILE)
"""Files that are published as they are."""

CHANGED = (WEIGHTS_FILE, HEADS_FILE, CONFIG_FILE, MANIFEST)
"""Files that have to be there as well, and are published in another form."""

LOGGED_STEPS = 200
"""Steps of the log that are kept, evenly spread."""


def release_weights(run: Path, output: Path, *, terminal: Terminal | None = None) -> Path:
    """Write what others need of a pretraining run into a folder, and return the folder.

    Weights are stored in float16, with 11 bits of precision, and loaded as float32 again. What was
    measured on an earlier release in the folder stays in its files, and in the card only if the
    weights are the same. Everything is made in a folder beside the output and moved when it is
    whole.

    Args:
        run: A finished pretraining's run folder.
        output: A new or empty folder (a package's, with Python files, counts as empty), or an
            earlier release.
        terminal: Where to tell what happens; None tells nothing.

    Raises:
        InputError: The run lacks a file or has steps to do, a weight does not fit float16, or the
            output holds something else.
    """
    terminal = terminal or Terminal(quiet=True)
    _check_run(run)
    _check_output(run, output)
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _fill(run, partial)
        output.mkdir(parents=True, exist_ok=True)
        for path in sorted(partial.iterdir()):
            path.replace(output / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    refresh(output)
    size = sum((output / name).stat().st_size for name in (WEIGHTS_FILE, HEADS_FILE))
    terminal.say(f"Wrote {size / 1e6:.1f} MB of weights, with card and checksums, to", path=output)
    return output


def refresh(folder: Path) -> None:
    """Write the card and the checksums of a release from its other files."""
    write_pretrain_card(folder)
    names = sorted(
        one.name
        for one in folder.iterdir()
        if one.is_file() and one.suffix != ".py" and one.name != CHECKSUMS_FILE
    )
    write_json({name: sha256(folder / name) for name in names}, folder / CHECKSUMS_FILE)


def verify_release(folder: Path) -> None:
    """Compare every file of a release with its checksum.

    Raises:
        InputError: A file is missing, or differs.
    """
    path = folder / CHECKSUMS_FILE
    if not path.is_file():
        raise InputError(
            f"there is no {CHECKSUMS_FILE}", fix="Name a released folder.", where=str(folder)
        )
    for name, expected in json.loads(path.read_text(encoding="utf-8")).items():
        found = sha256(folder / name) if (folder / name).is_file() else "missing"
        if found != expected:
            raise InputError(
                f"{name} has the checksum {found[:12]}, and {expected[:12]} was published",
                fix="Copy the release again.",
                where=str(folder),
            )


def halved(tensors: dict[str, Tensor], where: Path) -> dict[str, Tensor]:
    """Return tensors in float16.

    Raises:
        InputError: One holds a number that float16 cannot.
    """
    found = {}
    for name, tensor in tensors.items():
        half = tensor.to(torch.float16) if tensor.is_floating_point() else tensor
        if not bool(torch.isfinite(half).all()):
            raise InputError(
                f"{name} holds numbers beyond float16's range",
                fix="Train on with more weight decay; such weights would not be stable either.",
                where=str(where),
            )
        found[name] = half
    return found


def thinned(log: pd.DataFrame) -> pd.DataFrame:
    """Return about `LOGGED_STEPS` steps of a log, the last among them."""
    steps = sorted(log["step"].unique())
    apart = max(1, -(-len(steps) // LOGGED_STEPS))
    return log[log["step"].isin(steps[::-1][::apart])]


def _check_run(run: Path) -> None:
    for name in (*REQUIRED, *CHANGED):
        if not (run / name).is_file():
            raise InputError(
                f"there is no {name}",
                fix="Name the folder of a pretraining that has finished.",
                where=str(run),
            )
    summary = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))
    if summary["steps"] < summary["max_steps"]:
        raise InputError(
            f"{summary['steps']:,} of {summary['max_steps']:,} steps are done, so the weights have "
            "not cooled down",
            fix="Run the same `kagaku pretrain` again to its end.",
            where=str(run),
        )


def _check_output(run: Path, output: Path) -> None:
    check_writable(output)
    if run.resolve() == output.resolve():
        raise InputError(
            "a run cannot be released into its own folder",
            fix="Choose another --output.",
            where=str(output),
        )
    there = [] if not output.is_dir() else list(output.iterdir())
    others = [one.name for one in there if one.suffix != ".py" and one.name != "__pycache__"]
    if output.is_file() or (others and CHECKSUMS_FILE not in others):
        raise InputError(
            "it holds something other than a release, which would be mixed with it",
            fix="Choose an empty or a new folder as --output.",
            where=str(output),
        )


def _fill(run: Path, folder: Path) -> None:
    """Write all of a release but what was measured on it."""
    for name in (WEIGHTS_FILE, HEADS_FILE):
        write_tensors(halved(load_file(str(run / name)), run / name), folder / name)
    for name in (*REQUIRED, START_FILE, MACHINES_FILE, LOSSES_FILE, VALID_FILE, TRAINED_ON_FILE):
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    _write_recipe(run, folder)
    save_manifest(load_manifest(run), folder)
    if (folder / LOSSES_FILE).is_file():
        draw_losses(folder)
        (folder / SVG_FILE).unlink()  # one picture is enough beside the numbers
    for name in (LOSSES_FILE, STEPS_FILE):
        if (run / name).is_file():
            thinned(pd.read_csv(run / name)).to_csv(folder / name, index=False)
    load_pretrained(folder)  # what is published can be loaded


def _write_recipe(run: Path, folder: Path) -> None:
    """Write the recipe without the places of the machine that ran it."""
    recipe = load_pretrain_recipe(run / CONFIG_FILE)
    start = recipe.start
    if start is not None and start not in SHIPPED:
        start = Path(start).resolve().name
    corpus = f"corpora/{load_manifest(run).name}"
    stored = asdict(replace(recipe, corpus=corpus, output="run", start=start))
    stored["objectives"] = recipe.objectives.to_json()
    del stored["order"]["seed"]
    (folder / CONFIG_FILE).write_text(
        "# Made these weights: kagaku pretrain config.yaml --corpus CORPUS --output RUN\n"
        "# Another version of kagaku may make similar weights, not the same; see card.md.\n"
        + yaml.safe_dump(stored, sort_keys=False, allow_unicode=True, width=1_000),
        encoding="utf-8",
    )
