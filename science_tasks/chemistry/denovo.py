"""New molecules like those that medicinal chemists made: valid, distinct, new, diverse, alike."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from kagaku.data.catalogue import Source
from kagaku.modalities import MODALITIES
from kagaku.modalities.smiles import split_smiles
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.sampling import SamplingConfig, sample_tokens
from kagaku.models.pretraining.translation import TranslationConfig
from kagaku.science_tasks.benchmark.column_measures import share_of_counts
from kagaku.science_tasks.benchmark.files import frame
from kagaku.science_tasks.benchmark.measures import Measure
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Published, Task
from kagaku.science_tasks.chemistry import molecule_sets
from kagaku.science_tasks.chemistry.fingerprints import fingerprints, likeness
from kagaku.science_tasks.chemistry.moleculeace_scores import SCORES
from kagaku.science_tasks.chemistry.solubility import share_of
from kagaku.science_tasks.generation_metrics import (
    N_BITS,
    canonical_or_none,
    frechet_chemnet_distance,
)
from kagaku.science_tasks.translating import own_network, taught_network

FILES = tuple(f"molecules/moleculeace/{target}.csv" for target in SCORES)

N_GENERATED = 10_000
"""Molecules that are asked for. MOSES asks for 30,000."""

TEST_SHARE = 0.2
"""Share of the compounds that are only compared with, fixed by a hash of each."""


@dataclass(frozen=True)
class GenerationCase:
    """Molecules to learn from, and others that new ones should be like."""

    learnt: tuple[str, ...]
    """Canonical SMILES to learn from."""

    reference: tuple[str, ...]
    """Canonical SMILES to compare with, which methods do not look at."""

    n_wanted: int = N_GENERATED
    """How many new ones are asked for."""

    @property
    def n_train(self) -> int:
        """How many molecules there are to learn from."""
        return len(self.learnt)

    @property
    def n_test(self) -> int:
        """How many new ones are asked for."""
        return self.n_wanted

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the molecules to learn from; nothing is given where new ones are asked for."""
        return {} if part == "test" else {"molecule": self.learnt}

    def cut(self, n_train: int, n_test: int, seed: int) -> "GenerationCase":
        """Return the case with at most so many molecules of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        learnt = np.sort(rng.permutation(len(self.learnt))[:n_train])
        reference = np.sort(rng.permutation(len(self.reference))[:n_test])
        return replace(
            self,
            learnt=tuple(self.learnt[one] for one in learnt),
            reference=tuple(self.reference[one] for one in reference),
            n_wanted=min(self.n_wanted, n_test),
        )


EARLY = 1_000
"""Valid molecules among which MOSES' ``unique@1k`` counts the distinct ones."""


def load(source: Source) -> Mapping[str, Case]:
    """Return the one case: all compounds of MoleculeACE, each once."""
    strings = {smiles for key in FILES for smiles in frame(source, key)["smiles"]}
    known = sorted({one for one in map(canonical_or_none, strings) if one is not None})
    is_test = [share_of(one) < TEST_SHARE for one in known]
    return {
        "hashed": GenerationCase(
            tuple(one for one, asked in zip(known, is_test, strict=True) if not asked),
            tuple(one for one, asked in zip(known, is_test, strict=True) if asked),
        )
    }


def generation_answers(case: GenerationCase, generated: Sequence[str]) -> pd.DataFrame:
    """Return generated strings as answers, with what the measures read.

    ``is_first`` is 1 for the first of equal molecules, ``is_new`` for such a first one that was not
    learnt from; ``is_early`` and ``is_early_first`` tell valid and first ones of the first `EARLY`
    valid ones. Of each first one, ``spread`` is 1 minus its mean Tanimoto similarity to all
    distinct ones, itself included, ``square`` the mean of the squared ones, and ``nearest`` that to
    the nearest molecule of the reference; 0 for the others. ``passes`` is 1 for valid ones without
    a PAINS alert. What belongs to the whole set is the same in every row: ``fcd`` (NaN where the
    package ``fcd`` is not installed or too few are valid), ``fragments``, ``scaffolds``, and the
    distance of each property.

    Args:
        case: What was asked.
        generated: As they came from a model.
    """
    read = [canonical_or_none(one) for one in generated]
    first = {one: place for place, one in reversed(list(enumerate(read))) if one is not None}
    distinct = sorted(first)
    rows = [first[one] for one in distinct]
    learnt = set(case.learnt)
    answers = pd.DataFrame({"answer": list(generated), "is_asked": 1.0})
    answers["is_valid"] = [float(one is not None) for one in read]
    for name in ("is_first", "is_new", "spread", "square", "nearest"):
        answers[name] = 0.0
    answers.loc[rows, "is_first"] = 1.0
    answers.loc[rows, "is_new"] = [float(one not in learnt) for one in distinct]
    # As long as MOSES' own.
    prints, there = fingerprints(distinct, N_BITS), fingerprints(case.reference, N_BITS)
    alike = [likeness(one, prints) for one in prints]
    answers.loc[rows, "spread"] = [1 - one.mean() for one in alike]
    answers.loc[rows, "square"] = [np.square(one).mean() for one in alike]
    is_early = answers["is_valid"].cumsum() <= EARLY
    answers["is_early"] = answers["is_valid"] * is_early
    answers["is_early_first"] = answers["is_first"] * is_early
    answers.loc[rows, "nearest"] = [likeness(one, there).max() for one in prints]
    valid = [one for one in read if one is not None]
    answers["fcd"] = _distance(valid, case.reference)
    molecules = molecule_sets.read(valid)
    for name, value in _likeness_of_sets(molecules, case.reference).items():
        answers[name] = value
    answers["passes"] = 0.0
    answers.loc[answers["is_valid"] > 0, "passes"] = np.array(
        molecule_sets.without_alerts(molecules), dtype=np.float64
    )
    return answers


