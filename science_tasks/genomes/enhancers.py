"""iEnhancer: does a stretch of 200 bases of human DNA enhance the transcription of a gene?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.svm import LinearSVC

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.files import text
from kagaku.science_tasks.benchmark.measures import binary
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Published, Rows, Task
from kagaku.science_tasks.genomes.gapped_words import gapped_word_shares
from kagaku.science_tasks.prediction import Prediction

FILES = {
    "genomes/ienhancer/enhancer.cv.fasta": ("train", 1),
    "genomes/ienhancer/non.cv.fasta": ("train", 0),
    "genomes/ienhancer/enhancer.ind.fasta": ("test", 1),
    "genomes/ienhancer/non.ind.fasta": ("test", 0),
}
"""By key, the part that a file belongs to, and whether its sequences are enhancers."""

BOARD = "https://github.com/chen-bioinfo/iEnhancer-ELM"
"""Where published scores stand, all on the 400 test sequences."""

COPIED = "copied"
"""Column of the answers: whether the test sequence stands in the published training part."""


def fasta(content: str) -> Iterator[tuple[str, str]]:
    r"""Yield (heading, sequence) of each entry; sequences in capitals.

    Example:
        >>> list(fasta(">one\nacg\nT\n>two\nGG\n"))
        [('one', 'ACGT'), ('two', 'GG')]
    """
    for entry in content.split(">")[1:]:
        heading, _, lines = entry.partition("\n")
        yield heading.strip(), "".join(lines.split()).upper()


@dataclass(frozen=True)
class Load:
    """Reads the sequences in their published parts.

    Set: Liu et al. 2016, https://doi.org/10.1093/bioinformatics/btv604.
    """

    without_copies: bool = False
    """Whether training sequences that are test sequences too are left out of training."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the one case."""
        found = [
            (sequence, enhancer, part)
            for key, (part, enhancer) in FILES.items()
            for _, sequence in fasta(text(source, key))
        ]
        table = pd.DataFrame(found, columns=["sequence", "enhancer", "part"])
        train, test = ((table["part"] == one).to_numpy() for one in ("train", "test"))
        sequences = table["sequence"]
        table[COPIED] = test & sequences.isin(set(sequences[train])).to_numpy()
        if self.without_copies:
            train = train & ~sequences.isin(set(sequences[test])).to_numpy()
        rows = Rows(np.flatnonzero(train), np.flatnonzero(test))
        inputs, target = ["sequence: nucleotide"], "enhancer: binary"
        return {"test": table_case(table, inputs, target, rows, extra=[COPIED], source="ienhancer")}


@dataclass(frozen=True)
class GappedWords:
    """A linear support vector machine on gapped words of both strands, as gkm-SVM."""

    penalties: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    """Costs of an error that are tried in inner folds."""

    folds: int = 5
    """Inner folds."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        (column,) = case.records.inputs.values()
        shares = gapped_word_shares([str(one) for one in column])
        classes = case.records.targets[case.target.name].values
        learnt = case.rows.learnt()
        held_out = np.random.default_rng(context.seed).permutation(len(learnt)) % self.folds
        scores = {
            penalty: self._out_of_fold(shares[learnt], classes[learnt], held_out, penalty)
            for penalty in self.penalties
        }
        best = max(scores, key=lambda one: ((scores[one] > 0) == classes[learnt]).mean())
        machine = LinearSVC(C=best, random_state=context.seed).fit(shares[learnt], classes[learnt])
        # The sign decides; a logistic curve of the held-out spread makes a chance of it.
        spread = max(float(np.abs(scores[best]).mean()), 1e-9)
        chance = 1 / (1 + np.exp(-machine.decision_function(shares[case.rows.test]) / spread))
        frame = answers_of(case, Prediction(probabilities=np.stack([1 - chance, chance], axis=1)))
        frame.attrs["chosen"] = f"C={best:g}"
        return frame

    def _out_of_fold(
        self, shares: np.ndarray, classes: np.ndarray, held_out: np.ndarray, penalty: float
    ) -> np.ndarray:
        scores = np.zeros(len(classes))
        for fold in range(self.folds):
            inside = held_out == fold
            machine = LinearSVC(C=penalty, random_state=0)
            machine.fit(shares[~inside], classes[~inside])
            scores[inside] = machine.decision_function(shares[inside])
        return scores


METHODS = property_methods(
    kmer_logistic=Single("linear", block="kmers"),
    kmer_svm=Single("svm", block="kmers"),
    gapped_word_svm=GappedWords(),
)
BASELINES = ("constant", "plain", "kmer-logistic", "kmer-svm", "gapped-word-svm")
MEASURES = binary(("accuracy", "MCC", "ROC-AUC"))
OF_OTHERS = tuple(one.where(f"{one.name}, not copied", lambda a: ~a[COPIED]) for one in MEASURES)

PUBLISHED = {
    "iEnhancer-2L": (0.73, 0.46),
    "iEnhancer-EL": (0.7475, 0.496),
    "iEnhancer-XG": (0.7575, 0.514),
    "BERT-Enhancer": (0.756, 0.515),
    "iEnhancer-GAN": (0.784, 0.567),
    "iEnhancer-5Step": (0.79, 0.58),
    "iEnhancer-ELM": (0.83, 0.6612),
}
"""By model, accuracy and Matthews correlation on the 400 test sequences."""


def _published(differs: str = "") -> tuple[Published, ...]:
    return tuple(
        Published(model, measure, value, BOARD, differs=differs)
        for model, values in PUBLISHED.items()
        for measure, value in zip(("accuracy", "MCC"), values, strict=True)
    )


TASKS.register(
    Task(
        name="ienhancer",
        domain="genomes",
        question="Is a stretch of 200 bases an enhancer?",
        dataset="ienhancer",
        files=tuple(FILES),
        load=Load(),
        measures=(*MEASURES, *OF_OTHERS),
        methods=METHODS,
        baselines=BASELINES,
        default=(*BASELINES, "auto"),
        published=_published(),
        traps=(
            "100 of the 200 enhancers in the test part are copies of training sequences, and every "
            "published score counts them. The measures 'not copied' leave them out, but then two "
            "of three sequences are none: look at MCC and ROC-AUC. See ienhancer-without-copies.",
        ),
    ),
    Task(
        name="ienhancer-without-copies",
        domain="genomes",
        question="Is a stretch of 200 bases an enhancer that was never seen before?",
        dataset="ienhancer",
        files=tuple(FILES),
        load=Load(without_copies=True),
        measures=MEASURES,
        methods=METHODS,
        baselines=BASELINES,
        default=(*BASELINES, "auto"),
        published=_published("half of the tested enhancers were in the training part"),
        traps=(
            "Training sequences that are test sequences too are left out of the training part, so "
            "scores are lower than the published ones and can be believed.",
            "Neighbouring windows of one region may still stand on both sides.",
        ),
    ),
)
