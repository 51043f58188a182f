"""Classical features of molecules."""

from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors, EState
from rdkit.Chem.EState import EState_VSA

from kagaku.errors import InputError
from kagaku.science_tasks.chemistry.descriptors import DESCRIPTORS, VERSION, descriptors
from kagaku.science_tasks.chemistry.electrotopology import (
    ESTATE_NAMES,
    estate_features,
    estate_indices,
)
from kagaku.science_tasks.chemistry.features import N_BITS, MoleculeFeatures
from kagaku.science_tasks.design_matrix import DesignMatrix

# RDKit's Python modules are untyped.
RDKIT_INDICES: Any = EState.EStateIndices
RDKIT_AREAS: Any = EState_VSA.EState_VSA_

MOLECULES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1CCC[C@H]1c1cccnc1",
    "O=C([O-])c1ccccc1.[Na+]",
    "C[Si](C)(C)C#CBr",
    "c1cc[se]c1",
    "OB(O)c1ccc(F)cc1",
    "O",
    "[Fe]",
    "CCCCCCCCCCCCCCCCCC(=O)O",
]


def by_name(smiles: str) -> dict[str, float]:
    return dict(zip(DESCRIPTORS, descriptors(Chem.MolFromSmiles(smiles)), strict=True))


@pytest.mark.parametrize("smiles", MOLECULES)
def test_electrotopological_states_are_those_of_rdkit(smiles: str) -> None:
    molecule = Chem.MolFromSmiles(smiles)
    indices, areas_by_bin = RDKIT_INDICES(molecule), RDKIT_AREAS(molecule)
    np.testing.assert_allclose(estate_indices(molecule), indices, rtol=1e-6, atol=1e-6)
    n_areas = sum(name.startswith("EState_VSA") for name in ESTATE_NAMES)
    areas = np.array(estate_features(molecule))[-n_areas:]
    np.testing.assert_allclose(areas, areas_by_bin, atol=1e-9)


def test_descriptors_are_those_of_rdkit_by_the_same_name() -> None:
    known = dict(Descriptors.descList)
    molecule = Chem.MolFromSmiles(MOLECULES[0])
    ours = by_name(MOLECULES[0])
    shared = [name for name in DESCRIPTORS if name in known]
    assert len(shared) > 60
    for name in shared:
        assert ours[name] == pytest.approx(known[name](molecule), rel=1e-6, abs=1e-6), name


def test_the_list_of_descriptors_is_fixed() -> None:
    # A change here needs a new VERSION, or stored runs would read other numbers than they learnt.
    assert VERSION == 1
    assert len(DESCRIPTORS) == len(set(DESCRIPTORS)) == 116
    assert DESCRIPTORS[:2] == ("Chi0n", "Chi0v")
    assert DESCRIPTORS[22:24] == ("MolLogP", "MolMR")
    assert DESCRIPTORS[-1] == "EState_VSA11"


def test_undefined_descriptors_become_the_training_median() -> None:
    # Iron has no partial charge parameters; RDKit gives no finite charge for it.
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    values = features.transform("x", ["[Fe]", "[U]", "[He]", "*C"])[1].values
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 8.0


def test_the_fingerprint_counts_how_often_a_group_occurs() -> None:
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    counts = features.transform("x", ["CCCCCCCCCC", "CCCC"])[0].values
    assert counts.shape == (2, N_BITS)
    assert (counts == np.round(counts)).all()
    # Every atom is the centre of one environment at radius 0.
    assert counts[0].max() == 8
    assert counts[0].sum() > 2 * counts[1].sum()


def test_kernels_tell_mirror_images_apart_and_columns_do_not() -> None:
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    blocks = features.transform("x", ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"])
    differ = {block.name: bool((block.values[0] != block.values[1]).any()) for block in blocks}
    assert differ["x:ecfp6"]
    assert differ["x:pairs"]
    assert not differ["x:ecfp"]
    design = DesignMatrix()
    assert design.fit(blocks).shape[1] <= sum(block.values.shape[1] + 1 for block in blocks[:2])
    assert [name for name, _ in design.shape] == ["x:ecfp", "x:descriptors"]


def test_runs_of_before_there_were_fingerprints_for_kernels_have_none() -> None:
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    state = features.state()
    del state["for_kernels"]
    again = MoleculeFeatures()
    again.load_state(state)
    assert [block.name for block in again.transform("x", ["CCO"])] == ["x:ecfp", "x:descriptors"]


def test_one_molecule_written_in_two_ways_has_the_same_features() -> None:
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    for block in features.transform("x", ["OC(=O)c1ccccc1", "c1ccc(C(O)=O)cc1"]):
        np.testing.assert_allclose(block.values[0], block.values[1], atol=1e-5)


def test_the_features_of_a_molecule_tell_lipophilic_from_polar() -> None:
    assert by_name("CCCCCCCC")["MolLogP"] > 2 > 0 > by_name("OCC(O)CO")["MolLogP"]
    assert by_name("OCC(O)CO")["TPSA"] == pytest.approx(60.69, abs=0.01)


def test_a_value_that_is_no_molecule_is_refused() -> None:
    features = MoleculeFeatures()
    for wrong in ("C1CC", ""):
        with pytest.raises(InputError, match="is not a molecule that RDKit can read"):
            features.fit(["CCO", wrong])


def test_a_state_of_another_descriptor_list_is_refused() -> None:
    features = MoleculeFeatures()
    features.fit(MOLECULES)
    state = {**features.state(), "descriptors_version": 99}
    with pytest.raises(InputError, match="fitted with version 99 of the molecular descriptors"):
        MoleculeFeatures().load_state(state)
