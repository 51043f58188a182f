"""What a column holds, told from its heading and its cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kagaku.data.crystals import CIF_SUFFIX
from kagaku.data.formulas import elements_in_formula
from kagaku.data.numbers import is_missing_number, is_number, shorten
from kagaku.data.suffixes import GRID_SUFFIXES, IMAGE_SUFFIXES
from kagaku.data.units import DIMENSIONLESS, carried_unit, is_unit, split_name

CELL_MODALITIES = [
    "molecule",
    "protein",
    "nucleotide",
    "material",
    "text",
    "image",
    "climate",
    "quantity",
]
"""The kinds of input that a table's cells can hold; `know_modality` adds others."""

SEQUENCES = ("protein", "nucleotide")
"""The modalities of a FASTA file's sequences."""

CELLS_LOOKED_AT = 300
"""How many cells, spread over the column, are looked at closely."""

MOST = 0.9
"""Share of cells that must agree on what a column holds; the others are then bad cells."""

_MOLECULE = re.compile(
    r"smiles|\bsmi\b|smi_|molecule|structure|ligand|solvent|compound|substrate|reactant|product"
    r"|reagent|catalyst|additive|aryl|base\b|drug",
    re.IGNORECASE,
)
_MATERIAL = re.compile(
    r"composition|formula|stoichiometr|material|alloy|oxide|ceramic|perovskite|electrolyte"
    r"|cathode|anode|semiconductor|superconductor|inorganic|crystal|mineral",
    re.IGNORECASE,
)
_PROTEIN = re.compile(
    r"sequence|\bseq\b|protein|peptide|variant|residue|antibod|heavy|light|chain|\baa\b|target"
    r"|mutant|enzyme",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(
    r"(^|[\s_.-])(id|ids|index|idx|uuid|key|no|nr|number|barcode|accession|cas|inchi|inchikey|doi"
    r"|well|plate|sample|name)($|[\s_.-])|ID$",
    re.IGNORECASE,
)
_SPLIT_NAME = re.compile(
    r"^(set|split|fold|partition|subset|validation|valid|is_?test|is_?train)$", re.I
)
_SPLIT_CELLS = frozenset({"train", "training", "test", "valid", "validation", "val", "dev"})
# What marks SMILES against plain words: bonds, brackets, ring closures, aromatic atoms in words.
_SMILES_MARK = re.compile(r"[=#()\[\]@/\\]|[A-Za-z]\d")
_RESIDUES = re.compile(r"[ACDEFGHIKLMNPQRSTVWYUOBZJX]+\*?")
_CODES = re.compile(r"[ACGTURYSWKMBDHVN.-]+", re.IGNORECASE)
_BASES = frozenset("ACGTUNacgtun")
MOSTLY_BASES, SHORTEST_BASES = 0.95, 8
"""Share of its letters that are A, C, G, T, U or N in a sequence that is taken for nucleotides (the
other codes are rare in them, and amino acids too), and its fewest letters."""

_CODE = re.compile(r"[A-Za-z]{0,12}[-_: ]?\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


def know_modality(name: str) -> None:
    """Let users ask for a modality of this name; its cells are read as text.

    The registry of modalities calls this, so that a new one need not be written down here too.
    """
    if name not in CELL_MODALITIES:
        CELL_MODALITIES.append(name)


@dataclass(frozen=True)
class Guess:
    """What a column was taken for."""

    modality: str | None
    """The modality, or None where the column is of no use as an input."""

    reason: str
    """Why, in words for the user."""

    unit: str | None = None
    """Unit of a quantity."""


def filled_sample(cells: Sequence[Any], size: int = CELLS_LOOKED_AT) -> list[Any]:
    """Return cells that are not empty, spread evenly over the column."""
    filled = [cell for cell in cells if cell is not None]
    if len(filled) <= size:
        return filled
    return [filled[i] for i in np.linspace(0, len(filled) - 1, size).astype(int)]


def guess_column(heading: str, cells: Sequence[Any], *, may_be_constant: bool = False) -> Guess:
    """Return what a column holds.

    Args:
        heading: The column's name as the file has it.
        cells: All its cells; None where empty.
        may_be_constant: Whether one value only is worth reading: it is for embedding, and where
            the user asked for the column, but teaches a model nothing.
    """
    name, unit = split_name(heading)
    sample = filled_sample(cells)
    if not sample:
        return Guess(None, "every cell is empty")
    is_constant = len({str(cell).strip() for cell in cells if cell is not None}) == 1
    if not (is_constant and may_be_constant) and (useless := _why_useless(name, cells, sample)):
        return Guess(None, useless)
    if quantity := _guess_quantity(name, unit, sample):
        return quantity
    words = [str(cell).strip() for cell in sample]
    return (
        _guess_path(words)
        or _guess_material(name, words)
        or _guess_molecule(name, words)
        or _guess_nucleotide(name, words)
        or _guess_protein(name, words)
        or _guess_text(name, cells, words)
    )


def guess_sequences(heading: str, cells: Sequence[Any], *, may_be_constant: bool = False) -> Guess:
    """Return what a column holds that is known to hold sequences, as that of a FASTA file.

    Gaps, stops inside and other odd letters do not make words of it: they are bad cells later, each
    with its place.

    Args:
        heading: See `guess_column`.
        cells: See `guess_column`.
        may_be_constant: See `guess_column`.
    """
    guess = guess_column(heading, cells, may_be_constant=may_be_constant)
    sample = filled_sample(cells)
    is_useless = guess.modality is None and not may_be_constant
    if guess.modality in SEQUENCES or is_useless or not sample:
        return guess
    letters = ["".join(filter(str.isalpha, str(cell))) for cell in sample]
    n_letters = sum(map(len, letters))
    n_bases = sum(one.count(base) for one in letters for base in _BASES)
    is_short = _share(n_letters, sample) < SHORTEST_BASES
    is_nucleotide = not is_short and n_bases >= MOSTLY_BASES * n_letters
    return Guess(
        "nucleotide" if is_nucleotide else "protein",
        "sequences, as in every FASTA file, though some have other letters or are very short "
        f"(for words, ask for '{heading}: text')",
    )


def _share(count: int, sample: Sequence[Any]) -> float:
    return count / len(sample)


def _why_useless(name: str, cells: Sequence[Any], sample: list[Any]) -> str:
    """Return why a column tells a model nothing; empty if it may."""
    texts = [str(cell).strip() for cell in cells if cell is not None]
    distinct = set(texts)
    if len(distinct) == 1:
        only = shorten(next(iter(distinct)), 30)
        return f"every cell is the same ({only!r})" if len(texts) > 1 else "one cell only is filled"
    if {text.lower() for text in distinct} <= _SPLIT_CELLS or (
        _SPLIT_NAME.match(name) and len(distinct) <= 10
    ):
        return "names a split of the rows, not a property of them"
    if not all(isinstance(cell, str | int | float | bool | np.generic) for cell in sample):
        kind = type(sample[0]).__name__
        if "date" in kind.lower() or "time" in kind.lower():
            return "holds dates; name it as the time column to split by it"
        return f"holds nested values ({kind})"
    if _share(sum(bool(_DATE.fullmatch(str(cell))) for cell in sample), sample) >= MOST:
        return "holds dates; name it as the time column to split by it"
    if len(distinct) == len(texts) > 2:
        return _why_identifier(name, texts, sample)
    return ""


def _why_identifier(name: str, texts: list[str], sample: list[Any]) -> str:
    """Return why a column whose cells all differ merely numbers the rows; empty if it does not."""
    if texts[0].startswith("InChI=") or re.fullmatch(r"[A-Z]{14}-[A-Z]{10}-[A-Z]", texts[0]):
        return "names molecules in a notation that is not read; give their SMILES"
    looks_named = bool(_IDENTIFIER.search(name)) or name.startswith("unnamed column")
    if all(is_number(cell) for cell in sample):
        if not all(re.fullmatch(r"\d+(\.0)?", text) for text in texts):
            return ""
        steps = set(np.diff([float(text) for text in texts]).tolist())
        return "numbers the rows" if looks_named or (len(texts) > 10 and steps == {1.0}) else ""
    if looks_named and not _MOLECULE.search(name) and not _PROTEIN.search(name):
        return "names each row, as its heading says"
    if re.search(r"(^|[\s_])id$", name, re.IGNORECASE):
        return "names each row, as its heading says"
    if _share(sum(bool(_CODE.fullmatch(text)) for text in map(str, sample)), sample) >= MOST:
        return f"holds a code for each row, such as {shorten(texts[0], 20)!r}"
    return ""


def _guess_quantity(name: str, unit: str | None, sample: list[Any]) -> Guess | None:
    numbers = [cell for cell in sample if not is_missing_number(cell)]
    if any(isinstance(cell, bool | np.bool_) for cell in numbers) or not numbers:
        return None
    plain = sum(is_number(cell) for cell in numbers)
    carried = [found for cell in numbers if (found := carried_unit(cell)) is not None]
    if _share(plain + len(carried), numbers) < MOST:
        return None
    if unit is not None and is_unit(unit):
        known, where = celsius_for_coulomb(name, unit)
        return Guess("quantity", f"numbers; {where}", known)
    if carried:
        return Guess(
            "quantity", f"numbers with units in the cells, such as {carried[0]}", carried[0]
        )
    if unit is not None:
        return Guess(
            "quantity", f"numbers; [{unit}] in the heading is no known unit", DIMENSIONLESS
        )
    return Guess("quantity", "numbers; no unit in the heading", DIMENSIONLESS)


def celsius_for_coulomb(name: str, unit: str) -> tuple[str, str]:
    """Return the unit of a heading and what to say of it: temperatures in C or F are in degrees."""
    if unit in {"C", "F"} and re.search(r"temp|^t$|\bt_|melting|boiling", name, re.IGNORECASE):
        return f"deg{unit}", f"[{unit}] of a temperature read as deg{unit}"
    return unit, f"unit {unit} from the heading"


def _guess_path(words: list[str]) -> Guess | None:
    known = (("image", IMAGE_SUFFIXES), ("climate", GRID_SUFFIXES), ("material", (CIF_SUFFIX,)))
    for modality, suffixes in known:
        if _share(sum(word.lower().endswith(suffixes) for word in words), words) >= MOST:
            return Guess(modality, f"paths of files, such as {shorten(words[0], 30)!r}")
    return None


def _guess_material(name: str, words: list[str]) -> Guess | None:
    """Return a guess for formulas of materials.

    ``CCO``, ``CN`` and ``C1CC1`` are formulas and SMILES at once, so it is counted what is a
    formula only: of NaCl or SiO2 RDKit makes nothing. Codes of wells (B12), words (NO) and
    sequences are read as formulas too now and then; hence the heading, or two elements in a cell.
    """
    hinted = bool(_MATERIAL.search(name)) and "smi" not in name.lower()
    counts = [n for word in words if (n := elements_in_formula(word))]
    share = _share(len(counts), words)
    if share < MOST:
        return None
    if not hinted and np.mean([n >= 2 for n in counts]) < MOST:
        return None
    only = _share(sum(not _is_smiles(word) for word in words), words)
    if only < (0.3 if hinted else 0.7):
        return None
    if not hinted and not any(re.search(r"[a-z]", word) for word in words):
        return None
    why = f"{share:.0%} of the cells are formulas of elements"
    return Guess("material", f"{why}; the heading says so too" if hinted else why)


def _guess_molecule(name: str, words: list[str]) -> Guess | None:
    hinted = bool(_MOLECULE.search(name))
    marked = sum(bool(_SMILES_MARK.search(word)) for word in words)
    if any(" " in word for word in words[:20]) and not hinted:
        return None
    if not hinted and _share(marked, words) < 0.3:
        return None
    share = _share(sum(_is_smiles(word) for word in words), words)
    if hinted and "smi" in name.lower() and share >= 0.5:
        return Guess("molecule", f"RDKit reads {share:.0%} of the cells; the heading says so too")
    if share >= MOST and (marked or _share(sum(map(len, words)), words) >= 4):
        return Guess("molecule", f"RDKit reads {share:.0%} of the cells as SMILES")
    return None


def _is_smiles(text: str) -> bool:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule: Any = Chem.MolFromSmiles(text)
    return bool(molecule is not None and molecule.GetNumAtoms())


def _guess_nucleotide(name: str, words: list[str]) -> Guess | None:
    if re.search(r"prot|pept", name, re.IGNORECASE):
        return None
    sequences = ["".join(word.split()) for word in words]
    if _share(sum(map(len, sequences)), words) < SHORTEST_BASES:
        return None
    if _share(sum(map(_are_bases, sequences)), words) < MOST:
        return None
    return Guess(
        "nucleotide", f"letters of nucleotides only (for a peptide, ask for '{name}: protein')"
    )


def _are_bases(sequence: str) -> bool:
    if not _CODES.fullmatch(sequence):
        return False
    letters = sequence.replace("-", "").replace(".", "")
    return sum(map(letters.count, _BASES)) >= MOSTLY_BASES * len(letters) > 0


def _guess_protein(name: str, words: list[str]) -> Guess | None:
    hinted = bool(_PROTEIN.search(name))
    share = _share(sum(bool(_RESIDUES.fullmatch(word.upper())) for word in words), words)
    capitals = _share(sum(word == word.upper() for word in words), words) >= MOST
    length = _share(sum(map(len, words)), words)
    if share < MOST or length < (3 if hinted and capitals else 12):
        return None
    why = "letters are amino-acid codes"
    return Guess("protein", f"{why}; the heading says so too" if hinted else why)


def _guess_text(name: str, cells: Sequence[Any], words: list[str]) -> Guess:
    if np.mean([len(word.split()) for word in words]) >= 3:
        return Guess("text", "several words in a cell")
    distinct = {str(cell).strip() for cell in cells if cell is not None}
    n_filled = sum(cell is not None for cell in cells)
    if len(distinct) <= max(20, n_filled // 5):
        return Guess("text", f"{len(distinct)} different short labels, read as text")
    if _IDENTIFIER.search(name) and len(distinct) > MOST * n_filled:
        return Guess(None, "names nearly each row, as its heading says")
    return Guess("text", "words that are neither SMILES nor sequences, read as text")
