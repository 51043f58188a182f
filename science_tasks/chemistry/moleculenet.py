"""MoleculeNet: solubility, lipophilicity, inhibition, toxicity and side effects of molecules."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.data.folds import SplitKind
from kagaku.science_tasks.benchmark.cases import ITEM, PropertyCase, labels_case, table_case
from kagaku.science_tasks.benchmark.files import frame, rows_of, stored_json
from kagaku.science_tasks.benchmark.measures import Measure, binary, multilabel, regression
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Published, Task

N_SPLITS = 3
"""How many of the published random splits are run. The scaffold splits are one and the same under
three names, so only the first of them is."""

LEADERBOARD = "https://github.com/deepchem/moleculenet"
OTHER_SPLITS = "DeepChem's splits, not these"
"""Where published scores stand, and why they are no fair comparison."""

ARTICLE = "https://doi.org/10.1039/C7SC02664A"
"""Wu et al. 2018."""

DGL = "https://github.com/awslabs/dgl-lifesci/tree/master/examples/property_prediction/moleculenet"
"""Graph networks with searched settings."""


@dataclass(frozen=True)
class Load:
    """Reads one table with its published splits.

    Sets: Wu et al. 2018, https://doi.org/10.1039/C7SC02664A.
    """

    name: str
    """Name of the file."""

    column: str | None = None
    """The measured column; None where all columns but the molecule are labels."""

    target: str = ""
    """What it is called here, with unit and kind."""

    keeps_apart: SplitKind = "random"
    """What the published split does not let stand on both sides."""

    without: tuple[str, ...] = ("index",)
    """Columns that are no labels."""

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of the table and of its splits."""
        stem = f"molecules/moleculenet/{self.name}"
        return f"{stem}.csv", f"{stem}.splits.json"

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each split."""
        table, splits = frame(source, self.files[0]), stored_json(source, self.files[1])
        n_splits = 1 if self.keeps_apart == "scaffold" else N_SPLITS
        return {name: self._case(table, splits[name]) for name in list(splits)[:n_splits]}

    def _case(self, table: pd.DataFrame, split: dict[str, list[int]]) -> PropertyCase:
        inputs, rows = ["smiles: molecule"], rows_of(split)
        numbered = table.assign(**{ITEM: range(len(table))})
        if self.column is None:
            labels = [one for one in table.columns if one not in {"smiles", *self.without}]
            return labels_case(
                numbered,
                inputs,
                labels,
                rows,
                keeps_apart=self.keeps_apart,
                extra=(ITEM,),
                source=self.name,
            )
        name = self.target.split(" [")[0].split(":")[0]
        return table_case(
            numbered[["smiles", self.column, ITEM]].rename(columns={self.column: name}),
            inputs,
            self.target,
            rows,
            keeps_apart=self.keeps_apart,
            extra=(ITEM,),
            source=self.name,
        )


def _task(
    name: str,
    question: str,
    load: Load,
    measures: tuple[Measure, ...],
    published: Mapping[str, float],
    *,
    svm: bool = True,
    long: tuple[str, ...] = (),
    verdict_about: str | None = None,
    traps: tuple[str, ...] = (),
    elsewhere: tuple[Published, ...] = (),
) -> Task:
    more = {"svm_ecfp": Single("svm", block="ecfp")} if svm else {}
    methods = property_methods(**more)
    # Where cross-validation takes long, a quick readout of the embeddings stands beside it.
    run = {"constant", "plain", "svm-ecfp", "auto", *(["linear-embeddings"] if long else [])}
    return Task(
        name=name,
        domain="chemistry",
        question=question,
        dataset=name,
        files=load.files,
        load=load,
        measures=measures,
        methods=methods,
        baselines=tuple(one for one in methods if one in {"constant", "plain", "svm-ecfp"}),
        default=tuple(one for one in methods if one in run),
        published=tuple(
            Published(model, measures[0].name, value, LEADERBOARD, differs=OTHER_SPLITS)
            for model, value in published.items()
        )
        + elsewhere,
        traps=traps,
        long=long,
        verdict_about=verdict_about,
        group=ITEM,
    )


def _remembered(measure: str, *, graph: float, svm: float) -> tuple[Published, ...]:
    """Return scores of MoleculeNet's article, from memory."""
    scores = {"graph convolutions": graph, "support vectors on ECFP": svm}
    return tuple(
        Published(model, measure, value, ARTICLE, differs=OTHER_SPLITS, checked=False)
        for model, value in scores.items()
    )


NUMBERS = ("RMSE", "MAE", "R2", "Spearman")
LABELS = ("macro ROC-AUC", "macro F1")

TASKS.register(
    _task(
        "esol",
        "How well does a compound dissolve in water?",
        Load(
            "ESOL",
            "measured log solubility in mols per litre",
            "logS [log10(mol/L)]: regression",
        ),
        regression(NUMBERS, "log10(mol/L)"),
        {"GCN": 0.885, "random forest on ECFP": 1.741},
    ),
    _task(
        "lipophilicity",
        "How does a compound share itself between octanol and water at pH 7.4?",
        Load("Lipop", "exp", "logD [dimensionless]: regression"),
        regression(NUMBERS, "dimensionless"),
        {"GCN": 0.781, "random forest on ECFP": 0.962},
        long=("auto",),
        verdict_about="auto",
    ),
    _task(
        "bace",
        "Does a compound inhibit human beta-secretase 1?",
        Load("BACE", "Class", "inhibits: binary", keeps_apart="scaffold"),
        binary(("ROC-AUC", "average precision", "MCC", "Brier")),
        {"random forest on ECFP": 0.851, "GCN": 0.818},
    ),
    _task(
        "clintox",
        "Was a drug approved, and did it fail in clinical trials for its toxicity?",
        Load("ClinTox"),
        multilabel(LABELS),
        {"GCN": 0.907, "random forest on ECFP": 0.783},
        svm=False,
        traps=(
            "The two labels are nearly each other's opposite, and the writing tells which list a "
            "drug came from: 64% of the approved ones have charged atoms, 3% of the others.",
        ),
    ),
    _task(
        "sider",
        "Which of 27 organ systems do a drug's side effects touch?",
        Load("SIDER"),
        multilabel(LABELS),
        {"random forest on ECFP": 0.650, "GCN": 0.627},
        svm=False,
    ),
    _task(
        "tox21",
        "Which of twelve nuclear receptor and stress response assays does a compound set off?",
        Load("Tox21"),
        multilabel(LABELS),
        {},
        svm=False,
        elsewhere=_remembered(LABELS[0], graph=0.829, svm=0.822),
    ),
    _task(
        "hiv",
        "Does a compound keep HIV from replicating?",
        Load("HIV", "HIV_active", "active: binary", keeps_apart="scaffold"),
        binary(("ROC-AUC", "average precision", "MCC", "Brier")),
        {},
        svm=False,
        long=("auto",),
        elsewhere=(
            Published("GCN", "ROC-AUC", 0.76, DGL, differs="DGL-LifeSci's split, not this"),
            Published(
                "GIN, pretrained", "ROC-AUC", 0.77, DGL, None, "DGL-LifeSci's split, not this"
            ),
            *_remembered("ROC-AUC", graph=0.763, svm=0.792),
        ),
        traps=("3.5% of the compounds are active: look at the average precision.",),
    ),
)
