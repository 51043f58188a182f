"""Classes of texts: relations, reasons to cite, subjects of abstracts, answers to questions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.files import frame, stored_json, text
from kagaku.science_tasks.benchmark.measures import Measure, binary, multiclass
from kagaku.science_tasks.benchmark.methods import property_methods
from kagaku.science_tasks.benchmark.task import (
    CHOSEN_BY_VALIDATION,
    TASKS,
    Case,
    Published,
    Rows,
    Task,
)
from kagaku.science_tasks.literature.publications import (
    ADAPTED,
    MATSCIBERT,
    SCIBERT,
    SCIBERT_PREPRINT,
)
from kagaku.science_tasks.literature.relations import relation_terms
from kagaku.science_tasks.literature.term_models import TermRegression
from kagaku.science_tasks.literature.terms_and_words import TermsAndWords
from kagaku.science_tasks.literature.word_models import WordRegression, marked_entities

PUBMEDQA = "https://doi.org/10.18653/v1/D19-1259"

PARTS = ("train", "dev", "test")
"""What the official parts are called in most of these sets."""

TERMS, WORDS = TermRegression(scoring="accuracy"), WordRegression(scoring="accuracy")
"""For questions that are scored by accuracy."""

SEEN = "seen"
"""Column of answers: whether the very text is also one to learn from."""

N_FOLDS = 10
"""Folds of PubMedQA's labelled questions, as published."""


@dataclass(frozen=True)
class LoadLines:
    """Reads three files with a JSON object in each line: ``text`` and ``label``."""

    folder: str
    """Folder of the files in the catalogue."""

    input: str = "text: text"
    """What is read."""

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of the three parts."""
        return tuple(f"text/{self.folder}/{part}.txt" for part in PARTS)

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of the official split."""
        parts = [_lines(text(source, key)) for key in self.files]
        return {"official": _case(parts, "label: multiclass", self.folder)}


def _lines(stored: str) -> pd.DataFrame:
    rows = [json.loads(line) for line in stored.splitlines() if line.strip()]
    return pd.DataFrame({name: [one[name] for one in rows] for name in ("text", "label")})


def _case(parts: list[pd.DataFrame], target: str, source: str) -> Case:
    """Return the case of train, validation and test tables with a column ``text``."""
    table = pd.concat(parts, ignore_index=True)
    ends = np.cumsum([len(one) for one in parts])
    train, valid, test = np.split(np.arange(len(table)), ends[:-1])
    learnt = set(table["text"].iloc[: ends[1]].str.strip())
    table[SEEN] = table["text"].str.strip().isin(learnt)
    return table_case(
        table, ["text: text"], target, Rows(train, test, valid), extra=(SEEN,), source=source
    )


def load_glass(source: Source) -> Mapping[str, Case]:
    """Return the official split of the glass abstracts."""
    parts = [
        frame(source, key).rename(columns={"Abstract": "text", "Label": "glass"})
        for key in GLASS_FILES
    ]
    return {"official": _case(parts, "glass: binary", "glass_abstracts")}


def load_questions(source: Source) -> Mapping[str, Case]:
    """Return ten folds of the questions that carry an answer, each class in its share.

    The official test questions are in the file without their answers, so nobody is asked for them.
    """
    stored = stored_json(source, QUESTIONS)
    known = [one for one in stored.values() if "final_decision" in one]
    table = pd.DataFrame(
        {
            "question": [one["QUESTION"] for one in known],
            "abstract": ["\n".join(one["CONTEXTS"]) for one in known],
            "answer": [one["final_decision"] for one in known],
        }
    )
    every, none = np.arange(len(table)), np.arange(0)
    case = table_case(
        table,
        ["question: text", "abstract: text"],
        "answer: multiclass",
        Rows(every, none),
        source="PubMedQA",
    )
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    answers = case.records.targets["answer"].values.astype(np.int64)
    sides = folds.split(np.zeros(len(answers)), answers)
    return {
        f"fold-{number}": replace(case, rows=Rows(train, test))
        for number, (train, test) in enumerate(sides)
    }


GLASS_FILES = tuple(f"text/glass_abstracts/{part}.csv" for part in ("train", "val", "test"))
QUESTIONS = "text/pubmedqa/ori_pqal.json"

INTENTS = multiclass(("macro F1", "accuracy", "log loss"))
(MACRO_F1, *_) = INTENTS


def _unseen(answers: pd.DataFrame) -> pd.Series:
    unseen: pd.Series = ~answers[SEEN].astype(bool)
    return unseen


UNSEEN = MACRO_F1.where("macro F1, unseen texts", _unseen)
"""On the test texts that do not also stand among those to learn from."""


def _task(
    name: str,
    question: str,
    load: LoadLines,
    plain: TermRegression,
    words: WordRegression,
    published: tuple[Published, ...],
    traps: tuple[str, ...],
    *,
    dataset: str | None = None,
    measures: tuple[Measure, ...] = INTENTS,
    long: tuple[str, ...] = (),
    seen: str = "",
) -> Task:
    methods = property_methods(
        terms=plain, words=words, terms_and_words=TermsAndWords(plain, words)
    )
    return Task(
        name=name,
        domain="literature",
        question=question,
        dataset=dataset or name,
        files=load.files,
        load=load,
        measures=measures,
        methods=methods,
        baselines=("constant", "plain", "terms"),
        default=("constant", "terms", "words", "terms-and-words", "auto"),
        published=published,
        traps=traps,
        long=long,
        seen=seen,
    )


WORDS_LOST = (
    "words was known to lose to terms before terms-and-words, whose weight training rows choose, "
    "took its place."
)
MORE_LINES = "may have learnt from more lines: this copy has fewer than the publication states"


