"""New protein sequences: are they like natural ones, and are they new?

The statistics are those that ProtGPT2 was judged by (Ferruz, Schmidt and Hocker 2022,
https://doi.org/10.1038/s41467-022-32007-7), each by a proxy that needs no other program: the
charge-hydropathy rule for disorder, propensities learnt from crystal structures for secondary
structure, local alignments for identity.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.models.pretraining.sampling import SamplingConfig, sample_tokens
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.column_measures import mean_of
from kagaku.science_tasks.benchmark.drawing import drawn
from kagaku.science_tasks.benchmark.measures import Measure
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Method, Published, Task
from kagaku.science_tasks.proteins.localisation import TEST, VALID, load_locations
from kagaku.science_tasks.proteins.residue_labels import STATES, STRUCTURE, load_structure
from kagaku.science_tasks.proteins.residue_methods import (
    Propensities,
    labels_of,
    sequences_of,
    windows,
)
from kagaku.science_tasks.proteins.residue_scales import STANDARD, UNKNOWN
from kagaku.science_tasks.proteins.sequence_statistics import (
    Neighbours,
    divergence,
    fold_index,
    local_variety,
    pair_counts,
    profile_distance,
    residue_counts,
)

SHORTEST, LONGEST = 50, 500
"""Residues of the sequences that take part; the base writes no longer ones."""

N_ASKED = 1_000
"""Most new sequences that are asked for."""

STRUCTURES = 1_500
"""Proteins of known structure that the propensities are learnt from."""

MADE, NATURAL = "sequence", "natural"
"""Columns of answers: the new sequence, and the natural one that it stands beside."""

OF_NATURAL = "natural_"
"""What the columns of a natural sequence's statistics begin with."""

STATE_NAMES = dict(zip(STATES, ("coil", "strand", "helix"), strict=True))


@dataclass(frozen=True)
class DeNovoCase:
    """Natural sequences to learn from, and others that new ones are held against."""

    train: tuple[str, ...]
    """What methods may learn from."""

    natural: tuple[str, ...]
    """Held out; as many new sequences are asked for."""

    propensities: Propensities
    """Tell secondary structure."""

    @property
    def n_train(self) -> int:
        """How many sequences are learnt from."""
        return len(self.train)

    @property
    def n_test(self) -> int:
        """How many are asked for."""
        return len(self.natural)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the natural sequences of a part."""
        return {"protein": self.natural if part == "test" else self.train}

    def cut(self, n_train: int, n_test: int, seed: int) -> "DeNovoCase":
        """Return the case with at most so many sequences of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        return replace(
            self,
            train=drawn(self.train, n_train, rng),
            natural=drawn(self.natural, n_test, rng),
        )

    def answers(self, made: Sequence[str]) -> pd.DataFrame:
        """Return new sequences beside natural ones, with the statistics of both."""
        frame = pd.DataFrame({MADE: list(made), NATURAL: self.natural})
        neighbours = Neighbours(self.train)
        for prefix, sequences in (("", made), (OF_NATURAL, self.natural)):
            frame[f"{prefix}length"] = [len(one) for one in sequences]
            frame[f"{prefix}folds"] = [_folds(one) for one in sequences]
            frame[f"{prefix}variety"] = [local_variety(one) for one in sequences]
            frame[f"{prefix}identity"] = [neighbours.identity(one) for one in sequences]
            for state, shares in self._states(sequences).items():
                frame[f"{prefix}{state}"] = shares
        return frame

    def _states(self, sequences: Sequence[str]) -> dict[str, list[float]]:
        """Return the share of residues of each sequence in each state; NaN of an empty one."""
        found: dict[str, list[float]] = {name: [] for name in STATE_NAMES.values()}
        for one in sequences:
            state = self.propensities.chances(windows([one])).argmax(axis=1)
            for index, letter in enumerate(STATES):
                share = float((state == index).mean()) if len(state) else float("nan")
                found[STATE_NAMES[letter]].append(share)
        return found


def _folds(sequence: str) -> bool:
    return bool(residue_counts(sequence).any()) and fold_index(sequence) > 0


def load_sequences(source: Source) -> Mapping[str, Case]:
    """Return natural sequences of DeepLoc's files, and propensities from FLIP's structures."""
    (locations,) = load_locations(source).values()
    (structures,) = load_structure(source).values()
    assert isinstance(locations, PropertyCase)
    assert isinstance(structures, PropertyCase)
    rng = np.random.default_rng(0)
    train = _natural(sequences_of(locations, locations.rows.learnt()))
    natural = _natural(sequences_of(locations, locations.rows.test))
    natural = tuple(one for one in natural if one not in set(train))
    case = DeNovoCase(train, drawn(natural, N_ASKED, rng), learnt_propensities(structures))
    return {"natural": case}


