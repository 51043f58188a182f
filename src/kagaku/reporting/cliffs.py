"""Activity cliffs in a report: how the model fares on them, and the steepest drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor, rdFMCS
from rdkit.Chem.Draw import rdMolDraw2D

from kagaku.data.schema import Target
from kagaku.reporting.results import is_number
from kagaku.reporting.verdict import count, number, percent, unit_label

WIDTH, HEIGHT = 300, 190
"""Of one drawn molecule, in pixels."""

SEARCH_SECONDS = 2
"""What two molecules share is searched for no longer than this."""

_BY_VIEW = {
    "the same molecule": "The same molecule, measured twice",
    "atoms": "The same groups of atoms, or nearly",
    "skeleton": "The same skeleton, or nearly",
    "spelling": "The same SMILES, or nearly",
}
_COLOUR = (0.96, 0.78, 0.55)
"""Light vermilion behind atoms that the other molecule lacks."""


@dataclass(frozen=True)
class DrawnPair:
    """Two molecules on both sides of a cliff."""

    title: str
    """By what they are alike, and how far apart."""

    svg: Markup
    """Both, side by side, alike parts lying alike; coloured is what the other one lacks."""

    values: tuple[str, str]
    """What was measured of each, and in which row."""


@dataclass(frozen=True)
class CliffSection:
    """What the report says of cliffs."""

    sentences: tuple[str, ...]
    """How many there are, and how the model fares on them."""

    pairs: tuple[DrawnPair, ...]
    """The steepest."""


def cliff_section(target: Target, found: Mapping[str, Any]) -> CliffSection | None:
    """Return what is told of a target's cliffs; None where none were looked for, or found."""
    cliffs = found.get("cliffs")
    if not cliffs or not cliffs.get("n_pairs"):
        return None
    pairs = tuple(_drawn(target, one) for one in cliffs.get("steepest") or [])
    return CliffSection(_sentences(target, cliffs), pairs)


def _sentences(target: Target, cliffs: Mapping[str, Any]) -> tuple[str, ...]:
    n_molecules, n_on = int(cliffs["n_molecules"]), int(cliffs["n_on"])
    step = f"more than {cliffs['step']:.3g} {unit_label(target)}".rstrip()
    sentences = [
        f"{n_on:,} of {count(n_molecules, 'row')} ({percent(n_on / n_molecules)}) have a near "
        f"twin whose value differs by {step} ({cliffs['step_reason']}); "
        f"{count(int(cliffs['n_pairs']), 'such pair')} in all, training and held-out rows together."
    ]
    sides = [
        (word, cliffs.get(side) or {})
        for word, side in (("on cliffs", "on"), ("the others", "off"))
    ]
    told = [
        f"{word} ({count(int(side['n_test']), 'row')}) {number(side['rmse'])}, and "
        f"{percent(side['held'])} ({percent(side['held_lower'])} to {percent(side['held_upper'])}) "
        "lie in their intervals"
        for word, side in sides
        if is_number(side.get("rmse"))
    ]
    if told:
        unit = unit_label(target)
        sentences.append(
            f"RMSE of held-out molecules{f' in {unit}' if unit else ''}: {'; '.join(told)}."
        )
    sentences.append(
        "A leap may be the most telling fact of a series, or a mistyped value or unit: look at the "
        "steepest before you believe either. Intervals do not foresee a leap. Coloured in the "
        "drawings is what the other molecule lacks."
    )
    return tuple(sentences)


def _drawn(target: Target, pair: Mapping[str, Any]) -> DrawnPair:
    one, other = pair["molecules"]
    apart = _quantity(pair["difference"], target)
    return DrawnPair(
        title=f"{_BY_VIEW.get(str(pair['view']), str(pair['view']))}: {apart} apart",
        svg=pair_svg(str(one["smiles"]), str(other["smiles"])),
        values=(_value(target, one), _value(target, other)),
    )


def _value(target: Target, molecule: Mapping[str, Any]) -> str:
    return f"{_quantity(molecule['measured'], target)} (row {molecule['row']}, {molecule['side']})"


def _quantity(value: object, target: Target) -> str:
    return f"{number(value)} {unit_label(target)}".rstrip()


def pair_svg(one: str, other: str) -> Markup:
    """Return two molecules side by side, to stand in HTML; empty if RDKit cannot read one.

    Args:
        one: SMILES of the left one.
        other: SMILES of the right one, which is laid out like the left one.
    """
    with rdBase.BlockLogs():
        molecules = [Chem.MolFromSmiles(smiles) for smiles in (one, other)]
        if any(molecule is None for molecule in molecules):
            return Markup("")
        atoms, bonds = _laid_out(*molecules)
        drawer: Any = rdMolDraw2D.MolDraw2DSVG(2 * WIDTH, HEIGHT, WIDTH, HEIGHT)
        options = drawer.drawOptions()
        options.clearBackground = False
        options.setHighlightColour(_COLOUR)
        options.drawMolsSameScale = True
        drawer.DrawMolecules(molecules, highlightAtoms=atoms, highlightBonds=bonds)
        drawer.FinishDrawing()
    drawn = drawer.GetDrawingText()
    # From RDKit alone, whose texts are atom labels, so it is safe as it is.
    return Markup(drawn[drawn.index("<svg") :])


def _laid_out(one: Chem.Mol, other: Chem.Mol) -> tuple[list[list[int]], list[list[int]]]:
    """Lay the second out like the first; return atoms and bonds of each that the other lacks."""
    for molecule in (one, other):
        rdDepictor.Compute2DCoords(molecule)
    shared = rdFMCS.FindMCS(
        [one, other],
        timeout=SEARCH_SECONDS,
        bondCompare=rdFMCS.BondCompare.CompareAny,
        ringMatchesRingOnly=True,
        completeRingsOnly=True,
    )
    pattern = Chem.MolFromSmarts(shared.smartsString) if shared.numAtoms else None
    matches = [m.GetSubstructMatch(pattern) for m in (one, other)] if pattern else []
    if not all(matches):
        return [[], []], [[], []]
    pairs = list(zip(*matches, strict=True))
    if pairs:
        rdDepictor.GenerateDepictionMatching2DStructure(other, one, pairs)
    there, back = dict(pairs), {second: first for first, second in pairs}
    return (
        [_lacking_atoms(one, there), _lacking_atoms(other, back)],
        [_lacking_bonds(one, other, there), _lacking_bonds(other, one, back)],
    )


def _lacking_atoms(molecule: Chem.Mol, shared: Mapping[int, int]) -> list[int]:
    return [atom for atom in range(molecule.GetNumAtoms()) if atom not in shared]


def _lacking_bonds(molecule: Chem.Mol, other: Chem.Mol, shared: Mapping[int, int]) -> list[int]:
    """Return the bonds that are of another order, or none, between the other's same atoms."""
    lacking = []
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        twin = None
        if all(end in shared for end in ends):
            twin = other.GetBondBetweenAtoms(shared[ends[0]], shared[ends[1]])
        if twin is None or twin.GetBondType() != bond.GetBondType():
            lacking.append(bond.GetIdx())
    return lacking
