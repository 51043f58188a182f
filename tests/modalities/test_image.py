from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
import torch

from kagaku.errors import InputError
from kagaku.modalities import Image
from kagaku.modalities.image import N_STATISTICS, ImageConfig
from kagaku.modalities.image_files import read_image
from kagaku.modalities.image_pixels import standardise, unit_range

LIMIT = 64_000_000
AS_IT_IS = ImageConfig(least_across=1)
"""Nothing is scaled up, so that pixels can be compared one by one."""

GREY = np.random.default_rng(0).integers(0, 256, (30, 21)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (30, 21, 3)).astype(np.uint8)
ALPHA = np.dstack([COLOUR, GREY])


def saved(path: Path, pixels: np.ndarray, mode: str | None = None) -> np.ndarray:
    """Return what kagaku reads after Pillow has written the pixels, converted to a mode."""
    image = PIL.Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)
    return read_image(path, LIMIT)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_eight_bit_grey_and_colour_come_as_they_are(tmp_path: Path, suffix: str) -> None:
    assert np.array_equal(saved(tmp_path / f"grey.{suffix}", GREY), GREY[:, :, None])
    assert np.array_equal(saved(tmp_path / f"colour.{suffix}", COLOUR), COLOUR)


def test_a_jpeg_is_colour_near_to_what_was_saved(tmp_path: Path) -> None:
    smooth = np.dstack([np.outer(np.arange(64), np.ones(48))] * 3).astype(np.uint8)
    PIL.Image.fromarray(smooth).save(tmp_path / "smooth.jpg", quality=95)
    found = read_image(tmp_path / "smooth.jpg", LIMIT)
    assert found.shape == (64, 48, 3)
    # 95% quality keeps a smooth ramp within a few grey levels.
    assert np.abs(found.astype(int) - smooth).max() <= 4


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    PIL.Image.fromarray(COLOUR).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg", LIMIT).shape == (21, 30, 3)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_keeps_sixteen_bits_and_drops_alpha(tmp_path: Path, channels: int) -> None:
    deep = np.random.default_rng(2).integers(0, 65_536, (9, 7, channels)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(deep.squeeze()))
    found = read_image(tmp_path / "deep.png", LIMIT)
    assert found.dtype == np.uint16
    assert np.array_equal(found, deep[:, :, : {1: 1, 2: 1, 3: 3, 4: 3}[channels]])


def test_transparency_is_dropped_and_colours_stay(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "alpha.png", ALPHA), COLOUR)
    assert np.array_equal(saved(tmp_path / "alpha.tif", ALPHA), COLOUR)
    assert saved(tmp_path / "grey_alpha.png", GREY, "LA").shape == (30, 21, 1)


def test_palettes_become_the_colours_they_stand_for(tmp_path: Path) -> None:
    palette = PIL.Image.fromarray(COLOUR).quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    for name in ("palette.png", "palette.gif"):
        palette.save(tmp_path / name)
        assert np.array_equal(read_image(tmp_path / name, LIMIT), expected)
    palette.save(tmp_path / "clear.png", transparency=3)
    assert np.array_equal(read_image(tmp_path / "clear.png", LIMIT), expected)
    palette.save(tmp_path / "palette.tif")
    found = unit_range(read_image(tmp_path / "palette.tif", LIMIT))
    # TIFF palettes have 16 bits a colour, so 255 becomes 65280 or 65535.
    assert np.abs(found - expected.transpose(2, 0, 1) / 255).max() < 0.005


def test_cmyk_becomes_red_green_blue(tmp_path: Path) -> None:
    cyan, none = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    cyan[:, :4] = 255  # on the left; white paper on the right
    image = PIL.Image.merge("CMYK", [PIL.Image.fromarray(ink) for ink in (cyan, none, none, none)])
    image.save(tmp_path / "inks.jpg", quality=100)
    image.save(tmp_path / "inks.tif")
    for name in ("inks.jpg", "inks.tif"):
        found = unit_range(read_image(tmp_path / name, LIMIT))
        assert found.shape == (3, 8, 8)
        assert found[:, 2, 1].round(1).tolist() == [0, 1, 1]
        assert found[:, 2, 6].round(1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64"])
def test_every_type_of_tiff_is_read(tmp_path: Path, dtype: str) -> None:
    pixels = (GREY.astype(float) * 100).astype(dtype)
    tifffile.imwrite(tmp_path / "any.tif", pixels)
    found = read_image(tmp_path / "any.tif", LIMIT)
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found[:, :, 0], pixels)


