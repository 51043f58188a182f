"""Buchwald-Hartwig: yields of a coupling over combinations of ligand, additive, base and halide."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import OneHotEncoder

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import ITEM, PropertyCase, table_case
from kagaku.science_tasks.benchmark.measures import regression
from kagaku.science_tasks.benchmark.methods import Mean, Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Published, Rows, Task
from kagaku.science_tasks.prediction import Prediction

BOOK = "molecules/reaction_yields/Dreher_and_Doyle_input_data.xlsx"
COMPONENTS = ("Ligand", "Additive", "Base", "Aryl halide")
SOURCE = "https://doi.org/10.1088/2632-2153/abc81d"

RANDOM = {f"FullCV_{number:02d}": 2_767 for number in range(1, 11)}
"""By sheet, how many of its first rows are learnt from: ten random splits."""

HELD_OUT = {"Test1": 3_057, "Test2": 3_055, "Test3": 3_058, "Test4": 3_055}
"""By sheet, the same: four splits by additive. With one row more, as in the scripts that came with
the sheets, a held-out additive would be learnt from."""

GROUP = "additive"
"""The column that says which additive is left out together."""

N_TREES = 500
"""Of the forest on which ingredients stand in a flask."""


@dataclass(frozen=True)
class Load:
    """Reads some sheets of the workbook."""

    sheets: tuple[tuple[str, int], ...]
    """Name of each, and how many of its first rows are learnt from."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each sheet."""
        names = [name for name, _ in self.sheets]
        sheets = pd.read_excel(io.BytesIO(source(BOOK)), sheet_name=names)
        return {
            name: yield_case(sheets[name], count, is_new_additive=name in HELD_OUT)
            for name, count in self.sheets
        }


def yield_case(sheet: pd.DataFrame, n_train: int, *, is_new_additive: bool = False) -> PropertyCase:
    """Return the case of one sheet.

    Args:
        sheet: SMILES under each of `COMPONENTS`, and the yield in percent under ``Output``.
        n_train: How many of the first rows are learnt from; the others are asked.
        is_new_additive: Whether the asked additives were never learnt from, so that
            cross-validation has to leave out whole additives too.
    """
    made = sheet[[*COMPONENTS]].assign(**{"yield": sheet["Output"]})
    # Sheets have the same flasks in other orders, so a flask is told by what was in it.
    made[ITEM] = made[[*COMPONENTS]].agg(" | ".join, axis=1)
    made[GROUP] = made["Additive"]  # a column is either an input or what keeps rows together
    rows = np.arange(len(made))
    return table_case(
        made,
        [f"{one}: molecule" for one in COMPONENTS],
        "yield [percent]: regression",
        Rows(rows[:n_train], rows[n_train:]),
        keeps_apart="group" if is_new_additive else "random",
        group=GROUP if is_new_additive else None,
        extra=(ITEM,),
        source="Buchwald-Hartwig",
    )


def one_hot_forest(case: PropertyCase, context: Context) -> pd.DataFrame:
    """Answer with a random forest on which ingredients were in the flask.

    It knows no chemistry: a new ingredient is none of those it has seen. Chuang and Keiser 2018
    (https://doi.org/10.1126/science.aat8603) asked for this comparison.
    """
    columns = [case.records.inputs[one.name] for one in case.records.schema.inputs]
    ingredients = np.array([[str(one) for one in column] for column in columns]).T
    learnt = case.rows.learnt()
    encoder = OneHotEncoder(handle_unknown="ignore").fit(ingredients[learnt])
    forest = RandomForestRegressor(N_TREES, random_state=context.seed, n_jobs=1)
    forest.fit(
        encoder.transform(ingredients[learnt]).toarray(),
        case.records.targets[case.target.name].values[learnt],
    )
    mean = forest.predict(encoder.transform(ingredients[case.rows.test]).toarray())
    return answers_of(case, Prediction(mean=mean))


METHODS = property_methods(
    one_hot_forest=one_hot_forest,
    svm_ecfp=Single("svm", block="ecfp"),
    trees_and_forest=Mean((Single("trees"), Single("forest"))),
)
BASELINES = ("constant", "plain", "one-hot-forest")


def _task(
    name: str,
    question: str,
    sheets: Mapping[str, int],
    published: tuple[Published, ...],
    traps: tuple[str, ...],
) -> Task:
    return Task(
        name=name,
        domain="chemistry",
        question=question,
        dataset="buchwald-hartwig",
        files=(BOOK,),
        load=Load(tuple(sheets.items())),
        measures=regression(("R2", "RMSE", "MAE", "Spearman"), "percent"),
        methods=METHODS,
        baselines=BASELINES,
        default=(*BASELINES, "linear-embeddings", "trees-and-forest", "auto"),
        published=published,
        traps=traps,
        long=("auto",),
        seen="linear-embeddings had lost to the baselines before trees-and-forest, made of what "
        "was best on held-out training rows, took its place.",
        group=ITEM,
    )


ONE_ROW = "one row more was learnt from, so that a held-out additive was among them"

TASKS.register(
    _task(
        "buchwald-hartwig",
        "What does a palladium-catalysed C-N coupling yield, if all its ingredients were tried "
        "before?",
        RANDOM,
        (Published("Yield-BERT", "R2", 0.951, SOURCE, differs="one row more was learnt from"),),
        (
            "The splits are random, so every ingredient was seen: R2 above 0.9 shows that a table "
            "can be filled in, and no chemistry. See buchwald-hartwig-additives.",
        ),
    ),
    _task(
        "buchwald-hartwig-additives",
        "What does a palladium-catalysed C-N coupling yield in the presence of a new additive?",
        HELD_OUT,
        tuple(
            Published("Yield-BERT", "R2", value, SOURCE, split, ONE_ROW)
            for split, value in zip(HELD_OUT, (0.84, 0.84, 0.74, 0.54), strict=True)
        ),
        (
            "Each split holds out a handful of additives: four splits are a small sample, and "
            "their mean has a wide spread.",
            "The splits were chosen by hand; Test4 is much the hardest.",
        ),
    ),
)
