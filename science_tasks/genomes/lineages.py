"""SARS-CoV-2: which family a lineage belongs to, and what stood where sequencing failed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.column_measures import share_of_counts
from kagaku.science_tasks.benchmark.measures import multiclass
from kagaku.science_tasks.benchmark.methods import Chosen, Single
from kagaku.science_tasks.benchmark.task import TASKS, Case, Task
from kagaku.science_tasks.genomes import hidden_bases, lineage_methods
from kagaku.science_tasks.genomes.hidden_bases import MUTATED, MUTATED_HITS, HiddenCase
from kagaku.science_tasks.genomes.lineage_case import Alignment, split_lineages
from kagaku.science_tasks.genomes.lineage_methods import CLADE, OnSequences

GENOMES = "genomes/sarscov2_pango/pango-consensus-sequences_genome-nuc.fasta"
SPIKES = "genomes/sarscov2_pango/pango-consensus-sequences_S-aa.fasta"

ROOT = "B"
"""The lineage of the reference genome, Wuhan-Hu-1."""


def entries(content: bytes) -> Iterator[tuple[str, str]]:
    r"""Yield (heading, sequence) of each entry of FASTA, without a second copy of it all.

    Example:
        >>> list(entries(b">A.1\nAC\nGT\n>B\nAC-T\n"))
        [('A.1', 'ACGT'), ('B', 'AC-T')]
    """
    begin = content.find(b">")
    while begin >= 0:
        end = content.find(b"\n>", begin)
        entry = content[begin + 1 : end if end >= 0 else len(content)]
        heading, _, lines = entry.partition(b"\n")
        yield heading.decode("ascii").strip(), b"".join(lines.split()).decode("ascii").upper()
        begin = end + 1 if end >= 0 else -1


@dataclass(frozen=True)
class Load:
    """Reads aligned sequences, one for each lineage, and holds whole clades out.

    Set: https://github.com/corneliusroemer/pango-sequences; names: Rambaut et al. 2020,
    https://doi.org/10.1038/s41564-020-0770-5.
    """

    file: str
    """Key of the file."""

    modality: str
    """What its sequences are."""

    is_hidden: bool = False
    """Whether hidden letters are asked instead of families."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the one case.

        Raises:
            InputError: The reference is not among the sequences.
        """
        content = source(self.file)
        root = next((sequence for name, sequence in entries(content) if name == ROOT), None)
        if root is None:
            raise InputError(
                f"lineage {ROOT}, the reference, is missing",
                fix="Fetch the data set again.",
                where=self.file,
            )
        alignment, names = Alignment.of(entries(content), root)
        case = split_lineages(names, self.modality, alignment)
        return {"clades": HiddenCase(case) if self.is_hidden else case}


MEASURES = multiclass(("accuracy", "macro F1", "MCC"))
PLAIN = {
    "constant": lineage_methods.commonest,
    "nearest-words": lineage_methods.nearest_by_words,
    "nearest-mutations": lineage_methods.nearest_by_mutations,
    "logistic-mutations": lineage_methods.logistic_on_mutations,
}
LEARNED = {
    "linear-embeddings": OnSequences(Single("linear", "embeddings")),
    "auto": OnSequences(Chosen("auto")),
}

TRAPS = (
    "The sequences are consensuses computed for each lineage, cleaner than any sample.",
    "Of each family one clade in four (BA.2 with all its descendants of that name) is held out, "
    "chosen by its name; a random split would be answered by the nearest neighbour, one or two "
    "mutations away. Families of fewer than five clades are left out.",
    "Families are the letters of Pango names, nested and unequal: KP descends from JN and JN from "
    "BA, so that a held-out clade of JN may be nearest to its own descendants under another name. "
    "A recombinant (X...) and its renamed descendants are different families too.",
)

TASKS.register(
    Task(
        name="sarscov2-family",
        domain="genomes",
        question="Which family of lineages does a new lineage's genome belong to?",
        dataset="sarscov2-pango",
        files=(GENOMES,),
        load=Load(GENOMES, "nucleotide"),
        measures=MEASURES,
        methods={**PLAIN, **LEARNED},
        baselines=tuple(PLAIN),
        default=tuple(PLAIN),
        traps=(
            *TRAPS,
            "Embedding thousands of genomes of 10,000 tokens takes hours on a CPU, so no method "
            "with embeddings is run unless it is named.",
        ),
        group=CLADE,
    ),
    Task(
        name="sarscov2-spike-family",
        domain="genomes",
        question="Which family of lineages does a new spike protein belong to?",
        dataset="sarscov2-pango",
        files=(SPIKES,),
        load=Load(SPIKES, "protein"),
        measures=MEASURES,
        methods={**PLAIN, **LEARNED},
        baselines=tuple(PLAIN),
        default=(*PLAIN, "linear-embeddings"),
        traps=(
            *TRAPS,
            "Half of the lineages share their spike with another one, sometimes of another family.",
        ),
        long=("linear-embeddings",),
        group=CLADE,
    ),
    Task(
        name="sarscov2-hidden-bases",
        domain="genomes",
        question="What stood in the stretches of a genome that sequencing did not read?",
        dataset="sarscov2-pango",
        files=(GENOMES,),
        load=Load(GENOMES, "nucleotide", is_hidden=True),
        measures=(
            share_of_counts("mutations recovered", MUTATED_HITS, MUTATED),
            share_of_counts("letters recovered"),
        ),
        methods={
            "reference": hidden_bases.reference,
            "consensus": hidden_bases.consensus,
            "nearest-genomes": hidden_bases.nearest_genomes,
        },
        baselines=("reference", "consensus", "nearest-genomes"),
        default=("reference", "consensus", "nearest-genomes"),
        traps=(
            "Asked are sites where training genomes differ. Most letters of a genome are the "
            "reference's even there, so that the share of all letters flatters: look at the "
            "mutations.",
            "Genomes are aligned, and a deletion counts as a letter.",
        ),
        group=CLADE,
    ),
)