def _likeness_of_sets(molecules: Sequence[Any], reference: Sequence[str]) -> dict[str, float]:
    """Return by column how alike molecules and those of a reference are."""
    both = [molecules, molecule_sets.read(reference)]
    return {
        "fragments": molecule_sets.cosine(*map(molecule_sets.fragments, both)),
        "scaffolds": molecule_sets.cosine(*map(molecule_sets.scaffolds, both)),
        **molecule_sets.property_distances(*both),
    }


def _distance(valid: Sequence[str], reference: Sequence[str]) -> float:
    if find_spec("fcd") is None or min(len(valid), len(reference)) < 2:
        return float("nan")
    return frechet_chemnet_distance(valid, reference)


def _second_diversity(answers: pd.DataFrame) -> float:
    """Return 1 minus the root of the mean squared similarity of all pairs of distinct molecules."""
    count = float(answers["is_first"].sum())
    return 1 - float(np.sqrt(answers["square"].sum() / count)) if count else float("nan")


def _of_set(column: str, answers: pd.DataFrame) -> float:
    return float(answers[column].iloc[0])


def set_measure(
    name: str, column: str, *, smaller_is_better: bool, unit: str | None = None
) -> Measure:
    """Return a measure that belongs to the whole set; look at its spread over seeds."""
    return Measure(
        name,
        partial(_of_set, column),
        unit=unit,
        smaller_is_better=smaller_is_better,
        columns=(column,),
        is_of_set=True,
    )


FCD = replace(set_measure("FCD", "fcd", smaller_is_better=True), needs="kagaku[generation]")
"""Fréchet ChemNet distance of the valid ones to the reference."""

MEASURES: tuple[Measure, ...] = (
    FCD,
    share_of_counts("valid", "is_valid", "is_asked"),
    share_of_counts("unique", "is_first", "is_valid"),
    share_of_counts("unique@1k", "is_early_first", "is_early"),
    share_of_counts("novel", "is_new", "is_first"),
    share_of_counts("IntDiv", "spread", "is_first"),
    Measure("IntDiv2", _second_diversity, None, False, ("square", "is_first")),
    share_of_counts("SNN", "nearest", "is_first"),
    set_measure("Frag", "fragments", smaller_is_better=False),
    set_measure("Scaf", "scaffolds", smaller_is_better=False),
    share_of_counts("no PAINS", "passes", "is_valid"),
    *(
        set_measure(
            f"{name} distance",
            name,
            smaller_is_better=True,
            unit="g/mol" if name == "weight" else None,
        )
        for name in molecule_sets.PROPERTIES
    ),
)


def copies(case: GenerationCase, context: Context) -> pd.DataFrame:
    """Answer with molecules to learn from, drawn at random: perfect in all but novelty."""
    rng = np.random.default_rng(context.seed)
    chosen = rng.integers(0, case.n_train, case.n_test)
    return generation_answers(case, [case.learnt[one] for one in chosen])


