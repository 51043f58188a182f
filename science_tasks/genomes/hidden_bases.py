"""Bases of a genome that sequencing did not read: what stood there?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, UInt8

from kagaku.science_tasks.benchmark.measures import ASKED, HITS
from kagaku.science_tasks.benchmark.task import Context
from kagaku.science_tasks.genomes.lineage_case import LineageCase
from kagaku.science_tasks.genomes.lineage_methods import CLADE

STRETCH = 400
"""Letters that are hidden together, as when an amplicon fails: ARTIC's have about so many."""

HIDDEN = 0.2
"""Share of the stretches of each genome that is hidden."""

MUTATED_HITS, MUTATED = "mutated_hits", "mutated"
"""Columns of the answers: of hidden letters unlike the reference, how many were right, and all."""

NEIGHBOURS = 5
"""Genomes that vote."""


@dataclass(frozen=True)
class HiddenCase:
    """Held-out genomes with hidden stretches, to be filled in from the other genomes."""

    lineages: LineageCase
    """The genomes and their split."""

    @property
    def n_train(self) -> int:
        """How many whole genomes there are."""
        return self.lineages.n_train

    @property
    def n_test(self) -> int:
        """How many genomes are to be filled in."""
        return self.lineages.n_test

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the genomes of a part."""
        return self.lineages.values(part)

    def cut(self, n_train: int, n_test: int, seed: int) -> "HiddenCase":
        """Return the case with fewer genomes."""
        return replace(self, lineages=self.lineages.cut(n_train, n_test, seed))

    @cached_property
    def sites(self) -> Int[np.ndarray, " site"]:
        """Where training genomes differ among each other or from the reference: what is asked."""
        alignment = self.lineages.alignment
        return np.unique(np.concatenate([alignment.sites[i] for i in self.lineages.rows.train]))

    def letters(self, rows: np.ndarray) -> UInt8[np.ndarray, "genome site"]:
        """Return the letters of genomes at the sites, as bytes."""
        alignment = self.lineages.alignment
        return np.stack([alignment.aligned(int(i))[self.sites] for i in rows])

    @cached_property
    def hidden(self) -> Bool[np.ndarray, "genome site"]:
        """Which sites of each asked genome are hidden; the same in every run."""
        n_stretches = len(self.lineages.alignment.reference) // STRETCH + 1
        found = [
            np.random.default_rng(int(row)).random(n_stretches)[self.sites // STRETCH] < HIDDEN
            for row in self.lineages.rows.test
        ]
        return np.stack(found)


def _answered(case: HiddenCase, given: UInt8[np.ndarray, "genome site"]) -> pd.DataFrame:
    truth = case.letters(case.lineages.rows.test)
    mutated = case.hidden & (truth != case.lineages.alignment.reference[case.sites])
    right = given == truth
    return pd.DataFrame(
        {
            MUTATED_HITS: (right & mutated).sum(axis=1),
            MUTATED: mutated.sum(axis=1),
            HITS: (right & case.hidden).sum(axis=1),
            ASKED: case.hidden.sum(axis=1),
            CLADE: case.lineages.clades(case.lineages.rows.test),
        }
    )


def reference(case: HiddenCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 - a Method
    """Answer with the reference's letters."""
    root = case.lineages.alignment.reference[case.sites]
    return _answered(case, np.tile(root, (case.n_test, 1)))


def consensus(case: HiddenCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 - a Method
    """Answer with the commonest letter of the training genomes at each site."""
    common = _commonest(case.letters(case.lineages.rows.train))
    return _answered(case, np.tile(common, (case.n_test, 1)))


def nearest_genomes(case: HiddenCase, context: Context) -> pd.DataFrame:
    """Answer with the commonest letter of the five genomes that differ least in what was read."""
    learnt = case.letters(case.lineages.rows.train)
    given = []
    for done, row in enumerate(case.lineages.rows.test):
        if context.report is not None and done % 50 == 0:
            context.report(done, case.n_test, "filling in")
        read = ~case.hidden[done]
        own = case.letters(np.array([row]))[0]
        apart = (learnt[:, read] != own[read]).sum(axis=1)
        given.append(_commonest(learnt[np.argsort(apart, kind="stable")[:NEIGHBOURS]]))
    return _answered(case, np.stack(given))


def _commonest(letters: UInt8[np.ndarray, "genome site"]) -> UInt8[np.ndarray, " site"]:
    kinds = np.unique(letters)
    counts = np.stack([(letters == one).sum(axis=0) for one in kinds])
    found: np.ndarray = kinds[counts.argmax(axis=0)]
    return found
