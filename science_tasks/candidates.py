"""What `auto` and `readout` try for each kind of target: readouts on features, and the network."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import numpy as np

from kagaku.data import area_weights
from kagaku.data.records import Records
from kagaku.data.schema import Target
from kagaku.science_tasks.candidate_kinds import ReadoutCandidate, TermCandidate, TokenCandidate
from kagaku.science_tasks.classical import classical_model
from kagaku.science_tasks.embeddings import is_learned
from kagaku.science_tasks.features import FeatureBlock, input_of
from kagaku.science_tasks.labels import labelled_input
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.field_readout import FieldReadout
from kagaku.science_tasks.readouts.log_scale import suits_log_scale
from kagaku.science_tasks.readouts.readout import Readout
from kagaku.science_tasks.readouts.terms import TermsReadout
from kagaku.science_tasks.selection import Candidate
from kagaku.science_tasks.term_counts import CountedLater

# The readouts that are tried on classical features, cheapest first, and those that are also tried
# on embeddings. A support vector machine needs its costs searched, so it comes late.
CLASSICAL_READOUTS = ("linear", "forest", "gp", "trees", "svm")
LEARNED_READOUTS = ("linear", "gp")
UNTRAINED_READOUTS = ("linear",)
"""An untrained backbone gets the cheapest readout only: enough to show that it does not help."""

LOG_SCALE_READOUTS = ("log-gp", "log-trees")
"""Tried beside the others where measured values are positive and skewed."""

LARGEST_TABLE: Mapping[str, int] = {"svm": 10_000, "gp": 8_000, "log-gp": 8_000, "terms": 20_000}
"""Training records above which a readout is left out: a Gaussian process fitted on 8,000 at random
loses to trees on all. Several labels are a problem each, and what they cost together counts."""

MOST_LETTERS = 30_000_000
"""Letters of all texts above which their terms are not counted: about half a gigabyte of counts."""

COST_EXPONENTS: Mapping[str, int] = {"svm": 2, "gp": 3, "log-gp": 3, "terms": 1}
"""Power of the number of records that a readout's time grows with."""

FIELD_READOUTS = ("linear", "gp")
TOKEN_READOUTS = ("linear", "trees")


def readout_candidates(
    records: Records,
    target: Target,
    blocks: Sequence[FeatureBlock],
    *,
    learned_inputs: Collection[str],
    seed: int,
    train_index: np.ndarray | None = None,
    texts: CountedLater | None = None,
) -> list[Candidate]:
    """Return the readouts to try for a target, cheapest first.

    Args:
        records: All records, with the target's values.
        target: What is predicted.
        blocks: Classical features and embeddings of the same records.
        learned_inputs: Names of the inputs whose embeddings come from weights that have learnt
            something of their kind. If there are any, random embeddings of the other inputs are
            left out, unless nothing else is known of an input.
        seed: Fixes whatever is random.
        train_index: Measured training records, whose values tell whether a log scale suits; None
            tries none.
        texts: The records' texts, which several targets share; None counts them anew.
    """
    if target.kind == "per-token":
        return [
            TokenCandidate(f"{name} on windows of tokens", name, records, target, seed)
            for name in TOKEN_READOUTS
        ]
    values = records.targets[target.name]
    classical = tuple(block for block in blocks if not is_learned([block.name]))
    plans = []
    if classical:
        names = classical_readouts(target)
        if target.kind == "regression" and train_index is not None:
            names += LOG_SCALE_READOUTS if suits_log_scale(values.subset(train_index)) else ()
        plans += [(name, "classical features", classical) for name in names]
        name, readout, chosen = classical_model(records, classical)
        if len(chosen) < len(classical):
            plans.append((readout, f"{name} alone", chosen))
    plans += _embedding_plans(blocks, classical, learned_inputs)
    found: list[Candidate] = [
        ReadoutCandidate(
            f"{name} on {what}", _maker(name, target, records), chosen, values, target, seed
        )
        for name, what, chosen in plans
    ]
    texts = texts or CountedLater(records)
    if target.kind in TermsReadout.kinds and texts.n_letters:
        found.insert(1, TermCandidate(texts, values, target, seed))
    return found


def within_reach(
    candidates: Sequence[Candidate], n_train: int, n_problems: int = 1, n_classes: int = 0
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates that so many training records allow, and why the others are left out.

    Args:
        candidates: As `readout_candidates` gives them.
        n_train: How many training records there are.
        n_problems: How many labels are fitted, each by itself.
        n_classes: How many classes exclude each other.
    """
    kept: list[Candidate] = []
    skipped = {}
    for one in candidates:
        if isinstance(one, TermCandidate) and one.texts.n_letters > MOST_LETTERS:
            skipped[one.name] = (
                f"not tried: {one.texts.n_letters:,} letters are more than {MOST_LETTERS:,}"
            )
            continue
        name = one.name.partition(" on ")[0]
        most = LARGEST_TABLE.get(name)
        # Each class has a weight for each term.
        several = n_classes if name == "terms" and n_classes > 2 else n_problems
        if most is None or n_train * several ** (1 / COST_EXPONENTS[name]) <= most:
            kept.append(one)
            continue
        kind = "labels" if n_problems > 1 else "classes"
        times = f" with {several} {kind}" if several > 1 else ""
        skipped[one.name] = f"not tried: {n_train:,} records{times} are more than {most:,}"
    return kept, skipped


def _embedding_plans(
    blocks: Sequence[FeatureBlock],
    classical: tuple[FeatureBlock, ...],
    learned_inputs: Collection[str],
) -> list[tuple[str, str, tuple[FeatureBlock, ...]]]:
    """Return (readout, what it reads, blocks) of all that reads embeddings."""
    embeddings = [block for block in blocks if is_learned([block.name])]
    readouts: tuple[str, ...] = UNTRAINED_READOUTS
    what = "untrained embeddings"
    if any(input_of(block) in learned_inputs for block in embeddings):
        readouts, what = LEARNED_READOUTS, "embeddings"
        spared = {input_of(block) for block in classical} - {*learned_inputs}
        embeddings = [block for block in embeddings if input_of(block) not in spared]
    plans = []
    for name in readouts if embeddings else ():
        plans.append((name, what, tuple(embeddings)))
        if classical:
            plans.append((name, f"classical features + {what}", (*classical, *embeddings)))
    return plans


def uses_embeddings(name: str) -> bool:
    """Return whether the candidate of this name reads embeddings."""
    return "embeddings" in name


def classical_readouts(target: Target) -> tuple[str, ...]:
    """Return the readouts that are tried on classical features for a kind of target."""
    if target.kind == "field":
        return FIELD_READOUTS
    return tuple(name for name in CLASSICAL_READOUTS if target.kind in READOUTS[name].kinds)


def _maker(name: str, target: Target, records: Records) -> Callable[[], Readout]:
    """Return what gives a fresh readout; for fields, one of their principal components."""
    if target.kind == "field":
        return partial(FieldReadout, name, row_weights(records, target))
    return READOUTS[name]


def row_weights(records: Records, target: Target) -> np.ndarray:
    """Return the area weight of each row of a field target's grid, mean 1."""
    name = labelled_input(target, records.schema)
    assert name is not None
    fields = [value for value in records.inputs[name] if value is not None]
    weights: np.ndarray = area_weights(fields[0].latitudes)
    return weights
