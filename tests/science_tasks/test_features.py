"""The contract that the classical features of every modality keep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from kagaku.data.crystals import Crystal
from kagaku.data.records import Field, Quantity, Records
from kagaku.data.schema import Input, Schema
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.science_tasks.chemistry.features import MoleculeFeatures
from kagaku.science_tasks.features import FEATURIZERS, FeatureBlock
from kagaku.science_tasks.featurizing import (
    feature_blocks,
    featurizer_states,
    fit_featurizers,
    restore_featurizers,
)
from kagaku.science_tasks.storage import load_state, save_state


@dataclass(frozen=True)
class Case:
    """Training values and values never seen, of one modality."""

    train: list[Any]
    new: list[Any]
    blocks: tuple[str, ...]


def _fields(count: int, seed: int) -> list[Field]:
    rng = np.random.default_rng(seed)
    latitudes, longitudes = np.linspace(75, -75, 6), np.arange(0.0, 360.0, 30.0)
    fields = []
    for index in range(count):
        values = rng.normal(280.0, 5.0, size=(2, 6, 12))
        values[0, 0, :3] = np.nan
        fields.append(
            Field(
                values,
                ("air_temperature", "air_pressure"),
                ("K", "hPa"),
                latitudes,
                longitudes,
                time=float(index),
                day_of_year=index / count,
            )
        )
    return fields


def _images(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, size=(20, 24, 3), dtype=np.uint8) for _ in range(count)]


def _salt(metal: str, distance: float) -> Crystal:
    return Crystal(
        lattice=distance * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        species=(metal, "Cl"),
        positions=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        occupancies=np.ones(2),
    )


CASES = {
    "molecule": Case(
        ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN(CC)CC", "[Na+].[Cl-]"],
        ["CCCO", "c1ccncc1", "CC(=O)[O-].[Na+]"],
        ("ecfp", "descriptors", "ecfp6", "pairs"),
    ),
    "nucleotide": Case(
        [
            "ATGGCATTACGTTGGCCAAGATCTGTATAA",
            "ATGGCATTACGTTGGCCAAGATCTGTTTAA",
            "ATGGCGTTACGTTGGCAAAGATCTGTATGA",
            "ATGGCATTGCGTTGGCCAAGATCAGTATAA",
        ],
        ["ATGGCATTACGTTGGCCAAGATCTGTCTAA", "ACGTN", "ATGGCRTTACGTTGGCCAAGATCTGTATAA"],
        ("onehot", "steps", "composition", "codons", "kmers"),
    ),
    "protein": Case(
        ["MKTAYIA", "MKTAYIV", "MRTAYIA", "MKTAWIA"],
        ["MKTAYIC", "MKTAYIAKQR", "MXTAYIA"],
        ("onehot", "residues", "composition", "kmers"),
    ),
    "text": Case(
        [
            "Sol-gel synthesis of TiO2 thin films",
            "Sputtered ZnO thin films",
            "Folding of small proteins",
            "Molecular dynamics of proteins in water",
        ],
        ["Thin films of TiO2", "Proteins", "unrelated words only"],
        ("tfidf",),
    ),
    "image": Case(_images(5, 0), _images(3, 1), ("intensity", "texture", "objects", "thumbnail")),
    "climate": Case(_fields(8, 0), _fields(3, 1), ("area_means", "boxes", "eof")),
    "material": Case(
        [_salt("Na", 2.82), _salt("K", 3.15), _salt("Li", 2.57), _salt("Rb", 3.29)],
        [_salt("Na", 2.9), _salt("Cs", 3.4), _salt("Ag", 2.77)],
        ("magpie", "fractions", "crystal"),
    ),
    "quantity": Case(
        [Quantity("temperature", value, "degC") for value in (20.0, 25.0, 60.0, 80.0)],
        [Quantity("temperature", 37.0, "degC"), Quantity("temperature", 310.15, "K")],
        ("value",),
    ),
}


@pytest.fixture(params=sorted(CASES))
def modality(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _fitted(modality: str) -> Any:
    featurizer = FEATURIZERS[modality]()
    featurizer.fit(CASES[modality].train)
    return featurizer


def _assert_same(one: list[FeatureBlock], other: list[FeatureBlock], atol: float = 0.0) -> None:
    assert [block.name for block in one] == [block.name for block in other]
    for left, right in zip(one, other, strict=True):
        assert left.kernel == right.kernel
        np.testing.assert_array_equal(left.present, right.present)
        np.testing.assert_allclose(left.values, right.values, rtol=0, atol=atol)


def test_every_modality_has_classical_features() -> None:
    assert set(FEATURIZERS) == set(MODALITIES) == set(CASES)
    assert all(FEATURIZERS[name].modality == name for name in FEATURIZERS)


def test_blocks_are_named_after_the_input_and_hold_finite_float32(modality: str) -> None:
    case = CASES[modality]
    blocks = _fitted(modality).transform("my column", case.new)
    assert [block.name for block in blocks] == [f"my column:{kind}" for kind in case.blocks]
    for block in blocks:
        assert block.values.dtype == np.float32
        assert block.values.shape[0] == len(case.new)
        assert block.values.shape[1] > 0
        assert np.isfinite(block.values).all()
        assert block.kernel == (
            "tanimoto"
            if block.name.endswith(("ecfp", "ecfp6", "pairs", "kmers", "fractions"))
            else "rbf"
        )


def test_dense_training_features_vary_by_about_one(modality: str) -> None:
    case = CASES[modality]
    for block in _fitted(modality).transform("x", case.train):
        if block.kernel == "rbf":
            assert 0.2 < block.values.std() < 4.0
            assert np.abs(block.values).max() < 30.0


def test_a_stored_state_gives_bit_equal_features(modality: str, tmp_path: Path) -> None:
    case, featurizer = CASES[modality], _fitted(modality)
    save_state(featurizer.state(), tmp_path / "features.safetensors")
    restored = FEATURIZERS[modality]()
    restored.load_state(load_state(tmp_path / "features.safetensors"))
    _assert_same(featurizer.transform("x", case.new), restored.transform("x", case.new))


def test_a_missing_value_is_not_present_and_zero(modality: str) -> None:
    case, featurizer = CASES[modality], _fitted(modality)
    blocks = featurizer.transform("x", [None, case.train[0], None])
    whole = featurizer.transform("x", case.train[:1])
    for block, alone in zip(blocks, whole, strict=True):
        assert block.present.tolist() == [False, True, False]
        assert not block.values[[0, 2]].any()
        np.testing.assert_allclose(block.values[1], alone.values[0], atol=1e-5)


def test_only_missing_values_keep_the_shape_of_the_blocks(modality: str) -> None:
    case, featurizer = CASES[modality], _fitted(modality)
    full = featurizer.transform("x", case.new)
    for given in ([None, None], []):
        blocks = featurizer.transform("x", given)
        assert [(b.name, b.values.shape[1]) for b in blocks] == [
            (b.name, b.values.shape[1]) for b in full
        ]
        assert all(b.values.shape[0] == len(given) and not b.present.any() for b in blocks)


def test_the_features_of_a_subset_are_a_subset_of_the_features(modality: str) -> None:
    case, featurizer = CASES[modality], _fitted(modality)
    values = [*case.train, None, *case.new]
    chosen = [len(values) - 1, 0, len(case.train)]
    whole = [block.subset(chosen) for block in featurizer.transform("x", values)]
    # Matrix products round differently with the number of rows; one float32 ulp near 10 is 1e-6.
    _assert_same(whole, featurizer.transform("x", [values[i] for i in chosen]), atol=1e-5)


def test_what_is_learnt_comes_from_the_values_of_fit_alone(modality: str) -> None:
    case = CASES[modality]
    one, other = _fitted(modality), FEATURIZERS[modality]()
    before = one.transform("x", case.train)
    one.transform("x", case.new)
    _assert_same(before, one.transform("x", case.train))
    # Fitted on other values before, then again: nothing of them is left.
    other.fit(case.new)
    other.fit(case.train)
    _assert_same(before, other.transform("x", case.train))


def test_missing_training_values_change_nothing_that_is_learnt(modality: str) -> None:
    case, featurizer = CASES[modality], FEATURIZERS[modality]()
    featurizer.fit([None, *case.train, None])
    _assert_same(_fitted(modality).transform("x", case.new), featurizer.transform("x", case.new))


def test_an_input_that_is_missing_in_all_training_records_has_no_blocks(
    modality: str, tmp_path: Path
) -> None:
    case, featurizer = CASES[modality], FEATURIZERS[modality]()
    featurizer.fit([None, None])
    assert featurizer.transform("x", case.new) == []
    save_state(featurizer.state(), tmp_path / "features.safetensors")
    restored = FEATURIZERS[modality]()
    restored.load_state(load_state(tmp_path / "features.safetensors"))
    assert restored.transform("x", case.new) == []


def test_one_training_record_is_enough(modality: str) -> None:
    case, featurizer = CASES[modality], FEATURIZERS[modality]()
    featurizer.fit(case.train[:1])
    for block in featurizer.transform("x", case.new):
        assert np.isfinite(block.values).all()
        assert block.values.shape[1] > 0


@pytest.fixture
def mixed() -> Callable[[slice], Records]:
    schema = Schema(
        (
            Input("smiles", "smiles", "molecule"),
            Input("solvent", "solvent", "molecule"),
            Input("temperature", "temperature [degC]", "quantity", "degC"),
        )
    )
    case = CASES["molecule"].train
    inputs: dict[str, list[Any]] = {
        "smiles": [*case, None],
        "solvent": ["O", "CCO", "O", None, "CO", "O"],
        "temperature": [Quantity("temperature", 20.0 + 10 * i, "degC") for i in range(6)],
    }

    def records(rows: slice) -> Records:
        chosen = {name: values[rows] for name, values in inputs.items()}
        n_records = len(chosen["smiles"])
        return Records(schema, chosen, {}, np.arange(2, 2 + n_records), "lab.csv")

    return records


def test_each_input_column_has_its_own_fitted_featurizer(
    mixed: Callable[[slice], Records], tmp_path: Path
) -> None:
    train = mixed(slice(0, 5))
    featurizers = fit_featurizers(train)
    assert list(featurizers) == ["smiles", "solvent", "temperature"]
    blocks = feature_blocks(mixed(slice(None)), featurizers)
    assert [block.name for block in blocks] == [
        "smiles:ecfp",
        "smiles:descriptors",
        "smiles:ecfp6",
        "smiles:pairs",
        "solvent:ecfp",
        "solvent:descriptors",
        "solvent:ecfp6",
        "solvent:pairs",
        "temperature:value",
    ]
    assert all(len(block.present) == 6 for block in blocks)
    # The same molecule is scaled by its own column's spread.
    smiles_ethanol, solvent_ethanol = blocks[1].values[0], blocks[5].values[1]
    assert not np.allclose(smiles_ethanol, solvent_ethanol)
    save_state(featurizer_states(featurizers), tmp_path / "features.safetensors")
    restored = restore_featurizers(train.schema, load_state(tmp_path / "features.safetensors"))
    _assert_same(blocks, feature_blocks(mixed(slice(None)), restored))


def test_what_stands_in_many_records_is_read_once(mixed: Callable[[slice], Records]) -> None:
    train, asked = mixed(slice(0, 5)), mixed(slice(None))
    rows = np.array([5, 0, 0, 1, 0, 4, 4, 2, 3, 1, 0, 1, 5, 5])
    repeated, featurizers = asked.subset(rows), fit_featurizers(train)
    seen: dict[str, int] = {}
    transform = MoleculeFeatures.transform

    def counting(
        features: MoleculeFeatures, name: str, values: Sequence[str | None]
    ) -> list[FeatureBlock]:
        seen[name] = len(values)
        return transform(features, name, values)

    with patch.object(MoleculeFeatures, "transform", counting):
        found = feature_blocks(repeated, featurizers)
    distinct = {name: len({str(one) for one in repeated.inputs[name]}) for name in seen}
    assert (seen["smiles"], seen["solvent"]) == (distinct["smiles"], distinct["solvent"])
    assert distinct["smiles"] < len(rows)
    _assert_same(found, [one.subset(rows) for one in feature_blocks(asked, featurizers)])


def test_descriptors_of_repeated_molecules_weigh_as_often_as_they_stand() -> None:
    features = MoleculeFeatures()
    features.fit(["CCO", "CCO", "CCO", "c1ccccc1C(=O)O"])
    (_, described, *_) = features.transform("smiles", ["CCO", "c1ccccc1C(=O)O"])
    # The median of a scale is that of the records, three of which are ethanol.
    np.testing.assert_allclose(described.values[0], 0.0, atol=1e-6)
    assert np.abs(described.values[1]).max() > 0


def test_states_of_other_inputs_are_refused(mixed: Callable[[slice], Records]) -> None:
    train = mixed(slice(0, 5))
    states = featurizer_states(fit_featurizers(train))
    del states["solvent"]
    with pytest.raises(InputError, match=r"stored features are of the inputs \['smiles', 'temp"):
        restore_featurizers(train.schema, states)


def test_a_value_that_cannot_be_featurized_is_reported_with_its_column(
    mixed: Callable[[slice], Records],
) -> None:
    train = mixed(slice(0, 5))
    featurizers = fit_featurizers(train)
    train.inputs["solvent"][1] = "not a molecule"
    expected = r"lab.csv, column 'solvent': 'not a molecule' is not a molecule that RDKit can read"
    with pytest.raises(InputError, match=expected):
        feature_blocks(train, featurizers)
    with pytest.raises(InputError, match=expected):
        fit_featurizers(train)


def test_a_table_without_a_fitted_input_is_refused(mixed: Callable[[slice], Records]) -> None:
    train = mixed(slice(0, 5))
    featurizers = fit_featurizers(train)
    lacking = Records(train.schema, {"smiles": ["CCO"]}, {}, np.array([2]), "new.csv")
    with pytest.raises(InputError, match=r"new.csv: there is no input 'solvent'.*'temperature'"):
        feature_blocks(lacking, featurizers)
