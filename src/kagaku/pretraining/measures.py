"""What can be measured of pretrained weights: one function per part of an evaluation."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data import infer_schema, parse_records, read, without_bad_rows
from kagaku.data.corpora import Corpus
from kagaku.data.corpora.manifest import TRAIN, VALID
from kagaku.data.records import Records
from kagaku.data.table import Table
from kagaku.errors import InputError
from kagaku.modalities.checking import check_records, make_modalities
from kagaku.models.pretraining.batch import PretrainingBatch
from kagaku.models.pretraining.evaluation import evaluate
from kagaku.models.pretraining.neighbours import NeighbourCounts, neighbour_scores
from kagaku.models.pretraining.pairing import paired_inputs
from kagaku.models.pretraining.retrieval import projected, retrieval_scores, sample_retrieval
from kagaku.models.pretraining.sampling import SamplingConfig, sample_tokens
from kagaku.models.pretraining.stored import Pretrained
from kagaku.pretraining.prepared import Prepared, held_out_micro_batches
from kagaku.pretraining.recipe import PretrainRecipe
from kagaku.science_tasks.generation_metrics import frechet_chemnet_distance, generation_scores
from kagaku.terminal import Terminal

Figures = dict[str, Any]
"""By what they are called, numbers, or figures of their own."""

MICRO_BATCHES, ROWS = 16, 16
"""Held-out micro-batches of each source, and rows of each; fewer where there are not enough
samples. A recipe for a GPU has more rows, which a small source would fill by repeating itself."""

COUNTED = 20_000
"""Training samples of each source in which a modality's neighbouring tokens are counted."""

PAIRED = 1_000
"""Held-out samples of each source among which pairs are looked for."""

REFERENCES = 10_000
"""Molecules of a reference that are compared with; of more, so many are drawn with seed 0."""

FEWEST_PAIRS = 2
"""Fewest pairs among which anything can be found."""


@dataclass(frozen=True)
class Subject:
    """What is measured, loaded."""

    pretrained: Pretrained
    """The network and its modalities."""

    recipe: PretrainRecipe
    """How it was trained."""

    prepared: Prepared
    """The corpus that it was trained on."""

    def sources_with(self, modality: str) -> list[str]:
        """Return the sources trained on that have a modality."""
        corpus = self.prepared.corpus
        return [
            name
            for name in self.prepared.data.order.sources
            if modality in corpus.source(name).inputs.values()
        ]

    def held_out(self, sources: list[str]) -> list[PretrainingBatch]:
        """Return held-out micro-batches of some sources."""
        order = replace(self.recipe.order, n_rows=min(self.recipe.order.n_rows, ROWS))
        recipe = replace(self.recipe, order=order)
        wanted = held_out_micro_batches(self.prepared.corpus, recipe, sources, MICRO_BATCHES)
        return [self.prepared.data.batch(one, VALID) for one in wanted]


def held_out_figures(subject: Subject) -> Figures:
    """Return losses and accuracies on held-out samples of all sources; see `evaluate`."""
    sources = list(subject.prepared.data.order.sources)
    return dict(evaluate(subject.pretrained.network, subject.held_out(sources)))


def neighbour_figures(subject: Subject, modality: str) -> Figures:
    """Return how often hidden tokens of a modality are found: by the network, and by counting.

    Unigrams and bigrams are counted in training samples; all three are asked for the same tokens.
    Empty where no token of the modality is hidden.
    """
    sources = subject.sources_with(modality)
    batches = [one for one in subject.held_out(sources) if modality in one.masked]
    if not batches:
        return {}
    sequences = (ids for name in sources for ids in _sequences(subject.prepared, name, modality))
    counts = NeighbourCounts.count(sequences, subject.pretrained.network.vocabularies[modality])
    found = evaluate(subject.pretrained.network, batches)
    name = f"masked/{modality}"
    own = {"accuracy": found[f"{name} accuracy"], "loss": found[name]}
    asked = sum(len(one.masked[modality].token) for one in batches)
    return own | neighbour_scores(counts, batches, modality) | {"tokens": float(asked)}


def paired_sources(subject: Subject) -> list[str]:
    """Return the sources with two kinds of data that belong together."""
    corpus = subject.prepared.corpus
    return [
        name
        for name in subject.prepared.data.order.sources
        if paired_inputs(corpus.source(name).inputs) is not None
    ]


def pair_figures(subject: Subject, source: str) -> Figures:
    """Return how well held-out pairs of a source find each other, in both directions.

    Empty where fewer than two distinct pairs are held out.
    """
    corpus, pretrained = subject.prepared.corpus, subject.pretrained
    count = min(PAIRED, corpus.n_samples(source, VALID))
    samples = [corpus.read(source, index, VALID) for index in range(count)]
    inputs = corpus.source(source).inputs
    try:
        return dict(sample_retrieval(pretrained.network, pretrained.modalities, inputs, samples))
    except InputError:
        return {}


