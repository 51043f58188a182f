"""The tokens of a SMILES string: one per atom, bond, ring closure or branch."""

import re

from kagaku.errors import InputError

START, END, MASK = "<start>", "<end>", "<mask>"
SPECIALS = (START, END, MASK)

# Everything that may stand in a SMILES string outside brackets (the organic subset, bonds,
# branches, ring closures, the dot between components) and inside them (isotope digits, element,
# chirality, hydrogens, charge, atom map). Bracket atoms are spelt out, so that any isotope,
# charge or element has tokens. Source: http://opensmiles.org/opensmiles.html
_PERIODIC_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm "
    "Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
)
_AROMATIC = ["b", "c", "n", "o", "p", "s", "se", "as", "te", "si"]
_SYMBOLS = [*"0123456789%()[]=#$:/\\.-+@*~>", "@@", "->", "<-"]
VOCABULARY = (*SPECIALS, *_SYMBOLS, *_PERIODIC_TABLE.split(), *_AROMATIC)
"""Every token; checkpoints depend on this order, so new tokens go at the end."""

TOKEN_ID = {token: index for index, token in enumerate(VOCABULARY)}
"""By token, its id."""
_INSIDE = re.compile(
    "|".join(re.escape(t) for t in sorted(VOCABULARY[len(SPECIALS) :], key=len, reverse=True))
)
# Outside brackets only the organic subset may stand, so "Cn" is carbon and nitrogen there, not
# copernicium.
_OUTSIDE = re.compile(r"Br|Cl|[BCNOPSFI]|[bcnops]|->|<-|[0-9%()=#$:/\\.\-*~>]")
_BRACKET = re.compile(r"\[[^\]]*\]")


def split_smiles(smiles: str) -> list[str]:
    """Return the tokens of a SMILES string; joining them gives the string back.

    Raises:
        InputError: Something in it is not SMILES.

    Example:
        >>> split_smiles("C[C@@H](Cl)[13CH3]")
        ['C', '[', 'C', '@@', 'H', ']', '(', 'Cl', ')', '[', '1', '3', 'C', 'H', '3', ']']
    """
    # Most molecules have no bracket atoms, and one pass of the pattern is five times as fast as
    # going from token to token; what it does not know it leaves out.
    tokens: list[str] = [] if "[" in smiles else _OUTSIDE.findall(smiles)
    if tokens and "".join(tokens) == smiles:
        return tokens
    tokens, start = [], 0
    while start < len(smiles):
        if smiles[start] == "[" and (bracket := _BRACKET.match(smiles, start)):
            inner = _INSIDE.findall(bracket.group()[1:-1])
            if "".join(inner) != bracket.group()[1:-1]:
                raise InputError(f"{bracket.group()!r} is not a SMILES atom", fix="Correct it.")
            tokens += ["[", *inner, "]"]
            start = bracket.end()
        elif match := _OUTSIDE.match(smiles, start):
            tokens.append(match.group())
            start = match.end()
        else:
            raise InputError(
                f"{smiles[start]!r} at position {start + 1} is not SMILES", fix="Correct it."
            )
    return tokens
