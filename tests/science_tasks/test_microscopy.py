"""Classical features of images."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from kagaku.errors import InputError
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.microscopy.features import MAX_SIDE, ImageFeatures
from kagaku.science_tasks.microscopy.texture import (
    N_CODES,
    blob_counts,
    edge_directions,
    local_patterns,
    objects,
    otsu_threshold,
    scale_energies,
)


def discs(count: int, *, side: int = 160, radius: int = 6, seed: int = 0) -> np.ndarray:
    """Return bright discs on a dark, slightly noisy ground, that do not touch each other."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0.1, 0.01, size=(side, side))
    rows, columns = np.mgrid[:side, :side]
    step = 3 * radius
    places = [
        (r, c) for r in range(step, side - step, step) for c in range(step, side - step, step)
    ]
    for index in rng.permutation(len(places))[:count]:
        row, column = places[index]
        image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 0.8
    return image


def by_kind(featurizer: ImageFeatures, values: list[Path | np.ndarray]) -> dict[str, FeatureBlock]:
    return {b.name.removeprefix("i:"): b for b in featurizer.transform("i", values)}


@pytest.mark.parametrize("count", [1, 5, 20])
def test_separate_objects_are_counted(count: int) -> None:
    statistics = objects(discs(count)[:, :, None])
    # Objects, large objects, peaks at the finest distance.
    assert np.expm1(statistics[[1, 2, 6]]) == pytest.approx([count] * 3)
    assert statistics[3] == pytest.approx(count * np.pi * 36 / 160**2, rel=0.25)


def test_objects_are_looked_for_in_the_channel_that_shows_them() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0.5, 0.05, size=(160, 160))
    statistics = objects(np.stack([noise, discs(7), noise], axis=2))
    assert np.expm1(statistics[2]) == pytest.approx(7)
    assert statistics[0] > 0.8


@pytest.mark.parametrize("count", [5, 20])
def test_blobs_are_counted_at_their_own_size(count: int) -> None:
    counts = np.expm1(blob_counts(discs(count, radius=6)))
    dark, bright = counts[0::2], counts[1::2]
    # A disc of radius r answers most at a deviation of r / sqrt(2): 4 of 160 pixels, near 0.02.
    assert bright[1] == pytest.approx(count)
    assert dark[-1] < count


def test_touching_objects_are_counted_by_their_peaks() -> None:
    rows, columns = np.mgrid[:100, :100]
    pair = np.zeros((100, 100))
    for column in (40, 60):
        pair[(rows - 50) ** 2 + (columns - column) ** 2 <= 11**2] = 1.0
    statistics = objects(pair[:, :, None])
    assert np.expm1(statistics[1]) == pytest.approx(1)
    assert np.expm1(statistics[6:9]) == pytest.approx([2, 2, 2])


def test_otsu_parts_two_populations() -> None:
    rng = np.random.default_rng(0)
    grey = np.concatenate([rng.normal(0.2, 0.03, 5_000), rng.normal(0.7, 0.05, 1_000)])
    threshold, explained = otsu_threshold(grey.reshape(60, 100))
    assert 0.3 < threshold < 0.6
    assert explained > 0.9
    assert otsu_threshold(np.full((4, 4), 0.5)) == (0.5, 0.0)


def test_local_patterns_do_not_change_when_the_image_is_turned() -> None:
    grey = np.random.default_rng(0).random((32, 32))
    patterns = local_patterns(grey)
    assert patterns.shape == (N_CODES,)
    assert patterns.sum() == pytest.approx(1)
    # The edge rows repeat themselves, which a quarter turn does not change either.
    np.testing.assert_allclose(local_patterns(np.rot90(grey)), patterns, atol=1e-12)


def test_edge_directions_tell_stripes_apart_but_not_their_contrast() -> None:
    upright = np.tile(np.sin(np.arange(40)), (40, 1))
    one, other = edge_directions(upright), edge_directions(upright.T)
    assert np.abs(one - other).max() > 0.2
    np.testing.assert_allclose(edge_directions(0.1 * upright + 0.3), one, atol=1e-9)
    assert not edge_directions(np.full((8, 8), 0.4)).any()


def test_fine_texture_has_its_energy_at_fine_scales() -> None:
    rng = np.random.default_rng(0)
    fine = rng.random((64, 64))
    coarse = np.kron(rng.random((4, 4)), np.ones((16, 16)))
    assert scale_energies(fine)[0] > scale_energies(coarse)[0]
    assert scale_energies(fine)[-1] < scale_energies(coarse)[-1]


def test_files_of_eight_and_sixteen_bit_give_the_features_of_the_array(tmp_path: Path) -> None:
    pixels = (discs(5) * 255).clip(0, 255).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "eight.png")
    PIL.Image.fromarray(pixels.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    featurizer = ImageFeatures()
    featurizer.fit([discs(n, seed=n) for n in (1, 5, 9)])
    values: list[Path | np.ndarray] = [pixels, tmp_path / "eight.png", tmp_path / "sixteen.png"]
    for block in by_kind(featurizer, values).values():
        np.testing.assert_allclose(block.values[1], block.values[0], atol=1e-5)
        np.testing.assert_allclose(block.values[2], block.values[0], atol=1e-3)


def test_images_of_any_size_and_number_of_channels_are_described() -> None:
    rng = np.random.default_rng(0)
    featurizer = ImageFeatures()
    featurizer.fit([rng.random((30, 20, 3)), rng.random((31, 22, 3)), rng.random((9, 9))])
    shapes = [(1, 1, 1), (2, 3, 3), (8, 8, 1), (3, 2_000, 3), (900, 700, 3), (16, 16, 7)]
    blocks = by_kind(featurizer, [rng.random(shape) for shape in shapes])
    assert list(blocks) == ["intensity", "texture", "objects", "thumbnail"]
    for block in blocks.values():
        assert block.present.all()
        assert np.isfinite(block.values).all()


def test_large_images_are_averaged_down_before_they_are_measured() -> None:
    small = np.random.default_rng(0).random((MAX_SIDE, 40, 1))
    large = np.kron(small, np.ones((3, 3, 1)))
    featurizer = ImageFeatures()
    featurizer.fit([small, small**2, small**3])
    for block in by_kind(featurizer, [small, large]).values():
        np.testing.assert_allclose(block.values[0], block.values[1], atol=1e-4)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with pytest.raises(InputError, match=r"broken.png"):
        ImageFeatures().fit([tmp_path / "broken.png"])
