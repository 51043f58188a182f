"""A label for each residue: FLIP's secondary structure and its ligand-binding residues."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.cases import ITEM, PropertyCase
from kagaku.science_tasks.benchmark.column_measures import share_of_counts
from kagaku.science_tasks.benchmark.methods import Chosen
from kagaku.science_tasks.benchmark.task import (
    TASKS,
    Case,
    Context,
    Method,
    Published,
    Rows,
    Task,
)
from kagaku.science_tasks.proteins.residue_measures import (
    best_threshold,
    counted,
    f1_of_class,
    flagged,
    macro_f1_of,
    mcc_of_class,
    mean_f1_of_proteins,
)
from kagaku.science_tasks.proteins.residue_methods import (
    Model,
    labels_of,
    residue_case,
    sequences_of,
    window_methods,
    windows,
)

STRUCTURE = "proteins/flip_secondary_structure/flip_secondary_structure_splits.zip"
BINDING = "proteins/flip_bind/flip_bind_splits.zip"

STATES = ("C", "E", "H")
"""Coil, strand, helix."""

LIGANDS = ("small", "nucleic", "metal")
"""What a residue may bind, by the bits of a class from the highest."""

BINDING_SPLITS = (
    "from_publication",
    "one_vs_many",
    "two_vs_many",
    "one_vs_sm",
    "one_vs_mn",
    "one_vs_sn",
)

CHECKED = 5
"""One training protein in so many sets the border of a binding probability."""


def load_structure(source: Source) -> Mapping[str, Case]:
    """Return the split of FLIP's secondary structure; unresolved residues carry no label."""
    with zipfile.ZipFile(io.BytesIO(source(STRUCTURE))) as archive:
        sequences = _fasta(archive, "sequences")
        masks = _fasta(archive, "mask")
        marked = _fasta(archive, "sampled")
    names, texts, rows = _split(marked, sequences)
    labels = []
    for name in names:
        states = np.array([STATES.index(one) for one in marked[name][1]], dtype=np.float64)
        resolved = np.array(list(masks[name][1])) == "1"
        labels.append(np.where(resolved, states, np.nan))
    return {"sampled": residue_case(texts, labels, STATES, rows, name="structure")}


def load_binding(source: Source) -> Mapping[str, Case]:
    """Return FLIP's splits of binding residues, a class of three bits for each residue."""
    cases = {}
    with zipfile.ZipFile(io.BytesIO(source(BINDING))) as archive:
        sequences = _fasta(archive, "sequences")
        for split in BINDING_SPLITS:
            marked = _fasta(archive, split)
            names, texts, rows = _split(marked, sequences)
            labels = [
                np.array([int(one) for one in marked[name][1]], dtype=np.float64) for name in names
            ]
            classes = tuple(_class_name(one) for one in range(2 ** len(LIGANDS)))
            case = residue_case(texts, labels, classes, rows, name="binding", names=names)
            cases[split] = case
    return cases


def _class_name(number: int) -> str:
    bits = flags_of(np.array([number]))[0]
    return "+".join(one for one, bit in zip(LIGANDS, bits, strict=True) if bit) or "none"


def flags_of(classes: np.ndarray) -> np.ndarray:
    """Return which ligands classes name, int (residue, ligand).

    Example:
        >>> flags_of(np.array([0, 4, 3])).tolist()
        [[0, 0, 0], [1, 0, 0], [0, 1, 1]]
    """
    bits: np.ndarray = (classes[:, None] >> np.arange(len(LIGANDS) - 1, -1, -1)) & 1
    return bits


Entries = dict[str, tuple[str, str]]
"""By name, the rest of a heading and the sequence (or labels) below it."""


def _fasta(archive: zipfile.ZipFile, name: str) -> Entries:
    text = archive.read(f"splits/{name}.fasta").decode()
    entries = {}
    for title, letters in SimpleFastaParser(io.StringIO(text)):
        key, _, rest = title.partition(" ")
        entries[key] = rest, letters
    return entries


def _split(marked: Entries, sequences: Entries) -> tuple[list[str], list[str], Rows]:
    """Return the names, the sequences and the split that headings tell.

    Raises:
        InputError: A sequence has another length than its labels.
    """
    names = list(marked)
    for name in names:
        if len(marked[name][1]) != len(sequences[name][1]):
            raise InputError(
                f"{name} has {len(sequences[name][1])} residues and {len(marked[name][1])} labels",
                fix="Fetch the data set again.",
            )
    heads = pd.Series([marked[name][0] for name in names])
    is_train = heads.str.contains("SET=train", regex=False)
    is_valid = heads.str.contains("VALIDATION=True", regex=False)
    rows = Rows(
        np.flatnonzero(is_train & ~is_valid),
        np.flatnonzero(heads.str.contains("SET=test", regex=False)),
        np.flatnonzero(is_train & is_valid),
    )
    return names, [sequences[name][1] for name in names], rows


