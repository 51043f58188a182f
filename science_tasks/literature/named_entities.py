"""Entities in science: materials, chemicals and diseases, and the terms of computer science."""

from collections.abc import Mapping
from dataclasses import dataclass

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.column_measures import (
    f1_of_counts,
    macro_f1_of_counts,
    share_of_counts,
)
from kagaku.science_tasks.benchmark.files import text
from kagaku.science_tasks.benchmark.task import (
    CHOSEN_BY_VALIDATION,
    TASKS,
    Case,
    Method,
    Published,
    Task,
)
from kagaku.science_tasks.literature.conll import read_conll
from kagaku.science_tasks.literature.crf import FeatureField
from kagaku.science_tasks.literature.entities import entity_case
from kagaku.science_tasks.literature.lexicon import lexicon
from kagaku.science_tasks.literature.publications import (
    MATSCHOLAR,
    READING,
    SCIBERT,
    SCIBERT_PREPRINT,
)
from kagaku.science_tasks.literature.tagging import Neural


@dataclass(frozen=True)
class Load:
    """Reads the three files of an official split in CoNLL's form."""

    folder: str
    """Folder of the files in the catalogue."""

    @property
    def files(self) -> tuple[str, ...]:
        """Keys of the three parts."""
        return tuple(f"text/{self.folder}/{part}.txt" for part in ("train", "dev", "test"))

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of the official split."""
        train, valid, test = (read_conll(text(source, key)) for key in self.files)
        return {"official": entity_case(train, valid, test)}


METHODS: Mapping[str, Method] = {
    "lexicon": lexicon,
    "crf": FeatureField(),
    "words": Neural(),
    "crf-words": Neural(has_features=True),
    "full": Neural(is_trained=True),
}
"""Names seen before; a random field on features of words; a label chain on vectors of words; on
both; and with the encoder trained."""

MICRO, PRECISION, RECALL = (
    f1_of_counts("F1"),
    share_of_counts("precision", "hits", "guessed"),
    share_of_counts("recall", "hits", "wanted"),
)


def _task(
    name: str,
    question: str,
    load: Load,
    kinds: tuple[str, ...],
    published: tuple[Published, ...],
    traps: tuple[str, ...],
    *,
    dataset: str | None = None,
) -> Task:
    macro = (macro_f1_of_counts(kinds),) if len(kinds) > 1 else ()
    return Task(
        name=name,
        domain="literature",
        question=question,
        dataset=dataset or name,
        files=load.files,
        load=load,
        measures=(MICRO, *macro, PRECISION, RECALL),
        methods=METHODS,
        baselines=("lexicon", "crf"),
        default=("lexicon", "crf", "words", "crf-words"),
        published=published,
        traps=traps,
        group="document",
    )


# SciBERT's scores were read in lists of results that name the article, such as
# https://paperswithcode.com/paper/scibert-pretrained-contextualized-embeddings.
TASKS.register(
    _task(
        "matscholar",
        "Which materials, properties, applications and methods does an abstract name?",
        Load("matscholar_ner"),
        ("APL", "CMT", "DSC", "MAT", "PRO", "SMT", "SPL"),
        (  # both as their abstracts have it, which do not say how kinds are averaged
            Published(
                "MatSciBERT, asked for each kind", "F1", 0.8964, READING, None, CHOSEN_BY_VALIDATION
            ),
            Published(
                "LSTM with word vectors of materials",
                "F1",
                0.87,
                MATSCHOLAR,
                differs=CHOSEN_BY_VALIDATION,
            ),
        ),
        (
            "Many numbers are replaced by <nUm>, so the text is not what is read elsewhere.",
            "The files do not say which sentences are of one abstract: those of a test abstract "
            "may stand in train, and intervals take every sentence for a new one.",
            "32 words of the validation part carry no tag, and are taken for outside of entities.",
        ),
    ),
    _task(
        "bc5cdr",
        "Which chemicals and diseases does an abstract name?",
        Load("bc5cdr"),
        ("Entity",),
        (
            Published(
                "SciBERT",
                "F1",
                0.9001,
                SCIBERT,
                differs="called macro F1 over spans there; " + CHOSEN_BY_VALIDATION,
            ),
            Published(
                "SciBERT, preprint",
                "F1",
                0.8894,
                SCIBERT_PREPRINT,
                differs=CHOSEN_BY_VALIDATION,
            ),
        ),
        (
            "Chemicals and diseases are one kind in this form of the corpus, so scores of each are "
            "not to be had.",
            "Tags are IOB1: read as BIO, most entities are lost.",
        ),
    ),
    _task(
        "scierc-entities",
        "Which tasks, methods, metrics and materials does an abstract of computer science name?",
        Load("scierc_ner"),
        ("Generic", "Material", "Method", "Metric", "OtherScientificTerm", "Task"),
        (Published("SciBERT", "F1", 0.6757, SCIBERT, differs=CHOSEN_BY_VALIDATION),),
        (
            "People who mark such terms agree only in part, so scores are far below 1.",
            "Abstracts are those of scierc-relations: keep both on the same side.",
        ),
    ),
)