def _natural(sequences: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct sequences of standard residues within the limits of length."""
    kept = [
        one for one in sequences if SHORTEST <= len(one) <= LONGEST and set(one) <= set(STANDARD)
    ]
    return tuple(dict.fromkeys(kept))


def learnt_propensities(structures: PropertyCase) -> Propensities:
    """Return propensities of secondary structure, learnt from the training proteins."""
    rows = structures.rows.learnt()[:STRUCTURES]
    labels = np.concatenate(labels_of(structures, rows))
    codes = windows(sequences_of(structures, rows))
    model = Propensities()
    model.fit(codes[labels >= 0], labels[labels >= 0], len(STATES))
    return model


def remembered(case: DeNovoCase, context: Context) -> pd.DataFrame:
    """Answer with training sequences: as natural as can be, and nothing new."""
    rng = np.random.default_rng(context.seed)
    rows = rng.choice(case.n_train, case.n_test, replace=case.n_train < case.n_test)
    return case.answers([case.train[i] for i in rows])


def drawn_residues(case: DeNovoCase, context: Context) -> pd.DataFrame:
    """Answer with residues drawn one by one, as frequent as in training."""
    rng = np.random.default_rng(context.seed)
    share = np.sum([residue_counts(one) for one in case.train], axis=0) + 1.0
    lengths = rng.choice([len(one) for one in case.train], case.n_test)
    letters = np.array(list(STANDARD))
    chance = share / share.sum()
    return case.answers(["".join(rng.choice(letters, n, p=chance)) for n in lengths])


def drawn_pairs(case: DeNovoCase, context: Context) -> pd.DataFrame:
    """Answer with residues each drawn after the one before, as pairs are in training."""
    rng = np.random.default_rng(context.seed)
    share = np.sum([residue_counts(one) for one in case.train], axis=0) + 1.0
    pairs = np.sum([pair_counts(one) for one in case.train], axis=0).reshape(UNKNOWN, UNKNOWN)
    rising = np.cumsum(pairs + share / share.sum(), axis=1)
    rising /= rising[:, -1:]
    first = np.array([STANDARD.index(one[0]) for one in case.train if one[0] in STANDARD])
    made = []
    for length in rng.choice([len(one) for one in case.train], case.n_test):
        codes = [int(rng.choice(first))]
        for draw in rng.random(length - 1):
            codes.append(int(np.searchsorted(rising[codes[-1]], draw)))
        made.append("".join(STANDARD[one] for one in codes))
    return case.answers(made)


@dataclass(frozen=True)
class Generated:
    """Answers with what the base writes, from nothing."""

    top_p: float = 1.0
    """Share of probability that is drawn from."""

    temperature: float = 1.0
    """Divides the logits."""

    longest: int = LONGEST
    """Residues after which a sequence is cut."""

    def __call__(self, case: DeNovoCase, context: Context) -> pd.DataFrame:
        """Answer a case.

        Raises:
            InputError: The base has no heads.
        """
        base: Any = context.pretrained()
        config = SamplingConfig(
            temperature=self.temperature,
            top_p=self.top_p,
            most_tokens=self.longest + 2,
            seed=context.seed,
        )
        report = context.report
        drawn = sample_tokens(
            base.network,
            "protein",
            [{}] * case.n_test,
            config,
            progress=None if report is None else lambda i, n: report(i, n, "writing"),
        )
        decode = base.modalities["protein"].decode
        return case.answers([decode(ids.tolist()) for ids in drawn])


def _pooled(count: Callable[[str], np.ndarray], answers: pd.DataFrame) -> float:
    made, natural = (
        np.sum([count(one) for one in answers[column]], axis=0).astype(np.float64)
        for column in (MADE, NATURAL)
    )
    return divergence(made, natural)


def _profiles(answers: pd.DataFrame) -> float:
    return profile_distance(list(answers[MADE]), list(answers[NATURAL]))


def _of_sets(name: str, of: Callable[[pd.DataFrame], float], unit: str | None) -> Measure:
    """Return how far made sequences as a whole are from natural ones; 0 is best.

    Resampled sets, in which sequences repeat, are farther apart, so there is no interval.
    """
    return Measure(name, of, unit, True, (MADE, NATURAL), is_of_set=True)


def _gap(column: str, answers: pd.DataFrame) -> float:
    made, natural = (answers[one].astype(float).mean() for one in (column, OF_NATURAL + column))
    return abs(float(made - natural))


def gap(column: str, name: str, unit: str | None = None) -> Measure:
    """Return how far the mean of a statistic is from that of natural sequences."""
    return Measure(name, partial(_gap, column), unit, True, (column, OF_NATURAL + column))


_METHODS: dict[str, Method] = {
    "remembered": remembered,
    "drawn-residues": drawn_residues,
    "drawn-pairs": drawn_pairs,
    "generated": Generated(),
    "generated-likely": Generated(top_p=0.9),
}

TASKS.register(
    Task(
        name="de-novo-proteins",
        domain="proteins",
        question="Are new sequences like natural proteins without being any of them?",
        dataset="deeploc",
        files=(VALID, TEST, STRUCTURE),
        load=load_sequences,
        measures=(
            _of_sets("profile distance", _profiles, None),
            _of_sets("pair divergence", partial(_pooled, pair_counts), "bit"),
            _of_sets("residue divergence", partial(_pooled, residue_counts), "bit"),
            gap("variety", "variety gap", "bit"),
            gap("folds", "globular gap"),
            *(gap(one, f"{one} gap") for one in STATE_NAMES.values()),
            mean_of("folds", "globular share"),
            mean_of("identity", "nearest identity", smaller_is_better=True),
        ),
        methods=_METHODS,
        baselines=("drawn-residues", "drawn-pairs"),
        for_reference=("remembered",),
        default=tuple(_METHODS),
        published=(
            Published(
                "ProtGPT2",
                "globular share",
                0.88,
                "https://doi.org/10.1038/s41467-022-32007-7",
                differs="by IUPred3, for 10,000 sequences of another length",
            ),
        ),
        traps=(
            "`remembered` gives training sequences back: it shows the best that likeness can be, "
            "and its nearest identity is 1.",
            "Identity is to the task's own training sequences, not to all of Swiss-Prot that the "
            "base has read: a low one does not prove that a sequence is new.",
            "Statistics of a sequence say nothing of whether it folds; the globular share is a "
            "rule of charge and hydropathy, and secondary structure is told from propensities.",
            "Random residues of the right frequencies have nearly the pair divergence of natural "
            "sequences: the profile distance and the variety gap tell them apart.",
        ),
    )
)
