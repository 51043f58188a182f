"""AqSolDB: solubility in water of ten thousand compounds, with scaffolds kept apart."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from kagaku.data.catalogue import Source
from kagaku.data.identity import molecule_key
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import regression
from kagaku.science_tasks.benchmark.methods import Mean, Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Rows, Task

TABLE, ESOL = "molecules/aqsoldb/aqsoldb_curated.csv", "molecules/moleculenet/ESOL.csv"

TEST_SHARE = 0.2
"""Share of the rarer scaffolds that is asked about; which of them is fixed by a hash of each."""

COMMON = 0.01
"""A scaffold with more than this share of all compounds, such as benzene, is always learnt from."""

SKELETON = 14
"""Letters of an InChIKey that stand for the atoms and bonds, without stereochemistry and charge:
https://doi.org/10.1186/s13321-015-0068-4."""


def load(source: Source) -> Mapping[str, Case]:
    """Return the one case."""
    table = frame(source, TABLE)
    return {"scaffold": solubility_case(table, frame(source, ESOL)["smiles"].tolist())}


def solubility_case(table: pd.DataFrame, esol: Sequence[str]) -> PropertyCase:
    """Return the case of AqSolDB without the compounds of ESOL, scaffolds kept apart.

    Args:
        table: As published: ``SMILES``, ``InChIKey`` and ``Solubility``, in log10(mol/L).
        esol: SMILES of the compounds that are left out, whatever their stereochemistry.
    """
    taken = {molecule_key(smiles)[:SKELETON] for smiles in esol}
    skeleton = table["InChIKey"].str[:SKELETON]
    made = pd.DataFrame(
        {"smiles": table["SMILES"], "logS": table["Solubility"], "skeleton": skeleton}
    )[~skeleton.isin(taken)].reset_index(drop=True)
    groups = [
        scaffold_or(smiles, other)
        for smiles, other in zip(made["smiles"], made["skeleton"], strict=True)
    ]
    sizes = Counter(groups)
    is_test = np.array(
        [sizes[group] <= COMMON * len(groups) and share_of(group) < TEST_SHARE for group in groups]
    )
    rows = Rows(np.flatnonzero(~is_test), np.flatnonzero(is_test))
    return table_case(
        made,
        ["smiles: molecule"],
        "logS [log10(mol/L)]: regression",
        rows,
        keeps_apart="scaffold",
        source="AqSolDB",
    )


def scaffold_or(smiles: str, otherwise: str) -> str:
    """Return the Bemis-Murcko scaffold of a molecule; ``otherwise`` where it has no ring.

    Bemis and Murcko 1996, https://doi.org/10.1021/jm9602928.
    """
    with rdBase.BlockLogs():
        molecule: Chem.Mol | None = Chem.MolFromSmiles(smiles)
        if molecule is None:
            return otherwise
        scaffold = MurckoScaffold.GetScaffoldForMol(molecule)  # type: ignore[no-untyped-call]
    return Chem.MolToSmiles(scaffold, isomericSmiles=False) or otherwise


def share_of(name: str) -> float:
    """Return a number from 0 up to 1 that depends on the name alone, as if drawn at random."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


METHODS = property_methods(
    svm_ecfp=Single("svm", block="ecfp"),
    trees_and_gp=Mean((Single("trees"), Single("gp", "classical + embeddings"))),
)

TASKS.register(
    Task(
        name="aqsoldb",
        domain="chemistry",
        question="How well does a compound dissolve in water, if its scaffold is new?",
        dataset="aqsoldb",
        files=(TABLE, ESOL),
        load=load,
        measures=regression(("RMSE", "MAE", "R2", "Spearman"), "log10(mol/L)"),
        methods=METHODS,
        baselines=("constant", "plain", "svm-ecfp"),
        default=("constant", "plain", "svm-ecfp", "linear-embeddings", "trees-and-gp", "auto"),
        traps=(
            "There is no official split. Here a fifth of the Bemis-Murcko scaffolds are asked, "
            "fixed by a hash of each, those with more than 1% of the compounds never; compounds "
            "without a ring are parted by the first block of their InChIKey. No figure of another "
            "split compares with these.",
            "The compounds of ESOL, whatever their stereochemistry, are in neither part.",
            "About a tenth of the compounds are salts or mixtures; what a descriptor means for "
            "them is unclear.",
            "Repeated measurements of one compound differ by 0.5 and more: nobody can be much "
            "better than that.",
        ),
        long=("auto",),
        seen="linear-embeddings was known to be no better than the baselines before trees-and-gp, "
        "made of what was best on training scaffolds held out, took its place.",
    )
)
