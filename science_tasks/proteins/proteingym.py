"""Effects of variants without training: beta-lactamase, and the assays of ProteinGym.

An assay is a wild type and a table of variants with what was measured. Nothing is learnt from them:
a method sees the wild type and which residues changed.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.data.catalogue import Source
from kagaku.data.catalogue.own_files import NotBroughtError
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import GIVEN, TRUTH, binary, regression
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Method, Published, Task
from kagaku.science_tasks.proteins.variant_scores import (
    Scorer,
    hydropathy_scores,
    language_scorer,
    substitution_scores,
    volume_scores,
)
from kagaku.science_tasks.proteins.variants import mutate, parse_variant
from kagaku.science_tasks.rank_metrics import Scores

ASSAYS = "proteins/proteingym_reference/DMS_substitutions.csv"
SCORES = "proteins/proteingym_reference/DMS_zero_shot_DMS_substitutions_Spearman_DMS_level.csv"
LACTAMASE = "proteins/esm_beta_lactamase/BLAT_ECOLX_Ranganathan2015.csv"
LACTAMASE_ASSAY = "BLAT_ECOLX_Stiffler_2015"
DOSE = "2500"
"""Column of the beta-lactamase scan: log enrichment at 2,500 ug/mL of ampicillin."""

BROUGHT = "proteins/proteingym"
"""Folder of the assays that users bring: ``<DMS_id>.csv`` as ProteinGym gives them."""

COLUMNS = ("mutant", "mutated_sequence", "DMS_score")
"""What such a file must have; ``DMS_score_bin`` too where there is one."""

ABOVE = "is_fit"
"""Answers have, beside the score, whether the variant counts as fit by the assay's own cutoff."""

TABULATED = (
    "Site-Independent",
    "EVmutation",
    "GEMME",
    "ESM-1v (single)",
    "ESM-1v (ensemble)",
    "ESM2 (8M)",
    "ESM2 (35M)",
    "ESM2 (150M)",
    "ESM2 (650M)",
    "Progen2 XL",
    "TranceptEVE L",
    "VenusREM",
)
"""Models of ProteinGym's table whose scores are shown beside ours."""

PROTEINGYM = "https://github.com/OATML-Markslab/ProteinGym"


@dataclass(frozen=True)
class VariantCase:
    """Variants of one wild type, scored without training."""

    wild_type: str
    """The sequence before mutation."""

    variants: tuple[str, ...]
    """Such as ``"A24C:T51D"``, counted from the wild type's first residue, 1."""

    measured: Float[np.ndarray, " variant"]
    """What the assay measured; larger is fitter."""

    cutoff: float | None = None
    """The assay's own border between fit and unfit; None if it states none."""

    @property
    def n_train(self) -> int:
        """Nothing is learnt from."""
        return 0

    @property
    def n_test(self) -> int:
        """How many variants are scored."""
        return len(self.variants)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the wild type, which stands for all variants; nothing for training."""
        return {"protein": [self.wild_type] * self.n_test if part == "test" else []}

    def cut(self, n_train: int, n_test: int, seed: int) -> "VariantCase":  # noqa: ARG002 (a Case)
        """Return at most so many variants, drawn at random."""
        if self.n_test <= n_test:
            return self
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(self.n_test, n_test, replace=False))
        variants = tuple(self.variants[i] for i in rows)
        return replace(self, variants=variants, measured=self.measured[rows])

    def answers(self, scores: Float[np.ndarray, " variant"]) -> pd.DataFrame:
        """Return the answers that scores are."""
        table = pd.DataFrame({TRUTH: self.measured, GIVEN: scores})
        if self.cutoff is not None:
            table[ABOVE] = self.measured >= self.cutoff
        return table


def scored_by(scorer: Scorer) -> Method:
    """Return the method that answers with a scorer's scores."""
    return partial(_scored, scorer)


def _scored(scorer: Scorer, case: VariantCase, context: Context) -> pd.DataFrame:  # noqa: ARG001
    return case.answers(scorer(case.wild_type, case.variants))


def masked_marginals(case: VariantCase, context: Context) -> pd.DataFrame:
    """Answer with the log odds of the base's language head, or the base's own scores."""
    return case.answers(language_scorer(context)(case.wild_type, case.variants))


def mutation_count(case: VariantCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a Method)
    """Answer with minus the number of mutations, which is all that a plain count knows."""
    return case.answers(-np.array([float(len(parse_variant(one))) for one in case.variants]))


@lru_cache(maxsize=2)
def _assay_table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content)).set_index("DMS_id")


