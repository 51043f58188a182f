"""`kagaku benchmark speed`: runs the parts, keeps what is finished, and writes the table."""

import json
import tempfile
from pathlib import Path
from typing import Any

from kagaku.data.whole_files import write_json, write_whole
from kagaku.errors import InputError
from kagaku.outputs import check_job_folder
from kagaku.provenance import code_fingerprint, machine, package_versions
from kagaku.registry import did_you_mean
from kagaku.speed import (
    embedding,
    embedding_memory,
    finetuning,
    lengths,
    loading,
    predicting,
    profile,
    starting,
    tracing,
    training,
)
from kagaku.speed.figures import draw_lengths
from kagaku.speed.part import Measured, Part, Wishes
from kagaku.speed.report import MARKS, body, check_page, table
from kagaku.terminal import Terminal

JSON_FILE, REPORT_FILE, PARTS_FOLDER = "speed.json", "speed.md", "parts"

PARTS = {
    one.name: one
    for one in (
        Part("starting", "the first word of a command", starting.measure),
        Part("embedding", "proteins of mixed lengths", embedding.measure),
        Part("profile", "where the time of embedding goes", profile.measure),
        Part("lengths", "speed against length", lengths.measure),
        Part("loading", "reading, tokenising, featurising", loading.measure),
        Part("training", "a pretraining step", training.measure),
        Part("tracing", "from a value to training data", tracing.measure),
        Part("predicting", "memory of predicting a long file", predicting.measure),
        Part("embedding_memory", "memory of embedding long files", embedding_memory.measure),
        Part("finetuning", "ESOL beside chemprop", finetuning.measure),
    )
}
"""By name, in the order in which they run."""


def run_speed(
    wishes: Wishes, output: Path, *, terminal: Terminal | None = None
) -> dict[str, Measured]:
    """Measure what is asked, and return it by part; finished parts are kept in the folder.

    Args:
        wishes: What to measure.
        output: Gets ``speed.json``, ``speed.md`` and the figure; the same call goes on.
        terminal: Where to tell what happens.

    Raises:
        InputError: There is no such part, the folder or page cannot be used, or the page has
            figures of parts that are not measured.
    """
    terminal = terminal or Terminal()
    chosen = chosen_parts(wishes.only)
    check_job_folder(output, mark=JSON_FILE, what="speed benchmark")
    kept = {
        part.name: measured
        for part in PARTS.values()
        if part not in chosen and (measured := kept_part(part, wishes, output)) is not None
    }
    if wishes.page is not None:
        MARKS.check(wishes.page)
        n_kept: dict[str, int | None] = {name: len(one.comparisons) for name, one in kept.items()}
        check_page(
            wishes.page, list(PARTS), measured=n_kept | dict.fromkeys([one.name for one in chosen])
        )
    (output / PARTS_FOLDER).mkdir(parents=True, exist_ok=True)
    if not (output / JSON_FILE).exists():
        write_json({"parts": {}}, output / JSON_FILE)
    found = {}
    with terminal.progress("speed") as progress:
        for number, part in enumerate(chosen):
            progress(number, len(chosen), f"{part.name}: {part.what}")
            found[part.name] = kept_or_measured(part, wishes, output)
    found = {name: one for name in PARTS if (one := found.get(name) or kept.get(name))}
    write_json(
        {
            "parts": {name: one.to_json() for name, one in found.items()},
            **settings_here(wishes),
        },
        output / JSON_FILE,
    )
    text = body(found, machine())
    write_whole(f"# Speed and memory\n\n{text}\n", output / REPORT_FILE)
    if "lengths" in found:
        measured = found["lengths"]
        draw_lengths(measured.details["lengths"], measured.comparisons, output)
    shown = table(found)
    terminal.table(shown.title, shown.columns, shown.rows)
    terminal.say("Wrote the table to", path=output / REPORT_FILE)
    if wishes.page is not None:
        # A part may lack what it needs, which only measuring tells.
        n_figures = {name: len(one.comparisons) for name, one in found.items()}
        check_page(wishes.page, list(PARTS), measured=n_figures)
        MARKS.fill(wishes.page, text)
    return found


def chosen_parts(names: tuple[str, ...]) -> list[Part]:
    """Return the parts of some names, in their own order; all if there are none.

    Raises:
        InputError: There is no part of a name.
    """
    for name in names:
        if name not in PARTS:
            raise InputError(
                f"speed has no part {name!r}", fix=did_you_mean(name, list(PARTS)), where="--only"
            )
    return [part for name, part in PARTS.items() if not names or name in names]


def settings_here(wishes: Wishes) -> dict[str, Any]:
    """Return all that decides figures: the wishes, the code, the packages and the machine."""
    return {
        "settings": wishes.settings(),
        "code": code_fingerprint(),
        "machine": dict(machine()),
        "packages": package_versions(("kagaku", "torch", "transformers", "numpy", "rdkit")),
    }


def kept_part(part: Part, wishes: Wishes, output: Path) -> Measured | None:
    """Return a part as an earlier call left it; None if anything that decides it has changed."""
    path = output / PARTS_FOLDER / f"{part.name}.json"
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    measured = stored.pop("measured")
    return Measured.from_json(measured) if stored == settings_here(wishes) else None


def kept_or_measured(part: Part, wishes: Wishes, output: Path) -> Measured:
    """Return a part as an earlier call with the same settings left it, or measure and keep it.

    A part in which something was missing is not kept, so that a later call may have it.
    """
    if (kept := kept_part(part, wishes, output)) is not None:
        return kept
    with tempfile.TemporaryDirectory() as scratch:
        measured = part.measure(wishes, Path(scratch))
    if not measured.not_run:
        path = output / PARTS_FOLDER / f"{part.name}.json"
        write_json({**settings_here(wishes), "measured": measured.to_json()}, path)
    return measured