def _remembered(
    scores: Mapping[tuple[str, str], float], differs: str = "", measure: str = "macro F1"
) -> tuple[Published, ...]:
    """Return scores from memory of models that had the validation part to choose by.

    Args:
        scores: By model and source.
        differs: What else differs, with a semicolon behind it.
        measure: Which they are of.
    """
    return tuple(
        Published(
            model, measure, value, source, differs=differs + CHOSEN_BY_VALIDATION, checked=False
        )
        for (model, source), value in scores.items()
    )


def _adapted(plain: float, adapted: float) -> dict[tuple[str, str], float]:
    """Return RoBERTa's scores as it was, and adapted to the domain and then to the task."""
    return {
        ("RoBERTa", ADAPTED): plain,
        ("RoBERTa, adapted to domain and task", ADAPTED): adapted,
    }


TASKS.register(
    _task(
        "scierc-relations",
        "How do two named things in a sentence of an abstract relate: used for, part of, compared?",
        LoadLines("scierc_rel"),
        TermRegression(terms=relation_terms),
        WordRegression(split=marked_entities),
        (
            Published(
                "SciBERT, preprint",
                "macro F1",
                0.7464,
                SCIBERT_PREPRINT,
                differs="the preprint's figure; it does not say whether macro or micro F1; "
                + CHOSEN_BY_VALIDATION,
            ),
            *_remembered({("SciBERT", SCIBERT): 0.7997, **_adapted(0.773, 0.813)}),
        ),
        (
            "A sentence stands in several lines with other pairs marked, so words alone do not "
            "tell the relation.",
            "The relation of an entity pair is given as one of seven: no pair is unrelated, which "
            "is easier than reading a whole abstract.",
        ),
        long=("auto",),
        seen=WORDS_LOST,
    ),
    _task(
        "scicite",
        "Why does a sentence cite another paper: as background, for its method or for its result?",
        LoadLines("sci-cite"),
        TermRegression(),
        WordRegression(),
        (
            Published(
                "SciBERT, in a list of results",
                "macro F1",
                0.8632,
                "https://beta.hyper.ai/en/papers/1903.10676",
                differs=f"whose training it was is not stated; {MORE_LINES}; "
                + CHOSEN_BY_VALIDATION,
            ),
            *_remembered({("SciBERT", SCIBERT): 0.8549}, f"{MORE_LINES}; "),
        ),
        ("Background is 59% of the training lines: always saying so is mostly right.",),
        long=("auto",),
        seen=WORDS_LOST,
    ),
    _task(
        "acl-arc",
        "Why does a sentence cite another paper: to use it, to compare, to extend it, or else?",
        LoadLines("citation_intent"),
        TermRegression(),
        WordRegression(),
        (
            Published(
                "SciBERT",
                "macro F1",
                0.7098,
                # https://paperswithcode.com/paper/scibert-pretrained-contextualized-embeddings
                SCIBERT,
                differs=CHOSEN_BY_VALIDATION,
            ),
            *_remembered(_adapted(0.630, 0.756)),
        ),
        (
            "54 of the 139 test texts also stand in train or validation, which are both learnt "
            "from (52 in train): the macro F1 of the other 85 is given too.",
            "139 test texts in six classes: a few sentences move macro F1 by points.",
        ),
        measures=(MACRO_F1, UNSEEN, *INTENTS[1:]),
        seen="auto had lost to terms before all weighted terms became one of its candidates.",
    ),
    Task(
        name="glass-abstracts",
        domain="literature",
        question="Is an abstract about inorganic glass?",
        dataset="glass-abstracts",
        files=GLASS_FILES,
        load=load_glass,
        measures=binary(("accuracy", "ROC-AUC", "MCC", "Brier")),
        methods=property_methods(
            terms=TERMS, words=WORDS, terms_and_words=TermsAndWords(TERMS, WORDS)
        ),
        baselines=("constant", "plain", "terms"),
        default=("constant", "terms", "words", "terms-and-words", "auto"),
        published=_remembered(
            {("MatSciBERT", MATSCIBERT): 0.9622, ("SciBERT", MATSCIBERT): 0.9344},
            measure="accuracy",
        ),
        traps=(
            "The word glass alone tells most: compare with the terms.",
            "A third is positive: always saying no is right in 67%.",
        ),
    ),
    Task(
        name="pubmedqa",
        domain="literature",
        question="Does an abstract answer the question of its title with yes, no or maybe?",
        dataset="pubmedqa",
        files=(QUESTIONS,),
        load=load_questions,
        measures=multiclass(("accuracy", "macro F1", "log loss")),
        methods=property_methods(
            terms=TERMS, words=WORDS, terms_and_words=TermsAndWords(TERMS, WORDS)
        ),
        baselines=("constant", "plain", "terms"),
        default=("constant", "terms", "words", "terms-and-words", "auto"),
        published=tuple(
            Published(
                model,
                measure,
                value,
                PUBMEDQA,
                differs="on the 500 test questions, whose answers are not in the file; here ten "
                "folds of the other 500",
            )
            for model, measure, value in (
                ("BioBERT, several phases", "accuracy", 0.681),
                ("one person", "accuracy", 0.780),
                ("one person", "macro F1", 0.7219),
                ("always yes", "accuracy", 0.552),
            )
        ),
        traps=(
            "The answers of the official 500 test questions are not in the file, so this is the "
            "published cross-validation of the other 500, with folds of our own.",
            "55% are yes and 11% maybe; a macro F1 per fold of 50 rests on five or six maybes.",
            "The abstract's conclusion is not shown: with it the question is another.",
        ),
        long=("auto",),
    ),
)
