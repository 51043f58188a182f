"""Blood smears: finding red cells, white cells and platelets, and counting them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.data.schema import Target
from kagaku.science_tasks.benchmark.cases import values_case
from kagaku.science_tasks.benchmark.column_measures import mean_of
from kagaku.science_tasks.benchmark.measures import Measure, regression
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Published, Rows, Task
from kagaku.science_tasks.microscopy.augmented import Augmented
from kagaku.science_tasks.microscopy.boxes import mean_average_precision
from kagaku.science_tasks.microscopy.colours import colours
from kagaku.science_tasks.microscopy.patches import patches
from kagaku.science_tasks.microscopy.smears import (
    CELLS,
    SmearCase,
    read_smears,
    smear_answers,
    usual_counts,
)
from kagaku.science_tasks.microscopy.symmetries import SMEAR

FILES = tuple(f"images/bccd/bccd_{part}.tar" for part in ("train", "val", "test"))

UNMARKED = (
    "Many red cells, above all at the edge and where cells overlap, are not marked: what finds "
    "them all is punished, and no method can come near 1."
)
SAME_SMEAR = "Images may come from the same smear; the split does not tell."


def load_smears(source: Source) -> Mapping[str, Case]:
    """Return the official split of the photographs with their boxes."""
    train, valid, test = (read_smears(source(key)) for key in FILES)
    return {"official": SmearCase((*train, *valid), test)}


def load_counts(source: Source) -> Mapping[str, Case]:
    """Return the official split of the photographs with the number of marked red cells."""
    parts = [read_smears(source(key)) for key in FILES]
    ends = np.cumsum([len(one) for one in parts])
    train, valid, test = np.split(np.arange(ends[-1]), ends[:-1])
    smears = [one for part in parts for one in part]
    case = values_case(
        {"image": ("image", [one.pixels for one in smears])},
        Target("red cells", "red cells", "regression", unit="dimensionless"),
        [len(one.boxes["RBC"]) for one in smears],
        Rows(train, test, valid),
        source="BCCD",
    )
    return {"official": case}


def usual(case: SmearCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing is random)
    """Answer with no boxes and the usual number of each kind of cell."""
    counts = [usual_counts(case.train)] * case.n_test
    return smear_answers(case, [{}] * case.n_test, counts)


def _measures() -> tuple[Measure, ...]:
    each = [mean_average_precision((name,), f"AP@0.5 {name}") for name in CELLS]
    counts = [
        mean_of(f"error_{name}", f"count MAE {name}", unit="cells", smaller_is_better=True)
        for name in CELLS
    ]
    return (mean_average_precision(CELLS), *each, *counts)


TASKS.register(
    Task(
        name="blood-cells",
        domain="microscopy",
        question="Where in a blood smear are red cells, white cells and platelets, and how many?",
        dataset="bccd",
        files=FILES,
        load=load_smears,
        measures=_measures(),
        methods={"constant": usual, "colours": colours, "patches": patches},
        baselines=("constant", "colours"),
        default=("constant", "colours", "patches"),
        published=(
            Published(
                "YOLOv8n",
                "mAP@0.5",
                0.9043,
                # Read in the abstract, https://tomesphere.com/paper/PMC13023828.md.
                "https://doi.org/10.3390/bioengineering13030321",
                differs="the abstract does not state its split, and its weights were pretrained on "
                "photographs",
            ),
        ),
        traps=(
            UNMARKED,
            "344 of the 364 images have exactly one white cell marked, so counting those is no "
            "task.",
            SAME_SMEAR,
        ),
        symmetries=SMEAR,
    ),
    Task(
        name="red-cell-counts",
        domain="microscopy",
        question="How many red cells are marked in a blood smear?",
        dataset="bccd",
        files=FILES,
        load=load_counts,
        measures=regression(("MAE", "RMSE", "R2", "Spearman"), "cells"),
        methods=property_methods(
            linear_embeddings_turned=Augmented(Single("linear", "embeddings"), SMEAR)
        ),
        baselines=("constant", "plain"),
        default=("constant", "plain", "linear-embeddings", "auto"),
        traps=(UNMARKED, SAME_SMEAR),
        symmetries=SMEAR,
        long=("auto",),
    ),
)
