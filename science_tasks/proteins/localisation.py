"""Where in the cell a protein goes: DeepLoc's ten compartments."""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from Bio.SeqIO.FastaIO import SimpleFastaParser

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.files import text
from kagaku.science_tasks.benchmark.measures import multiclass
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Published, Rows, Task

VALID = "proteins/deeploc/deeploc_our_val_set.fasta"
TEST = "proteins/deeploc/deeploc_test_set.fasta"

NOT_ASKED = "Cytoplasm-Nucleus"
"""An eleventh class of 23 training sequences that the test file has not."""

_PUBLISHED = {
    "light attention on ProtT5": 0.8601,
    "DeepLoc": 0.7797,
    "iLoc-Euk": 0.6820,
    "YLoc": 0.6122,
}
_README = "https://github.com/HannesStark/protein-localization"


def load_locations(source: Source) -> Mapping[str, Case]:
    """Return DeepLoc's test set, learnt from the validation file alone.

    Almagro Armenteros et al. 2017, doi:10.1093/bioinformatics/btx431; files: Stark et al. 2021,
    doi:10.1093/bioadv/vbab035.
    """
    parts = [_table(text(source, key)) for key in (VALID, TEST)]
    table = pd.concat(parts, ignore_index=True)
    is_test = np.arange(len(table)) >= len(parts[0])
    asked = (table["location"] != NOT_ASKED).to_numpy()
    rows = Rows(np.flatnonzero(~is_test & asked), np.flatnonzero(is_test))
    table = table.where(table["location"] != NOT_ASKED)
    return {
        "val_to_test": table_case(
            table, ["sequence: protein"], "location: multiclass", rows, source="DeepLoc"
        )
    }


def _table(fasta: str) -> pd.DataFrame:
    """Return sequences with their location, from headings like ``>Q9H400 Cell.membrane-M``."""
    entries = list(SimpleFastaParser(io.StringIO(fasta)))
    return pd.DataFrame(
        {
            "sequence": [letters for _, letters in entries],
            "location": [title.split()[1].rpartition("-")[0] for title, _ in entries],
        }
    )


_METHODS = property_methods(
    composition=Single("linear", block="composition"), trees=Single("trees", block="composition")
)

TASKS.register(
    Task(
        name="deeploc",
        domain="proteins",
        question="In which of ten compartments of the cell is a protein found?",
        dataset="deeploc",
        files=(VALID, TEST),
        load=load_locations,
        measures=multiclass(("accuracy", "MCC", "macro F1", "log loss")),
        methods=_METHODS,
        baselines=("constant", "plain", "composition", "trees"),
        default=("constant", "plain", "composition", "trees", "linear-embeddings", "auto"),
        published=tuple(
            Published(
                model,
                "accuracy",
                value,
                _README,
                differs="learnt from DeepLoc's 9,503 training sequences, not from 1,655",
            )
            for model, value in _PUBLISHED.items()
        ),
        traps=(
            "The catalogue lacks DeepLoc's training file: methods learn from its validation file, "
            "a sixth of what others had.",
            "The 23 validation sequences of an eleventh class, Cytoplasm-Nucleus, are left out.",
            "MCC is Gorodkin's for several classes; accuracy is DeepLoc's Q10.",
        ),
        long=("auto",),
    )
)
