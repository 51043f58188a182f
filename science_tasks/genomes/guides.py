"""CRISPR guides: how well does a guide RNA make Cas9 knock a gene out?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from jaxtyping import Float

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import regression
from kagaku.science_tasks.benchmark.methods import Mean, Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Rows, Task
from kagaku.science_tasks.genomes.composition import base_shares, melting_temperature
from kagaku.science_tasks.prediction import Prediction

FILE = "genomes/crispr_doench2016/FC_plus_RES_withPredictions.csv"

GENE, GUIDE = "gene", "guide"
"""Columns of the answers: the gene that is cut, and the sequence, which drugs repeat."""

PLACE = ("percent_peptide", "cut_position")
"""Where in the protein the guide cuts: percent of its length, and residues from its start."""

INPUTS = (
    "sequence: nucleotide",
    "percent_peptide [percent]: quantity",
    "cut_position [dimensionless]: quantity",
)

PARTS = ((0, 30), (19, 24), (11, 19), (6, 11))
"""Bases whose melting temperature counts: all 30, 5 next to the PAM, the 8 and 5 before those."""


@dataclass(frozen=True)
class Load:
    """Reads the guides and leaves out one gene at a time.

    Set: Doench et al. 2016, https://doi.org/10.1038/nbt.3437.
    """

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each gene that is left out."""
        read = frame(source, FILE)
        table = pd.DataFrame(
            {
                "sequence": read["30mer"],
                "percent_peptide [percent]": read["Percent Peptide"],
                "cut_position [dimensionless]": read["Amino Acid Cut position"],
                "rank": read["score_drug_gene_rank"],
                GENE: read["Target gene"],
                GUIDE: read["30mer"],
            }
        )
        return Genes(table)


class Genes(Mapping[str, Case]):
    """The seventeen cases by the gene that is left out, read when they are needed."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self._names = sorted(table[GENE].unique())

    def __getitem__(self, name: str) -> Case:
        if name not in self._names:
            raise KeyError(name)
        left_out = (self._table[GENE] == name).to_numpy()
        return table_case(
            self._table,
            INPUTS,
            "rank [dimensionless]: regression",
            Rows(np.flatnonzero(~left_out), np.flatnonzero(left_out)),
            keeps_apart="group",
            group=GENE,
            extra=[GENE, GUIDE],
            source="crispr-doench2016",
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def guide_features(sequence: str) -> Float[np.ndarray, " feature"]:
    """Return what Rule Set 2 reads from a guide with its neighbourhood, 30 bases 5' to 3'.

    Bases and pairs of neighbours, at each position and counted over all; the count of G and C in
    the guide, and whether it is over or under ten; the bases on both sides of the PAM's GG; and
    melting temperatures of four parts, in degC. Source: Doench et al. 2016,
    https://doi.org/10.1038/nbt.3437
    """
    bases = base_shares(sequence)
    pairs = np.einsum("ia,ib->iab", bases[:-1], bases[1:]).reshape(len(bases) - 1, 16)
    gc = float(bases[4:24, 1:3].sum())
    around = np.outer(bases[24], bases[27])
    melting = [_melting(sequence[begin:end]) for begin, end in PARTS]
    return np.concatenate(
        [
            bases.ravel(),
            pairs.ravel(),
            bases.sum(axis=0),
            pairs.sum(axis=0),
            [gc, float(gc > 10), float(gc < 10)],
            around.ravel(),
            melting,
        ]
    )


def _melting(sequence: str) -> float:
    """Return the melting temperature in degC, also of parts too short for nearest neighbours.

    Those get 2 degC for each A or T and 4 for each G or C. Source: Wallace et al. 1979,
    https://doi.org/10.1093/nar/6.11.3543
    """
    exact = melting_temperature(sequence)
    strong = sum(base in "GC" for base in sequence)
    return exact if np.isfinite(exact) else 2.0 * (len(sequence) + strong)


@dataclass(frozen=True)
class RuleSet:
    """Boosted trees on position, composition, melting and place, set as in Rule Set 2.

    Settings: https://github.com/MicrosoftResearch/Azimuth, 100 trees of depth 3 at a learning rate
    of 0.1.
    """

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        records = case.records
        sequences = [str(one) for one in records.inputs["sequence"]]
        known = {one: guide_features(one) for one in set(sequences)}
        place = [[one.value for one in records.inputs[name]] for name in PLACE]
        matrix = np.column_stack([np.stack([known[one] for one in sequences]), *place])
        learnt = case.rows.learnt()
        model = lightgbm.LGBMRegressor(
            n_estimators=100,
            learning_rate=0.1,
            max_depth=3,
            num_leaves=8,
            min_child_samples=1,
            random_state=context.seed,
            n_jobs=1,
            verbosity=-1,
            deterministic=True,
            force_row_wise=True,
        ).fit(matrix[learnt], records.targets[case.target.name].values[learnt].astype(float))
        mean = np.asarray(model.predict(matrix[case.rows.test]))
        return answers_of(case, Prediction(mean=mean, spread=np.ones_like(mean)))


# Only the order of guides within a gene means anything, so there are no intervals of ranks.
METHODS = property_methods(
    ridge_onehot=Single("linear", block="onehot"),
    ridge_steps=Single("linear", block="steps"),
    rule_set_2=RuleSet(),
    linear_and_trees=Mean((Single("linear"), Single("trees")), has_intervals=False),
)
BASELINES = ("constant", "plain", "ridge-onehot", "ridge-steps", "rule-set-2")

TASKS.register(
    Task(
        name="crispr-guides",
        domain="genomes",
        question="Which guides against a gene never targeted before will knock it out best?",
        dataset="crispr-doench2016",
        files=(FILE,),
        load=Load(),
        measures=regression(("Spearman", "MAE", "RMSE"), "dimensionless"),
        methods=METHODS,
        baselines=BASELINES,
        default=(*BASELINES, "linear-embeddings", "linear-and-trees", "auto"),
        traps=(
            "The file's column 'predictions' comes from a model that was fitted on all of these "
            "guides: it is no feature, and no fair comparison.",
            "Scores are ranks within one gene and one drug, so that only the order within a gene "
            "means anything: a constant has no Spearman correlation.",
            "The publication shows its correlations in a figure only, so none stands beside these.",
            "The strongest baseline, plain, takes long: a run without it compares with Rule Set "
            "2's features, which are about as good.",
            "A guide against MED12 may stand there twice, under two drugs; intervals resample it "
            "as one. They are about guides of these seventeen genes, not about other genes.",
        ),
        long=("plain", "auto"),
        seen="linear-embeddings had lost to the baselines before linear-and-trees, made of what "
        "was best on training genes, took its place.",
        group=GUIDE,
    ),
)
