"""USPTO-50k: which reactants a product was made from, and which product reactants give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.column_measures import mean_of
from kagaku.science_tasks.benchmark.files import text
from kagaku.science_tasks.benchmark.measures import Measure
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Task
from kagaku.science_tasks.chemistry.disconnections import Disconnector
from kagaku.science_tasks.chemistry.fingerprints import fingerprints, likeness
from kagaku.science_tasks.chemistry.reaction_scores import published_scores
from kagaku.science_tasks.chemistry.retrosynthesis.planner import (
    BACKWARD,
    FORWARD,
    Planner,
    PlannerConfig,
)
from kagaku.science_tasks.generation_metrics import canonical_or_none
from kagaku.science_tasks.translating import Translator

WITHIN = (1, 3, 5, 10)
"""How many of the best answers are looked at."""

PARTS = ("train", "valid", "test")
FILES = tuple(f"molecules/uspto50k/retrosynthesis-{part}.smi" for part in PARTS)
IS_SEEN = "is_seen"
"""Column of the answers: whether what is given was also given in the training part."""


@dataclass(frozen=True)
class ReactionCase:
    """Reactions to learn from, and some of which one side is given; all SMILES canonical."""

    learnt_given: tuple[str, ...]
    """What is given in the reactions to learn from; several molecules are joined by dots."""

    learnt_wanted: tuple[str, ...]
    """What is wanted for each."""

    given: tuple[str, ...]
    """What is given for each item that is asked."""

    wanted: tuple[str, ...]
    """The right answers, which methods do not look at."""

    n_dropped: int = 0
    """Lines that cannot be read."""

    @property
    def n_train(self) -> int:
        """How many reactions there are to learn from."""
        return len(self.learnt_given)

    @property
    def n_test(self) -> int:
        """How many are asked."""
        return len(self.given)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The reactions to learn from, each what is given and what is wanted."""
        return list(zip(self.learnt_given, self.learnt_wanted, strict=True))

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return what is given in a part."""
        return {"molecule": self.given if part == "test" else self.learnt_given}

    def cut(self, n_train: int, n_test: int, seed: int) -> "ReactionCase":
        """Return the case with at most so many reactions of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        learnt = np.sort(rng.permutation(self.n_train)[:n_train])
        asked = np.sort(rng.permutation(self.n_test)[:n_test])
        return replace(
            self,
            learnt_given=tuple(self.learnt_given[one] for one in learnt),
            learnt_wanted=tuple(self.learnt_wanted[one] for one in learnt),
            given=tuple(self.given[one] for one in asked),
            wanted=tuple(self.wanted[one] for one in asked),
        )

    def reversed(self) -> "ReactionCase":
        """Return the case in which what was wanted is given."""
        return ReactionCase(
            self.learnt_wanted, self.learnt_given, self.wanted, self.given, self.n_dropped
        )


def read_reactions(lines: Sequence[str]) -> tuple[list[tuple[str, str]], int]:
    """Return product and reactants of each line, canonical, and how many cannot be read.

    Canonical, since the order of atoms in the files tells where a bond was made.

    Args:
        lines: ``product >> reactants``; empty ones are passed over.

    Raises:
        InputError: None can be read.
    """
    filled = [line for line in lines if line.strip()]
    found = []
    for line in filled:
        product, _, reactants = line.partition(">>")
        sides = canonical_or_none(product.strip()), canonical_or_none(reactants.strip())
        if sides[0] and sides[1]:
            found.append((sides[0], sides[1]))
    if not found:
        raise InputError("no reaction can be read", fix="Fetch the data set again.")
    return found, len(filled) - len(found)


def load_retrosynthesis(source: Source) -> Mapping[str, Case]:
    """Return the case in which the product is given."""
    return {"official": _case(source)}


def load_forward(source: Source) -> Mapping[str, Case]:
    """Return the case in which the reactants are given."""
    return {"official": _case(source).reversed()}


@lru_cache(maxsize=len(FILES))
def _read(content: str) -> tuple[list[tuple[str, str]], int]:
    """Return the reactions of a file, once for both directions."""
    return read_reactions(content.splitlines())


def _case(source: Source) -> ReactionCase:
    parts = [_read(text(source, key)) for key in FILES]
    learnt, asked = [*parts[0][0], *parts[1][0]], parts[2][0]
    return ReactionCase(
        tuple(product for product, _ in learnt),
        tuple(reactants for _, reactants in learnt),
        tuple(product for product, _ in asked),
        tuple(reactants for _, reactants in asked),
        sum(dropped for _, dropped in parts),
    )


