"""The class kinds seen as a list of problems, each with one label per record."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.schema import Kind


def label_problems(
    values: np.ndarray, kind: Kind, n_classes: int
) -> list[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"], int]]:
    """Return, per problem, the records with a label, their class indices, and the class count.

    Binary and multiclass are one problem; multilabel is one binary problem per label, each with
    its own missing values.
    """
    tables = [values] if kind != "multilabel" else [values[:, i] for i in range(n_classes)]
    count = n_classes if kind == "multiclass" else 2
    known = [np.flatnonzero(~np.isnan(one)) for one in tables]
    return [
        (rows, one[rows].astype(np.int64), count) for one, rows in zip(tables, known, strict=True)
    ]


def join_problems(
    tables: Sequence[Float[np.ndarray, "record _"]], kind: Kind
) -> Float[np.ndarray, "record choice"]:
    """Return the probabilities of all problems as `Prediction.probabilities` has them."""
    if kind == "multilabel":
        return np.stack([table[:, 1] for table in tables], axis=1)
    return tables[0]


def spread_classes(
    probabilities: Float[np.ndarray, "record seen"],
    seen: Int[np.ndarray, " seen"],
    n_classes: int,
) -> Float[np.ndarray, "record choice"]:
    """Return probabilities over all classes from those over the classes seen in training."""
    table = np.zeros((len(probabilities), n_classes))
    table[:, seen] = probabilities
    return table


def prior(classes: Int[np.ndarray, " known"], n_classes: int) -> Float[np.ndarray, " choice"]:
    """Return the share of each class, with one record more for each (Laplace's rule)."""
    counts = np.bincount(classes, minlength=n_classes) + 1.0
    shares: np.ndarray = counts / counts.sum()
    return shares
