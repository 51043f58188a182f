"""Methods for tables of drugs and proteins: means, neighbours, Gaussian processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from kagaku.modalities import MODALITIES
from kagaku.models import Encoder
from kagaku.models.embedding import embed_columns
from kagaku.science_tasks.benchmark.measures import GIVEN, TRUTH
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.chemistry.features import MoleculeFeatures
from kagaku.science_tasks.features import FeatureBlock, Featurizer
from kagaku.science_tasks.proteins.features import ProteinFeatures
from kagaku.science_tasks.proteins.pair_process import (
    PairSolver,
    Product,
    nearest_kernel,
    profile_kernel,
)
from kagaku.science_tasks.readouts.kernels import apply_form, base_matrix

SHRINKAGE = 1.0
"""Measurements that the overall mean is worth when the mean of one drug or protein is taken."""

NEIGHBOURS = 5
"""Most similar proteins (or drugs) whose values are averaged."""

SHARPNESS = 8.0
"""Power of the similarity that weighs a neighbour."""

ROUGHLY = 5e-3
"""Relative residual at which solving stops while variances are compared."""

GRID = (0.0, 0.03, 0.1, 0.3, 1.0)
"""Variances of a covariance term that are tried."""

NOISES = (0.03, 0.1, 0.2, 0.4)
"""Variances of a measurement that are tried, relative to that of all."""

ROUNDS = 2
"""How often every variance is tried again while the others stay."""

CHECKED_FOLDS = 1
"""Training folds that variances are chosen on; each is foretold from all others."""


@dataclass(frozen=True)
class AffinityCase:
    """A table of drugs and proteins, some of whose cells are learnt from and some asked."""

    smiles: tuple[str, ...]
    """Each drug."""

    sequences: tuple[str, ...]
    """Each protein."""

    table: Float[np.ndarray, "drug protein"]
    """pKd, -log10 of mol/L."""

    folds: tuple[Int[np.ndarray, " _"], ...]
    """Training cells, as positions in the table row by row, in the folds of the split."""

    test: Int[np.ndarray, " asked"]
    """Asked cells."""

    group: str = ""
    """``"drug"`` or ``"protein"``, whichever of them is new in test; empty if neither."""

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the ``"drug"`` and the ``"protein"`` entries."""

    @property
    def train(self) -> Int[np.ndarray, " pair"]:
        """All training cells."""
        return np.concatenate(self.folds)

    @property
    def n_train(self) -> int:
        """How many cells are learnt from."""
        return sum(len(one) for one in self.folds)

    @property
    def n_test(self) -> int:
        """How many cells are asked."""
        return len(self.test)

    def mask(self, cells: Int[np.ndarray, " pair"]) -> Bool[np.ndarray, "drug protein"]:
        """Return which cells of the table these are."""
        chosen = np.zeros(self.table.size, dtype=bool)
        chosen[cells] = True
        return chosen.reshape(self.table.shape)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the molecule and the protein of each pair of a part."""
        cells = self.test if part == "test" else self.train
        drugs, proteins = np.divmod(cells, len(self.sequences))
        return {
            "molecule": [self.smiles[i] for i in drugs],
            "protein": [self.sequences[i] for i in proteins],
        }

    def cut(self, n_train: int, n_test: int, seed: int) -> "AffinityCase":
        """Return at most so many pairs of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        share = min(1.0, n_train / max(self.n_train, 1))
        folds = tuple(
            np.sort(rng.choice(one, max(1, int(share * len(one))), replace=False))
            for one in self.folds
        )
        test = np.sort(rng.choice(self.test, min(n_test, self.n_test), replace=False))
        return replace(self, folds=folds, test=test)

    def answers(self, filled: Float[np.ndarray, "drug protein"]) -> pd.DataFrame:
        """Return the answers that a filled table is."""
        drugs, proteins = np.divmod(self.test, self.table.shape[1])
        frame = pd.DataFrame(
            {TRUTH: self.table.ravel()[self.test], GIVEN: filled.ravel()[self.test]}
        )
        if self.group:
            frame["unseen"] = drugs if self.group == "drug" else proteins
        return frame


def mean_of_all(case: AffinityCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a Method)
    """Answer with the mean of the training pairs."""
    return case.answers(np.full(case.table.shape, case.table.ravel()[case.train].mean()))


def additive(case: AffinityCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a Method)
    """Answer with a number for the drug plus a number for the protein."""
    return case.answers(additive_table(case.table, case.mask(case.train)))


