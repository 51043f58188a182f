"""Pairs of a molecule and its description, as in ChEBI-20: what is asked of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.files import text
from kagaku.science_tasks.benchmark.task import Case
from kagaku.science_tasks.generation_metrics import canonical_or_none

VALID, TEST = "molecules/chebi20/validation.txt", "molecules/chebi20/test.txt"

Side = Literal["molecule", "text"]


@dataclass(frozen=True)
class Described:
    """Molecules, each with its description."""

    molecules: tuple[str, ...]
    """Canonical SMILES."""

    texts: tuple[str, ...]
    """A description of each."""

    def __len__(self) -> int:
        return len(self.molecules)

    def side(self, name: Side) -> tuple[str, ...]:
        """Return one of the two."""
        return self.molecules if name == "molecule" else self.texts

    def of(self, chosen: Sequence[int] | np.ndarray) -> "Described":
        """Return some of them, in the given order."""
        return Described(
            tuple(self.molecules[one] for one in chosen), tuple(self.texts[one] for one in chosen)
        )


@dataclass(frozen=True)
class DescriptionCase:
    """Pairs to learn from, and pairs of which one side is given."""

    learnt: Described
    """Both sides are known."""

    asked: Described
    """Of these, methods look at the given side; and at the other one in no order where the
    question is which belongs to which."""

    given: Side
    """Which side is given."""

    n_dropped: int = 0
    """Lines that cannot be read."""

    @property
    def wanted(self) -> Side:
        """Which side is asked for."""
        return "text" if self.given == "molecule" else "molecule"

    @property
    def n_train(self) -> int:
        """How many pairs there are to learn from."""
        return len(self.learnt)

    @property
    def n_test(self) -> int:
        """How many pairs are asked about."""
        return len(self.asked)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs to learn from, each what is given and what is wanted."""
        sides = self.learnt.side(self.given), self.learnt.side(self.wanted)
        return list(zip(*sides, strict=True))

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return both sides of a part."""
        pairs = self.asked if part == "test" else self.learnt
        return {"molecule": pairs.molecules, "text": pairs.texts}

    def cut(self, n_train: int, n_test: int, seed: int) -> "DescriptionCase":
        """Return the case with at most so many pairs of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        return replace(
            self,
            learnt=self.learnt.of(np.sort(rng.permutation(self.n_train)[:n_train])),
            asked=self.asked.of(np.sort(rng.permutation(self.n_test)[:n_test])),
        )


def read_described(lines: Sequence[str]) -> tuple[Described, int]:
    """Return the pairs of a file, and how many lines cannot be read.

    Backslashes stand doubled in the files.

    Args:
        lines: A heading, then number, SMILES and description, parted by tabs.

    Raises:
        InputError: None can be read.
    """
    filled = [line for line in lines[1:] if line.strip()]
    pairs = []
    for line in filled:
        _, smiles, described = line.split("\t", 2)
        molecule = canonical_or_none(smiles.replace("\\\\", "\\"))
        if molecule and described.strip():
            pairs.append((molecule, described.strip()))
    if not pairs:
        raise InputError("no pair can be read", fix="Fetch the data set again.")
    molecules, texts = zip(*pairs, strict=True)
    return Described(molecules, texts), len(filled) - len(pairs)


@dataclass(frozen=True)
class Load:
    """Reads the two files that there are."""

    given: Side
    """Which side is given."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the one case, which learns from the validation part."""
        learnt, bad = read_described(text(source, VALID).split("\n"))
        asked, worse = read_described(text(source, TEST).split("\n"))
        return {"official": DescriptionCase(learnt, asked, self.given, bad + worse)}
