from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagaku.data.records import Field
from kagaku.modalities.field_layout import assemble, eastward_order, field_layout, split_field


def field_on(latitudes: np.ndarray, longitudes: np.ndarray, n_variables: int = 1) -> Field:
    shape = (n_variables, len(latitudes), len(longitudes))
    return Field(
        values=np.arange(np.prod(shape), dtype=np.float64).reshape(shape),
        names=tuple(f"variable_{i}" for i in range(n_variables)),
        units=("K",) * n_variables,
        latitudes=latitudes,
        longitudes=longitudes,
    )


@given(
    n_lat=st.integers(1, 11),
    n_lon=st.integers(1, 13),
    n_variables=st.integers(1, 3),
    patch_cells=st.integers(1, 5),
    start=st.integers(-180, 180),
    is_northward=st.booleans(),
)
def test_a_field_cut_into_patches_is_assembled_in_the_order_of_its_file(
    n_lat: int, n_lon: int, n_variables: int, patch_cells: int, start: int, is_northward: bool
) -> None:
    latitudes = np.linspace(-60, 70, n_lat) if is_northward else np.linspace(70, -60, n_lat)
    longitudes = np.minimum(start + 10.0 * np.arange(n_lon), 360.0 + np.arange(n_lon))
    field = field_on(latitudes, longitudes, n_variables)
    layout = field_layout(field, patch_cells)
    patches = split_field(field.values, layout)
    assert patches.shape == (n_variables * layout.n_patches, patch_cells**2)
    assert np.array_equal(assemble(patches, layout), field.values)


def test_every_cell_is_in_exactly_one_patch_and_edges_are_marked() -> None:
    layout = field_layout(field_on(np.arange(5.0), np.arange(6.0)), 4)
    assert layout.n_patches == 4
    assert sorted(layout.cells[layout.cells >= 0]) == list(range(30))
    assert (layout.cells < 0).sum() == 4 * 16 - 30
    assert np.isnan(split_field(np.zeros((1, 5, 6)), layout)).sum() == 4 * 16 - 30


def test_patches_start_in_the_north_west_whatever_the_order_of_the_file() -> None:
    northward = field_on(np.array([10.0, 20.0, 30.0]), np.array([0.0, 10.0]))
    layout = field_layout(northward, 2)
    assert layout.latitudes.tolist() == [25.0, 10.0]
    assert layout.longitudes.tolist() == [5.0, 5.0]
    assert layout.cells.tolist() == [[4, 5, 2, 3], [0, 1, -1, -1]]


def test_neighbouring_patches_across_greenwich_are_near_each_other() -> None:
    layout = field_layout(field_on(np.array([50.0, 51.0]), np.arange(-4.0, 4.0)), 2)
    assert layout.longitudes.tolist() == [356.5, 358.5, 360.5, 362.5]


@pytest.mark.parametrize(
    ("longitudes", "eastward"),
    [
        ([0, 90, 180, 270], [0, 90, 180, 270]),
        ([-180, -90, 0, 90], [0, 90, 180, 270]),
        ([-10, -5, 0, 5], [350, 355, 360, 365]),
        ([0, 5, 350, 355], [350, 355, 360, 365]),
        ([170, 175, 180, -175], [170, 175, 180, 185]),
        ([280, 270, 260], [260, 270, 280]),
        ([0, 90], [0, 90]),
        ([-120], [240]),
        ([0, 120, 240, 360], [0, 0, 120, 240]),
    ],
)
def test_longitudes_go_eastward_from_the_widest_gap(
    longitudes: list[float], eastward: list[float]
) -> None:
    order, unwrapped = eastward_order(np.array(longitudes, dtype=np.float32))
    assert unwrapped.tolist() == eastward
    assert np.allclose(np.mod(np.array(longitudes)[order], 360), np.mod(eastward, 360))


def test_a_region_across_greenwich_has_its_centres_there() -> None:
    layout = field_layout(field_on(np.array([50.0]), np.array([-3.0, -1.0, 1.0, 3.0])), 4)
    assert layout.longitudes.tolist() == [360.0]
    layout = field_layout(field_on(np.array([50.0]), np.array([-5.0, -3.0, -1.0, 1.0])), 4)
    assert layout.longitudes.tolist() == [358.0]


def test_single_precision_coordinates_are_cut_like_double_ones() -> None:
    field = field_on(np.linspace(-88.1, 88.1, 33), np.arange(-180, 180, 3.6))
    single = replace(
        field,
        latitudes=field.latitudes.astype(np.float32),
        longitudes=field.longitudes.astype(np.float32),
    )
    assert np.array_equal(field_layout(field).cells, field_layout(single).cells)


def test_predictions_over_the_edge_are_ignored() -> None:
    field = field_on(np.arange(3.0), np.arange(3.0))
    layout = field_layout(field, 2)
    patches = np.nan_to_num(split_field(field.values, layout), nan=-1e9)
    assert np.array_equal(assemble(patches, layout), field.values)


def test_a_layout_of_another_grid_is_a_bug() -> None:
    layout = field_layout(field_on(np.arange(3.0), np.arange(3.0)))
    with pytest.raises(AssertionError, match="another grid"):
        split_field(np.zeros((1, 2, 2)), layout)
