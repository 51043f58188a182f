from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kagaku.data.crystals import Crystal
from kagaku.data.elements import SYMBOLS
from kagaku.errors import InputError
from kagaku.modalities import Material
from kagaku.modalities.crystal_sites import CUTOFF, environments, neighbours
from kagaku.modalities.material import MaterialConfig
from kagaku.modalities.sequence import MASK_ID, N_SPECIALS

MATERIAL = Material()


def perovskite() -> Crystal:
    return Crystal(
        lattice=np.array([[4.0, 0.1, 0.0], [0.0, 3.9, 0.2], [0.3, 0.0, 4.2]]),
        species=("Ba", "Ti", "O", "O", "O"),
        positions=np.array(
            [[0, 0, 0], [0.5, 0.5, 0.53], [0.5, 0.5, 0.02], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        ),
        occupancies=np.ones(5),
    )


def supercell(crystal: Crystal, repeats: tuple[int, int, int]) -> Crystal:
    shifts = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), -1).reshape(-1, 3)
    positions = (crystal.positions[None] + shifts[:, None]).reshape(-1, 3) / np.array(repeats)
    return Crystal(
        lattice=crystal.lattice * np.array(repeats)[:, None],
        species=crystal.species * len(shifts),
        positions=positions,
        occupancies=np.tile(crystal.occupancies, len(shifts)),
    )


def assert_same_tokens(one: Crystal, other: Crystal) -> None:
    first, second = (MATERIAL.tokenize(MATERIAL.check(crystal)) for crystal in (one, other))
    assert first.ids.tolist() == second.ids.tolist()
    # Coordinates are rounded where images are summed up in another order.
    np.testing.assert_allclose(first.values, second.values, atol=1e-5)


@pytest.mark.parametrize("order", ["SrTiO3", "O3TiSr", "TiO3Sr", "Sr2Ti2O6"])
def test_the_order_and_size_of_a_formula_do_not_change_its_tokens(order: str) -> None:
    tokens = MATERIAL.tokenize(MATERIAL.check(order))
    assert [SYMBOLS[i - N_SPECIALS] for i in tokens.ids[1:-1, 0]] == ["O", "Ti", "Sr"]
    np.testing.assert_allclose(tokens.values[1:-1, 0], [0.6, 0.2, 0.2], rtol=1e-6)
    assert not tokens.positions.any()


def test_a_hidden_element_keeps_its_amount_and_loses_what_it_is() -> None:
    tokens = MATERIAL.tokenize("SrTiO3")
    hidden = MATERIAL.hide(tokens, np.array([False, True, False, False, False]))
    assert hidden.ids[1, 0] == MASK_ID
    np.testing.assert_array_equal(hidden.values, tokens.values)
    embedder = MATERIAL.embedder(8)
    shown = embedder(torch.from_numpy(hidden.ids), torch.from_numpy(tokens.values * 0))[1]
    assert torch.equal(shown, embedder.table.weight[MASK_ID])  # type: ignore[union-attr,index]


def test_similar_elements_have_similar_embeddings_before_any_training() -> None:
    torch.manual_seed(0)
    embedder = MATERIAL.embedder(64)
    embedder.table.weight.data.zero_()  # type: ignore[union-attr,operator]
    ids = torch.tensor([[N_SPECIALS + SYMBOLS.index(one)] for one in ("Zr", "Hf", "F")])
    zirconium, hafnium, fluorine = embedder(ids, torch.zeros(3, MATERIAL.n_values))
    assert (zirconium - hafnium).norm() < 0.7 * (zirconium - fluorine).norm()


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 2)] * 3),
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.integers(0, 2**16),
)
def test_crystal_tokens_do_not_hang_on_the_choice_of_cell_origin_order_or_orientation(
    repeats: tuple[int, int, int], origin: tuple[float, float, float], seed: int
) -> None:
    crystal, rng = perovskite(), np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    shifted = replace(
        crystal, positions=crystal.positions + np.array(origin), lattice=crystal.lattice @ turned
    )
    large = supercell(shifted, repeats)
    order = rng.permutation(len(large.species))
    shuffled = replace(
        large, species=tuple(large.species[i] for i in order), positions=large.positions[order]
    )
    assert_same_tokens(crystal, shuffled)


