"""Affinities of kinase inhibitors: a molecule and a protein in each record."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.files import stored_json, text
from kagaku.science_tasks.benchmark.measures import of_numbers, regression
from kagaku.science_tasks.benchmark.task import TASKS, Case, Method, Published, Task
from kagaku.science_tasks.proteins.affinity_measures import (
    MEAN_SQUARE_SUMS,
    concordance_index,
    mean_square_error,
    modified_r2,
)
from kagaku.science_tasks.proteins.affinity_methods import (
    AffinityCase,
    PairProcess,
    additive,
    base_kernels,
    mean_of_all,
    nearest,
)
from kagaku.science_tasks.rank_metrics import concordance

_STEM = "proteins/dta_davis"
TABLE, DRUGS, PROTEINS, TRAIN, TEST = FILES = (
    f"{_STEM}/davis_affinity.txt",
    f"{_STEM}/ligands_can.txt",
    f"{_STEM}/proteins.txt",
    f"{_STEM}/train_fold_setting1.txt",
    f"{_STEM}/test_fold_setting1.txt",
)

FOLDS = 5
"""Folds of the cold splits: each holds out a fifth of the drugs, or of the proteins."""


def load_davis(source: Source) -> Mapping[str, Case]:
    """Return the published split, setting 1: every drug and every kinase is known in training.

    Ozturk et al. 2018, doi:10.1093/bioinformatics/bty593; data: Davis et al. 2011,
    doi:10.1038/nbt.1990.
    """
    folds = tuple(np.array(one, dtype=np.int64) for one in stored_json(source, TRAIN))
    test = np.array(stored_json(source, TEST), dtype=np.int64)
    return {"setting1": _case(source, folds, test)}


def load_cold(source: Source, kind: str) -> Mapping[str, Case]:
    """Return five folds of new drugs or new proteins, drawn here by a fixed seed.

    Proteins of one sequence (a kinase in several states) are in one fold.

    Args:
        source: Gives the files.
        kind: ``"drug"`` or ``"protein"``.
    """
    whole = _case(source, (), np.zeros(0, dtype=np.int64))
    n_proteins = whole.table.shape[1]
    drug, protein = np.divmod(np.arange(whole.table.size), n_proteins)
    same = whole.smiles if kind == "drug" else whole.sequences
    _, entity = np.unique(same, return_inverse=True)
    rng = np.random.default_rng(0)
    fold = (rng.permutation(entity.max() + 1) % FOLDS)[entity]
    of_cell = fold[drug if kind == "drug" else protein]
    parts = [np.flatnonzero(of_cell == one) for one in range(FOLDS)]
    return {
        f"new_{kind}s_{held}": _case(
            source, tuple(part for i, part in enumerate(parts) if i != held), parts[held], kind
        )
        for held in range(FOLDS)
    }


def _case(
    source: Source, folds: tuple[np.ndarray, ...], test: np.ndarray, group: str = ""
) -> AffinityCase:
    kd = np.array([line.split() for line in text(source, TABLE).splitlines()], dtype=np.float64)
    drugs, proteins = stored_json(source, DRUGS), stored_json(source, PROTEINS)
    assert kd.shape == (len(drugs), len(proteins)), "one row per drug, one column per protein"
    return AffinityCase(
        tuple(drugs.values()),
        tuple(proteins.values()),
        9 - np.log10(kd),  # from nmol/L
        folds,
        test,
        group,
        {"drug": tuple(drugs), "protein": tuple(proteins)},
    )


_METHODS: dict[str, Method] = {
    "constant": mean_of_all,
    "additive": additive,
    "nearest": nearest,
    "pair-process": PairProcess(),
    "pair-process-base": PairProcess(base_kernels),
}
_UNIT = "-log10(mol/L)"
_MEASURES = (
    of_numbers(
        "MSE",
        mean_square_error,
        unit="(-log10(mol/L))^2",
        smaller_is_better=True,
        sums=MEAN_SQUARE_SUMS,
    ),
    of_numbers("CI", concordance_index, ranked=concordance),
    of_numbers("rm2", modified_r2),
    *regression(("RMSE", "Spearman"), _UNIT),
)
_BOUND = (
    "70% of the pairs are exactly pKd 5, which means weaker than could be measured: a bound, "
    "not a value. All scores here, like the published ones, take it for a value."
)
# Read in https://pmc.ncbi.nlm.nih.gov/articles/PMC8768884/table/tab3, which has them from these
# articles; SimBoost's rm2 is another in other tables and left out. How epochs were chosen stands in
# training.py of github.com/thinng/GraphDTA and regression/train.py of
# github.com/guaguabujianle/MGraphDTA.
_DEEPDTA = "https://doi.org/10.1093/bioinformatics/bty593"
_GRAPHDTA = "https://doi.org/10.1093/bioinformatics/btaa921"
_MGRAPHDTA = "https://doi.org/10.1039/D1SC05180F"
_FOUR_FOLDS = "a mean of models of four of the five training folds each"
_CHOSEN_ON_TEST = "its epoch was chosen on the test part"
_PUBLISHED = (
    ("DeepDTA", _DEEPDTA, _FOUR_FOLDS, {"MSE": 0.261, "CI": 0.878, "rm2": 0.630}),
    ("KronRLS", _DEEPDTA, _FOUR_FOLDS, {"MSE": 0.379, "CI": 0.871, "rm2": 0.407}),
    ("SimBoost", _DEEPDTA, _FOUR_FOLDS, {"MSE": 0.282, "CI": 0.872}),
    ("GraphDTA, GIN", _GRAPHDTA, _CHOSEN_ON_TEST, {"MSE": 0.229, "CI": 0.893}),
    ("MGraphDTA", _MGRAPHDTA, _CHOSEN_ON_TEST, {"MSE": 0.207, "CI": 0.900, "rm2": 0.710}),
)
"""Model, source, what differs, and scores."""

TASKS.register(
    Task(
        name="davis",
        domain="proteins",
        question="How strongly does an inhibitor bind a kinase, where both were measured with "
        "others?",
        dataset="davis",
        files=FILES,
        load=load_davis,
        measures=_MEASURES,
        methods=_METHODS,
        baselines=("constant", "additive", "nearest"),
        default=("constant", "additive", "nearest", "pair-process"),
        published=tuple(
            Published(model, measure.name, scores[measure.name], source, differs=differs)
            for measure in _MEASURES
            for model, source, differs, scores in _PUBLISHED
            if measure.name in scores
        ),
        traps=(
            _BOUND,
            "Setting 1 knows every drug and every kinase: new ones are much harder, see "
            "davis-new-drugs and davis-new-proteins.",
            "63 of the 442 kinases have the same sequence as another (other states of one "
            "protein), so nothing that reads sequences alone can tell them apart.",
            "DeepDTA's code counts a pair for CI only where the later of the two is stronger; "
            "here every pair of different truth counts.",
        ),
    ),
    *(
        Task(
            name=f"davis-new-{kind}s",
            domain="proteins",
            question=f"How strongly does an inhibitor bind a kinase, where the {kind} was never "
            "measured?",
            dataset="davis",
            files=FILES,
            load=partial(load_cold, kind=kind),
            measures=_MEASURES,
            methods=_METHODS,
            baselines=("constant", "additive", "nearest"),
            default=("constant", "additive", "nearest", "pair-process"),
            traps=(
                _BOUND,
                "There is no official split of this kind: the folds are drawn here by a fixed "
                "seed.",
                "Kinases of one family stand on both sides: only equal sequences are kept "
                "together.",
            ),
            group="unseen",
        )
        for kind in ("drug", "protein")
    ),
)
