"""Image files as arrays: PNG, JPEG, TIFF and other usual formats, at their full depth."""

import math
import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import PIL.ImageOps
import tifffile

from kagaku.errors import InputError

CHANNELS_PER_GROUP = 4
"""Channels of an image are taken in groups of this many; one token shows one group of a patch."""

# Only formats whose decoders are part of Pillow and read nothing but the file.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM")

# Whatever the decoders raise on files that are truncated or mangled on purpose.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    PIL.Image.DecompressionBombError,
    PIL.Image.DecompressionBombWarning,
    tifffile.TiffFileError,
)

# Byte order and version: 42 is TIFF, 43 is BigTIFF.
# https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf (42)
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def read_image(path: Path, max_pixels: int) -> np.ndarray:
    """Return an image file's pixels, shape (row, column, channel), in the file's own type.

    Palettes and CMYK become red, green, blue. Transparency is dropped: colours stay as stored. The
    pages and channels of a TIFF all become channels. JPEGs are turned as their EXIF tag says.

    Args:
        path: The file; its content, not its suffix, decides what format it is.
        max_pixels: Largest image that is decoded; see `check_size`.

    Raises:
        InputError: There is no such file, it is no image, damaged, or too large.
    """
    if not path.is_file():
        raise InputError(f"there is no image file {path.name!r}", fix="Correct the file's name.")
    with path.open("rb") as stream:
        head = stream.read(32)
    if not head:
        raise InputError(f"the image file {path.name!r} is empty", fix="Copy the file again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            pixels = (
                _read_tiff(path, max_pixels)
                if head.startswith(_TIFF_MAGIC)
                else _read_other(path, head, max_pixels)
            )
    except InputError:
        raise
    except PIL.UnidentifiedImageError:
        raise InputError(
            f"{path.name!r} is not an image that kagaku reads",
            fix="Use PNG, JPEG or TIFF.",
        ) from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise _too_large("more pixels than any photograph has", max_pixels) from None
    except _DECODER_ERRORS as error:
        raise InputError(
            f"the image file {path.name!r} is damaged ({_first_line(error)})",
            fix="Copy or export the file again.",
        ) from None
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def n_pixels(rows: int, columns: int, channels: int) -> int:
    """Return how many pixels an image has, counted once per group of four channels."""
    return rows * columns * -(-channels // CHANNELS_PER_GROUP)


def check_size(rows: int, columns: int, channels: int, max_pixels: int) -> None:
    """Refuse an image by its declared size, before its pixels are decoded.

    Raises:
        InputError: It has no pixels, or its pixels times its groups of four channels are more than
            ``max_pixels``.
    """
    if rows <= 0 or columns <= 0 or channels <= 0:
        raise InputError(
            f"the image has no pixels ({rows} x {columns}, {channels} channels)",
            fix="Copy or export the file again.",
        )
    if n_pixels(rows, columns, channels) > max_pixels:
        raise _too_large(f"{rows} x {columns} pixels in {channels} channels", max_pixels)


def _too_large(size: str, max_pixels: int) -> InputError:
    return InputError(
        f"the image declares {size}, more than {max_pixels / 1e6:g} megapixels "
        f"(counted per {CHANNELS_PER_GROUP} channels)",
        fix="Crop it or scale it down.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _read_other(path: Path, head: bytes, max_pixels: int) -> np.ndarray:
    """Read what Pillow reads, but 16-bit PNG otherwise: Pillow keeps 8 bits of its colours."""
    with PIL.Image.open(path, formats=_FORMATS) as image:
        check_size(image.height, image.width, len(image.getbands()), max_pixels)
        if head.startswith(_PNG_MAGIC) and head[24] == 16:  # the bit depth in the IHDR chunk
            pixels = np.asarray(imagecodecs.png_decode(path.read_bytes()))
            return pixels[:, :, :-1] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else pixels
        image.load()
        return np.asarray(_plain_mode(PIL.ImageOps.exif_transpose(image)))


def _plain_mode(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return the image as grey values or as red, green and blue."""
    if image.mode in {"1", "L", "F", "I", "RGB"} or image.mode.startswith("I;16"):
        return image
    if image.mode in {"LA", "La"}:
        return image.getchannel(0)
    if image.mode == "RGBA":
        return PIL.Image.merge("RGB", image.split()[:3])
    if image.mode in {"P", "PA"} and image.has_transparency_data:
        return PIL.Image.merge("RGB", image.convert("RGBA").split()[:3])
    return image.convert("RGB")


def _read_tiff(path: Path, max_pixels: int) -> np.ndarray:
    """Read the first series of a TIFF, or the largest level of a pyramid that is small enough."""
    with tifffile.TiffFile(path) as tiff:
        levels = tiff.series[0].levels
        fitting = (one for one in levels if n_pixels(*_extent(one)) <= max_pixels)
        level = next(fitting, levels[-1])
        check_size(*_extent(level), max_pixels)
        return _plain_tiff(level, level.asarray())


def _extent(series: tifffile.TiffPageSeries) -> tuple[int, int, int]:
    """Return rows, columns, and how many values each pixel has over all other axes."""
    sizes = dict(zip(series.axes, map(int, series.shape), strict=True))
    rows, columns = sizes.pop("Y"), sizes.pop("X")
    return rows, columns, math.prod(sizes.values())


def _plain_tiff(series: tifffile.TiffPageSeries, stored: np.ndarray) -> np.ndarray:
    """Return a TIFF's pixels as (row, column, channel): colours resolved, alpha dropped."""
    page, axes = series.keyframe, series.axes
    order = (axes.index("Y"), axes.index("X"))
    pixels = np.moveaxis(stored, order, (0, 1))
    if "S" in axes:  # samples last, so that pages of colour images keep their colours together
        rest = [name for name in axes if name not in "YX"]
        pixels = np.moveaxis(pixels, 2 + rest.index("S"), -1)
        pixels = pixels[..., : pixels.shape[-1] - len(page.extrasamples)]
    photometric = tifffile.PHOTOMETRIC(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        pixels = np.moveaxis(page.colormap[:, pixels], 0, -1)
    elif photometric == tifffile.PHOTOMETRIC.SEPARATED and pixels.shape[-1] == 4:
        pixels = _from_cmyk(pixels)
    elif photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "bu":
        pixels = ~pixels
    return pixels.reshape(*pixels.shape[:2], -1)


def _from_cmyk(pixels: np.ndarray) -> np.ndarray:
    """Return red, green and blue of inks without a colour profile: (1 - ink) (1 - black)."""
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    light = 1 - pixels.astype(np.float32) / most
    return light[..., :3] * light[..., 3:]
