"""What may follow in a SMILES: all that real molecules have, and little that is none."""

import random
from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem, rdBase

from kagaku.modalities.smiles import END, TOKEN_ID, VOCABULARY, split_smiles
from kagaku.modalities.smiles_grammar import PartialSmiles

MOLECULES = Path(__file__).parents[2] / "data" / "samples" / "molecules.csv"


def begun(smiles: str, most_tokens: int = 100) -> PartialSmiles:
    partial = PartialSmiles(most_tokens)
    for token in split_smiles(smiles):
        partial.add(TOKEN_ID[token])
    return partial


def following(partial: PartialSmiles) -> set[str]:
    return {VOCABULARY[one] for one in partial.allowed()}


def first_refused(smiles: str) -> str | None:
    """Return what had been written when the next token of a SMILES was refused; None if none."""
    partial, tokens = PartialSmiles(4_000), [*split_smiles(smiles), END]
    for place, token in enumerate(tokens):
        if TOKEN_ID[token] not in partial.allowed():
            return "".join(tokens[: place + 1])
        partial.add(TOKEN_ID[token])
    return None


def test_real_molecules_are_allowed_to_the_end() -> None:
    table = pd.read_csv(MOLECULES)
    with rdBase.BlockLogs():
        molecules = [Chem.MolFromSmiles(one) for one in table["smiles"]]
    canonical = [Chem.MolToSmiles(one) for one in molecules]
    assert len(canonical) > 500
    assert [first_refused(one) for one in canonical if first_refused(one) is not None] == []


@pytest.mark.parametrize(
    "smiles",
    [
        "C[C@@H](O)[13CH3]",
        "[Na+].CC(=O)[O-]",
        "C[N+](C)(C)CC(=O)[O-]",
        "O=c1[nH]c(=O)c2[nH]cnc2[nH]1",
        "F/C=C/Cl",
        "CS(=O)(=O)c1ccc2c(c1)OCO2",
        "C1=CC2CC1C2",
        "c1ccc2c(c1)[nH]c1ccccc12",
        "N#CC#N",
        "[O-][n+]1ccccc1",
        "B(O)(O)c1ccccc1",
        "[Cl-].[Cl-].[Fe+2]",
    ],
)
def test_uncommon_molecules_are_allowed(smiles: str) -> None:
    assert first_refused(smiles) is None


@pytest.mark.parametrize(
    ("smiles", "refused"),
    [
        ("C(C", "C(C<end>"),
        ("C1CC", "C1CC<end>"),
        ("CC)C", "CC)"),
        ("CF(C)", "CF("),
        ("C1C1", "C1C1"),
        ("CO(C)C", "CO(C)C"),
        ("C(C)(C)(C)(C)C", "C(C)(C)(C)(C)C"),
        ("N(=O)(=O)C", "N(=O)(="),
        ("C=", "C=<end>"),
        ("C((C))", "C(("),
        ("c1ccccc1=Cl", "c1ccccc1=Cl"),
        ("[NH4]C", "[NH4]"),
        ("C1F", "C1F"),
        ("C(=1)CC1", "C(=1"),
    ],
)
def test_what_is_no_molecule_is_refused_where_it_goes_wrong(smiles: str, refused: str) -> None:
    assert first_refused(smiles) == refused


def test_all_is_closed_in_time() -> None:
    assert following(begun("CC1CC(C", most_tokens=100)) >= {"C", "c", "(", ")", "="}
    # Start, seven tokens, ring, branch and end leave no room for anything new.
    late = following(begun("CC1CC(C", most_tokens=12))
    assert late == {"1", ")"}
    assert following(begun("CC1CC(C)C1", most_tokens=14)) == {END}


def test_random_walks_are_molecules() -> None:
    """No aromatic atoms: whether these have a Kekulé structure shows only at the end."""
    rng = random.Random(0)
    common = {"C": 30, "N": 8, "O": 8, "(": 12, ")": 20, "1": 10, "2": 6, "=": 6, "#": 2, "[": 2}
    written = []
    for _ in range(200):
        partial, tokens = PartialSmiles(60), list[str]()
        while not tokens or tokens[-1] != END:
            words = sorted(following(partial))
            words = [one for one in words if one == END or not one.islower()] or words
            word = rng.choices(words, [common.get(one, 0.3) for one in words])[0]
            partial.add(TOKEN_ID[word])
            tokens.append(word)
        written.append("".join(tokens[:-1]))
    assert max(len(split_smiles(one)) for one in written) <= 58
    with rdBase.BlockLogs():
        valid = [Chem.MolFromSmiles(one) is not None for one in written]
    # RDKit counts hydrogens and charges of odd bracket atoms in ways of its own.
    assert sum(valid) >= 195
