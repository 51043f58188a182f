"""Similarity of records: one kernel per feature block, and one of all inputs together.

A block of counts (circular fingerprints, k-mers) is compared by the Tanimoto kernel, a block of
dense features by a squared-exponential kernel and, for the trend beyond the measured range, a
linear one. A sum of kernels lets the data say which block matters, but says that what one input
does has nothing to do with the others. Where records have several inputs, a joint kernel is high
only for records that are alike in all of them: which ligand works may depend on the base.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock, input_of

Form = Literal["tanimoto", "rbf", "linear"]

FAR = 1e8
"""Stands for the squared distance to a missing value: exp(-FAR / 2 l^2) is 0 at any lengthscale
allowed here, and unlike infinity it has a gradient."""


@dataclass(frozen=True)
class Component:
    """One term of a sum of kernels."""

    block: int | None
    """Index of the feature block that it compares; None for all inputs together."""

    form: Form
    """How it compares."""


def components_of(blocks: Sequence[FeatureBlock], *, linear: bool = True) -> tuple[Component, ...]:
    """Return the kernel terms that suit the blocks.

    Args:
        blocks: Features of the records.
        linear: Whether dense blocks get a linear term beside the squared-exponential one.
    """
    terms: list[Component] = []
    for index, block in enumerate(blocks):
        terms.append(Component(index, block.kernel))
        if linear and block.kernel == "rbf":
            terms.append(Component(index, "linear"))
    if len(inputs_of(blocks)) > 1:
        terms.append(Component(None, "rbf"))
    return tuple(terms)


def check_blocks(fitted: Sequence[FeatureBlock], blocks: Sequence[FeatureBlock]) -> None:
    """Raise if the blocks are not those that a model was fitted on.

    Raises:
        InputError: A block is missing, is new, or has another number of features.
    """
    expected = [(block.name, block.values.shape[1]) for block in fitted]
    given = [(block.name, block.values.shape[1]) for block in blocks]
    if expected != given:
        raise InputError(
            f"the model was fitted on the features {expected}, but got {given}",
            fix="Predict with the same inputs as in fitting.",
        )


def tanimoto(
    left: Float[Tensor, "left feature"], right: Float[Tensor, "right feature"]
) -> Float[Tensor, "left right"]:
    """Return a.b / (a.a + b.b - a.b) for all pairs; two empty vectors count as equal.

    This is the form for counts, and positive definite for non-negative values. Source: Ralaivola,
    Swamidass, Saigo and Baldi (2005), https://doi.org/10.1016/j.neunet.2005.07.009
    """
    products = left @ right.T
    union = left.square().sum(1)[:, None] + right.square().sum(1)[None, :] - products
    return torch.where(union > 0, products / union.clamp_min(1e-12), torch.ones_like(products))


def squared_distances(
    left: Float[Tensor, "left feature"], right: Float[Tensor, "right feature"]
) -> Float[Tensor, "left right"]:
    """Return the squared Euclidean distance of all pairs, divided by the number of features.

    The division makes lengthscales comparable between blocks: two independent standardised
    vectors are at distance 2 whatever their dimension.
    """
    dim = max(left.shape[1], 1)
    sums = left.square().sum(1)[:, None] + right.square().sum(1)[None, :]
    return (sums - 2 * left @ right.T).clamp_min(0) / dim


def base_matrix(form: Form, left: FeatureBlock, right: FeatureBlock) -> Float[Tensor, "left right"]:
    """Return what a kernel term is computed from, before its hyperparameters.

    For the Tanimoto and the linear form the similarities, 0 where a value is missing; for the
    squared-exponential form the squared distances, `FAR` where a value is missing.
    """
    a, b = _tensor(left.values), _tensor(right.values)
    both = torch.from_numpy(np.outer(left.present, right.present))
    if form == "rbf":
        return torch.where(both, squared_distances(a, b), torch.full((), FAR).double())
    matrix = tanimoto(a, b) if form == "tanimoto" else a @ b.T / max(a.shape[1], 1)
    return torch.where(both, matrix, torch.zeros(()).double())


def base_diagonal(form: Form, block: FeatureBlock) -> Float[Tensor, " record"]:
    """Return each record's kernel with itself; 1 where the value is missing.

    A missing value is treated as one unlike any other: it shares nothing with other records, but
    the variance that its input could explain stays, so that the prediction is as uncertain as it
    should be.
    """
    ones = torch.ones(len(block.present), dtype=torch.float64)
    if form != "linear":
        return ones
    squares = _tensor(block.values).square().mean(1) if block.values.shape[1] else ones
    return torch.where(torch.from_numpy(block.present), squares, ones)


def inputs_of(blocks: Sequence[FeatureBlock]) -> tuple[str, ...]:
    """Return the inputs that blocks were computed from, each once, in their order."""
    return tuple(dict.fromkeys(map(input_of, blocks)))


def input_distances(
    name: str, left: Sequence[FeatureBlock], right: Sequence[FeatureBlock]
) -> Float[Tensor, "left right"]:
    """Return the mean squared distance of the blocks of one input; `FAR` where it is missing.

    Of counts it is 2 (1 - Tanimoto), a squared Euclidean distance too, as of dense blocks, so that
    the squared-exponential kernel of a sum over inputs is positive definite. Source: Gower and
    Legendre (1986), https://doi.org/10.1007/BF01896809
    """
    parts = []
    for a, b in zip(left, right, strict=True):
        if input_of(a) != name:
            continue
        distances = base_matrix(a.kernel, a, b)
        if a.kernel == "tanimoto":
            both = torch.from_numpy(np.outer(a.present, b.present))
            distances = torch.where(both, 2 * (1 - distances), torch.full((), FAR).double())
        parts.append(distances)
    return sum(parts[1:], parts[0]) / len(parts)


def n_lengthscales(term: Component, blocks: Sequence[FeatureBlock]) -> int:
    """Return how many lengthscales a term has: one for each input that it compares."""
    if term.block is None:
        return len(inputs_of(blocks))
    return int(term.form == "rbf")


def term_bases(
    term: Component, left: Sequence[FeatureBlock], right: Sequence[FeatureBlock]
) -> Iterator[Float[Tensor, "left right"]]:
    """Yield what a term is computed from, before its hyperparameters; see `base_matrix`.

    One matrix, or one for each input that is compared jointly.
    """
    if term.block is not None:
        yield base_matrix(term.form, left[term.block], right[term.block])
        return
    for name in inputs_of(left):
        yield input_distances(name, left, right)


def term_kernel(
    term: Component, bases: Iterable[Float[Tensor, "left right"]], lengthscales: Tensor
) -> Float[Tensor, "left right"]:
    """Return the kernel of a term; see `term_bases` and `n_lengthscales`."""
    if term.form != "rbf":
        (base,) = bases
        return base
    scaled = [base / (-2 * length**2) for base, length in zip(bases, lengthscales, strict=True)]
    return torch.exp(sum(scaled[1:], scaled[0]))


def term_diagonal(term: Component, blocks: Sequence[FeatureBlock]) -> Float[Tensor, " record"]:
    """Return each record's term with itself; see `base_diagonal`."""
    return base_diagonal(term.form, blocks[term.block or 0])