def target_sequence(source: Source, assay: str) -> str:
    """Return the wild type of an assay of ProteinGym."""
    return str(_assay_table(source(ASSAYS)).loc[assay, "target_seq"])


def load_lactamase(source: Source) -> Mapping[str, Case]:
    """Return the scan of TEM-1 beta-lactamase; Stiffler et al., 10.1016/j.cell.2015.01.035."""
    table = frame(source, LACTAMASE, encoding="utf-8-sig")
    info = _assay_table(source(ASSAYS)).loc[LACTAMASE_ASSAY]
    assert isinstance(info, pd.Series), "one row per assay"
    case = VariantCase(
        str(info["target_seq"]),
        tuple(table["mutant"]),
        table[DOSE].to_numpy(np.float64),
        _cutoff(info),
    )
    return {"ampicillin_2500": case}


def load_assays(source: Source) -> Mapping[str, Case]:
    """Return every assay whose file the user has, by its name in ProteinGym.

    Three of them stand in catalogued files too: beta-lactamase, GFP and Pab1.

    Raises:
        InputError: A file is not in ProteinGym's form.
    """
    assays = _assay_table(source(ASSAYS))
    cases: dict[str, Case] = {}
    for name, info in assays.iterrows():
        try:
            content = source(f"{BROUGHT}/{name}.csv")
        except NotBroughtError:
            case = _catalogued(source, str(name), info)
        else:
            case = read_assay(content, str(info["target_seq"]), str(name), _cutoff(info))
        if case is not None:
            cases[str(name)] = case
    return cases


def _cutoff(info: pd.Series) -> float | None:
    value = float(info["DMS_binarization_cutoff"])
    return value if np.isfinite(value) else None


def read_assay(
    content: bytes, wild_type: str, name: str, cutoff: float | None = None
) -> VariantCase:
    """Return the case of a file in ProteinGym's form.

    Args:
        content: A CSV with `COLUMNS`.
        wild_type: The assay's target sequence, from the reference table.
        name: The assay, for messages.
        cutoff: Border between fit and unfit.

    Raises:
        InputError: A column is missing, or a variant's sequence is not the wild type with its
            mutations.
    """
    table = pd.read_csv(io.BytesIO(content))
    if missing := [one for one in COLUMNS if one not in table]:
        raise InputError(
            f"the columns {missing} are missing",
            fix="Put the assay's file there as ProteinGym gives it.",
            where=f"{BROUGHT}/{name}.csv",
        )
    table = table.dropna(subset=["mutant", "DMS_score"])
    for row, (variant, sequence) in enumerate(
        zip(table["mutant"], table["mutated_sequence"], strict=True), start=2
    ):
        where = f"{BROUGHT}/{name}.csv, line {row}"
        try:
            made = mutate(wild_type, parse_variant(variant))
        except InputError as error:
            raise error.at(where) from None
        if made != sequence:
            raise InputError(
                f"the sequence of {variant!r} is not the wild type with its mutations",
                fix="Use files and reference table of one version of ProteinGym.",
                where=where,
            )
    measured = table["DMS_score"].to_numpy(np.float64)
    return VariantCase(wild_type, tuple(table["mutant"]), measured, cutoff)


_SCANS: dict[str, tuple[str, int, Callable[[float], float]]] = {
    "GFP_AEQVI_Sarkisyan_2016": ("avgfp", -1, float),
    "PABP_YEAST_Melamed_2013": ("pab1", 1, math.log2),
}
"""Assays that stand in nn4dms' tables, the number that these give the first residue, and what
brings ProteinGym's cutoff to their scale: Pab1's scores are logarithms there, linear here."""


def _catalogued(source: Source, name: str, info: pd.Series) -> VariantCase | None:
    """Return an assay that other catalogued files have; None for most."""
    if name == LACTAMASE_ASSAY:
        (case,) = load_lactamase(source).values()
        assert isinstance(case, VariantCase)
        return case
    if name not in _SCANS:
        return None
    stem, first, scaled = _SCANS[name]
    cutoff = _cutoff(info)
    table = frame(source, f"proteins/nn4dms/{stem}.tsv", sep="\t")
    # ProteinGym has no stops.
    table = table[~table["variant"].str.contains("*", regex=False)]
    variants = tuple(_renumbered(one, 1 - first) for one in table["variant"])
    measured = table["score"].to_numpy(np.float64)
    scale_cutoff = None if cutoff is None else scaled(cutoff)
    return VariantCase(str(info["target_seq"]), variants, measured, scale_cutoff)


