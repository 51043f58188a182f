"""MoleculeACE: potency at twenty targets, and how models fare where it leaps between neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.families import Family, register_family
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import Measure, regression
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Published, Rows, Task
from kagaku.science_tasks.chemistry.moleculeace_scores import MODELS, SCORES

UNIT = "log10(mol/L)"
SOURCE = "https://doi.org/10.1021/acs.jcim.2c01073"
CLIFF = "is_cliff"
"""Column of the answers: whether the compound stands in an activity cliff."""

# Column "Target name" of datasets.csv beside the tables.
NAMES = {
    "CHEMBL204": "thrombin",
    "CHEMBL214": "the serotonin 1a receptor",
    "CHEMBL218": "cannabinoid receptor 1",
    "CHEMBL228": "the serotonin transporter",
    "CHEMBL231": "the histamine H1 receptor",
    "CHEMBL234": "the dopamine D3 receptor",
    "CHEMBL235": "PPAR gamma",
    "CHEMBL237": "the kappa opioid receptor",
    "CHEMBL239": "PPAR alpha",
    "CHEMBL244": "coagulation factor X",
    "CHEMBL264": "the histamine H3 receptor",
    "CHEMBL1862": "the kinase ABL1",
    "CHEMBL1871": "the androgen receptor",
    "CHEMBL2047": "the farnesoid X receptor",
    "CHEMBL2835": "Janus kinase 1",
    "CHEMBL2971": "Janus kinase 2",
    "CHEMBL3979": "PPAR delta",
    "CHEMBL4203": "the kinase CLK4",
    "CHEMBL4616": "the ghrelin receptor",
}
"""By ChEMBL's name, the protein."""

TRAPS = (
    "A support vector machine on ECFP beats every deep model of the publication, in the mean.",
    "Train and test share chemical series, so that random forests look better here than on new "
    "series.",
)


def _on_cliffs(answers: pd.DataFrame) -> pd.Series:
    return answers[CLIFF]


RMSE, *_OTHERS = regression(("RMSE", "MAE", "R2", "Spearman"), UNIT)
ON_CLIFFS = RMSE.where("RMSE on cliffs", _on_cliffs)
MEASURES: tuple[Measure, ...] = (RMSE, ON_CLIFFS, *_OTHERS)
METHODS = property_methods(svm_ecfp=Single("svm", block="ecfp"))
BASELINES = ("constant", "plain", "svm-ecfp")


@dataclass(frozen=True)
class Load:
    """Reads the tables of some targets."""

    targets: tuple[str, ...]
    """Names of the tables, such as ``"CHEMBL204_Ki"``."""

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of the tables."""
        return tuple(f"molecules/moleculeace/{one}.csv" for one in self.targets)

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each target."""
        keys = zip(self.targets, self.files, strict=True)
        return {target: potency_case(frame(source, key), target) for target, key in keys}


def potency_case(table: pd.DataFrame, target: str) -> Case:
    """Return the case of one table, with its own split and its marks on cliffs.

    Args:
        table: As published: ``smiles``, ``y [pEC50/pKi]``, ``cliff_mol`` and ``split``.
        target: Name of the table, whose end tells whether Ki or EC50 was measured.
    """
    kind = target.partition("_")[2]
    name = f"p{kind}"
    # Potencies are tabled as -log10(mol/L), so the unit's sign is the name's.
    made = pd.DataFrame(
        {
            "smiles": table["smiles"],
            name: table["y [pEC50/pKi]"],
            CLIFF: table["cliff_mol"] == 1,
        }
    )
    is_test = (table["split"] == "test").to_numpy()
    return table_case(
        made,
        ["smiles: molecule"],
        f"{name} [dimensionless]: regression",
        Rows(np.flatnonzero(~is_test), np.flatnonzero(is_test)),
        extra=(CLIFF,),
        source=target,
    )


def _published(target: str, split: str | None = None) -> tuple[Published, ...]:
    return tuple(
        Published(model, measure.name, value, SOURCE, split)
        for model, scores in zip(MODELS, SCORES[target], strict=True)
        for measure, value in zip((RMSE, ON_CLIFFS), scores, strict=True)
    )


def _means() -> tuple[Published, ...]:
    """Return the published means over the targets that are here."""
    means = np.mean([SCORES[target] for target in SCORES], axis=0)
    return tuple(
        Published(model, measure.name, round(float(value), 4), SOURCE)
        for model, scores in zip(MODELS, means, strict=True)
        for measure, value in zip((RMSE, ON_CLIFFS), scores, strict=True)
    )


def task_name(target: str) -> str:
    """Return what the task of a target is called.

    Example:
        >>> task_name("CHEMBL204_Ki")
        'moleculeace-chembl204-ki'
    """
    return f"moleculeace-{target.lower().replace('_', '-')}"


def _task(
    name: str, question: str, targets: tuple[str, ...], published: tuple[Published, ...]
) -> Task:
    load = Load(targets)
    return Task(
        name=name,
        domain="chemistry",
        question=question,
        dataset="moleculeace",
        files=load.files,
        load=load,
        measures=MEASURES,
        methods=METHODS,
        baselines=BASELINES,
        default=(*BASELINES, "auto"),
        published=published,
        traps=TRAPS,
    )


def _asked(target: str) -> str:
    protein, kind = target.split("_")
    does = {"Ki": "bind to", "EC50": "act on"}[kind]
    return f"How strongly does a compound {does} {NAMES[protein]} ({kind})?"


TASKS.register(
    *(_task(task_name(one), _asked(one), (one,), _published(one)) for one in SCORES),
)

ALL_TARGETS = register_family(
    Family(
        _task(
            "moleculeace",
            "How strongly do compounds bind to or act on twenty targets?",
            tuple(SCORES),
            (*_means(), *(row for one in SCORES for row in _published(one, one))),
        ),
        {one: task_name(one) for one in SCORES},
    )
)
"""The twenty tasks as one: their means stand beside the published means over the same twenty."""