def term_missing(term: Component, blocks: Sequence[FeatureBlock]) -> Float[Tensor, " record"]:
    """Return what to add to the diagonal of a term's square matrix; see `missing_variance`."""
    if term.block is not None:
        return missing_variance(blocks[term.block])
    present = np.logical_and.reduce([block.present for block in blocks])
    return torch.from_numpy((~present).astype(np.float64))


def missing_variance(block: FeatureBlock) -> Float[Tensor, " record"]:
    """Return what to add to the diagonal of a square matrix of one term: 1 where missing."""
    return torch.from_numpy((~block.present).astype(np.float64))


def apply_form(
    form: Form, base: Float[Tensor, "left right"], lengthscale: Tensor | float
) -> Float[Tensor, "left right"]:
    """Return the kernel of a base matrix; only the squared-exponential has a lengthscale."""
    if form != "rbf":
        return base
    return torch.exp(base / (-2 * lengthscale**2))


def mean_kernel(
    left: Sequence[FeatureBlock],
    right: Sequence[FeatureBlock],
    lengthscale: float = 1.0,
    *,
    is_joint: bool = False,
) -> Float[np.ndarray, "left right"]:
    """Return the plain mean of all blocks' kernels: a similarity between 0 and 1.

    Args:
        left: Features of some records.
        right: Features of others.
        lengthscale: Of squared-exponential kernels.
        is_joint: Whether half of it, for records of several inputs, is the joint kernel.
    """
    terms = [
        apply_form(a.kernel, base_matrix(a.kernel, a, b), lengthscale)
        for a, b in zip(left, right, strict=True)
    ]
    mean = torch.stack(terms).mean(0)
    if is_joint and len(names := inputs_of(left)) > 1:
        joint = Component(None, "rbf")
        lengthscales = torch.full((len(names),), lengthscale, dtype=torch.float64)
        mean = (mean + term_kernel(joint, term_bases(joint, left, right), lengthscales)) / 2
    total: np.ndarray = mean.numpy()
    return total


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).double()
