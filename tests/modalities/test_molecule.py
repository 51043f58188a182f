import csv
from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem.inchi import MolToInchi

from kagaku.errors import InputError
from kagaku.modalities import Molecule
from kagaku.modalities.molecule import MoleculeConfig
from kagaku.modalities.smiles import SPECIALS, VOCABULARY, split_smiles

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
MOLECULE = Molecule()

AWKWARD_TEXT = """
[2H]OC  [13C@@H](N)(C)O  [Fe+2]  [Fe++]  [O-][N+](=O)c1ccccc1  C[N+](C)(C)C.[Cl-]  [Na+].[Cl-]
C/C=C\\C  C/C=C/C  F/C(Cl)=C(Br)\\I  N[C@@H](C)C(=O)O  N[C@H](C)C(=O)O  C1CC1C1CC1  C%10CCCCC%10
c1cc[nH]c1  c1ccc2[nH]ccc2c1  c1ccsc1  c1cc[se]c1  c1ccc[te]1  [cH-]1cccc1  [Ru+2]  C[Si](C)(C)C
B(O)(O)c1ccccc1  OB1OCCO1  P(=O)(O)(O)O  S(=O)(=O)(N)c1ccccc1  C#N  C#[O+]  [C-]#[O+]
N=[N+]=[N-]  [H][H]  [H+]  [Pt](Cl)(Cl)(N)N  CC(C)(C)OC(=O)N  [CH3:1][OH:2]  *c1ccccc1  [235U]
Cn1cnc2c1c(=O)n(C)c(=O)n2C  O=C1NC(=O)c2ccccc12  [Cn]  [nH]1c(=O)[nH]c2c1cc[nH]2
C[S@](=O)c1ccccc1  [N@+](C)(CC)(CCC)c1ccccc1  CC1=CC2=C(C=C1)C(=O)C1=C(C=CC=C1)C2=O
C1[C@H]2C[C@@H]1CC2  O[As](=O)(O)O  N->[Cu+2]<-N
"""
AWKWARD = AWKWARD_TEXT.split()


def sample_smiles() -> list[str]:
    with (SAMPLES / "molecules.csv").open(encoding="utf-8") as stream:
        return [row["smiles"] for row in csv.DictReader(stream)]


def atoms(molecule: Chem.Mol) -> list[tuple[str, int, int, int]]:
    return sorted(
        (atom.GetSymbol(), atom.GetIsotope(), atom.GetFormalCharge(), atom.GetAtomMapNum())
        for atom in molecule.GetAtoms()
    )


def test_the_list_of_awkward_molecules_is_long_enough() -> None:
    assert len(AWKWARD) >= 40


@pytest.mark.parametrize("smiles", AWKWARD)
def test_awkward_molecules_survive_canonicalisation(smiles: str) -> None:
    canonical = MOLECULE.check(smiles)
    assert "".join(split_smiles(smiles)) == smiles
    assert "".join(split_smiles(canonical)) == canonical
    before, after = Chem.MolFromSmiles(smiles), Chem.MolFromSmiles(canonical)
    inchi = [MolToInchi(one) for one in (before, after)]  # type: ignore[no-untyped-call]
    assert inchi[0] == inchi[1]
    assert atoms(before) == atoms(after)


def test_the_tokens_of_every_sample_molecule_join_to_its_smiles() -> None:
    smiles = sample_smiles()
    assert len(smiles) > 1_000
    for one in smiles:
        canonical = MOLECULE.check(one)
        assert MOLECULE.check(canonical) == canonical
        tokens = MOLECULE.tokenize(canonical).ids[:, 0]
        assert "".join(VOCABULARY[i] for i in tokens[1:-1]) == canonical
        assert [VOCABULARY[i] for i in (tokens[0], tokens[-1])] == list(SPECIALS[:2])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[Na+].[O-]C(=O)C", "[O-]C(=O)C"),
        ("[13CH4]", "C"),
        ("N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"),
        ("C/C=C/C", "C/C=C\\C"),
        ("[NH4+]", "N"),
        ("CC(=O)O", "CC(=O)[O-]"),
        ("Oc1ccncc1", "O=c1cc[nH]cc1"),
    ],
)
def test_salts_isotopes_stereo_charges_and_tautomers_stay_different(one: str, other: str) -> None:
    assert MOLECULE.check(one) != MOLECULE.check(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("OCC", "CCO"), ("C1=CC=CC=C1", "c1ccccc1"), ("[Cl-].[Na+]", "[Na+].[Cl-]"), (" C ", "C")],
)
def test_spellings_of_one_molecule_become_one(one: str, other: str) -> None:
    assert MOLECULE.check(one) == MOLECULE.check(other)


def test_outside_brackets_cn_is_carbon_and_nitrogen() -> None:
    assert split_smiles("Cn1cccc1[Cn]") == [*"Cn1cccc1[", "Cn", "]"]
    assert split_smiles("Sc1ccccc1[Sc]")[:2] == ["S", "c"]


def test_every_token_of_the_vocabulary_is_there_once() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY) == Molecule.vocabulary_size


def test_what_is_no_smiles_is_named_with_its_place() -> None:
    with pytest.raises(InputError, match=r"'!' at position 3 is not SMILES"):
        split_smiles("CC!")
    with pytest.raises(InputError, match=r"'\[C\?\]' is not a SMILES atom"):
        split_smiles("C[C?]")
    with pytest.raises(InputError, match=r"'\[' at position 2"):
        split_smiles("C[CH3")


def test_a_name_after_the_smiles_is_not_taken_for_a_molecule() -> None:
    for text in ("CCO ethanol", "CCO\tethanol", "CCO |$R1;;$|"):
        with pytest.raises(InputError, match=r"something after the SMILES.*own column"):
            MOLECULE.check(text)


@pytest.mark.parametrize("smiles", ["CC(=O)[O\u2212]", "\0C", "C\u200bC", "\uff23"])
def test_characters_that_only_look_like_smiles_are_named(smiles: str) -> None:
    with pytest.raises(InputError, match=r"has the character .*, which is not SMILES.*dash"):
        MOLECULE.check(smiles)


def test_a_molecule_longer_than_the_limit_is_refused() -> None:
    short = Molecule(MoleculeConfig(max_tokens=10))
    assert short.check("C" * 8) == "C" * 8
    with pytest.raises(InputError, match=r"has 11 tokens, more than 10"):
        short.check("C" * 9)
    with pytest.raises(InputError, match=r"max_tokens must be positive, got 0"):
        MoleculeConfig(max_tokens=0)


def test_a_molecule_without_atoms_is_refused() -> None:
    with pytest.raises(InputError, match=r"is empty"):
        MOLECULE.check("")


def test_long_bad_smiles_are_shown_shortened() -> None:
    with pytest.raises(InputError) as caught:
        MOLECULE.check("C1" + "C" * 500)
    assert "..." in caught.value.what
    assert len(caught.value.what) < 250


def test_the_limit_travels_with_the_state() -> None:
    restored = Molecule()
    restored.load_state(Molecule(MoleculeConfig(max_tokens=77)).state())
    assert restored.config.max_tokens == 77