def test_another_basis_of_the_same_lattice_gives_the_same_tokens() -> None:
    crystal = perovskite()
    basis = np.array([[1, 1, 0], [0, 1, 0], [2, 0, 1]])
    skewed = replace(
        crystal,
        lattice=basis @ crystal.lattice,
        positions=crystal.positions @ np.linalg.inv(basis),
    )
    assert_same_tokens(crystal, skewed)


def test_a_stretched_cell_has_other_tokens() -> None:
    crystal = perovskite()
    stretched = replace(crystal, lattice=crystal.lattice * np.array([1.0, 1.0, 1.02]))
    first, second = (MATERIAL.tokenize(MATERIAL.check(one)) for one in (crystal, stretched))
    assert np.abs(first.values - second.values).max() > 0.01


def test_the_shells_of_rock_salt_are_those_of_the_textbook() -> None:
    salt = Crystal(
        lattice=2.82 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        species=("Na", "Cl"),
        positions=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        occupancies=np.ones(2),
    )
    one, other, distance = neighbours(salt, CUTOFF)
    shells, counts = np.unique((distance[one == 0] / 2.82).round(4), return_counts=True)
    # 6 Cl, 12 Na, 8 Cl and 6 Na at the square roots of 1, 2, 3 and 4 bond lengths.
    np.testing.assert_allclose(shells, np.sqrt([1, 2, 3, 4]), atol=1e-4)
    assert counts.tolist() == [6, 12, 8, 6]
    assert set(other[(one == 0) & (distance < 3)]) == {1}
    nearest = environments(salt)[:, -2:]
    np.testing.assert_allclose(1 / nearest, [[2.82 * np.sqrt(2), 2.82]] * 2)
    assert salt.density == pytest.approx(2.16, abs=0.01)


def test_sites_of_a_large_disordered_cell_are_pooled_to_the_limit() -> None:
    rng = np.random.default_rng(0)
    glass = Crystal(
        lattice=np.eye(3) * 12.0,
        species=("Si",) * 20 + ("O",) * 40,
        positions=rng.random((60, 3)),
        occupancies=np.ones(60),
    )
    few = Material(MaterialConfig(max_sites=10))
    tokens = few.tokenize(few.check(glass))
    assert 4 <= len(tokens) <= 12
    assert tokens.values[1:-1, 0].sum() == pytest.approx(1.0, abs=1e-6)
    assert len(MATERIAL.tokenize(MATERIAL.check(glass))) == 62


def test_atoms_that_share_a_site_are_no_neighbours_and_count_by_their_occupancy() -> None:
    mixed = replace(
        perovskite(),
        species=("Ba", "Sr", "Ti", "O", "O", "O"),
        positions=perovskite().positions[[0, 0, 1, 2, 3, 4]],
        occupancies=np.array([0.75, 0.25, 1, 1, 1, 1]),
    )
    assert mixed.composition.formula == "Ba3SrTi4O12"
    tokens = MATERIAL.tokenize(MATERIAL.check(mixed))
    assert tokens.values[1:-1, 0].sum() == pytest.approx(1.0, abs=1e-6)
    _, _, distance = neighbours(mixed)
    assert distance.min() > 1.5


def test_a_composition_and_a_crystal_of_it_agree_on_the_elements() -> None:
    crystal = MATERIAL.tokenize(MATERIAL.check(perovskite()))
    formula = MATERIAL.tokenize("BaTiO3")
    assert set(crystal.ids[:, 0].tolist()) == set(formula.ids[:, 0].tolist())
    assert crystal.values[0, -4] == 1
    assert formula.values[0, -4] == 0


def test_a_missing_pymatgen_is_told_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.cif"
    path.write_text("data_one\n_cell_length_a 4\n")
    monkeypatch.setitem(__import__("sys").modules, "pymatgen.io.cif", None)
    with pytest.raises(InputError, match=r"pymatgen, which is not installed.*kagaku\[materials\]"):
        MATERIAL.check(path)
    assert MATERIAL.check("BaTiO3") == "BaTiO3"


def test_the_limits_are_checked_and_travel_with_the_state() -> None:
    with pytest.raises(InputError, match=r"max_sites must be positive, got 0"):
        MaterialConfig(max_sites=0)
    restored = Material()
    restored.load_state(Material(MaterialConfig(max_atoms=3)).state())
    with pytest.raises(InputError, match=r"the cell has 5 atoms, not 1 to 3"):
        restored.check(perovskite())
