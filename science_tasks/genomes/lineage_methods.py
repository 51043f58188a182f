"""Methods that place a lineage of a virus in its family, and fill in bases that were not read."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasketch import MinHash
from jaxtyping import Float
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from kagaku.data.nucleotides import word_length
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.measures import CHANCE, TRUTH
from kagaku.science_tasks.benchmark.task import Context, Method, Rows
from kagaku.science_tasks.genomes.lineage_case import LineageCase, family_of

CLADE = "clade"
"""Column of the answers: lineages of one clade are resampled together."""

HASHES = 512
"""Numbers in a MinHash signature: two genomes of 30,000 bases share 0.93 of their words if ten
mutations part them, which so many tell within 0.01."""

PROTEIN_WORD = 5
"""Residues in a word of a protein: of 1,273, few occur twice."""


def answered(case: LineageCase, chances: Float[np.ndarray, "lineage family"]) -> pd.DataFrame:
    """Return the answers of the probabilities of each family."""
    columns = {f"{CHANCE}{i}": one for i, one in enumerate(chances.T)}
    asked = case.rows.test
    return pd.DataFrame({TRUTH: case.classes(asked), **columns, CLADE: case.clades(asked)})


def commonest(case: LineageCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 - a Method
    """Answer with each family's share of the training lineages."""
    counts = np.bincount(case.classes(case.rows.train), minlength=len(case.families))
    return answered(case, np.tile(counts / counts.sum(), (case.n_test, 1)))


def differences(left: csr_matrix, right: csr_matrix) -> Float[np.ndarray, "left right"]:
    """Return in how many mutations all pairs differ: those that one of the two has alone."""
    shared = (left @ right.T).toarray()
    own = (np.asarray(one.sum(axis=1)).ravel() for one in (left, right))
    mine, others = own
    different: np.ndarray = mine[:, None] + others[None, :] - 2 * shared
    return different


def nearest_by_mutations(case: LineageCase, context: Context) -> pd.DataFrame:  # noqa: ARG001
    """Answer with the family of the training lineages that differ in the fewest mutations."""
    mutations = case.alignment.mutations
    apart = differences(mutations[case.rows.test], mutations[case.rows.train])
    return answered(case, _votes(case, -apart))


def nearest_by_words(case: LineageCase, context: Context) -> pd.DataFrame:
    """Answer with the family of the training lineages that share the most words, by MinHash.

    Nothing is aligned, as in Mash: Ondov et al. 2016, https://doi.org/10.1186/s13059-016-0997-x
    """
    length = word_length(len(case.alignment.reference)) + 4
    length = PROTEIN_WORD if case.modality == "protein" else length
    signatures = {}
    for part in ("train", "test"):
        values = case.values(part)[case.modality]
        made = []
        for done in range(len(values)):
            if context.report is not None and done % 50 == 0:
                context.report(done, len(values), f"signatures, {part}")
            made.append(_signature(values[done], length))
        signatures[part] = np.stack(made)
    alike = np.stack([(one == signatures["train"]).mean(axis=1) for one in signatures["test"]])
    return answered(case, _votes(case, alike))


def _signature(sequence: str, length: int) -> np.ndarray:
    text = sequence.encode("ascii")
    words = {text[i : i + length] for i in range(len(text) - length + 1)}
    sketch = MinHash(num_perm=HASHES)
    sketch.update_batch(list(words))
    found: np.ndarray = sketch.hashvalues
    return found


def _votes(case: LineageCase, alike: np.ndarray) -> Float[np.ndarray, "lineage family"]:
    """Return the share of each family among the nearest training lineages, ties together."""
    nearest = alike >= alike.max(axis=1, keepdims=True) - 1e-9
    families = np.eye(len(case.families))[case.classes(case.rows.train)]
    votes = nearest @ families
    shares: np.ndarray = votes / votes.sum(axis=1, keepdims=True)
    return shares


def logistic_on_mutations(case: LineageCase, context: Context) -> pd.DataFrame:
    """Answer by logistic regression on all mutations that two training lineages have."""
    mutations = case.alignment.mutations
    counts = np.asarray(mutations[case.rows.train].sum(axis=0)).ravel()
    seen = mutations[:, np.flatnonzero(counts >= 2)]
    classes = case.classes(case.rows.train)
    chances = np.zeros((case.n_test, len(case.families)))
    model = LogisticRegression(C=10.0, max_iter=200, tol=1e-3, random_state=context.seed)
    model.fit(seen[case.rows.train], classes)
    chances[:, model.classes_] = model.predict_proba(seen[case.rows.test])
    return answered(case, chances)


@dataclass(frozen=True)
class OnSequences:
    """A method for records, which is given the sequences alone, without alignment or reference."""

    method: Method
    """What answers."""

    def __call__(self, case: LineageCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        answers = self.method(as_records(case), context)
        answers[CLADE] = case.clades(case.rows.test)
        return answers


def as_records(case: LineageCase) -> PropertyCase:
    """Return the case as records of sequences.

    Raises:
        InputError: A sequence cannot be read, so that answers would be lacking.
    """
    used = np.concatenate([case.rows.train, case.rows.test])
    table = pd.DataFrame(
        {
            "sequence": [case.alignment.sequence(int(i)) for i in used],
            "family": [family_of(case.names[i]) for i in used],
            CLADE: case.clades(used),
        }
    )
    places = np.arange(len(used))
    rows = Rows(places[: case.n_train], places[case.n_train :])
    made = table_case(
        table,
        [f"sequence: {case.modality}"],
        "family: multiclass",
        rows,
        keeps_apart="group",
        group=CLADE,
        source="sarscov2-pango",
    )
    if made.n_dropped:
        raise InputError(
            f"{made.n_dropped} sequences cannot be read", fix="Fetch the data set again."
        )
    return made
