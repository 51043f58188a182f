"""A laboratory's reactions, read from a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rdkit import Chem

from kagaku.data import Table, read
from kagaku.errors import InputError
from kagaku.registry import did_you_mean
from kagaku.science_tasks.chemistry.cuts import read as read_molecule

PRODUCT, REACTANTS, REACTION = "product", "reactants", "reaction"
"""Columns that are looked for if none is named."""

# Between the sides of a reaction SMILES; not the arrow of a dative bond.
_BETWEEN = re.compile(r"(?<!-)>")


@dataclass(frozen=True)
class ReactionColumns:
    """Where a table has its reactions: both sides in a column each, or all in one."""

    product: str | None = None
    """SMILES of one product."""

    reactants: str | None = None
    """SMILES of its reactants, joined by dots."""

    reaction: str | None = None
    """Reaction SMILES, ``reactants>agents>product``; agents are left aside."""


@dataclass(frozen=True)
class Reactions:
    """What could be read of a table of reactions."""

    products: tuple[str, ...]
    """Canonical SMILES, without atom numbers."""

    reactants: tuple[str, ...]
    """Canonical SMILES of each product's, joined by dots."""

    n_repeated: int
    """Rows that say what another has said."""

    bad: tuple[tuple[int, str], ...]
    """Row and reason of each that cannot be used."""


def read_reactions(path: Path, columns: ReactionColumns) -> Reactions:
    """Return the reactions of a table, each once.

    Raises:
        InputError: A column is not there, or no row can be used.
    """
    table = read(path)
    if not isinstance(table, Table):
        raise InputError("fields hold no reactions", fix="Give a table.", where=str(path))
    found: dict[tuple[str, str], None] = {}
    bad, n_good = [], 0
    for row, sides in zip(table.rows.tolist(), _sides(table, columns), strict=True):
        product, reactants, why = _checked(*sides)
        if why:
            bad.append((row, why))
        else:
            found[product, reactants] = None
            n_good += 1
    if not found:
        raise InputError(
            "no row holds a reaction that can be used"
            + (f"; row {bad[0][0]}: {bad[0][1]}" if bad else ""),
            fix="Give SMILES of one product and of its reactants in each row.",
            where=str(path),
        )
    products, reactants_of = zip(*found, strict=True)
    return Reactions(products, reactants_of, n_good - len(found), tuple(bad))


def _sides(table: Table, columns: ReactionColumns) -> Sequence[tuple[str, str]]:
    """Return product and reactants of each row as they stand; empty where there are none."""
    reaction = columns.reaction
    named = columns.product or columns.reactants
    if reaction is None and not named and PRODUCT not in table.columns:
        reaction = REACTION
    if reaction is not None:
        return [_parted(str(cell or "")) for cell in _cells(table, reaction)]
    products = _cells(table, columns.product or PRODUCT)
    reactants = _cells(table, columns.reactants or REACTANTS)
    return [(str(one or ""), str(two or "")) for one, two in zip(products, reactants, strict=True)]


def _cells(table: Table, column: str) -> list[object]:
    if column not in table.columns:
        raise InputError(
            f"there is no column {column!r}",
            fix=did_you_mean(column, table.columns)
            + " Name the columns with --product and --reactants, or one of reaction SMILES with "
            "--reaction.",
            where=table.source,
        )
    return table.cells(column)


def _parted(smiles: str) -> tuple[str, str]:
    parts = _BETWEEN.split(smiles)
    return (parts[-1], parts[0]) if len(parts) == 3 else ("", "")


def _checked(product: str, reactants: str) -> tuple[str, str, str]:
    """Return both sides, canonical, and why they cannot be used; empty if they can."""
    sides = [plain_smiles(product), plain_smiles(reactants)]
    for name, given, side in zip((PRODUCT, REACTANTS), (product, reactants), sides, strict=True):
        if not side:
            return "", "", f"the {name} {given!r} cannot be read" if given else f"no {name}"
    if "." in sides[0]:
        return "", "", "several products"
    if sides[0] in sides[1].split("."):
        return "", "", "the product is among its reactants"
    return sides[0], sides[1], ""


def plain_smiles(text: str) -> str:
    """Return canonical SMILES without atom numbers; empty where RDKit cannot read it.

    Example:
        >>> plain_smiles("[CH3:1][OH:2]")
        'CO'
    """
    molecule = read_molecule(text.strip())
    if molecule is None:
        return ""
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    # Once more, as numbers told atoms apart that are alike.
    again = read_molecule(str(Chem.MolToSmiles(molecule)))
    return "" if again is None else str(Chem.MolToSmiles(again))
