"""Fitness of protein variants: FLIP's GB1, and two deep mutational scans of many mutations."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.calibrated import Calibrated
from kagaku.science_tasks.benchmark.cases import ITEM, table_case
from kagaku.science_tasks.benchmark.files import frame, stored_json
from kagaku.science_tasks.benchmark.measures import of_numbers, regression
from kagaku.science_tasks.benchmark.methods import property_methods
from kagaku.science_tasks.benchmark.task import (
    CHOSEN_BY_VALIDATION,
    TASKS,
    Case,
    Published,
    Rows,
    Task,
)
from kagaku.science_tasks.proteins.fitness_methods import (
    FitnessCase,
    Shift,
    SiteProcesses,
    global_epistasis,
    ridge_onehot,
)
from kagaku.science_tasks.proteins.proteingym import ASSAYS, target_sequence
from kagaku.science_tasks.proteins.variants import mutate, parse_variant

GB1 = "proteins/flip_gb1/flip_gb1_splits.zip"
GB1_SPLITS: dict[str, Shift] = {
    "one_vs_rest": "order",
    "two_vs_rest": "order",
    "three_vs_rest": "order",
    "low_vs_high": "level",
    "sampled": "none",
}
"""FLIP's splits of GB1, and what each shifts."""

GB1_DOMAIN = slice(0, 56)
"""Where the domain itself stands; FLIP's sequences go on with a linker and a second protein that
never varies."""

FEW = (100, 400, 1_600)
"""Training variants of the small splits."""


def load_gb1(source: Source) -> Mapping[str, Case]:
    """Return the five splits of GB1; Dallago et al. 2021, doi:10.1101/2021.11.09.467890."""
    cases = {}
    with zipfile.ZipFile(io.BytesIO(source(GB1))) as archive:
        for name, shift in GB1_SPLITS.items():
            table = pd.read_csv(io.BytesIO(archive.read(f"splits/{name}.csv")))
            table["sequence"] = table["sequence"].str[GB1_DOMAIN]
            is_valid = table["validation"].fillna(False).astype(bool)
            is_train = table["set"] == "train"
            rows = Rows(
                np.flatnonzero(is_train & ~is_valid),
                np.flatnonzero(table["set"] == "test"),
                np.flatnonzero(is_train & is_valid),
            )
            table = table.rename(columns={"target": "fitness"})
            cases[name] = _fitness_case(table, "fitness [dimensionless]: regression", rows, shift)
    return cases


@dataclass(frozen=True)
class Scan:
    """Reads a deep mutational scan of nn4dms; Gelman et al. 2021, doi:10.1073/pnas.2104878118."""

    name: str
    """Name of the table."""

    assay: str
    """ProteinGym's name of the same assay, whose table has the wild type."""

    first: int
    """Number that nn4dms gives the first residue of that wild type."""

    kept: slice
    """Which residues of the wild type are read: the domain that was mutated."""

    unit: str
    """Unit of the score."""

    wanted: str
    """``"main"``, ``"few"`` or ``"shifted"``: which splits."""

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of the table, of its splits and of the wild types."""
        stem = f"proteins/nn4dms/{self.name}"
        return f"{stem}.tsv", f"{stem}.splits.json", ASSAYS

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each split."""
        table = frame(source, self.files[0], sep="\t")
        wild_type = target_sequence(source, self.assay)
        table["sequence"] = [
            mutate(wild_type, parse_variant(one), first=self.first)[self.kept]
            for one in table["variant"]
        ]
        splits = self._splits(stored_json(source, self.files[1]))
        every = Rows(np.arange(len(table)), np.zeros(0, dtype=np.int64))
        whole = _fitness_case(table, f"score [{self.unit}]: regression", every)
        assert not whole.n_dropped, "positions of the splits are positions of the table"
        return {name: replace(whole, rows=rows).subset() for name, rows in splits.items()}

    def _splits(self, stored: dict[str, dict[str, list[int]]]) -> dict[str, Rows]:
        main = _rows(stored["main"])
        if self.wanted == "main":
            return {"main": main}
        if self.wanted == "few":
            order = np.random.default_rng(0).permutation(main.train)
            return {f"train_{size}": Rows(np.sort(order[:size]), main.test) for size in FEW}
        return {name: _rows(parts) for name, parts in stored.items() if name != "main"}


def _rows(parts: dict[str, list[int]]) -> Rows:
    test = parts.get("test", parts.get("stest"))
    return Rows(np.array(parts["train"]), np.array(test), np.array(parts["tune"]))


def _fitness_case(
    table: pd.DataFrame, target: str, rows: Rows, shift: Shift = "none"
) -> FitnessCase:
    """Return the case of variants; the answers carry how many mutations each has, where known."""
    table = table.assign(**{ITEM: table["sequence"]})  # splits share variants
    extra = [ITEM, *(one for one in ("num_mutations",) if one in table)]
    case = table_case(table, ["sequence: protein"], target, rows, extra=extra, source="variants")
    parts: dict[str, Any] = {name: getattr(case, name) for name in case.__dataclass_fields__}
    return FitnessCase(**parts, shift=shift)


def _pearson(truth: np.ndarray, given: np.ndarray) -> float:
    both = np.ptp(truth) > 0 and np.ptp(given) > 0
    return float(pearsonr(truth, given).statistic) if both else float("nan")


