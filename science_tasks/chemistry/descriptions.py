"""ChEBI-20: which description belongs to a molecule, what describes it, and what it looks like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from kagaku.models.pretraining.beam import BeamConfig
from kagaku.models.pretraining.translation import TranslationConfig
from kagaku.science_tasks.benchmark.column_measures import mean_of
from kagaku.science_tasks.benchmark.measures import Measure
from kagaku.science_tasks.benchmark.task import TASKS, Context, Method, Published, Task
from kagaku.science_tasks.chemistry.fingerprints import fingerprints, likeness
from kagaku.science_tasks.chemistry.matching import (
    TaughtAlignment,
    aligned,
    by_chance,
    joined,
    words,
)
from kagaku.science_tasks.chemistry.molecule_text import TEST, VALID, DescriptionCase, Load, Side
from kagaku.science_tasks.generation_metrics import canonical_or_none
from kagaku.science_tasks.retrieval import retrieval_measures
from kagaku.science_tasks.text_overlap import bleu, overlap_counts
from kagaku.science_tasks.translating import Translator


def text_answers(case: DescriptionCase, given: Sequence[str]) -> pd.DataFrame:
    """Return descriptions as answers: what each shares with the true one, in counts of words."""
    counts = (overlap_counts(one, true) for one, true in zip(given, case.asked.texts, strict=True))
    return pd.DataFrame(list(counts)).assign(answer=list(given))


def molecule_answers(case: DescriptionCase, given: Sequence[str]) -> pd.DataFrame:
    """Return molecules as answers: whether each is one, the true one, and how like that it is.

    Alike is the Tanimoto similarity of circular fingerprints of radius 2; 0 for what is none.
    """
    rows = []
    for one, true in zip(given, case.asked.molecules, strict=True):
        read = canonical_or_none(one)
        rows.append(
            {
                "answer": one,
                "is_valid": float(read is not None),
                "is_exact": float(read == true),
                "likeness": 0.0 if read is None else _alike(read, true),
            }
        )
    return pd.DataFrame(rows)


def _alike(one: str, other: str) -> float:
    own, *others = fingerprints([one, other])
    return float(likeness(own, others)[0])


def most_typical(case: DescriptionCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a method)
    """Answer always with the known description that is most like all others, by its words."""
    found = TfidfVectorizer(sublinear_tf=True).fit_transform(case.learnt.texts)
    best = int(np.asarray(found @ found.sum(axis=0).T).argmax())
    return text_answers(case, [case.learnt.texts[best]] * case.n_test)


def nearest_text(case: DescriptionCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a method)
    """Answer with the description of the known molecule most like the asked one.

    Alike is the Tanimoto similarity of circular fingerprints of radius 2.
    """
    known = fingerprints(case.learnt.molecules)
    best = [int(likeness(one, known).argmax()) for one in fingerprints(case.asked.molecules)]
    return text_answers(case, [case.learnt.texts[one] for one in best])


def nearest_molecule(case: DescriptionCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a method)
    """Answer with the known molecule whose description is most like the given one, by its words."""
    words_of = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit(case.learnt.texts)
    alike = words_of.transform(case.asked.texts) @ words_of.transform(case.learnt.texts).T
    best = np.asarray(alike.argmax(axis=1)).ravel()
    return molecule_answers(case, [case.learnt.molecules[one] for one in best])


@dataclass(frozen=True)
class Generated:
    """Answers with what the base generates."""

    translator: Translator
    """Asks, and teaches if it is to."""

    is_taught: bool
    """Whether the base is taught the known pairs first."""

    def __call__(self, case: DescriptionCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        asked = case.asked.side(case.given)
        found, heads = self.translator(case.pairs if self.is_taught else [], asked, context)
        answers = [one[0] if one else "" for one in found]
        frame = (text_answers if case.wanted == "text" else molecule_answers)(case, answers)
        frame.attrs["chosen"] = heads
        return frame


def _translator(given: Side, wanted: Side) -> Translator:
    config = TranslationConfig(max_steps=3_000, max_epochs=15.0, row_length=512, n_rows=15)
    beams = BeamConfig(n_beams=4, most_tokens=256, length_exponent=1.0)
    return Translator(given, wanted, config, beams)


FILES = (VALID, TEST)
LITTLE = (
    "The official train part (26,407 pairs) is not in the catalogue: what is learnt here is learnt "
    "from the 3,301 pairs of the validation part.",
    "A base may have seen ChEBI's definitions: those of these molecules were held out of "
    "kagaku-tiny's corpus, others' may not have held them out.",
)
LESS = "26,407 pairs of the train part were learnt from"
TEXT2MOL = "https://doi.org/10.18653/v1/2021.emnlp-main.47"
MOLT5 = "https://doi.org/10.18653/v1/2022.emnlp-main.26"
PREDICTIONS = "https://github.com/blender-nlp/MolT5"

RETRIEVAL = retrieval_measures()
OVERLAP: tuple[Measure, ...] = (
    bleu(2),
    bleu(4),
    mean_of("rouge_l", "ROUGE-L"),
)
DRAWN: tuple[Measure, ...] = (
    mean_of("is_exact", "exact match"),
    mean_of("likeness", "Tanimoto"),
    mean_of("is_valid", "validity"),
)

MATCHING: dict[str, Method] = {
    "chance": by_chance,
    "words": words,
    "aligned": aligned,
    "words-aligned": joined,
    "taught-alignment": TaughtAlignment(),
}

# Text2Mol's table of results on its test set, where all 33,010 molecules are ranked.
PUBLISHED_RANKS = {
    "Text2Mol MLP": (0.372, 0.224, 0.686),
    "Text2Mol ensemble": (0.499, 0.344, 0.811),
}
AMONG_ALL = f"{LESS}; ranked among all 33,010 molecules instead of the 3,300 of the test part"

# MolT5's table of captioning. Its words are those of SciBERT's vocabulary, ours are whole.
PUBLISHED_TEXTS = {
    "MolT5-small": (0.519, 0.436, 0.563),
    "MolT5-base": (0.540, 0.457, 0.578),
    "MolT5-large": (0.594, 0.508, 0.594),
}
OTHER_WORDS = f"{LESS}; words are pieces of SciBERT's vocabulary"


def _matching(name: str, question: str, given: Side, published: tuple[Published, ...]) -> Task:
    return Task(
        name=name,
        domain="chemistry",
        question=question,
        dataset="chebi20",
        files=FILES,
        load=Load(given),
        measures=RETRIEVAL,
        methods=MATCHING,
        baselines=("chance", "words"),
        default=("chance", "words", "aligned", "words-aligned"),
        published=published,
        traps=LITTLE,
    )


TASKS.register(
    _matching(
        "chebi20-text-to-molecule",
        "Which of 3,300 molecules does a description speak of?",
        "text",
        tuple(
            Published(model, measure.name, value, TEXT2MOL, differs=AMONG_ALL)
            for model, values in PUBLISHED_RANKS.items()
            for measure, value in zip(RETRIEVAL[:3], values, strict=True)
        ),
    ),
    _matching(
        "chebi20-molecule-to-text",
        "Which of 3,300 descriptions is that of a molecule?",
        "molecule",
        (),
    ),
    Task(
        name="chebi20-describe",
        domain="chemistry",
        question="How would a chemist describe a molecule?",
        dataset="chebi20",
        files=FILES,
        load=Load("molecule"),
        measures=OVERLAP,
        methods={
            "most-typical": most_typical,
            "nearest": nearest_text,
            "generated": Generated(_translator("molecule", "text"), is_taught=False),
            "translation": Generated(_translator("molecule", "text"), is_taught=True),
        },
        baselines=("most-typical", "nearest"),
        default=("most-typical", "nearest", "translation"),
        published=tuple(
            Published(model, measure.name, value, MOLT5, differs=OTHER_WORDS)
            for model, values in PUBLISHED_TEXTS.items()
            for measure, value in zip(OVERLAP, values, strict=True)
        ),
        traps=(
            *LITTLE,
            "Shared words are no understanding: most descriptions share their phrases, and the "
            "description of a like molecule scores high while it is wrong.",
        ),
        long=("translation",),
    ),
    Task(
        name="chebi20-draw",
        domain="chemistry",
        question="Which molecule does a description speak of, if there are none to choose from?",
        dataset="chebi20",
        files=FILES,
        load=Load("text"),
        measures=DRAWN,
        methods={
            "nearest": nearest_molecule,
            "generated": Generated(_translator("text", "molecule"), is_taught=False),
            "translation": Generated(_translator("text", "molecule"), is_taught=True),
        },
        baselines=("nearest",),
        default=("nearest", "translation"),
        # Computed from the predictions that the authors published, by exact equality of strings.
        published=tuple(
            Published(model, "exact match", value, PREDICTIONS, differs=f"{LESS}; equal strings")
            for model, value in (
                ("MolT5-small", 0.078),
                ("MolT5-base", 0.079),
                ("MolT5-large", 0.302),
            )
        ),
        traps=(
            *LITTLE,
            "Some descriptions fit several molecules, and only the one they were written for "
            "counts.",
        ),
        long=("translation",),
    ),
)