def structure_answers(case: PropertyCase, model: Model, context: Context) -> pd.DataFrame:  # noqa: ARG001
    """Answer with the likeliest state of each residue."""
    learnt, test = case.rows.learnt(), case.rows.test
    chances = _fitted(case, model, learnt, len(STATES)).chances(windows(sequences_of(case, test)))
    truth = labels_of(case, test)
    return counted(truth, _by_protein(np.argmax(chances, axis=1), truth), STATES)


def binding_answers(case: PropertyCase, model: Model, context: Context) -> pd.DataFrame:
    """Answer whether each residue binds each ligand: the border is set on training proteins."""
    learnt, test = case.rows.learnt(), case.rows.test
    order = np.random.default_rng(context.seed).permutation(learnt)
    kept, check = order[len(order) // CHECKED :], order[: len(order) // CHECKED]
    n_classes = len(case.target.classes)
    model = _fitted(case, model, kept, n_classes)
    known = flags_of(np.concatenate(labels_of(case, check)))
    chances = _flag_chances(model.chances(windows(sequences_of(case, check))))
    borders = [best_threshold(known[:, i], chances[:, i]) for i in range(len(LIGANDS))]
    model = _fitted(case, model, learnt, n_classes)
    given = _flag_chances(model.chances(windows(sequences_of(case, test)))) >= borders
    truth = labels_of(case, test)
    frame = flagged(
        [flags_of(one) for one in truth], _by_protein(given.astype(np.int64), truth), LIGANDS
    )
    frame = _with_any(frame, truth, _by_protein(given.any(axis=1).astype(np.int64), truth))
    assert case.extra is not None
    return frame.assign(**{ITEM: case.extra[ITEM][test]})  # splits share proteins


def _with_any(
    frame: pd.DataFrame, truth: list[np.ndarray], given: list[np.ndarray]
) -> pd.DataFrame:
    """Return the counts with those of binding anything beside them."""
    anything = flagged(
        [(one > 0).astype(np.int64)[:, None] for one in truth],
        [one[:, None] for one in given],
        ("any",),
    )
    return pd.concat([frame, anything.drop(columns="asked")], axis=1)


def _flag_chances(chances: np.ndarray) -> np.ndarray:
    """Return the probability of each ligand, (residue, ligand), from those of the classes."""
    summed: np.ndarray = chances @ flags_of(np.arange(chances.shape[1]))
    return summed


def _fitted(case: PropertyCase, model: Model, rows: np.ndarray, n_classes: int) -> Model:
    codes, labels = windows(sequences_of(case, rows)), np.concatenate(labels_of(case, rows))
    known = labels >= 0
    model.fit(codes[known], labels[known], n_classes)
    return model


def _by_protein(flat: Any, truth: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(flat, np.cumsum([len(one) for one in truth])[:-1])


_STRUCTURE_METHODS: dict[str, Method] = {
    **window_methods(structure_answers),
    "auto": Chosen("auto"),
    "full": Chosen("full"),
}
_BINDING_METHODS = window_methods(binding_answers)

TASKS.register(
    Task(
        name="flip-secondary-structure",
        domain="proteins",
        question="Is a residue in a helix, in a strand or in neither?",
        dataset="flip-secondary-structure",
        files=(STRUCTURE,),
        load=load_structure,
        measures=(
            share_of_counts("Q3"),
            macro_f1_of(STATES),
            *(f1_of_class(one) for one in STATES),
        ),
        methods=_STRUCTURE_METHODS,
        baselines=("constant", "propensities", "window-logistic"),
        default=tuple(one for one in _STRUCTURE_METHODS if one not in {"auto", "full"}),
        traps=(
            "Residues that no crystal resolves have no label: they are not asked.",
            "Most figures that others publish use alignments of relatives; none of these methods "
            "does.",
            "The repository says 648 test sequences; the file has 364. No published score was "
            "found of which it is sure that it is of these.",
            "`auto` and `full` answer how many residues were right, so only Q3 scores them.",
        ),
    ),
    Task(
        name="flip-binding",
        domain="proteins",
        question="Which residues bind a small molecule, a nucleic acid or a metal ion?",
        dataset="flip-bind",
        files=(BINDING,),
        load=load_binding,
        measures=(
            macro_f1_of(LIGANDS),
            *(f1_of_class(one) for one in (*LIGANDS, "any")),
            *(mcc_of_class(one) for one in (*LIGANDS, "any")),
            *(mean_f1_of_proteins(one) for one in ("any",)),
        ),
        methods=_BINDING_METHODS,
        baselines=("constant", "propensities", "window-logistic"),
        default=tuple(_BINDING_METHODS),
        published=(
            Published(  # from the abstract
                "bindEmbed21, with sites of relatives",
                mean_f1_of_proteins("any").name,
                0.48,
                "https://doi.org/10.1038/s41598-021-03431-4",
                "from_publication",
                differs="learnt from 1,014 of these proteins, and took sites over from relatives "
                "with known ones",
            ),
        ),
        traps=(
            "Most residues bind nothing, so accuracy says nothing and a constant answer that all "
            "bind has F1 above 0.",
            "A residue without a mark may bind a ligand that nobody crystallised.",
            "In one_vs_many the training proteins bind one kind of ligand each; two_vs_many has 19 "
            "test proteins.",
        ),
        group=ITEM,
    ),
)
