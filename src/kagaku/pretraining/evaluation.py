"""`kagaku evaluate`: what pretrained weights know, measured on what they never saw.

Each part is written down as soon as it is done, with the checksum of the weights and of all that it
was measured on: a stopped evaluation goes on, and what was measured on something else is measured
anew.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagaku.bases import weights_folder
from kagaku.data.corpora.storage import load_manifest
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.outputs import check_writable
from kagaku.pretraining.card import CARD_FILE, EVALUATION_FILE
from kagaku.pretraining.card_parts import shown
from kagaku.pretraining.measures import (
    Figures,
    Subject,
    generated_figures,
    held_out_figures,
    neighbour_figures,
    pair_figures,
    paired_sources,
    reference_molecules,
    table_figures,
    table_pairs,
)
from kagaku.pretraining.prepared import prepare
from kagaku.pretraining.recipe import load_pretrain_recipe
from kagaku.pretraining.release import refresh
from kagaku.pretraining.run_files import CONFIG_FILE, PROVENANCE_FILE
from kagaku.provenance import sha256
from kagaku.terminal import Terminal

COUNTED_MODALITIES = ("molecule", "protein")
"""Modalities whose hidden tokens are also guessed from how common they are, and from neighbours."""


@dataclass(frozen=True)
class EvaluationWishes:
    """What to measure beside what the corpus itself allows."""

    pairs: tuple[Path, ...] = ()
    """Tables with two kinds of data that belong together, row by row, such as SMILES and text."""

    n_molecules: int = 0
    """Molecules to generate from nothing; 0 for none."""

    reference: Path | None = None
    """A table of molecules that the generated ones shall resemble; None compares with none."""


@dataclass(frozen=True)
class Part:
    """One part of an evaluation."""

    name: str
    """What it is called in the file."""

    measured_on: str
    """What it is measured on; another text means that it has to be measured anew."""

    measure: Callable[[], Figures]
    """Measures it."""


def evaluate_weights(
    weights: str | Path,
    *,
    corpus: Path | None = None,
    wishes: EvaluationWishes | None = None,
    terminal: Terminal | None = None,
) -> dict[str, Figures]:
    """Return the figures of pretrained weights by part, and write them into its folder and card.

    Args:
        weights: A pretraining's run folder, the folder of released weights, or a shipped name.
        corpus: The corpus, in place of the one that the run's recipe names.
        wishes: What else to measure.
        terminal: Where to show what is found; None shows nothing.

    Raises:
        InputError: The folder holds no pretrained network, the corpus is missing or another one
            than the network was trained on, or a given table cannot be used.
    """
    wishes, terminal = wishes or EvaluationWishes(), terminal or Terminal(quiet=True)
    folder = weights_folder(weights)
    path = folder / EVALUATION_FILE
    check_writable(path)
    subject = _subject(folder, corpus, terminal)
    parts = _parts(subject, wishes, terminal)
    known = _known(path, sha256(folder / WEIGHTS_FILE))
    for number, part in enumerate(parts, 1):
        if known["measured_on"].get(part.name) != part.measured_on:
            terminal.say(f"Measuring {number} of {len(parts)}: {part.name}")
            known["parts"][part.name] = part.measure()
            known["measured_on"][part.name] = part.measured_on
            write_json(known, path)
            if (folder / CARD_FILE).is_file():
                refresh(folder)
        show_part(part.name, known["parts"][part.name], terminal)
    terminal.say("Wrote", path=path)
    return {part.name: known["parts"][part.name] for part in parts}


def show_part(name: str, figures: Mapping[str, Any], terminal: Terminal) -> None:
    """Print the figures of one part; nested ones as one table each."""
    if not figures:
        terminal.say(f"{name}: there are too few held-out samples to measure it")
    nested = {key: value for key, value in figures.items() if isinstance(value, Mapping)}
    if plain := {key: value for key, value in figures.items() if key not in nested}:
        rows = [[key, shown(value)] for key, value in plain.items()]
        terminal.table(name, ["figure", "value"], rows)
    for key, inner in nested.items():
        show_part(f"{name}, {key}", inner, terminal)


def _subject(folder: Path, corpus: Path | None, terminal: Terminal) -> Subject:
    """Load network and corpus, and see that they belong together."""
    pretrained = load_pretrained(folder)
    if not (folder / PROVENANCE_FILE).is_file():
        raise InputError(
            f"there is no {PROVENANCE_FILE}",
            fix="Run the same `kagaku pretrain` again to its end.",
            where=str(folder),
        )
    recipe = load_pretrain_recipe(folder / CONFIG_FILE, {"corpus": corpus})
    prepared = prepare(recipe)
    unlike = prepared.corpus.manifest.unlike_shards(load_manifest(folder))
    if unlike is None:
        raise InputError(
            "this is another corpus than the weights were trained on, so its held-out samples may "
            "be among those that they have seen",
            fix="Build the corpus with the same recipe and versions as the weights' manifest.json "
            "has, or name the one that they were trained on.",
            where=recipe.corpus,
        )
    if unlike:
        terminal.say(
            "The corpus has the samples that the weights were trained on and held out, but "
            f"another build's bytes of {', '.join(unlike)}: their figures may differ a little."
        )
    return Subject(pretrained, recipe, prepared)


def _parts(subject: Subject, wishes: EvaluationWishes, terminal: Terminal) -> list[Part]:
    """Return what is to be measured; tables are opened here, before any work."""
    corpus = str(subject.prepared.identity["corpus"]["manifest"])
    vocabularies = subject.pretrained.network.vocabularies
    parts = [Part("held-out", corpus, lambda: held_out_figures(subject))]
    parts += [
        _part(f"neighbours: {name}", corpus, neighbour_figures, subject, name)
        for name in COUNTED_MODALITIES
        if name in vocabularies and subject.sources_with(name)
    ]
    parts += [
        _part(f"pairs: {name}", corpus, pair_figures, subject, name)
        for name in paired_sources(subject)
    ]
    repeated = [
        one for one, count in Counter(path.name for path in wishes.pairs).items() if count > 1
    ]
    if repeated:
        raise InputError(
            f"two tables of pairs are called {repeated[0]!r}", fix="Rename one of them."
        )
    for path in wishes.pairs:
        _check_file(path)
        table_pairs(subject, path)
        parts.append(_part(f"table: {path.name}", sha256(path), table_figures, subject, path))
    if wishes.reference is not None and not wishes.n_molecules:
        raise InputError(
            "a reference is compared with generated molecules, and none are asked for",
            fix="Add --molecules, such as --molecules 10000.",
        )
    if wishes.n_molecules:
        if "molecule" not in subject.pretrained.modalities:
            raise InputError(
                "the weights were not trained on molecules, so they cannot generate any",
                fix="Leave --molecules out.",
            )
        reference, compared = None, "nothing"
        if wishes.reference is not None:
            _check_file(wishes.reference)
            reference = reference_molecules(wishes.reference)
            compared = f"{wishes.reference.name} {sha256(wishes.reference)}"
        parts.append(
            Part(
                "generated",
                f"{wishes.n_molecules} molecules, {corpus}, compared with {compared}",
                lambda: generated_figures(subject, wishes.n_molecules, reference, terminal),
            )
        )
    return parts


def _part(
    name: str, on: str, measure: Callable[..., Figures], subject: Subject, what: object
) -> Part:
    return Part(name, on, lambda: measure(subject, what))


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise InputError("there is no such file", fix="Correct the path.", where=str(path))


def _known(path: Path, checksum: str) -> dict[str, Any]:
    """Return what was measured before on the same weights."""
    fresh: dict[str, Any] = {"weights": checksum, "measured_on": {}, "parts": {}}
    if not path.is_file():
        return fresh
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        is_same = stored["weights"] == checksum and set(stored["parts"]) == set(
            stored["measured_on"]
        )
    except (ValueError, KeyError, TypeError):
        raise InputError(
            "this file holds no evaluation", fix="Remove it.", where=str(path)
        ) from None
    return stored if is_same else fresh
