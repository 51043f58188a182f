"""`kagaku release`: a pretraining run made publishable: half the bytes, card, log, checksums."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from kagaku.data.corpora.storage import MANIFEST, load_manifest, write_json
from kagaku.errors import InputError
from kagaku.models.checkpoint import CONFIG_FILE as ENCODER_FILE
from kagaku.models.checkpoint import WEIGHTS_FILE, write_tensors
from kagaku.models.pretraining.logs import LOSSES_FILE, STEPS_FILE, VALID_FILE
from kagaku.models.pretraining.stored import HEADS_FILE, OBJECTIVES_FILE, load_pretrained
from kagaku.outputs import check_job_folder
from kagaku.pretrain import CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE
from kagaku.pretrain_card import write_pretrain_card
from kagaku.pretrain_figures import SVG_FILE, draw_losses
from kagaku.pretrain_recipe import load_pretrain_recipe
from kagaku.terminal import Terminal

CHECKSUMS_FILE = "checksums.json"

REQUIRED = (ENCODER_FILE, OBJECTIVES_FILE, CONFIG_FILE, MANIFEST, SUMMARY_FILE, PROVENANCE_FILE)
"""Files that are published as they are, or nearly so, and must be there."""

OPTIONAL = (LOSSES_FILE, VALID_FILE)
"""Files that are published where they are there."""

LOGGED_STEPS = 200
"""Steps of the log that are kept, evenly spread."""


def release_weights(run: Path, output: Path, *, terminal: Terminal | None = None) -> Path:
    """Write what others need of a pretraining run into a folder, and return the folder.

    Weights are stored in float16, with 11 bits of precision, and loaded as float32 again. What was
    measured on an earlier release in the folder stays in its files, and in the card only if the
    weights are the same.

    Args:
        run: A finished pretraining's run folder, evaluated or not.
        output: A new or empty folder, or an earlier release, which is replaced file by file.
        terminal: Where to tell what happens; None tells nothing.

    Raises:
        InputError: The run lacks a file, has not finished, or a weight does not fit float16.
    """
    terminal = terminal or Terminal(quiet=True)
    for name in (*REQUIRED, WEIGHTS_FILE, HEADS_FILE):
        if not (run / name).is_file():
            raise InputError(
                f"there is no {name}",
                fix="Name the folder of a pretraining that has finished.",
                where=str(run),
            )
    check_job_folder(output, mark=ENCODER_FILE, what="release")
    output.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, HEADS_FILE):
        write_tensors(halved(load_file(str(run / name)), run / name), output / name)
    for name in (ENCODER_FILE, OBJECTIVES_FILE, SUMMARY_FILE, PROVENANCE_FILE):
        shutil.copyfile(run / name, output / name)
    _write_recipe(run, output)
    # Read and written again, so that a manifest of another layout is never passed on.
    manifest = load_manifest(run)
    write_json({"format_version": 1, **asdict(manifest)}, output / MANIFEST)
    for name in OPTIONAL:
        if (run / name).is_file():
            shutil.copyfile(run / name, output / name)
    if (output / LOSSES_FILE).is_file():
        draw_losses(output)
        (output / SVG_FILE).unlink()  # one picture is enough beside the numbers
        for name in (LOSSES_FILE, STEPS_FILE):
            if (run / name).is_file():
                thinned(pd.read_csv(run / name)).to_csv(output / name, index=False)
    load_pretrained(output)  # what is published can be loaded
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
    write_json({name: _sha256(folder / name) for name in names}, folder / CHECKSUMS_FILE)


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
        found = _sha256(folder / name) if (folder / name).is_file() else "missing"
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


def _write_recipe(run: Path, output: Path) -> None:
    """Write the recipe without the places of the machine that ran it."""
    recipe = load_pretrain_recipe(run / CONFIG_FILE)
    manifest = load_manifest(run)
    stored = asdict(replace(recipe, corpus=f"corpora/{manifest.name}", output="run"))
    stored["objectives"] = recipe.objectives.to_json()
    del stored["order"]["seed"]
    (output / CONFIG_FILE).write_text(
        "# Rebuilds these weights: kagaku pretrain config.yaml --corpus CORPUS --output RUN\n"
        + yaml.safe_dump(stored, sort_keys=False, allow_unicode=True, width=1_000),
        encoding="utf-8",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
