"""`kagaku evaluate`: what pretrained weights know, measured on what they never saw.

Each part is written down as soon as it is done, under the checksum of the weights it was measured
on: a stopped evaluation goes on, and one of other weights starts again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data import infer_schema, parse_records, read
from kagaku.data.corpora import Corpus
from kagaku.data.corpora.manifest import TRAIN, VALID
from kagaku.data.table import Table
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.models.pretraining.evaluation import evaluate
from kagaku.models.pretraining.neighbours import NeighbourCounts, neighbour_scores
from kagaku.models.pretraining.pairing import paired_inputs
from kagaku.models.pretraining.retrieval import projected, retrieval_scores, sample_retrieval
from kagaku.models.pretraining.sampling import SamplingConfig, sample_tokens
from kagaku.models.pretraining.stored import Pretrained, load_pretrained
from kagaku.outputs import check_writable
from kagaku.pretrain import CONFIG_FILE, Prepared, held_out_micro_batches, prepare
from kagaku.pretrain_card import CARD_FILE, EVALUATION_FILE
from kagaku.pretrain_recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.release import refresh
from kagaku.science_tasks.generation_metrics import (
    canonical_or_none,
    frechet_chemnet_distance,
    generation_scores,
)
from kagaku.terminal import Terminal

MICRO_BATCHES = 16
"""Held-out micro-batches of each source; fewer where there are not enough samples."""

COUNTED = 20_000
"""Training samples of each source in which a modality's neighbouring tokens are counted."""

PAIRED = 1_000
"""Held-out samples of each source among which pairs are looked for."""

REFERENCES = 10_000
"""Molecules of a reference that are compared with; of more, so many are drawn with seed 0."""

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
class _Subject:
    """What is evaluated, loaded."""

    pretrained: Pretrained
    recipe: PretrainRecipe
    prepared: Prepared


def evaluate_weights(
    folder: Path,
    *,
    corpus: Path | None = None,
    wishes: EvaluationWishes | None = None,
    terminal: Terminal | None = None,
) -> dict[str, Any]:
    """Return the figures of pretrained weights by part, and write them into its folder and card.

    Args:
        folder: A pretraining's run folder, or the folder of released weights.
        corpus: The corpus, in place of the one that the run's recipe names.
        wishes: What else to measure.
        terminal: Where to show what is found; None shows nothing.

    Raises:
        InputError: The folder holds no pretrained network, the corpus is missing or another one,
            or a given table cannot be used.
    """
    wishes, terminal = wishes or EvaluationWishes(), terminal or Terminal(quiet=True)
    output = folder / EVALUATION_FILE
    check_writable(output)
    for table in (*wishes.pairs, *([wishes.reference] if wishes.reference else [])):
        if not table.is_file():
            raise InputError("there is no such file", fix="Correct the path.", where=str(table))
    pretrained = load_pretrained(folder)
    recipe = load_pretrain_recipe(folder / CONFIG_FILE, {"corpus": corpus})
    subject = _Subject(pretrained, recipe, prepare(recipe))
    known = _known(output, folder / WEIGHTS_FILE)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "held-out": lambda: held_out_figures(subject.pretrained, recipe, subject.prepared),
        **{
            f"neighbours: {name}": _later(neighbour_figures, subject, name)
            for name in COUNTED_MODALITIES
            if name in pretrained.network.vocabularies
        },
        **{f"pairs: {name}": _later(pair_figures, subject, name) for name in _paired(subject)},
        **{f"pairs: {path.name}": _later(table_figures, subject, path) for path in wishes.pairs},
    }
    if wishes.n_molecules:
        parts["generated"] = lambda: generated_figures(
            subject.pretrained, subject.prepared.corpus, wishes, terminal
        )
    for number, (name, measure) in enumerate(parts.items(), 1):
        if name not in known["parts"]:
            terminal.say(f"Measuring {number} of {len(parts)}: {name}")
            known["parts"][name] = measure()
            _write(output, known)
        show_part(name, known["parts"][name], terminal)
    if (folder / CARD_FILE).is_file():
        refresh(folder)
    terminal.say("Wrote", path=output)
    found: dict[str, Any] = known["parts"]
    return found


