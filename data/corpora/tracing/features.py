"""What values are found by: common bits, shares of components, or grams that few values have."""

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import Bool, Float, UInt

from kagaku.data.compositions import Composition
from kagaku.data.corpora.keys import words
from kagaku.data.corpora.signatures import BASES_PER_SHINGLE, WORDS_PER_SHINGLE
from kagaku.data.crystals import Crystal
from kagaku.data.elements import INDEX, SYMBOLS
from kagaku.data.formulas import parse_formula
from kagaku.data.nucleotides import canonical_words
from kagaku.errors import InputError

MOLECULE_BITS = 1024
"""Length of the folded Morgan fingerprint (radius 2) by which molecules are found."""

IMAGE_SIDE = 16
"""An image is found by whether it brightens or darkens between neighbours on so many rows and
columns: a difference hash, which brightness, contrast and size of the picture do not change."""

RESIDUES_PER_GRAM = 6
"""Of 64 million words of six residues a protein has some hundred, so that a shared one tells."""

_LETTER_BITS = 5
"""Bits of a residue's letter in the number of a gram: 6 x 5 = 30."""

Bits = Bool[np.ndarray, " bit"]
Shares = Float[np.ndarray, " component"]
Grams = UInt[np.ndarray, " gram"]
"""Numbers below 2^30."""


def molecule_bits(smiles: str) -> Bits:
    """Return the folded fingerprint of a molecule; all False where RDKit cannot read it."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return np.zeros(MOLECULE_BITS, dtype=bool)
    bits: np.ndarray = _fingerprints().GetFingerprintAsNumPy(molecule).astype(bool)
    return bits


@cache
def _fingerprints() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    generator: Any = rdFingerprintGenerator
    return generator.GetMorganGenerator(radius=2, fpSize=MOLECULE_BITS)


def image_bits(pixels: np.ndarray) -> Bits:
    """Return where an image, (row, column, channel), brightens and where it does not.

    Each comparison has two bits, one for either answer, so that every image has as many bits and
    their overlap counts equal answers.
    """
    grey = np.asarray(pixels, dtype=np.float32)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    picture = PIL.Image.fromarray(grey, mode="F") if grey.size else PIL.Image.new("F", (1, 1))
    across = np.asarray(_scaled(picture, IMAGE_SIDE + 1, IMAGE_SIDE))
    down = np.asarray(_scaled(picture, IMAGE_SIDE, IMAGE_SIDE + 1))
    brighter = np.concatenate(
        [np.diff(across, axis=1).ravel() > 0, np.diff(down, axis=0).ravel() > 0]
    )
    return np.concatenate([brighter, ~brighter])


def _scaled(picture: PIL.Image.Image, width: int, height: int) -> PIL.Image.Image:
    return picture.resize((width, height), PIL.Image.Resampling.BILINEAR)


def protein_grams(residues: str) -> Grams:
    """Return the distinct words of six residues, each as one number.

    Example:
        >>> len(protein_grams("MKTAYIAKQR"))
        5
    """
    return np.unique(protein_words(residues))


def protein_words(residues: str) -> Grams:
    """Return the words of six residues in their order; of a shorter sequence, all of it."""
    codes = np.frombuffer(residues.upper().encode("ascii", "replace"), dtype=np.uint8)
    codes = (codes & 31).astype(np.uint32)
    size = min(RESIDUES_PER_GRAM, len(codes))
    if not size:
        return np.zeros(0, dtype=np.uint32)
    found = np.zeros(len(codes) - size + 1, dtype=np.uint32)
    for place in range(size):
        found = (found << np.uint32(_LETTER_BITS)) | codes[place : place + len(found)]
    return found


def nucleotide_grams(sequence: str) -> Grams:
    """Return the distinct words of fifteen bases on either strand, each as one number."""
    return canonical_words(sequence, BASES_PER_SHINGLE).astype(np.uint32)


def text_grams(text: str) -> Grams:
    """Return the distinct words and runs of three words, each as one number.

    Example:
        >>> len(text_grams("The melting point of ice"))
        8
    """
    found = words(text)
    runs = zip(*(found[place:] for place in range(WORDS_PER_SHINGLE)), strict=False)
    several = {*found, *(" ".join(run) for run in runs)}
    return np.array(sorted({zlib.crc32(one.encode()) >> 2 for one in several}), dtype=np.uint32)


def material_shares(value: str | Crystal) -> Shares:
    """Return the share of the atoms that each element has, in the order of the periodic table.

    Example:
        >>> float(material_shares("NaCl").sum())
        1.0
    """
    shares = np.zeros(len(SYMBOLS))
    composition = composition_of(value)
    if composition is not None:
        for symbol, share in composition.fractions.items():
            shares[INDEX[symbol]] = share
    return shares


def composition_of(value: str | Crystal) -> Composition | None:
    """Return the composition of a checked material; None where its formula cannot be read."""
    if isinstance(value, Crystal):
        return value.composition
    try:
        return parse_formula(value)
    except InputError:
        return None


BITS: Mapping[str, Callable[[Any], Bits]] = {"molecule": molecule_bits, "image": image_bits}
"""By modality, what is found by common bits."""

N_BITS = {"molecule": MOLECULE_BITS, "image": 4 * IMAGE_SIDE * IMAGE_SIDE}
"""How many bits each has."""

SHARES: Mapping[str, Callable[[Any], Shares]] = {"material": material_shares}
"""By modality, what is found by the shares of its components."""

N_SHARES = {"material": len(SYMBOLS)}
"""How many components each has."""

GRAMS: Mapping[str, Callable[[Any], Grams]] = {
    "protein": protein_grams,
    "nucleotide": nucleotide_grams,
    "text": text_grams,
}
"""By modality, what is found by rare grams."""