_FLIP = "https://doi.org/10.1101/2021.11.09.467890"
_GB1_SCORES = {
    "ridge on one-hot": (0.28, 0.59, 0.76, 0.34),
    "CNN": (0.17, 0.32, 0.83, 0.51),
    "ESM-1b, per residue": (0.28, 0.55, 0.79, 0.59),
}
_LEARN_ONCE = ("ridge on one-hot",)
"""Those of them that have no validation part to stop by."""

_NN4DMS = "https://github.com/gitter-lab/nn4dms/blob/master/notebooks/analysis.ipynb"

_GB1_METHODS = property_methods(
    ridge_onehot=ridge_onehot, global_epistasis=global_epistasis, site_processes=SiteProcesses()
)

TASKS.register(
    Task(
        name="flip-gb1",
        domain="proteins",
        question="How fit is a variant of protein G's B1 domain, from variants with fewer "
        "mutations or lower fitness?",
        dataset="flip-gb1",
        files=(GB1,),
        load=load_gb1,
        measures=regression(("Spearman", "RMSE", "MAE", "R2"), "dimensionless"),
        methods=_GB1_METHODS,
        baselines=("constant", "plain", "ridge-onehot"),
        default=("constant", "ridge-onehot", "global-epistasis", "site-processes"),
        published=tuple(
            Published(
                model,
                "Spearman",
                value,
                _FLIP,
                split,
                differs="" if model in _LEARN_ONCE else CHOSEN_BY_VALIDATION,
                checked=False,
            )
            for model, values in _GB1_SCORES.items()
            for split, value in zip(GB1_SPLITS, values, strict=False)
        ),
        seen="the rule by which site-processes chooses among its candidates was changed after its "
        "score on two_vs_rest, and those of single candidates on three splits, were known.",
        traps=(
            "FLIP thinned out inactive variants: scores on all 149,361 are not comparable.",
            "one_vs_rest has 28 variants to learn from, so a difference of a few hundredths there "
            "is luck.",
            "low_vs_high tests variants above the wild type only: its Spearman is of a narrow "
            "range.",
            "`auto` compares its candidates on random folds, which are like the sampled split and "
            "like none of the others, so it is not run unless named.",
            "`site-processes` ranks the test variants among each other, so its answers depend on "
            "which are asked together: of its scores only Spearman's rank correlation means "
            "anything. The rule by which it chooses was changed after test scores had been seen.",
        ),
        group=ITEM,
    )
)


def _scan_task(scan: Scan, title: str, published: Mapping[str, tuple[float, float]]) -> Task:
    suffix = "" if scan.wanted == "main" else f"-{scan.wanted}"
    # Rows held out of a scan are not shifted as the test rows are, so their errors promise nothing.
    shown = global_epistasis if scan.wanted == "shifted" else Calibrated(global_epistasis)
    methods = property_methods(ridge_onehot=ridge_onehot, global_epistasis=shown)
    cheap = ("constant", "ridge-onehot", "global-epistasis")
    asked = {
        "main": f"{title}, from 90% of a scan?",
        "few": f"{title}, from a hundred to some thousand measured variants?",
        "shifted": f"{title}, with mutations or at positions that were never measured?",
    }
    traps = [
        "Variants with a stop stand in it: X takes the stop's place in the sequence, and telling "
        "them apart is easy.",
    ]
    if not published:
        traps.append(
            "The notebook of nn4dms that has scores of avGFP has none of this scan: no figure of "
            "others stands beside these.",
        )
    if scan.wanted == "few":
        traps.append(
            "nn4dms' own reduced training sets are not in the catalogue: these are drawn here, "
            "each within the next, from the main split's training rows."
        )
    return Task(
        name=f"{scan.name}{suffix}",
        domain="proteins",
        question=asked[scan.wanted],
        dataset=scan.name,
        files=scan.files,
        load=scan,
        measures=(
            *regression(("Spearman",), None),
            of_numbers("Pearson", _pearson),
            *regression(("RMSE", "MAE", "R2"), scan.unit),
        ),
        methods=methods,
        baselines=("constant", "plain", "ridge-onehot"),
        default=cheap if scan.wanted == "shifted" else (*cheap, "auto"),
        published=tuple(
            Published(model, measure, value, _NN4DMS, "main", CHOSEN_BY_VALIDATION)
            for model, values in (published if scan.wanted == "main" else {}).items()
            for measure, value in zip(("Pearson", "Spearman"), values, strict=True)
        ),
        traps=tuple(traps),
        long=() if scan.wanted == "shifted" else ("auto",),
        group=ITEM,
    )


for _wanted in ("main", "few", "shifted"):
    TASKS.register(
        _scan_task(
            Scan(
                "avgfp",
                "GFP_AEQVI_Sarkisyan_2016",
                -1,
                slice(None),
                "log10(dimensionless)",
                _wanted,
            ),
            "How bright is a variant of the green fluorescent protein",
            {"linear regression": (0.821, 0.854), "fully connected, 3 x 100": (0.967, 0.862)},
        ),
        _scan_task(
            Scan(
                "pab1",
                "PABP_YEAST_Melamed_2013",
                1,
                slice(125, 200),
                "log2(dimensionless)",
                _wanted,
            ),
            "How fit is yeast with a variant of an RNA-binding domain of Pab1",
            {},
        ),
    )