def reaction_answers(case: ReactionCase, proposed: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return the answers to a case: one row per item, with hits among the first few.

    What cannot be read is left out, and so is what came before, so that ranks are among distinct
    molecules. ``validity`` is the share of the proposals that RDKit reads; 0 where there is none.

    Args:
        case: What was asked.
        proposed: For each item, SMILES as they were generated, the best first.
    """
    learnt = set(case.learnt_given)
    rows = []
    for given, wanted, strings in zip(case.given, case.wanted, proposed, strict=True):
        read = [canonical_or_none(one) for one in strings]
        distinct = list(dict.fromkeys(one for one in read if one is not None))
        rank = distinct.index(wanted) + 1 if wanted in distinct else np.inf
        rows.append(
            {
                "given": given,
                "answer": distinct[0] if distinct else "",
                **{f"top_{most}": float(rank <= most) for most in WITHIN},
                "validity": float(np.mean([one is not None for one in read])) if read else 0.0,
                IS_SEEN: given in learnt,
            }
        )
    return pd.DataFrame(rows)


def nearest(case: ReactionCase, context: Context) -> pd.DataFrame:
    """Answer with what was wanted in the known reactions most like the asked one, as it stands.

    Alike is the Tanimoto similarity of what is given, on circular fingerprints of radius 2.
    """
    known = fingerprints(case.learnt_given)
    proposed = []
    for done, own in enumerate(fingerprints(case.given)):
        best = np.argsort(-likeness(own, known), kind="stable")[: max(WITHIN)]
        proposed.append([case.learnt_wanted[one] for one in best])
        if context.report is not None:
            context.report(done + 1, case.n_test, "comparing")
    return reaction_answers(case, proposed)


def disconnections(case: ReactionCase, context: Context) -> pd.DataFrame:
    """Answer with the bond that was most often made in such surroundings; see `Disconnector`."""
    known = Disconnector.learnt(case.learnt_given, case.learnt_wanted, context.seed)
    return reaction_answers(case, [known.propose(one, max(WITHIN)) for one in case.given])


@dataclass(frozen=True)
class Edited:
    """Answers with known edits at the likeliest places; see `Planner`."""

    config: PlannerConfig = field(default_factory=PlannerConfig)
    """How it learns."""

    direction: str = BACKWARD
    """Which side of a reaction is given."""

    def __call__(self, case: ReactionCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        config = replace(self.config, ranking=replace(self.config.ranking, seed=context.seed))
        planner = Planner.learnt(
            case.learnt_given,
            case.learnt_wanted,
            context.own_encoder(),
            config,
            direction=self.direction,
            folder=None if context.work is None else context.work / "ranker",
            report=context.report,
        )
        proposed = planner.propose(case.given, max(WITHIN), context.report)
        frame = reaction_answers(case, [[one.smiles for one in own] for own in proposed])
        frame.attrs["chosen"] = (
            f"{len(planner.edits)} edits, {planner.n_explained} of {case.n_train} reactions"
        )
        return frame


def other_spelling(smiles: str, rng: np.random.Generator) -> str:
    """Return a SMILES of the same molecules that starts at another atom, half of the time."""
    if rng.random() < 0.5:
        return smiles
    molecule: Chem.Mol | None = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return smiles
    (other,) = Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=int(rng.integers(2**31)))
    return str(other)


@dataclass(frozen=True)
class Translated:
    """Answers with what the base generates, after it was taught the known reactions."""

    translator: Translator
    """Teaches and asks."""

    def __call__(self, case: ReactionCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        proposed, heads = self.translator(case.pairs, case.given, context)
        frame = reaction_answers(case, proposed)
        frame.attrs["chosen"] = heads
        return frame


def _unseen(answers: pd.DataFrame) -> pd.Series:
    return ~answers[IS_SEEN].astype(bool)


TOP = tuple(mean_of(f"top_{most}", f"top-{most}") for most in WITHIN)
MEASURES: tuple[Measure, ...] = (
    *TOP,
    mean_of("validity", "validity"),
    TOP[0].where("top-1, not in train", _unseen),
)

TRANSLATED = Translated(Translator("molecule", "molecule"))
AUGMENTED = Translated(Translator("molecule", "molecule", respell=other_spelling))

TRAPS = (
    "A right answer is the one of the patent: another way to make the product counts as wrong.",
    "The order of atoms in the files tells where the bond was made, so both sides are made "
    "canonical before anything is asked.",
    "Reagents, solvents and conditions are not there.",
)

TASKS.register(
    Task(
        name="uspto50k",
        domain="chemistry",
        question="From which reactants can a product be made in one step?",
        dataset="uspto50k",
        files=FILES,
        load=load_retrosynthesis,
        measures=MEASURES,
        methods={
            "nearest": nearest,
            "disconnections": disconnections,
            "edits": Edited(),
            "translation": TRANSLATED,
            "translation-respelt": AUGMENTED,
        },
        baselines=("nearest", "disconnections"),
        default=("nearest", "disconnections", "edits"),
        published=published_scores(WITHIN),
        traps=(
            "24 of the 4,982 distinct test products also occur in train; top-1 is also given "
            "without what occurs in train or valid.",
            "The class of the reaction is not given; figures with it are higher.",
            "Methods with templates or edits were published on another parting of the same "
            "reactions, of like size: a difference of a point is none.",
            *TRAPS,
        ),
        long=("edits",),
    ),
    Task(
        name="uspto50k-forward",
        domain="chemistry",
        question="Which product do given reactants make?",
        dataset="uspto50k",
        files=FILES,
        load=load_forward,
        measures=MEASURES,
        methods={
            "nearest": nearest,
            "edits": Edited(direction=FORWARD),
            "translation": TRANSLATED,
            "translation-respelt": AUGMENTED,
        },
        baselines=("nearest",),
        default=("nearest", "edits"),
        traps=(
            "Every atom of the product stands in the reactants and no reagent does, which makes "
            "this much easier than the prediction of whole reaction mixtures, of which the usual "
            "published figures are; none is known of these.",
            *TRAPS,
        ),
        long=("edits",),
    ),
)