def _renumbered(variant: str, shift: int) -> str:
    parts = parse_variant(variant)
    return ":".join(f"{one.before}{one.position + shift}{one.after}" for one in parts)


def tabulated_scores(source: Source) -> list[Published]:
    """Return ProteinGym's own scores of every assay, for some models."""
    table = frame(source, SCORES).set_index("DMS ID")
    note = "ProteinGym's version of the assay may have other variants than the catalogued file"
    return [
        Published(
            model,
            "Spearman",
            float(table.loc[assay, model]),
            PROTEINGYM,
            str(assay),
            note if assay in {LACTAMASE_ASSAY, *_SCANS} else "",
        )
        for assay in table.index
        for model in TABULATED
        if model in table and np.isfinite(table.loc[assay, model])
    ]


def _measured_classes(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the answers as two classes, for the area under the curve."""
    rank = answers[GIVEN].rank(pct=True)
    return pd.DataFrame({TRUTH: answers[ABOVE].astype(float), "p_0": 1 - rank, "p_1": rank})


def _area(answers: pd.DataFrame) -> float:
    (measure,) = binary(("ROC-AUC",))
    return measure.of(_measured_classes(answers))


def _areas(answers: pd.DataFrame) -> Scores:
    # Ranks among all variants order the drawn ones as their own ranks do.
    (measure,) = binary(("ROC-AUC",))
    assert measure.ranked is not None
    return measure.ranked(_measured_classes(answers))


_AREA = replace(
    binary(("ROC-AUC",))[0], compute=_area, columns=(TRUTH, GIVEN, ABOVE), ranked=_areas
)

_METHODS: dict[str, Method] = {
    "blosum62": scored_by(substitution_scores),
    "hydropathy": scored_by(hydropathy_scores),
    "volume": scored_by(volume_scores),
    "mutation-count": mutation_count,
    "masked-marginals": masked_marginals,
}
_PLAIN = ("blosum62", "hydropathy", "volume")
_MEASURES = (*regression(("Spearman",), None), _AREA)

_ESM = (
    "https://github.com/facebookresearch/esm/blob/main/examples/variant-prediction/data/rho_pp.csv"
)
_LACTAMASE_SCORES = {
    "DeepSequence (replicated)": 0.791,
    "MSA Transformer": 0.773,
    "ESM-1v, zero shot": 0.725,
    "ESM-1b": 0.724,
    "position-specific matrix": 0.614,
    "TAPE": 0.144,
    "UniRep": 0.032,
}

TASKS.register(
    Task(
        name="beta-lactamase",
        domain="proteins",
        question="Which single mutations does TEM-1 beta-lactamase bear, told without any "
        "measurement?",
        dataset="beta-lactamase",
        files=(LACTAMASE, ASSAYS),
        load=load_lactamase,
        measures=_MEASURES,
        methods={name: one for name, one in _METHODS.items() if name != "mutation-count"},
        baselines=_PLAIN,
        default=(*_PLAIN, "masked-marginals"),
        published=tuple(
            Published(model, "Spearman", value, _ESM) for model, value in _LACTAMASE_SCORES.items()
        ),
        traps=(
            "A protein language model has seen relatives of TEM-1 in plenty: no position of it is "
            "new to one.",
            "The scores of DeepSequence and EVmutation that stand in the file are other models' "
            "outputs, not features.",
        ),
    ),
    Task(
        name="proteingym",
        domain="proteins",
        question="Which variants work, in each of ProteinGym's 217 assays of substitutions, told "
        "without any measurement?",
        dataset="proteingym-reference",
        files=(
            ASSAYS,
            LACTAMASE,
            *(f"proteins/nn4dms/{stem}.tsv" for stem, _, _ in _SCANS.values()),
        ),
        load=load_assays,
        measures=_MEASURES,
        methods=_METHODS,
        baselines=(*_PLAIN, "mutation-count"),
        default=tuple(_METHODS),
        tabulated=tabulated_scores,
        traps=(
            f"The catalogue has three of the assays; put others as <DMS_id>.csv into "
            f"{BROUGHT}/ of the data folder, from {PROTEINGYM}.",
            "GFP and Pab1 are read from nn4dms' tables, which have some variants more than "
            "ProteinGym's.",
            "In assays of many mutations, counting them has much of the correlation: look at that "
            "baseline first.",
            "ProteinGym averages within functions before it averages assays; a plain mean over "
            "assays differs.",
        ),
    ),
)
