"""Answers that are ranks: how high the right one of many stands for each that is asked."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kagaku.science_tasks.benchmark.column_measures import mean_of
from kagaku.science_tasks.benchmark.measures import Measure

WITHIN = (1, 10)
"""How many of the best are looked at."""


def ranks(scores: Float[np.ndarray, "query candidate"]) -> Int[np.ndarray, " query"]:
    """Return the rank of each query's own candidate, from 1; equal scores count against it.

    Args:
        scores: The higher the likelier; the right candidate of a query has its own number.
    """
    own = np.diag(scores)[:, None]
    found: np.ndarray = (scores >= own).sum(axis=1)
    return found


def rank_answers(scores: Float[np.ndarray, "query candidate"]) -> pd.DataFrame:
    """Return answers with the columns that `retrieval_measures` read."""
    rank = ranks(scores)
    columns = {f"hit_{most}": (rank <= most).astype(np.float64) for most in WITHIN}
    return pd.DataFrame({"rank": rank, "reciprocal_rank": 1 / rank, **columns})


def retrieval_measures() -> tuple[Measure, ...]:
    """Return the mean reciprocal rank, hits among the first one and ten, and the mean rank."""
    return (
        mean_of("reciprocal_rank", "mean reciprocal rank"),
        *(mean_of(f"hit_{most}", f"hits@{most}") for most in WITHIN),
        mean_of("rank", "mean rank", smaller_is_better=True),
    )
