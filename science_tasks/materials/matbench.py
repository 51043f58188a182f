"""Matbench: properties of inorganic materials from their composition alone, in official folds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import KFold, StratifiedKFold

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import (
    CHANCE,
    TRUTH,
    Measure,
    Parts,
    binary,
    numbered_columns,
    regression,
)
from kagaku.science_tasks.benchmark.task import TASKS, Case, Published, Rows, Task
from kagaku.science_tasks.materials.methods import composition_methods
from kagaku.science_tasks.metric_functions import mean_of_defined

FOLDS, FOLD_SEED = 5, 18_012_019
"""The rule of Matbench v0.1: Dunn et al. 2020, https://doi.org/10.1038/s41524-020-00406-3."""

BOARD = "https://github.com/materialsproject/matbench/tree/main/docs_src"
CRABNET = "https://doi.org/10.1038/s41524-021-00545-1"
STRUCTURES = "reads crystal structures, which these tables do not have"
OWN_FOLDS = "one split of CrabNet's own, with repeated formulas merged"
HARD_CALLS = "computed from yes-or-no calls, which makes it the balanced accuracy"
"""Where published scores stand, and why some are no fair comparison."""

REPEATED = "repeated"
"""Column of the answers: whether the same formula, with any structure, is in the training part."""


@dataclass(frozen=True)
class Load:
    """Reads one table and deals it into the official folds.

    Set: Dunn et al. 2020, https://doi.org/10.1038/s41524-020-00406-3.
    """

    name: str
    """Name of the set."""

    target: str
    """What it is called here, with unit and kind."""

    @property
    def files(self) -> tuple[str, ...]:
        """Key of the table."""
        return (f"materials/matbench/matbench_{self.name}.csv",)

    @property
    def is_binary(self) -> bool:
        """Whether the answer is yes or no."""
        return self.target.endswith(": binary")

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each fold, made when it is asked for."""
        name = self.target.split(" [")[0].split(":")[0]
        # Sodium nitride is NaN, and no missing value.
        table = frame(source, self.files[0], keep_default_na=False, dtype={"formula": str})
        return Folds(self, table.rename(columns={"target": name}))

    def rows(self, table: pd.DataFrame) -> list[Rows]:
        """Return the official folds."""
        kind = StratifiedKFold if self.is_binary else KFold
        folds = kind(FOLDS, shuffle=True, random_state=FOLD_SEED)
        return [Rows(*one) for one in folds.split(table, table.iloc[:, 1].astype(str))]

    def case(self, table: pd.DataFrame, rows: Rows) -> Case:
        """Return the case of one fold."""
        learnt = set(table["formula"].iloc[rows.train])
        told = table.assign(**{REPEATED: table["formula"].isin(learnt)})
        return table_case(
            told, ["formula: material"], self.target, rows, extra=[REPEATED], source=self.name
        )


class Folds(Mapping[str, Case]):
    """The five folds by name, each read when it is needed: the largest set has 132,752 rows."""

    def __init__(self, load: Load, table: pd.DataFrame) -> None:
        self._load, self._table = load, table
        self._rows = {f"fold{i}": one for i, one in enumerate(load.rows(table))}
        self._made: dict[str, Case] = {}

    def __getitem__(self, name: str) -> Case:
        if name not in self._made:
            self._made = {name: self._load.case(self._table, self._rows[name])}
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _balanced(answers: pd.DataFrame) -> float:
    given = answers[numbered_columns(answers, CHANCE)].to_numpy().argmax(axis=1)
    truth = answers[TRUTH].to_numpy()
    return float(balanced_accuracy_score(truth, given)) if len(set(truth)) > 1 else float("nan")


def _hits_and_wants(answers: pd.DataFrame) -> Float[np.ndarray, "item part"]:
    given = answers[numbered_columns(answers, CHANCE)].to_numpy()
    wanted = answers[TRUTH].to_numpy()[:, None] == np.arange(given.shape[1])
    hits = wanted & (given.argmax(axis=1)[:, None] == np.arange(given.shape[1]))
    return np.concatenate([hits, wanted], axis=1).astype(np.float64)


def _mean_recall(sums: Float[np.ndarray, "part resample"]) -> Float[np.ndarray, " resample"]:
    hits, wanted = np.split(sums, 2)
    several = (wanted > 0).sum(axis=0) > 1
    return np.asarray(np.where(several, mean_of_defined(hits / wanted), np.nan))


BALANCED = Measure(
    "balanced accuracy",
    _balanced,
    columns=(TRUTH, f"{CHANCE}0", f"{CHANCE}1"),
    parts=Parts(_hits_and_wants, _mean_recall),
)


def _measures(load: Load, unit: str | None, *, is_repeated: bool) -> tuple[Measure, ...]:
    if load.is_binary:
        return (*binary(("ROC-AUC",)), BALANCED, *binary(("average precision", "MCC")))
    numbers = regression(("MAE", "RMSE", "R2"), unit)
    if not is_repeated:
        return numbers
    new = numbers[0].where("MAE, new formulas", lambda answers: ~answers[REPEATED].astype(bool))
    return (*numbers, new)


def _task(
    name: str,
    question: str,
    target: str,
    published: Sequence[Published],
    *,
    unit: str | None = None,
    n_formulas: str = "",
    traps: tuple[str, ...] = (),
    is_large: bool = False,
) -> Task:
    load = Load(name, target)
    if n_formulas:
        repeats = (
            f"{n_formulas}, since one formula may have several structures: test formulas stand in "
            "the training part too. 'MAE, new formulas' leaves those out."
        )
        traps = (*traps, repeats)
    return Task(
        name=f"matbench-{name.replace('_', '-')}",
        domain="materials",
        question=question,
        dataset="matbench",
        files=load.files,
        load=load,
        measures=_measures(load, unit, is_repeated=bool(n_formulas)),
        **composition_methods(is_binary=load.is_binary, is_large=is_large),
        published=tuple(published),
        traps=traps,
    )


def _mae(
    crabnet: float,
    own: tuple[float, float, float],
    *others: tuple[str, float, str],
) -> list[Published]:
    """Return published errors.

    Args:
        crabnet: CrabNet in the official folds.
        own: CrabNet, Roost and a random forest in CrabNet's own split.
        others: Model, error and what differs, all in the official folds.
    """
    names = ("CrabNet", "Roost", "random forest")
    return [
        Published("CrabNet", "MAE", crabnet, BOARD),
        *(Published(model, "MAE", value, BOARD, differs=why) for model, value, why in others),
        *(
            Published(model, "MAE", value, CRABNET, differs=OWN_FOLDS)
            for model, value in zip(names, own, strict=True)
        ),
    ]


def _calls(**values: float) -> list[Published]:
    """Return published balanced accuracies, which the leaderboard calls ROC-AUC."""
    models = {
        "modnet": "MODNet v0.1.12",
        "automatminer": "AMMExpress v2020",
        "forest": "random forest on Magpie",
    }
    return [
        Published(models[model], BALANCED.name, value, BOARD) for model, value in values.items()
    ]


TRAP_OF_CALLS = (
    f"The leaderboard's ROC-AUC is {HARD_CALLS}: compare it with 'balanced accuracy', and not with "
    "the ROC-AUC here, which is of probabilities.",
)
MODULI = (
    "The compounds are those of the other modulus, and many are in the moduli of data set crabnet.",
)

TASKS.register(
    _task(
        "expt_gap",
        "How wide is the measured band gap of a compound?",
        "gap [eV]: regression",
        _mae(
            0.3463,
            (0.3381, 0.3728, 0.4468),
            ("MODNet v0.1.12", 0.3327, ""),
            ("AMMExpress v2020", 0.4161, ""),
            ("random forest on Magpie", 0.4461, ""),
        ),
        unit="eV",
        traps=("Half of the compounds are metals, with a gap of exactly 0.",),
    ),
    _task(
        "expt_is_metal",
        "Is a compound a metal?",
        "metal: binary",
        _calls(automatminer=0.9209, forest=0.9167, modnet=0.9161),
        traps=TRAP_OF_CALLS,
    ),
    _task(
        "glass",
        "Does an alloy form a metallic glass?",
        "glass: binary",
        _calls(modnet=0.9603, automatminer=0.8607, forest=0.8587),
        traps=TRAP_OF_CALLS,
    ),
    _task(
        "jdft2d",
        "How much energy does it take to peel a layer off a crystal?",
        "exfoliation_energy [meV]: regression",
        _mae(
            45.6104,
            (50.5125, 52.8787, 55.1052),
            ("MODNet v0.1.12", 33.1918, STRUCTURES),
        ),
        unit="meV/atom",
        n_formulas="581 distinct formulas in 636 rows",
        traps=("A few crystals with more than 1,000 meV/atom decide the error.",),
    ),
    _task(
        "dielectric",
        "What is the refractive index of a crystal?",
        "refractive_index [dimensionless]: regression",
        _mae(
            0.3234,
            (0.3484, 0.3704, 0.4756),
            ("MODNet v0.1.12", 0.2711, STRUCTURES),
        ),
        unit="dimensionless",
        n_formulas="4,359 distinct formulas in 4,764 rows",
        traps=("Indices up to 62 in the table are failures of the calculation.",),
    ),
    _task(
        "log_gvrh",
        "How stiff is a crystal against shear?",
        "log_shear_modulus [log10(GPa)]: regression",
        _mae(
            0.1014,
            (0.0921, 0.0997, 0.0998),
            ("ALIGNN", 0.0715, STRUCTURES),
        ),
        unit="log10(GPa)",
        n_formulas="10,432 distinct formulas in 10,987 rows",
        traps=MODULI,
        is_large=True,
    ),
    _task(
        "log_kvrh",
        "How stiff is a crystal against compression?",
        "log_bulk_modulus [log10(GPa)]: regression",
        _mae(
            0.0758,
            (0.0678, 0.0734, 0.0777),
            ("MODNet v0.1.12", 0.0548, STRUCTURES),
        ),
        unit="log10(GPa)",
        n_formulas="10,432 distinct formulas in 10,987 rows",
        traps=MODULI,
        is_large=True,
    ),
    _task(
        "perovskites",
        "How stable is a perovskite against its elements?",
        "formation_energy [eV]: regression",
        _mae(
            0.4065,
            (0.1273, 0.1476, 0.1523),
            ("ALIGNN", 0.0288, STRUCTURES),
        ),
        unit="eV/unit cell",
        n_formulas="9,646 distinct formulas in 18,928 rows",
        traps=(
            "Which metal sits on which site is in the structure and not in the formula, so that "
            "two crystals of one formula differ and no model of formulas can tell them apart.",
        ),
        is_large=True,
    ),
    _task(
        "mp_gap",
        "How wide is the band gap of a crystal, as PBE density functional theory has it?",
        "gap [eV]: regression",
        _mae(
            0.2655,
            (0.2633, 0.2596, 0.3625),
            ("ALIGNN", 0.1861, STRUCTURES),
        ),
        unit="eV",
        n_formulas="87,262 distinct formulas in 106,113 rows",
        is_large=True,
    ),
    _task(
        "mp_e_form",
        "What is the formation energy of a crystal, as density functional theory has it?",
        "formation_energy [eV]: regression",
        _mae(
            0.0862,
            (0.0773, 0.0781, 0.1314),
            ("ALIGNN", 0.0215, STRUCTURES),
        ),
        unit="eV/atom",
        n_formulas="106,250 distinct formulas in 132,752 rows",
        is_large=True,
    ),
)