@dataclass(frozen=True)
class Markov:
    """Answers with strings in which each token follows from the few before it, by counting."""

    order: int = 6
    """How many tokens are looked at; fewer where these were never seen together."""

    longest: int = 200
    """Tokens after which a string is cut."""

    def __call__(self, case: GenerationCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        follows: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for smiles in case.learnt:
            for before, token in self._steps(split_smiles(smiles)):
                follows[before][token] += 1
        rng = np.random.default_rng(context.seed)
        return generation_answers(case, [self._drawn(follows, rng) for _ in range(case.n_test)])

    def _steps(self, tokens: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
        padded = [""] * self.order + [*tokens, ""]
        for place in range(self.order, len(padded)):
            yield tuple(padded[place - self.order : place]), padded[place]

    def _drawn(
        self, follows: Mapping[tuple[str, ...], Counter[str]], rng: np.random.Generator
    ) -> str:
        tokens = [""] * self.order
        while len(tokens) < self.order + self.longest:
            # What came before was itself drawn from what was seen, so it was seen.
            choices = follows[tuple(tokens[-self.order :])]
            counts = np.array(list(choices.values()), dtype=np.float64)
            token = list(choices)[rng.choice(len(counts), p=counts / counts.sum())]
            if not token:
                break
            tokens.append(token)
        return "".join(tokens)


def generated(case: GenerationCase, context: Context) -> pd.DataFrame:
    """Answer with what the base generates from nothing; it learns nothing here."""
    return _sampled(case, own_network(context), context)


def _sampled(case: GenerationCase, network: PretrainingNetwork, context: Context) -> pd.DataFrame:
    molecule: Any = MODALITIES["molecule"]()
    progress = context.reporter("generating")
    config = SamplingConfig(most_tokens=200, seed=context.seed)
    drawn = sample_tokens(network, "molecule", [{}] * case.n_test, config, progress=progress)
    return generation_answers(case, [molecule.decode(ids.tolist()) for ids in drawn])


def _config() -> TranslationConfig:
    return TranslationConfig(max_steps=2_000, max_epochs=10.0)


@dataclass(frozen=True)
class Taught:
    """Answers with what the base generates after it was taught the molecules to learn from."""

    config: TranslationConfig = field(default_factory=_config)
    """How it is taught."""

    def __call__(self, case: GenerationCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        pairs = [("", one) for one in case.learnt]
        network, heads = taught_network(None, "molecule", self.config, pairs, context)
        answers = _sampled(case, network, context)
        answers.attrs["chosen"] = heads
        return answers


# The table of MOSES' paper (https://doi.org/10.3389/fphar.2020.565644), of models trained on 1.6
# million molecules, as in the README of https://github.com/molecularsets/moses at commit ffbc4dba:
# valid, and to the test set FCD, SNN, Frag, Scaf; IntDiv.
MOSES: dict[str, tuple[float, ...]] = {
    "CharRNN": (0.9748, 0.0732, 0.6015, 0.9998, 0.9242, 0.8562),
    "VAE": (0.9767, 0.0990, 0.6257, 0.9994, 0.9386, 0.8558),
    "AAE": (0.9368, 0.5555, 0.6081, 0.9910, 0.9022, 0.8557),
    "JTN-VAE": (1.0, 0.3954, 0.5477, 0.9965, 0.8964, 0.8551),
    "LatentGAN": (0.8966, 0.2968, 0.5371, 0.9986, 0.8867, 0.8565),
}
"""By model, its scores; novelty there is counted against the 1.6 million."""

MOSES_MEASURES = ("valid", "FCD", "SNN", "Frag", "Scaf", "IntDiv")
"""What the scores are, in their order."""

MOSES_TABLE = (
    "https://github.com/molecularsets/moses/blob/ffbc4dbad1afddc38b0bcd0a68801b56524c3ca9/README.md"
)

TASKS.register(
    Task(
        name="denovo",
        domain="chemistry",
        question="Which new molecules would medicinal chemists take for their own?",
        dataset="moleculeace",
        files=FILES,
        load=load,
        measures=MEASURES,
        methods={
            "copies": copies,
            "markov": Markov(),
            "generated": generated,
            "taught": Taught(),
        },
        baselines=("markov",),
        for_reference=("copies",),
        default=("copies", "markov", "generated"),
        published=tuple(
            Published(
                model,
                measure,
                value,
                MOSES_TABLE,
                differs="trained on and compared with MOSES' molecules of ZINC",
            )
            for model, values in MOSES.items()
            for measure, value in zip(MOSES_MEASURES, values, strict=True)
        ),
        traps=(
            "Copies of what was learnt from are the best there is by every measure but novelty: "
            "read all measures together (Renz et al. 2019, "
            "https://doi.org/10.1016/j.ddtec.2020.09.003).",
            "New means not among the molecules to learn from here; a base may have been pretrained "
            "on them or on the reference.",
            "The compounds of MoleculeACE come in series on twenty targets, so that the reference "
            "is nearer to what is learnt from than any new chemistry would be.",
            "Of MOSES' measures, diversity and the likeness to the nearest are over distinct "
            "molecules here, alerts are PAINS' alone, and there is no set of new scaffolds.",
            "FCD depends on how many molecules are generated and compared.",
        ),
    )
)
