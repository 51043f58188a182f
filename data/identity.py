"""Which records are one and the same sample, however they are written."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.crystals import Crystal
from kagaku.data.formulas import parse_formula
from kagaku.data.nucleotides import canonical_strand, dna_letters
from kagaku.data.records import Field, Quantity, Records
from kagaku.data.units import canonical_unit
from kagaku.errors import InputError

_LONGEST_KEY = 60


def identity_keys(records: Records) -> list[str]:
    """Return one key per record, equal where all inputs are the same sample.

    Molecules by InChIKey, so that two SMILES of one molecule agree; proteins by their residues;
    nucleotide sequences by their bases, both strands alike; materials by their composition,
    crystals also by their volume per atom;
    quantities by their value in base units; images by their bytes; fields by their
    values. A record without any input equals no other.
    """
    parts = [
        (one.name, [_part(one.modality, value) for value in records.inputs[one.name]])
        for one in records.schema.inputs
    ]
    keys = []
    for record in range(len(records)):
        found = [f"{name}={values[record]}" for name, values in parts if values[record]]
        keys.append("|".join(found) or f"row {records.rows[record]}")
    return keys


def molecule_key(smiles: str) -> str:
    """Return the InChIKey of a molecule, or the text itself where it has none.

    Example:
        >>> molecule_key("OCC") == molecule_key("CCO")
        True
    """
    return _molecule_key(smiles.strip())


@cache
def _molecule_key(smiles: str) -> str:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromSmiles(smiles)
        if molecule is None:
            return _digest(smiles.encode())
        # Polymers and dummy atoms have no InChI.
        inchi_key: str = Chem.MolToInchiKey(molecule)  # type: ignore[no-untyped-call]
        key = inchi_key or Chem.MolToSmiles(molecule)
    return key if len(key) <= _LONGEST_KEY else _digest(key.encode())


def material_key(value: str | Crystal) -> str:
    """Return the canonical formula of a material; of a crystal with its volume per atom.

    Polymorphs are different samples; one crystal in another choice of cell is not. A formula that
    cannot be read is its own key.

    Example:
        >>> material_key("Fe4O6") == material_key("Fe2O3")
        True
    """
    if isinstance(value, Crystal):
        return f"{value.composition.formula} {value.volume_per_atom:.2f} A3"
    try:
        return parse_formula(value).formula
    except InputError:
        return _words(" ".join(value.split()))


def _part(modality: str, value: Any) -> str:
    """Return the key of one input's value; empty where it is missing."""
    if value is None:
        return ""
    keys: dict[str, Callable[[Any], str]] = {
        "molecule": molecule_key,
        "protein": lambda text: _words("".join(text.split()).upper().removesuffix("*")),
        "nucleotide": lambda text: _words(canonical_strand(dna_letters(text))),
        "material": material_key,
        "quantity": _quantity,
        "image": _image,
        "climate": _field,
    }
    return keys.get(modality, lambda text: _words(" ".join(str(text).split())))(value)


def _words(text: str) -> str:
    return text if len(text) <= _LONGEST_KEY else _digest(text.encode())


def _quantity(quantity: Quantity) -> str:
    base, scale, offset = canonical_unit(quantity.unit)
    # Nine digits, so that 25 °C is 298.15 K after rounding errors too.
    return f"{quantity.value * scale + offset:.9g} {base}"


def _image(image: Path | np.ndarray) -> str:
    """Return the key of a file by its bytes, or of an array by its shape and pixels."""
    if isinstance(image, np.ndarray):
        told = f"{image.shape} {image.dtype}".encode()
        return hashlib.sha256(told + np.ascontiguousarray(image).tobytes()).hexdigest()[:32]
    with Path(image).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def _field(field: Field) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in (field.values, field.latitudes, field.longitudes):
        digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
    digest.update("|".join((*field.names, *field.units)).encode())
    return digest.hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
