"""Two sets of molecules compared as in MOSES: what they are made of, and their properties.

Source: Polykovskiy et al. 2020, https://doi.org/10.3389/fphar.2020.565644
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import BRICS, QED, Crippen, Descriptors
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.Contrib.SA_Score import sascorer  # type: ignore[import-untyped,unused-ignore]
from scipy.stats import wasserstein_distance

FEWEST_RINGS = 2
"""Of a scaffold that counts: a single ring tells little."""

PROPERTIES: Mapping[str, Callable[[Any], float]] = {
    "logP": Crippen.MolLogP,  # type: ignore[attr-defined,unused-ignore]
    "QED": QED.qed,
    "SA": sascorer.calculateScore,
    "weight": Descriptors.MolWt,  # type: ignore[attr-defined,unused-ignore]
}
"""By name, what is spread: Crippen's logP, drug-likeness, synthetic accessibility (1 easy to 10
hard), and molar mass in g/mol."""


def read(smiles: Sequence[str]) -> list[Any]:
    """Return RDKit's molecules of valid SMILES."""
    with rdBase.BlockLogs():
        return [Chem.MolFromSmiles(one) for one in smiles]


def fragments(molecules: Iterable[Any]) -> Counter[str]:
    """Return how often each BRICS fragment occurs."""
    found: Counter[str] = Counter()
    for one in molecules:
        pieces = BRICS.BreakBRICSBonds(one)  # type: ignore[no-untyped-call]
        found.update(Chem.MolToSmiles(pieces).split("."))
    return found


def scaffolds(molecules: Iterable[Any]) -> Counter[str]:
    """Return how often each Bemis-Murcko scaffold of two rings or more occurs."""
    found: Counter[str] = Counter()
    for one in molecules:
        scaffold: Any = MurckoScaffold.GetScaffoldForMol(one)  # type: ignore[no-untyped-call]
        if scaffold.GetRingInfo().NumRings() >= FEWEST_RINGS:
            found[Chem.MolToSmiles(scaffold)] += 1
    return found


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """Return the cosine of two tables of counts; NaN where one is empty.

    Example:
        >>> cosine(Counter("aab"), Counter("ab"))
        0.9486832980505138
    """
    if not one or not other:
        return float("nan")
    product = sum(count * other[key] for key, count in one.items())
    norms = [float(np.sqrt(sum(count**2 for count in each.values()))) for each in (one, other)]
    return product / (norms[0] * norms[1])


def property_distances(one: Sequence[Any], other: Sequence[Any]) -> dict[str, float]:
    """Return by property the Wasserstein distance of its two distributions, in its unit."""
    if not one or not other:
        return dict.fromkeys(PROPERTIES, float("nan"))
    return {
        name: float(wasserstein_distance(*([of(each) for each in some] for some in (one, other))))
        for name, of in PROPERTIES.items()
    }


def without_alerts(molecules: Sequence[Any]) -> list[bool]:
    """Return which molecules have no PAINS alert (Baell and Holloway 2010, 10.1021/jm901137j).

    MOSES also asks for filters of its own, which are not RDKit's.
    """
    wanted = FilterCatalogParams()
    wanted.AddCatalog(FilterCatalogParams.FilterCatalogs.PAINS)
    catalog = FilterCatalog(wanted)
    return [not catalog.HasMatch(one) for one in molecules]