@pytest.mark.parametrize(
    ("shape", "axes", "order"),
    [
        ((6, 30, 21), "CYX", (1, 2, 0)),
        ((6, 30, 21), "ZYX", (1, 2, 0)),
        ((2, 3, 30, 21), "ZCYX", (2, 3, 0, 1)),
        ((4, 30, 21, 3), "ZYXS", (1, 2, 0, 3)),
        ((5, 3, 30, 21), "ZSYX", (2, 3, 0, 1)),
    ],
)
def test_pages_and_channels_of_a_tiff_become_channels(
    tmp_path: Path, shape: tuple[int, ...], axes: str, order: tuple[int, ...]
) -> None:
    stack = np.random.default_rng(3).integers(0, 65_536, shape).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "stack.ome.tif",
        stack,
        metadata={"axes": axes},
        photometric="rgb" if "S" in axes else "minisblack",
    )
    found = read_image(tmp_path / "stack.ome.tif", LIMIT)
    assert np.array_equal(found, stack.transpose(order).reshape(30, 21, -1))


def test_plain_pages_of_a_tiff_become_channels(tmp_path: Path) -> None:
    pages = [PIL.Image.fromarray(GREY // factor) for factor in (1, 2, 3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    found = read_image(tmp_path / "pages.tif", LIMIT)
    assert np.array_equal(found, np.dstack([GREY, GREY // 2, GREY // 3]))


@pytest.mark.parametrize("compression", ["deflate", "lzw", "zstd", "packbits"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "small.tif", COLOUR, compression=compression)
    assert np.array_equal(read_image(tmp_path / "small.tif", LIMIT), COLOUR)


def test_a_tiff_whose_zero_is_white_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", GREY, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "white.tif", LIMIT)[:, :, 0], 255 - GREY)


def test_one_bit_images_are_read(tmp_path: Path) -> None:
    mask = GREY > 128
    for name in ("mask.png", "mask.tif"):
        PIL.Image.fromarray(mask).save(tmp_path / name)
        found = read_image(tmp_path / name, LIMIT)
        assert np.array_equal(unit_range(found)[0] > 0.5, mask)


def test_a_pyramid_gives_its_largest_level_within_the_limit(tmp_path: Path) -> None:
    large = np.random.default_rng(4).integers(0, 256, (256, 128)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "slide.tif") as writer:
        writer.write(large, subifds=1, tile=(64, 64))
        writer.write(large[::2, ::2], subfiletype=1, tile=(64, 64))
    assert read_image(tmp_path / "slide.tif", LIMIT).shape == (256, 128, 1)
    assert np.array_equal(read_image(tmp_path / "slide.tif", 10_000)[:, :, 0], large[::2, ::2])
    with pytest.raises(InputError, match=r"128 x 64 pixels in 1 channels.*Crop it"):
        read_image(tmp_path / "slide.tif", 1_000)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif"])
def test_files_cut_short_or_mangled_are_refused_or_read_but_never_crash(
    tmp_path: Path, suffix: str
) -> None:
    saved(tmp_path / f"whole.{suffix}", COLOUR)
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    random, refused = np.random.default_rng(5), 0
    for attempt in range(60):
        content = bytearray(whole)
        if attempt % 2:
            content = content[: int(random.integers(4, len(whole) - 3))]
        else:
            for place in random.integers(0, min(len(whole), 300), 8):
                content[place] = int(random.integers(0, 256))
        (tmp_path / f"broken.{suffix}").write_bytes(content)
        try:
            pixels = read_image(tmp_path / f"broken.{suffix}", LIMIT)
        except InputError:
            refused += 1
        else:
            assert pixels.ndim == 3
    assert refused > 20


def test_a_tiff_that_declares_too_many_pixels_is_refused_before_they_are_read(
    tmp_path: Path,
) -> None:
    tifffile.imwrite(tmp_path / "large.tif", shape=(9, 9), dtype="uint8")
    content = bytearray((tmp_path / "large.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "large.tif") as tiff:
        tags = tiff.pages[0].tags
        places = [tags[name].offset + 8 for name in ("ImageWidth", "ImageLength", "RowsPerStrip")]
    for place in places:
        content[place : place + 2] = (60_000).to_bytes(2, "little")
    (tmp_path / "large.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"60000 x 60000 pixels.*64 megapixels"):
        read_image(tmp_path / "large.tif", LIMIT)


def test_the_sample_photographs_are_read() -> None:
    paths = sorted((Path(__file__).parents[2] / "data" / "samples" / "images").glob("*.png"))
    assert paths
    for path in paths[:20]:
        pixels = np.asarray(PIL.Image.open(path))
        assert np.array_equal(read_image(path, LIMIT).squeeze(), pixels)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 1), (1, 50, 3)])
def test_a_tiff_of_one_row_or_column_is_an_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tifffile.imwrite(tmp_path / "thin.tif", np.ones(shape, np.uint8))
    assert read_image(tmp_path / "thin.tif", LIMIT).shape == (*shape, 1)[:3]


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "complex.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(InputError, match=r"pixels of type complex64\. Export it with"):
        Image().check(tmp_path / "complex.tif")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image file"):
        Image().check(tmp_path)


def test_patches_show_their_part_of_the_image_and_say_how_much_of_it_is_real() -> None:
    tokens = Image(AS_IT_IS).tokenize(COLOUR)
    assert tokens.positions.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert tokens.ids.tolist() == [[3, 16, 16], [3, 16, 5], [3, 14, 16], [3, 14, 5]]
    patches = tokens.values[:, :-N_STATISTICS].reshape(4, 4, 16, 16)
    expected, _ = standardise(unit_range(COLOUR))
    assert np.array_equal(patches[3, :3, :14, :5], expected[:, 16:, 16:])
    assert not patches[3, :3, 14:].any()
    assert not patches[3, :3, :, 5:].any()
    assert not patches[:, 3].any()


def test_channels_beyond_four_start_a_new_group() -> None:
    stack = np.random.default_rng(6).normal(size=(16, 32, 6))
    tokens = Image(AS_IT_IS).tokenize(Image().check(stack))
    assert tokens.positions.tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    assert tokens.ids[:, 0].tolist() == [4, 4, 2, 2]
    _, statistics = standardise(unit_range(stack))
    assert np.array_equal(tokens.values[2, -N_STATISTICS:][:2], statistics[4:, 0])
    assert np.array_equal(tokens.values[2, -4:][:2], statistics[4:, 1])
    assert not tokens.values[2, -2:].any()


def test_the_same_picture_in_eight_and_sixteen_bits_has_the_same_tokens() -> None:
    eight = Image().tokenize(GREY[:, :, None])
    sixteen = Image().tokenize(GREY[:, :, None].astype(np.uint16) * 257)
    np.testing.assert_allclose(eight.values, sixteen.values, atol=1e-5)  # float32 division


def test_brightness_does_not_change_the_pixels_but_the_statistics() -> None:
    image = np.random.default_rng(7).normal(size=(16, 16, 1))
    plain, bright = Image().tokenize(image), Image().tokenize(image * 40 + 1_000)
    np.testing.assert_allclose(plain.values[:, :256], bright.values[:, :256], atol=1e-3)
    assert bright.values[0, -8] == pytest.approx(np.log1p((image * 40 + 1_000).mean()), rel=1e-5)


def test_images_in_tiny_units_are_not_taken_for_flat() -> None:
    image = np.random.default_rng(7).normal(1, 1, (16, 16, 1))
    plain, tiny = Image().tokenize(image), Image().tokenize(image * 1e-12)
    np.testing.assert_allclose(plain.values[:, :256], tiny.values[:, :256], atol=1e-5)


def test_a_flat_channel_is_zero_and_missing_pixels_take_the_mean() -> None:
    image = np.random.default_rng(8).normal(10, 2, (16, 16, 2))
    image[:, :, 1] = 3
    image[0, 0, 0], image[0, 1, 0] = np.nan, np.inf
    patches = Image().tokenize(image).values[0, :-N_STATISTICS].reshape(4, 16, 16)
    assert np.isfinite(patches).all()
    assert not patches[1].any()
    assert np.abs(patches[0, 0, :2]).max() < 1e-6


@pytest.mark.parametrize(
    "shape", [(2_000, 3_000, 3), (5_000, 40, 1), (40, 5_000, 1), (700, 700, 9)]
)
def test_large_images_are_scaled_down_to_fit_and_keep_their_proportions(
    shape: tuple[int, int, int],
) -> None:
    image = Image(ImageConfig(max_tokens=64))
    tokens = image.tokenize(np.zeros(shape, np.uint8))
    groups = -(-shape[2] // 4)
    assert 64 / 3 < len(tokens) <= 64
    rows = sum(tokens.ids[tokens.positions[:, 2] == 0, 1]) / groups
    columns = sum(tokens.ids[tokens.positions[:, 1] == 0, 2]) / groups
    assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.25)


def test_scaling_down_averages_over_areas() -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 200
    image = Image(ImageConfig(max_tokens=1))
    assert np.abs(image.tokenize(checks[:, :, None].astype(np.uint8)).values[:, :256]).max() < 1e-3


@pytest.mark.parametrize(("shape", "patches"), [((28, 28), 16), ((8, 8), 16), ((16, 1), 4)])
def test_a_thumbnail_is_scaled_up_to_have_several_patches(
    shape: tuple[int, int], patches: int
) -> None:
    tokens = Image().tokenize(np.random.default_rng(9).normal(size=(*shape, 1)))
    assert len(tokens) == patches
    assert tokens.ids[:, 1].tolist() == patches * [16]


def test_scaling_up_goes_smoothly_from_pixel_to_pixel() -> None:
    ramp = np.broadcast_to(np.arange(8.0), (8, 8))[:, :, None]
    pixels = Image().tokenize(ramp).values[:4, :256].reshape(4, 16, 16)[:, 8]
    steps = np.diff(pixels.ravel())
    assert (steps >= 0).all()
    # Seven steps of one pixel over 64 places, and none jumps by a whole pixel.
    assert steps.max() < 1.1 * np.ptp(pixels) / 7 / 8


def test_an_image_that_fits_is_not_scaled() -> None:
    exact = np.zeros((512, 512, 4), np.uint8)
    assert len(Image().tokenize(exact)) == 1_024
    assert len(Image().tokenize(np.zeros((513, 512, 4), np.uint8))) <= 1_024


def test_another_patch_size_changes_the_width_and_travels_with_the_state() -> None:
    small = Image(ImageConfig(patch_size=8, least_across=1))
    restored = Image()
    restored.load_state(small.state())
    for image in (small, restored):
        tokens = image.tokenize(GREY[:, :, None])
        assert tokens.values.shape == (12, image.n_values) == (12, 4 * 64 + N_STATISTICS)
        embed = image.embedder(8)
        assert embed(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.values)).shape == (12, 8)


def test_arrays_of_text_and_settings_below_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"type <U1 is not an image"):
        Image().check(np.full((3, 3), "a"))
    with pytest.raises(InputError, match=r"patch_size must be positive, got 0"):
        ImageConfig(patch_size=0)


def test_a_varied_image_keeps_its_size_and_its_range() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (40, 30, 3)).astype(np.uint8)
    varied = [Image().vary(pixels, np.random.default_rng(seed)) for seed in range(20)]
    assert {one.shape for one in varied} == {(40, 30, 3)}
    assert all(one.min() >= 0 and one.max() <= 1 for one in varied)
    assert len({float(one.mean()) for one in varied}) == 20
    large = Image().vary(rng.random((600, 300)), np.random.default_rng(0))
    assert large.shape == (192, 96, 1)
    flat = Image().vary(np.full((3, 2), -7.0), np.random.default_rng(0))
    assert flat == pytest.approx(-7.0), "only what lies within 0 to 1 has another exposure"
