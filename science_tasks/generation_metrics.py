"""How good generated molecules are: valid, distinct, new, diverse, and like those of a collection.

The measures are those of MOSES (Polykovskiy et al. 2020,
https://doi.org/10.3389/fphar.2020.565644), all dimensionless.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator
from torch import nn

from kagaku.errors import InputError

RADIUS, N_BITS = 2, 1024
"""Of the Morgan fingerprints behind the diversity, as in MOSES."""

CHEMNET_FILE = "ChemNet_v0.13_pretrained.pt"
"""The weights inside the package ``fcd``."""

FEWEST = 2
"""Fewest molecules whose distribution can be compared."""


@dataclass(frozen=True)
class GenerationScores:
    """Scores of a set of generated strings."""

    n_generated: int
    """How many strings there are."""

    validity: float
    """Share that RDKit reads as a molecule."""

    uniqueness: float
    """Share of the valid that are distinct as canonical SMILES; NaN where none is valid."""

    novelty: float
    """Share of the distinct that were not in training; NaN where none is valid."""

    internal_diversity: float
    """1 minus the mean Tanimoto similarity of all pairs of distinct molecules, a molecule with
    itself included; NaN where none is valid."""


def canonical_or_none(smiles: str) -> str | None:
    """Return the canonical SMILES of a generated string; None where it is no molecule."""
    if not smiles:
        return None
    with rdBase.BlockLogs():
        molecule = _read(smiles)
    return None if molecule is None else str(Chem.MolToSmiles(molecule))


def _read(smiles: str) -> Chem.Mol | None:
    """Return RDKit's molecule, or None; rdkit's own annotation forgets the None."""
    return Chem.MolFromSmiles(smiles)


def generation_scores(generated: Sequence[str], training: set[str]) -> GenerationScores:
    """Return the scores of generated strings.

    Args:
        generated: As they came from the model.
        training: Canonical SMILES of what it was trained on.
    """
    valid = [one for one in map(canonical_or_none, generated) if one is not None]
    distinct = sorted(set(valid))
    nothing = float("nan")
    return GenerationScores(
        n_generated=len(generated),
        validity=len(valid) / len(generated) if generated else nothing,
        uniqueness=len(distinct) / len(valid) if valid else nothing,
        novelty=sum(one not in training for one in distinct) / len(distinct)
        if distinct
        else nothing,
        internal_diversity=internal_diversity(distinct) if distinct else nothing,
    )


def internal_diversity(smiles: Sequence[str]) -> float:
    """Return 1 minus the mean Tanimoto similarity of all pairs of some molecules."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=N_BITS)
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in smiles]
    # Each pair counts twice and each molecule once with itself, for a similarity of 1.
    total = float(len(prints))
    for place, one in enumerate(prints):
        total += 2 * float(np.sum(DataStructs.BulkTanimotoSimilarity(one, prints[:place])))
    return 1 - total / len(prints) ** 2


Featuriser = Callable[[Sequence[str]], np.ndarray]
"""Turns molecules into the vectors whose distributions are compared, (molecule, feature)."""


def frechet_distance(
    first: Float[np.ndarray, "one feature"], second: Float[np.ndarray, "other feature"]
) -> float:
    """Return the Fréchet distance of two sets of vectors, each taken as a normal distribution.

    |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), dimensionless, 0 for equal moments. The trace
    of the root is the sum of the roots of the product's eigenvalues, which are not negative.

    Raises:
        InputError: A set has fewer than two vectors.
    """
    for one in (first, second):
        if len(one) < FEWEST:
            raise InputError(
                f"a distribution needs at least {FEWEST} molecules, got {len(one)}",
                fix="Generate more, or give more to compare with.",
            )
    means = [one.mean(axis=0, dtype=np.float64) for one in (first, second)]
    spreads = [np.atleast_2d(np.cov(one.T.astype(np.float64))) for one in (first, second)]
    eigenvalues = np.linalg.eigvals(spreads[0] @ spreads[1])
    root = np.sqrt(np.maximum(eigenvalues.real, 0)).sum()
    apart = means[0] - means[1]
    return float(apart @ apart + sum(np.trace(one) for one in spreads) - 2 * root)


def chemnet(batch_size: int = 128) -> Featuriser:
    """Return the featuriser of the Fréchet ChemNet distance (FCD).

    Preuer et al. 2018, https://doi.org/10.1021/acs.jcim.8b00234. The weights come with the
    package ``fcd``; its featuriser needs RDKit's canonical SMILES.

    Args:
        batch_size: Molecules that are run at a time.

    Raises:
        InputError: The package is not installed.
    """
    try:
        from fcd import load_ref_model
        from fcd.utils import SmilesDataset
    except ImportError:
        raise InputError(
            "the Fréchet ChemNet distance needs the package fcd, which is not installed",
            fix="Install it with: pip install 'kagaku[generation]'.",
        ) from None
    # Named, since by default the package copies the file first and leaves the copy behind.
    network: nn.Module = load_ref_model(str(files("fcd") / CHEMNET_FILE))

    def activations(smiles: Sequence[str]) -> np.ndarray:
        features: Any = SmilesDataset(list(smiles), warn=False)
        parts = []
        for start in range(0, len(smiles), batch_size):
            some = range(start, min(start + batch_size, len(smiles)))
            batch = torch.from_numpy(np.stack([features[index] for index in some]))
            with torch.no_grad():
                parts.append(network(batch.float().transpose(1, 2)).numpy())
        return np.concatenate(parts)

    return activations


def frechet_chemnet_distance(
    generated: Sequence[str], reference: Sequence[str], featuriser: Featuriser | None = None
) -> float:
    """Return how far the distribution of generated molecules is from that of a reference.

    Args:
        generated: Strings as they came from the model; those that are no molecules are left out.
        reference: Molecules of the kind that was wanted and not trained on, such as a test set.
        featuriser: By default `chemnet`.

    Raises:
        InputError: Fewer than two molecules are left on a side, or ``fcd`` is not installed.
    """
    sides = [
        [smiles for smiles in map(canonical_or_none, side) if smiles is not None]
        for side in (generated, reference)
    ]
    for side in sides:
        if len(side) < FEWEST:
            raise InputError(
                f"a distribution needs at least {FEWEST} molecules, got {len(side)}",
                fix="Generate more, or give more to compare with.",
            )
    features = featuriser or chemnet()
    return frechet_distance(features(sides[0]), features(sides[1]))
