"""Resampled test items, and the scores of each resample."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kagaku.science_tasks.benchmark.measures import Measure, Parts
from kagaku.science_tasks.rank_metrics import Scores
from kagaku.science_tasks.resampling import BOOTSTRAPS, members_of

CELLS = 1_000_000
"""Most counts, items times resamples, that are looked at together: 8 MB, a few times over."""


@dataclass(frozen=True)
class Draws:
    """Which groups of items each resample holds, drawn with replacement."""

    members: Sequence[np.ndarray]
    """By group, its items."""

    chosen: Int[np.ndarray, "resample group"]
    """Groups of each resample."""

    @classmethod
    def of(cls, answers: pd.DataFrame, group: str | None, rng: np.random.Generator) -> "Draws":
        """Return as many resamples of some items as an interval takes.

        Args:
            answers: One row per item.
            group: A column whose equal values are drawn together; None draws items.
            rng: Draws.
        """
        groups = answers[group].to_numpy() if group is not None and group in answers else None
        members = members_of(len(answers), groups)
        return cls(members, rng.integers(0, len(members), (BOOTSTRAPS, len(members))))

    @classmethod
    def together(
        cls, splits: Mapping[str, pd.DataFrame], group: str, rng: np.random.Generator
    ) -> dict[str, "Draws"]:
        """Return resamples of several splits in which each holds the same groups.

        Leads of a forecast are asked of the same years: drawn each by itself, their errors would
        seem to cancel in the mean.

        Args:
            splits: By split, one row per item.
            group: A column whose equal values are drawn together.
            rng: Draws.
        """
        labels = pd.unique(pd.concat([one[group] for one in splits.values()]))
        chosen = rng.integers(0, len(labels), (BOOTSTRAPS, len(labels)))
        nothing = np.zeros(0, dtype=np.int64)
        found = {}
        for name, one in splits.items():
            rows = one.groupby(group, sort=False).indices
            members = [np.asarray(rows.get(label, nothing), dtype=np.int64) for label in labels]
            found[name] = cls(members, chosen)
        return found

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.members)

    def scores(self, measure: Measure, answers: pd.DataFrame) -> Float[np.ndarray, " resample"]:
        """Return the score of each resample of some answers; NaN where it is not defined."""
        if not measure.can_score(answers):
            return np.full(len(self.chosen), np.nan)
        if measure.parts is not None:
            return self._by_sums(measure.parts, answers)
        if measure.ranked is not None:
            return self._by_counts(measure.ranked(answers), len(answers))
        return self.scores_one_by_one(measure, answers)

    def scores_one_by_one(
        self, measure: Measure, answers: pd.DataFrame
    ) -> Float[np.ndarray, " resample"]:
        """Return the same by scoring each resample: slow, and possible for every measure."""
        return np.array(
            [
                measure.of(answers.iloc[np.concatenate([self.members[one] for one in groups])])
                for groups in self.chosen
            ]
        )

    def _by_sums(self, parts: Parts, answers: pd.DataFrame) -> Float[np.ndarray, " resample"]:
        of_items = parts.of(answers)
        of_groups = np.stack([of_items[rows].sum(axis=0) for rows in self.members])
        sums = np.stack([counts @ of_groups for counts in self._counts(self.chosen)])
        with np.errstate(divide="ignore", invalid="ignore"):
            scores: np.ndarray = parts.total(sums.T)
        return scores

    def _by_counts(self, scores: Scores, n_items: int) -> Float[np.ndarray, " resample"]:
        """Return the scores of all resamples, as many at a time as memory allows."""
        group = np.empty(n_items, dtype=np.int64)
        for number, rows in enumerate(self.members):
            group[rows] = number
        at_once = max(1, CELLS // n_items)
        found = [
            scores(np.stack([*self._counts(self.chosen[first : first + at_once])], axis=1)[group])
            for first in range(0, len(self.chosen), at_once)
        ]
        return np.concatenate(found)

    def _counts(self, chosen: Int[np.ndarray, "resample group"]) -> Iterator[np.ndarray]:
        """Yield how often each resample holds each group."""
        for one in chosen:
            yield np.bincount(one, minlength=self.n_groups).astype(np.float64)