def table_pairs(subject: Subject, path: Path) -> tuple[Records, tuple[str, str]]:
    """Return a user's rows with two kinds of data, and the names of their two columns.

    Rows with a cell that cannot be read, or without one, are left out.

    Raises:
        InputError: The table has no two columns that the network can compare, or too few rows.
    """
    table = read(path)
    if not isinstance(table, Table):
        raise InputError("this is a grid, not a table of pairs", fix="Give a CSV.", where=str(path))
    kinds = {one.name: one.modality for one in infer_schema(table, targets=[]).inputs}
    known = {name: kind for name, kind in kinds.items() if kind in subject.pretrained.modalities}
    sides = paired_inputs(known) if known else None
    if sides is None:
        raise InputError(
            f"there are no two kinds of data to compare in the columns {list(kinds)}",
            fix="Give a table with, for instance, SMILES and descriptions.",
            where=str(path),
        )
    # The other columns may hold what the network has never heard of.
    schema = infer_schema(table, targets=[], inputs=list(sides))
    records, bad = parse_records(table, schema, with_targets=False)
    records, more = check_records(records, make_modalities(schema))
    records = without_bad_rows(records, [*bad, *more])
    if len(records) < FEWEST_PAIRS:
        raise InputError(
            f"only {len(records)} rows can be read",
            fix=f"Give at least {FEWEST_PAIRS}; a few hundred tell more.",
            where=str(path),
        )
    return records, sides


def table_figures(subject: Subject, path: Path) -> Figures:
    """Return how well the pairs of a user's table find each other; equal values count once."""
    records, sides = table_pairs(subject, path)
    kinds = {one.name: one.modality for one in records.schema.inputs}
    one, two = (kinds[side] for side in sides)
    modalities, network = subject.pretrained.modalities, subject.pretrained.network
    firsts, seconds = [], []
    seen: set[tuple[int, Any]] = set()
    for first, second in zip(*(records.inputs[side] for side in sides), strict=True):
        if first is None or second is None or {(0, first), (1, second)} & seen:
            continue
        seen |= {(0, first), (1, second)}
        firsts.append(modalities[one].tokenize(first))
        seconds.append(modalities[two].tokenize(second))
    if len(firsts) < FEWEST_PAIRS:
        return {}
    vectors = projected(network, one, firsts), projected(network, two, seconds)
    return {
        f"{one} to {two}": retrieval_scores(*vectors),
        f"{two} to {one}": retrieval_scores(*reversed(vectors)),
    }


def generated_figures(
    subject: Subject, n_molecules: int, reference: list[str] | None, terminal: Terminal
) -> Figures:
    """Return the scores of molecules generated from nothing, with seed 0 and temperature 1."""
    modality: Any = subject.pretrained.modalities["molecule"]
    with terminal.progress("Generating") as progress:
        drawn = sample_tokens(
            subject.pretrained.network,
            "molecule",
            [{} for _ in range(n_molecules)],
            SamplingConfig(),
            progress=lambda done, total: progress(done, total, ""),
        )
    smiles = [modality.decode(ids.tolist()) for ids in drawn]
    scores = asdict(generation_scores(smiles, training_molecules(subject.prepared.corpus)))
    # Nothing is said of the valid where none is.
    figures: Figures = {name: float(one) for name, one in scores.items() if np.isfinite(one)}
    if reference is not None:
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
    """Return molecules of a table's first column of them, `REFERENCES` at most.

    Raises:
        InputError: No column holds molecules, or what compares them is not installed.
    """
    if find_spec("fcd") is None:
        raise InputError(
            "comparing with a reference needs the package fcd, which is not installed",
            fix="Install it with: pip install 'kagaku[generation]'.",
        )
    table = read(path)
    schema = infer_schema(table, targets=[])
    names = [one.name for one in schema.inputs if one.modality == "molecule"]
    if not isinstance(table, Table) or not names:
        raise InputError(
            "no column holds molecules",
            fix="Give a table with a column of SMILES.",
            where=str(path),
        )
    schema = infer_schema(table, targets=[], inputs=names[:1])
    records, bad = parse_records(table, schema, with_targets=False)
    values = without_bad_rows(records, bad).inputs[schema.inputs[0].name]
    present = [str(one) for one in values if one is not None]
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(present))[:REFERENCES])
    return [present[place] for place in chosen]


def _sequences(prepared: Prepared, source: str, modality: str) -> Iterator[np.ndarray]:
    """Yield the ids of a modality's values in some training samples of a source."""
    inputs = prepared.corpus.source(source).inputs
    names = [name for name, kind in inputs.items() if kind == modality]
    for index in range(min(COUNTED, prepared.corpus.n_samples(source, TRAIN))):
        sample = prepared.corpus.read(source, index)
        for name in names:
            if (value := sample.inputs.get(name)) is not None:
                yield prepared.modalities[modality].tokenize(value).ids[:, 0]