def held_out_figures(
    pretrained: Pretrained, recipe: PretrainRecipe, prepared: Prepared
) -> dict[str, float]:
    """Return losses and accuracies on held-out samples of all sources; see `evaluate`."""
    wanted = held_out_micro_batches(
        prepared.corpus, recipe, prepared.data.order.sources, MICRO_BATCHES
    )
    return evaluate(pretrained.network, (prepared.data.batch(one, VALID) for one in wanted))


def neighbour_figures(subject: _Subject, modality: str) -> dict[str, float]:
    """Return how often hidden tokens of a modality are found: by the network, and by counting.

    Unigrams and bigrams are counted in training samples; all three are asked for the same tokens.
    """
    prepared, recipe = subject.prepared, subject.recipe
    sources = [
        one.name
        for one in prepared.corpus.manifest.sources
        if modality in one.inputs.values() and one.name in prepared.data.order.sources
    ]
    size = subject.pretrained.network.vocabularies[modality]
    sequences = (ids for name in sources for ids in _sequences(prepared, name, modality))
    counts = NeighbourCounts.count(sequences, size)
    wanted = held_out_micro_batches(prepared.corpus, recipe, sources, MICRO_BATCHES)
    batches = [prepared.data.batch(one, VALID) for one in wanted]
    found = evaluate(subject.pretrained.network, batches)
    name = f"masked/{modality}"
    own = {"accuracy": found[f"{name} accuracy"], "loss": found[name]}
    tokens = sum(len(one.masked[modality].token) for one in batches if modality in one.masked)
    return own | neighbour_scores(counts, batches, modality) | {"tokens": float(tokens)}


def pair_figures(subject: _Subject, source: str) -> dict[str, dict[str, float]]:
    """Return how well held-out pairs of a source find each other, in both directions."""
    corpus = subject.prepared.corpus
    count = min(PAIRED, corpus.n_samples(source, VALID))
    samples = [corpus.read(source, index, VALID) for index in range(count)]
    pretrained = subject.pretrained
    inputs = corpus.source(source).inputs
    return sample_retrieval(pretrained.network, pretrained.modalities, inputs, samples)


def table_figures(subject: _Subject, path: Path) -> dict[str, dict[str, float]]:
    """Return the same for the rows of a table with two kinds of data; equal rows count once.

    Raises:
        InputError: The table has no two columns that the network can compare.
    """
    table = read(path)
    if not isinstance(table, Table):
        raise InputError("this is a grid, not a table of pairs", where=str(path), fix="Give a CSV.")
    schema = infer_schema(table, targets=[])
    kinds = {one.name: one.modality for one in schema.inputs}
    modalities = subject.pretrained.modalities
    sides = paired_inputs({name: kind for name, kind in kinds.items() if kind in modalities})
    if sides is None:
        raise InputError(
            f"there are no two kinds of data to compare in the columns {list(kinds)}",
            fix="Give a table with, for instance, SMILES and descriptions.",
            where=str(path),
        )
    # The other columns may hold what the network has never heard of.
    schema = infer_schema(table, targets=[], inputs=list(sides))
    records, _ = parse_records(table, schema, with_targets=False)
    records, _ = check_records(records, modalities)
    one, two = (kinds[side] for side in sides)
    rows = zip(*(records.inputs[side] for side in sides), strict=True)
    firsts, seconds = [], []
    seen: set[tuple[int, Any]] = set()
    for first, second in rows:
        if first is None or second is None or {(0, first), (1, second)} & seen:
            continue
        seen |= {(0, first), (1, second)}
        firsts.append(modalities[one].tokenize(first))
        seconds.append(modalities[two].tokenize(second))
    network = subject.pretrained.network
    vectors = projected(network, one, firsts), projected(network, two, seconds)
    return {
        f"{one} to {two}": retrieval_scores(*vectors),
        f"{two} to {one}": retrieval_scores(*reversed(vectors)),
    }


