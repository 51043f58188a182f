"""How alike two values are, in the words of their field."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import UInt

from kagaku.data.corpora.keys import words
from kagaku.data.corpora.signatures import BASES_PER_SHINGLE, WORDS_PER_SHINGLE
from kagaku.data.corpora.tracing.features import (
    RESIDUES_PER_GRAM,
    composition_of,
    image_bits,
    nucleotide_grams,
    protein_words,
)
from kagaku.data.crystals import Crystal

MOST_CELLS = 500_000
"""Largest product of lengths that is aligned, which takes some 10 ms; for longer proteins identity
is estimated."""

MOST_HITS = 8
"""Places of a repeated run of words that are followed."""

QUOTED_WORDS = 24
"""Most words of a shared passage that are shown."""

_RESIDUES = str.maketrans({"U": "C", "O": "K", "J": "L", "-": "X", ".": "X"})
"""What BLOSUM62 has no row for: selenocysteine, pyrrolysine, leucine or isoleucine."""


@dataclass(frozen=True)
class Likeness:
    """How near a training value is to the one that was asked for."""

    share: float
    """From 0, nothing in common, to 1; its meaning is told in words."""

    told: str
    """In words: ``Tanimoto 0.81``, ``97% identical over 120 residues``."""


SAME = Likeness(1.0, "the same")
"""What is one and the same thing is not compared."""

Compare = Callable[[Any], Likeness]
"""Compares one value after the other with the one that was asked for."""


def molecules(asked: str) -> Compare:
    """Compare by the Tanimoto coefficient of unfolded Morgan fingerprints of radius 2."""
    from rdkit import DataStructs

    own = _print_of(asked)

    def compare(found: str) -> Likeness:
        other = _print_of(found)
        if own is None or other is None:
            return Likeness(0.0, "cannot be compared")
        tanimoto = float(DataStructs.TanimotoSimilarity(own, other))
        return Likeness(tanimoto, f"Tanimoto {tanimoto:.2f}")

    return compare


def _print_of(smiles: str) -> Any:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromSmiles(smiles)
    return None if molecule is None else _fingerprints().GetSparseFingerprint(molecule)


@cache
def _fingerprints() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    generator: Any = rdFingerprintGenerator
    return generator.GetMorganGenerator(radius=2)


def proteins(asked: str) -> Compare:
    """Compare by the identities of the best local alignment (BLOSUM62, gaps 11 and 1).

    The share is identities over all residues of what was asked for. For long ones it is estimated
    from words of six residues, a share s^6 of which survives where a share s of the residues does.
    """
    own, own_words = asked.upper(), protein_words(asked)

    def compare(found: str) -> Likeness:
        if len(own) * len(found) > MOST_CELLS:
            return _estimated(len(own), own_words, protein_words(found))
        return _aligned(own, found.upper())

    return compare


def _aligned(own: str, other: str) -> Likeness:
    best = next(iter(_aligner().align(*(one.translate(_RESIDUES) for one in (own, other)))), None)
    if best is None:
        return Likeness(0.0, "no residues align")
    blocks = list(zip(*best.aligned.tolist(), strict=True))
    identities = sum(
        one == two
        for (start, end), (there, until) in blocks
        for one, two in zip(own[start:end], other[there:until], strict=True)
    )
    covered = blocks[-1][0][1] - blocks[0][0][0]
    told = f"{identities / covered:.0%} identical over {covered:,} of {len(own):,} residues"
    return Likeness(identities / len(own), told)


def _estimated(
    n_residues: int, own: UInt[np.ndarray, " own_word"], other: UInt[np.ndarray, " other_word"]
) -> Likeness:
    shared = np.isin(own, other)
    places = np.flatnonzero(shared)
    if not len(places):
        return Likeness(0.0, f"no {RESIDUES_PER_GRAM} residues in common")
    first, last = int(places[0]), int(places[-1])
    identity = float(shared[first : last + 1].mean()) ** (1 / RESIDUES_PER_GRAM)
    covered = min(last + RESIDUES_PER_GRAM, n_residues) - first
    told = f"about {identity:.0%} identical over {covered:,} of {n_residues:,} residues"
    return Likeness(identity * covered / n_residues, told)


@cache
def _aligner() -> Any:
    from Bio.Align import PairwiseAligner, substitution_matrices

    matrices: Any = substitution_matrices
    aligner: Any = PairwiseAligner(mode="local")
    aligner.substitution_matrix = matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -11, -1
    return aligner


def nucleotides(asked: str) -> Compare:
    """Compare by the share of the words of fifteen bases, on either strand, that are found too."""
    grams = nucleotide_grams(asked)

    def compare(found: str) -> Likeness:
        share = float(np.isin(grams, nucleotide_grams(found)).mean()) if len(grams) else 0.0
        return Likeness(share, f"{share:.0%} of its words of {BASES_PER_SHINGLE} bases")

    return compare


def texts(asked: str) -> Compare:
    """Compare by the words that stand in verbatim runs of three or more; tells the longest run.

    Of fewer than three words all must stand together.
    """
    own = words(asked)
    size = max(1, min(WORDS_PER_SHINGLE, len(own)))

    def compare(found: str) -> Likeness:
        other = words(found)
        covered, start, length = _runs(own, other, size)
        if length < size:
            different = {*own}
            shared = len(different & {*other})
            # Below any verbatim passage.
            share = shared / max(len(different), 1) / WORDS_PER_SHINGLE
            told = f"{shared} of its {len(different)} different words, none in a row"
            return Likeness(share, told)
        quoted = " ".join(own[start : start + min(length, QUOTED_WORDS)])
        dots = " ..." if length > QUOTED_WORDS else ""
        told = f'{covered} of {len(own)} words verbatim, such as "{quoted}{dots}"'
        return Likeness(covered / len(own), told)

    return compare


def _runs(asked: list[str], found: list[str], size: int) -> tuple[int, int, int]:
    """Return how many words stand in shared runs, and start and length of the longest run.

    No run is followed further than it is quoted.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(found) - size + 1):
        places.setdefault(tuple(found[place : place + size]), []).append(place)
    covered = np.zeros(len(asked), dtype=bool)
    best_start, best = 0, 0
    for place in range(len(asked) - size + 1):
        hits = places.get(tuple(asked[place : place + size]), ())
        if hits:
            covered[place : place + size] = True
        for hit in hits[:MOST_HITS]:
            length = size
            while (
                length <= QUOTED_WORDS
                and place + length < len(asked)
                and hit + length < len(found)
                and asked[place + length] == found[hit + length]
            ):
                length += 1
            if length > best:
                best_start, best = place, length
    return int(covered.sum()), best_start, best


def materials(asked: str | Crystal) -> Compare:
    """Compare by the share of atoms that two compositions have in common."""
    own = composition_of(asked)

    def compare(found: str | Crystal) -> Likeness:
        other = composition_of(found)
        if own is None or other is None:
            return Likeness(0.0, "cannot be compared")
        shares = other.fractions
        common = sum(min(one, shares.get(symbol, 0.0)) for symbol, one in own.fractions.items())
        return Likeness(common, f"{common:.1%} of the atoms in common")

    return compare


def images(asked: np.ndarray) -> Compare:
    """Compare by where both brighten and darken; 50% is what unlike images have by chance."""
    own = image_bits(asked)

    def compare(found: np.ndarray) -> Likeness:
        equal = 2 * float((own & image_bits(found)).mean())
        return Likeness(equal, f"{equal:.0%} of its edges the same")

    return compare


COMPARE: Mapping[str, Callable[[Any], Compare]] = {
    "molecule": molecules,
    "protein": proteins,
    "nucleotide": nucleotides,
    "text": texts,
    "material": materials,
    "image": images,
}
"""By modality, how its values are compared."""
