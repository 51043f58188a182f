"""Keys of raw values: equal where two values are one and the same thing."""

import re
from hashlib import blake2b
from typing import Any

import numpy as np

from kagaku.data.crystals import Crystal
from kagaku.data.identity import material_key
from kagaku.data.nucleotides import canonical_strand, canonical_words, mixed_words
from kagaku.data.records import Field, Quantity

SHORTEST_SENTENCE = 12
"""Words from which a sentence found in two texts is no coincidence."""

BASES_PER_SITE, SITES_OF = 24, 8
"""Bases of a word that two sequences do not share by chance, and one of how many words is kept."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(])|\n\s*\n")
_WORD = re.compile(r"[^\W_]+")


def value_key(modality: str, value: Any) -> int:
    """Return the 64-bit key of a checked value.

    Molecules by InChIKey, proteins by their residues, nucleotides by the bases of their canonical
    strand, materials by their composition (crystals also by their volume per atom), texts by their
    words without case and punctuation, arrays and fields by their contents.

    Example:
        >>> value_key("molecule", "OCC") == value_key("molecule", "CCO")
        True
        >>> value_key("text", "Boils at 78 C.") == value_key("text", "boils at 78 C")
        True
    """
    if modality == "molecule":
        return hashed("molecule", inchi_key(value).encode())
    if modality == "material":
        return hashed("material", material_key(value).encode())
    if modality == "text":
        return hashed("text", " ".join(words(value)).encode())
    if modality == "nucleotide":
        return hashed("nucleotide", canonical_strand(value).encode())
    if isinstance(value, str):
        return hashed(modality, value.encode())
    if isinstance(value, Quantity):
        return hashed(modality, f"{value.name}={value.value!r} {value.unit}".encode())
    if isinstance(value, Field):
        parts = (value.values, value.latitudes, value.longitudes)
        content = b"".join(np.ascontiguousarray(one, dtype=np.float32).tobytes() for one in parts)
        return hashed(modality, "|".join((*value.names, *value.units)).encode() + content)
    assert isinstance(value, np.ndarray), "a path has no content: read it first"
    pixels = np.ascontiguousarray(value)
    return hashed(modality, f"{pixels.shape}{pixels.dtype}".encode() + pixels.tobytes())


def kin_key(modality: str, value: Any) -> int:
    """Return the key of what must not stand on both sides of a split.

    It is `value_key`, but for molecules only their connections count: isomers in space are kin,
    and so is a molecule written without its stereochemistry. Of materials only the composition
    counts: polymorphs are kin.

    Example:
        >>> kin_key("molecule", "C[C@H](N)C(=O)O") == kin_key("molecule", "CC(N)C(=O)O")
        True
    """
    if modality == "molecule":
        return hashed("skeleton", inchi_key(value).partition("-")[0].encode())
    if modality == "material" and isinstance(value, Crystal):
        return value_key(modality, value.composition.formula)
    return value_key(modality, value)


def molecule_keys(smiles: str) -> tuple[int, int]:
    """Return (value_key, kin_key) of a molecule for the price of one."""
    key = inchi_key(smiles)
    return hashed("molecule", key.encode()), hashed("skeleton", key.partition("-")[0].encode())


def sentence_keys(text: str) -> list[int]:
    """Return the keys of a text's long sentences, however they are punctuated.

    A passage quoted inside another text is found by them, where the texts as wholes differ.

    Example:
        >>> long = "The ligand binds to the outer pocket of the enzyme and stays there."
        >>> sentence_keys(f"We saw much. {long}") == sentence_keys(long.lower())
        True
    """
    keys = []
    for sentence in _SENTENCE_END.split(text):
        found = words(sentence)
        if len(found) >= SHORTEST_SENTENCE:
            keys.append(hashed("sentence", " ".join(found).encode()))
    return keys


def headed_keys(text: str) -> list[int]:
    """Return the key of the text that stands behind a heading and a colon; none without one.

    A dictionary's entry is its term, a colon and the definition; where a set holds the definition
    alone, the two differ as wholes, and what is short has no long sentence either.

    Example:
        >>> headed_keys("amount (kg): Mass per area.") == [kin_key("text", "mass per area")]
        True
    """
    heading, _, body = text.partition(": ")
    return [kin_key("text", body)] if heading and body else []


def site_keys(sequence: str) -> list[int]:
    """Return the keys of some of a nucleotide sequence's words, the same ones on both strands.

    A sequence found inside a longer one is told by them, as a quoted passage is by its sentences:
    of all words of `BASES_PER_SITE` bases, about one in `SITES_OF` is taken, told by the word
    alone. Source of the sampling: Irber et al. 2022, https://doi.org/10.1101/2022.01.11.475838

    Example:
        >>> gene = "ATGGCCATTGTAATGGGCCGCTGAAAGGGTGCCCGATAGCTTTACGGATCCA" * 2
        >>> set(site_keys(gene)) <= set(site_keys("TTGACA" + gene + "GGC"))
        True
    """
    found = canonical_words(sequence, BASES_PER_SITE)
    taken = found[mixed_words(found) % SITES_OF == 0]
    return [hashed("site", word.to_bytes(8, "little")) for word in taken.tolist()]


def words(text: str) -> list[str]:
    """Return the words of a text in lower case.

    Example:
        >>> words("IC50 = 3.5 nM")
        ['ic50', '3', '5', 'nm']
    """
    return _WORD.findall(text.lower())


def inchi_key(smiles: str) -> str:
    """Return the InChIKey of a molecule; its SMILES where it has none, as polymers do."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromSmiles(smiles)
        if molecule is None:
            return smiles
        key: str = Chem.MolToInchiKey(molecule)  # type: ignore[no-untyped-call]
    return key or smiles


def hashed(kind: str, content: bytes) -> int:
    """Return 64 bits that stand for a content of some kind."""
    digest = blake2b(content, digest_size=8, person=kind.encode()[:16])
    return int.from_bytes(digest.digest(), "little")