def generated_figures(
    pretrained: Pretrained, corpus: Corpus, wishes: EvaluationWishes, terminal: Terminal
) -> dict[str, float]:
    """Return the scores of molecules generated from nothing, with seed 0 and temperature 1."""
    config = SamplingConfig()
    with terminal.progress("Generating") as progress:
        drawn = sample_tokens(
            pretrained.network,
            "molecule",
            [{} for _ in range(wishes.n_molecules)],
            config,
            progress=lambda done, total: progress(done, total, ""),
        )
    decoder: Any = pretrained.modalities["molecule"]
    smiles = [decoder.decode(ids.tolist()) for ids in drawn]
    scores = asdict(generation_scores(smiles, training_molecules(corpus)))
    # Nothing is said of the valid where none is.
    figures = {name: float(value) for name, value in scores.items() if np.isfinite(value)}
    if wishes.reference is not None:
        reference = reference_molecules(wishes.reference)
        figures["Fréchet ChemNet distance"] = frechet_chemnet_distance(smiles, reference)
        figures["reference molecules"] = float(len(reference))
    return figures


def training_molecules(corpus: Corpus) -> set[str]:
    """Return the canonical SMILES of all training samples of a corpus."""
    return {
        str(value)
        for source in corpus.manifest.sources
        for name, modality in source.inputs.items()
        if modality == "molecule"
        for index in range(corpus.n_samples(source.name, TRAIN))
        if (value := corpus.read(source.name, index).inputs.get(name)) is not None
    }


def reference_molecules(path: Path) -> list[str]:
    """Return molecules of a table's first column of SMILES, `REFERENCES` at most.

    Raises:
        InputError: No column is named or reads like SMILES.
    """
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    for name in frame.columns:
        cells = frame[name].dropna().astype(str)
        first = cells.head(20)
        if len(first) and all(canonical_or_none(one) is not None for one in first):
            drawn = cells.sample(min(len(cells), REFERENCES), random_state=0)
            return [str(one) for one in drawn]
    raise InputError(
        "no column holds molecules", fix="Give a table with a column of SMILES.", where=str(path)
    )


def show_part(name: str, figures: Mapping[str, Any], terminal: Terminal) -> None:
    """Print the figures of one part; nested ones as one table each."""
    nested = {key: value for key, value in figures.items() if isinstance(value, Mapping)}
    if plain := {key: value for key, value in figures.items() if key not in nested}:
        rows = [[key, f"{value:,.4g}"] for key, value in plain.items()]
        terminal.table(name, ["figure", "value"], rows)
    for key, inner in nested.items():
        show_part(f"{name}, {key}", inner, terminal)


def _later(
    measure: Callable[..., dict[str, Any]], subject: _Subject, what: object
) -> Callable[[], dict[str, Any]]:
    return lambda: measure(subject, what)


def _paired(subject: _Subject) -> list[str]:
    """Return the sources whose held-out samples hold pairs."""
    corpus = subject.prepared.corpus
    return [
        name
        for name in subject.prepared.data.order.sources
        if paired_inputs(corpus.source(name).inputs) is not None
        and corpus.n_samples(name, VALID) > 1
    ]


def _sequences(prepared: Prepared, source: str, modality: str) -> Iterator[np.ndarray]:
    """Yield the ids of a modality's values in some training samples of a source."""
    inputs = prepared.corpus.source(source).inputs
    names = [name for name, kind in inputs.items() if kind == modality]
    for index in range(min(COUNTED, prepared.corpus.n_samples(source, TRAIN))):
        sample = prepared.corpus.read(source, index)
        for name in names:
            if (value := sample.inputs.get(name)) is not None:
                yield prepared.modalities[modality].tokenize(value).ids[:, 0]


def _known(output: Path, weights: Path) -> dict[str, Any]:
    """Return what was measured before on the same weights, by part."""
    with weights.open("rb") as stream:
        checksum = file_digest(stream, "sha256").hexdigest()
    fresh: dict[str, Any] = {"weights": checksum, "parts": {}}
    if not output.is_file():
        return fresh
    try:
        stored = json.loads(output.read_text(encoding="utf-8"))
        is_same = stored["weights"] == checksum and isinstance(stored["parts"], dict)
    except (ValueError, KeyError, TypeError):
        raise InputError(
            "this file holds no evaluation", fix="Remove it.", where=str(output)
        ) from None
    return stored if is_same else fresh


def _write(path: Path, values: Mapping[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