def additive_table(
    table: Float[np.ndarray, "drug protein"], known: Bool[np.ndarray, "drug protein"]
) -> Float[np.ndarray, "drug protein"]:
    """Return drug mean plus protein mean of each cell, by a few rounds of least squares."""
    mean = table[known].mean()
    rows, columns = np.zeros((len(table), 1)), np.zeros((1, table.shape[1]))
    for _ in range(10):
        left = np.where(known, table - mean - columns, 0.0).sum(axis=1, keepdims=True)
        rows = left / (known.sum(axis=1, keepdims=True) + SHRINKAGE)
        left = np.where(known, table - mean - rows, 0.0).sum(axis=0, keepdims=True)
        columns = left / (known.sum(axis=0, keepdims=True) + SHRINKAGE)
    filled: np.ndarray = mean + rows + columns
    return filled


def nearest(case: AffinityCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (a Method)
    """Answer with what the additive model misses at the most similar proteins and drugs.

    The residuals of the same drug with the five most similar proteins, and of the same protein
    with the five most similar drugs, are averaged by similarity.
    """
    known = case.mask(case.train)
    base = additive_table(case.table, known)
    left = np.where(known, case.table - base, 0.0)
    by_protein = _averaged(left, known, sequence_kernel(case.sequences))
    by_drug = _averaged(left.T, known.T, molecule_kernel(case.smiles)).T
    return case.answers(base + (by_protein + by_drug) / 2)


def _averaged(
    left: Float[np.ndarray, "row column"],
    known: Bool[np.ndarray, "row column"],
    alike: Float[np.ndarray, "column column"],
) -> Float[np.ndarray, "row column"]:
    """Return, for each cell, the mean over the most similar columns known in its row."""
    filled = np.zeros_like(left)
    strength = np.clip(alike, 0.0, 1.0) ** SHARPNESS
    np.fill_diagonal(strength, 0.0)
    for row in range(len(left)):
        weights = np.where(known[row][None, :], strength, 0.0)
        order = np.argsort(-weights, axis=1)[:, :NEIGHBOURS]
        chosen = np.take_along_axis(weights, order, axis=1)
        total = (chosen * left[row][order]).sum(axis=1)
        filled[row] = total / (chosen.sum(axis=1) + 0.1)
    return filled


def molecule_kernel(smiles: Sequence[str]) -> Float[np.ndarray, "drug drug"]:
    """Return Tanimoto similarities of circular fingerprints with counts."""
    return _kernel(_block(MoleculeFeatures(), smiles, "ecfp"))


def sequence_kernel(sequences: Sequence[str]) -> Float[np.ndarray, "protein protein"]:
    """Return Tanimoto similarities of the counts of words of one to three residues."""
    return _kernel(_block(ProteinFeatures(), sequences, "kmers"))


def _block(featurizer: Featurizer[str], values: Sequence[str], name: str) -> FeatureBlock:
    featurizer.fit(values)
    (block,) = [one for one in featurizer.transform("x", values) if one.name.endswith(f":{name}")]
    return block


def _kernel(block: FeatureBlock) -> Float[np.ndarray, "row row"]:
    base = base_matrix(block.kernel, block, block)
    kernel: np.ndarray = apply_form(block.kernel, base, torch.ones((), dtype=torch.float64)).numpy()
    return kernel.astype(np.float64)


def embedding_kernel(
    encoder: Encoder, modality: str, values: Sequence[str]
) -> Float[np.ndarray, "row row"]:
    """Return a Gaussian of the distances of the base's embeddings, scaled to their median."""
    reader = MODALITIES[modality]()
    tokens = [{0: (modality, reader.tokenize(reader.check(one)))} for one in values]
    vectors = torch.from_numpy(embed_columns(encoder, tokens, 1)[0][:, 0]).double()
    vectors = (vectors - vectors.mean(dim=0)) / vectors.std(dim=0).clamp_min(1e-6)
    distances = torch.cdist(vectors, vectors).square()
    kernel: np.ndarray = torch.exp(-distances / distances[distances > 0].median()).numpy()
    return kernel


Kernels = Callable[[AffinityCase, Context], tuple[np.ndarray, np.ndarray]]
"""Gives further kernels of the drugs and of the proteins of a case."""


def base_kernels(case: AffinityCase, context: Context) -> tuple[np.ndarray, np.ndarray]:
    """Return kernels of the base's embeddings."""
    encoder = context.own_encoder()
    return (
        embedding_kernel(encoder, "molecule", case.smiles),
        embedding_kernel(encoder, "protein", case.sequences),
    )


@dataclass(frozen=True)
class PairProcess:
    """A Gaussian process whose covariance is a sum of products of drug and protein kernels.

    Drugs are alike by fingerprint and by what they do to the proteins that both were measured on;
    proteins by words and in the same way. The variances of the terms are chosen one after the
    other by the squared error on held-out training folds.
    """

    more: Kernels | None = None
    """Further kernels."""

    def __call__(self, case: AffinityCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        fixed = _fixed_kernels(case, context, self.more)
        checks = [self._check(case, fixed, held) for held in range(CHECKED_FOLDS)]
        weights, noise = _chosen(checks, context)
        known = case.mask(case.train)
        products = _products(case, fixed, known)
        frame = case.answers(PairSolver(products, case.table, known).fill(weights, noise))
        names = [one.name for one in products]
        frame.attrs["chosen"] = ", ".join(
            [f"{name} {weight:g}" for name, weight in zip(names, weights, strict=True) if weight]
            + [f"noise {noise:g}"]
        )
        return frame

    def _check(self, case: AffinityCase, fixed: "_Fixed", held: int) -> "_Check":
        learnt = np.concatenate([one for i, one in enumerate(case.folds) if i != held])
        known = case.mask(learnt)
        solver = PairSolver(_products(case, fixed, known), case.table, known)
        return _Check(solver, case.table.ravel()[case.folds[held]], case.folds[held])


@dataclass(frozen=True)
class _Fixed:
    """Kernels that no measurement enters."""

    drugs: Mapping[str, np.ndarray]
    proteins: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Check:
    """One held-out fold, and the terms as the other folds give them."""

    solver: PairSolver
    truth: Float[np.ndarray, " pair"]
    held: Int[np.ndarray, " pair"]

    def error(self, weights: Sequence[float], noise: float) -> float:
        filled = self.solver.fill(weights, noise, tolerance=ROUGHLY)
        return float(np.square(filled.ravel()[self.held] - self.truth).mean())


def _fixed_kernels(case: AffinityCase, context: Context, more: Kernels | None) -> _Fixed:
    drugs = {"fingerprint": molecule_kernel(case.smiles)}
    proteins = {"words": sequence_kernel(case.sequences)}
    if more is not None:
        drugs["base"], proteins["base"] = more(case, context)
    return _Fixed(drugs, proteins)


def _products(
    case: AffinityCase, fixed: _Fixed, known: Bool[np.ndarray, "drug protein"]
) -> list[Product]:
    """Return the terms of the covariance, given the cells that are known."""
    n_drugs, n_proteins = case.table.shape
    left = case.table - additive_table(case.table, known)
    drugs = {**fixed.drugs, "profile": profile_kernel(left, known)}
    proteins = {**fixed.proteins, "profile": profile_kernel(left.T, known.T)}
    ones_d, ones_p = np.ones((n_drugs, n_drugs)), np.ones((n_proteins, n_proteins))
    found = [
        Product("protein", ones_d, np.eye(n_proteins)),
        Product("drug", np.eye(n_drugs), ones_p),
    ]
    found += [Product(f"all x {name}", ones_d, one) for name, one in fixed.proteins.items()]
    found += [Product(f"{name} x all", one, ones_p) for name, one in fixed.drugs.items()]
    found += [Product(f"drug x {name}", np.eye(n_drugs), one) for name, one in proteins.items()]
    found += [Product(f"{name} x protein", one, np.eye(n_proteins)) for name, one in drugs.items()]
    # A sharper kernel of proteins tells the members of a family apart.
    sharp = {f"{name} sharp": nearest_kernel(one**4) for name, one in fixed.proteins.items()}
    found += [
        Product(f"{first} x {second}", one, two)
        for first, one in drugs.items()
        for second, two in {**proteins, **sharp}.items()
    ]
    return found


def _chosen(checks: Sequence[_Check], context: Context) -> tuple[list[float], float]:
    """Return the variances with the lowest error on the held-out folds, found one by one."""
    names = [one.name for one in checks[0].solver.products]
    weights = [0.3 if name in {"protein", "drug"} else 0.1 for name in names]
    noise = 0.2

    def error(weights: Sequence[float], noise: float) -> float:
        return float(np.mean([one.error(weights, noise) for one in checks]))

    best = error(weights, noise)
    for turn in range(ROUNDS):
        for term in range(len(names)):
            for value in GRID:
                tried = [*weights[:term], value, *weights[term + 1 :]]
                if value != weights[term] and (found := error(tried, noise)) < best:
                    best, weights = found, tried
            _tell(context, turn * len(names) + term + 1, ROUNDS * len(names))
        for value in NOISES:
            if value != noise and (found := error(weights, value)) < best:
                best, noise = found, value
    return weights, noise


def _tell(context: Context, done: int, total: int) -> None:
    if context.report is not None:
        context.report(done, total, "choosing variances")
