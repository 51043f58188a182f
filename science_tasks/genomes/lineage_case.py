"""Lineages of a virus as cases: how each differs from a reference, with whole clades held out."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8
from scipy.sparse import csr_matrix

from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.task import Rows

FEWEST_CLADES = 5
"""A family with fewer clades is no class: too little of it would be left to learn from."""

HELD_OUT = 4
"""One clade in so many is held out, of each family."""

GAP = ord("-")


def family_of(lineage: str) -> str:
    """Return the letters in front of a Pango name: ``"BA"`` of ``"BA.2.86"``.

    They stand for a clade, however deep: BA for B.1.1.529, AY for B.1.617.2.
    """
    return lineage.split(".")[0]


def clade_of(lineage: str) -> str:
    """Return a Pango name down to its first number: ``"BA.2"`` of ``"BA.2.86"``."""
    return ".".join(lineage.split(".")[:2])


def large_families(lineages: Sequence[str]) -> list[str]:
    """Return the families that have at least `FEWEST_CLADES` clades, in order."""
    clades: dict[str, set[str]] = {}
    for one in lineages:
        clades.setdefault(family_of(one), set()).add(clade_of(one))
    return sorted(name for name, found in clades.items() if len(found) >= FEWEST_CLADES)


def held_out_clades(lineages: Sequence[str]) -> set[str]:
    """Return the clades to be held out: of each family one in four, whole.

    Which ones follows from their names alone, so that the split never changes.
    """
    clades = sorted({clade_of(one) for one in lineages}, key=lambda one: zlib.crc32(one.encode()))
    held_out: set[str] = set()
    for family in {family_of(one) for one in clades}:
        own = [one for one in clades if family_of(one) == family]
        held_out |= {*own[: max(1, len(own) // HELD_OUT)]}
    return held_out


@dataclass(frozen=True)
class Alignment:
    """Sequences of one length as what each has in another place than the reference."""

    reference: UInt8[np.ndarray, " site"]
    """Letters of the reference, as bytes."""

    sites: tuple[Int[np.ndarray, " _"], ...]
    """By sequence, where it differs, in order."""

    letters: tuple[UInt8[np.ndarray, " _"], ...]
    """By sequence, the letters there, as bytes."""

    @classmethod
    def of(
        cls, sequences: Iterable[tuple[str, str]], reference: str
    ) -> tuple["Alignment", list[str]]:
        """Return the alignment and the names of aligned sequences; one at a time is in memory.

        Args:
            sequences: Name and sequence of each.
            reference: One of the same length.

        Raises:
            InputError: A sequence has another length.
        """
        root = np.frombuffer(reference.encode("ascii"), dtype=np.uint8)
        names, sites, letters = [], [], []
        for name, sequence in sequences:
            own = np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)
            if len(own) != len(root):
                raise InputError(
                    f"{name} has {len(own)} letters and the reference {len(root)}",
                    fix="Align the sequences to the reference first.",
                    where="alignment",
                )
            different = np.flatnonzero(own != root).astype(np.int32)
            names.append(name)
            sites.append(different)
            letters.append(own[different])
        return cls(root, tuple(sites), tuple(letters)), names

    def aligned(self, index: int) -> UInt8[np.ndarray, " site"]:
        """Return the letters of one sequence, gaps included, as bytes."""
        own = self.reference.copy()
        own[self.sites[index]] = self.letters[index]
        return own

    def sequence(self, index: int) -> str:
        """Return one sequence as it is read: without gaps, up to a stop."""
        own = self.aligned(index)
        letters: bytes = own[own != GAP].tobytes()
        return letters.decode("ascii").partition("*")[0]

    def subset(self, chosen: np.ndarray) -> "Alignment":
        """Return some of the sequences."""
        return replace(
            self,
            sites=tuple(self.sites[i] for i in chosen),
            letters=tuple(self.letters[i] for i in chosen),
        )

    @cached_property
    def mutations(self) -> csr_matrix:
        """A row per sequence and a column per mutation, 1 where it is there; float32."""
        counts = np.array([len(one) for one in self.sites])
        numbers = np.concatenate(self.sites).astype(np.int64) * 256 + np.concatenate(self.letters)
        kinds, columns = np.unique(numbers, return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(counts)])
        ones = np.ones(len(columns), dtype=np.float32)
        return csr_matrix((ones, columns, starts), shape=(len(counts), len(kinds)))


class _Read(Sequence[str]):
    """Sequences that are put together when they are asked for."""

    def __init__(self, alignment: Alignment, rows: np.ndarray) -> None:
        self._alignment, self._rows = alignment, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return self._alignment.sequence(int(self._rows[place]))


@dataclass(frozen=True)
class LineageCase:
    """Lineages whose family is asked, with whole clades held out."""

    alignment: Alignment
    """The sequences."""

    names: tuple[str, ...]
    """Pango names, in the same order."""

    rows: Rows
    """Which lineages are learnt from, and which are asked."""

    modality: str
    """``"nucleotide"`` for genomes, ``"protein"`` for spikes."""

    @property
    def n_train(self) -> int:
        """How many lineages there are to learn from."""
        return len(self.rows.train)

    @property
    def n_test(self) -> int:
        """How many are asked."""
        return len(self.rows.test)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The classes: all families that can be learnt, in order."""
        return tuple(sorted({family_of(self.names[i]) for i in self.rows.train}))

    def classes(self, rows: np.ndarray) -> Int[np.ndarray, " lineage"]:
        """Return the index of the family of each lineage at ``rows``."""
        number = {name: i for i, name in enumerate(self.families)}
        return np.array([number[family_of(self.names[i])] for i in rows], dtype=np.int64)

    def clades(self, rows: np.ndarray) -> list[str]:
        """Return the clade of each lineage at ``rows``."""
        return [clade_of(self.names[i]) for i in rows]

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the sequences of a part."""
        chosen = self.rows.test if part == "test" else self.rows.train
        return {self.modality: _Read(self.alignment, chosen)}

    def cut(self, n_train: int, n_test: int, seed: int) -> "LineageCase":
        """Return the case with at most so many lineages, and at least one of each asked family."""
        rng = np.random.default_rng(seed)
        train, test = rng.permutation(self.rows.train), rng.permutation(self.rows.test)[:n_test]
        _, first = np.unique([family_of(self.names[i]) for i in train], return_index=True)
        others = np.setdiff1d(np.arange(len(train)), first)
        kept = train[np.sort(np.concatenate([first, others[: max(n_train - len(first), 0)]]))]
        return replace(self, rows=Rows(np.sort(kept), np.sort(test)))


def split_lineages(names: Sequence[str], modality: str, alignment: Alignment) -> LineageCase:
    """Return the case of all lineages of large families, one clade in four held out."""
    families = set(large_families(names))
    chosen = np.array([i for i, one in enumerate(names) if family_of(one) in families])
    kept = tuple(names[i] for i in chosen)
    held_out = held_out_clades(kept)
    asked: Bool[np.ndarray, " lineage"] = np.array([clade_of(one) in held_out for one in kept])
    rows = Rows(np.flatnonzero(~asked), np.flatnonzero(asked))
    return LineageCase(alignment.subset(chosen), kept, rows, modality)
