"""Images of any size and number of channels, as patches."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.Image
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kagaku.errors import InputError
from kagaku.modalities.base import MODALITIES, Modality, Tokens
from kagaku.modalities.cropping import region
from kagaku.modalities.image_files import CHANNELS_PER_GROUP, check_size, read_image
from kagaku.modalities.image_pixels import resized, standardise, unit_range, varied
from kagaku.modalities.stored_config import restore_config

N_STATISTICS = 2 * CHANNELS_PER_GROUP
"""Reals of a token after its pixels: mean and spread of each channel in the whole image."""

VARIED_ACROSS = 12
"""Most patches along the longer side of a varied image, so that it is seen as a whole."""


@dataclass(frozen=True)
class ImageConfig:
    """Settings of the image modality."""

    patch_size: int = 16
    """Rows and columns of a patch, in pixels."""

    max_tokens: int = 1_024
    """Most patches (times groups of four channels); larger images are scaled down to fit."""

    least_across: int = 64
    """Pixels along the longer side of the smallest image; smaller ones are scaled up to it, so
    that a thumbnail has several patches and not one that shows it all."""

    max_pixels: int = 64_000_000
    """Largest image that is decoded at all: rows x columns x groups of four channels."""

    def __post_init__(self) -> None:
        """Check the settings once, where they are made."""
        for name, value in asdict(self).items():
            if value <= 0:
                raise InputError(
                    f"{name} must be positive, got {value}", fix="Set it to 1 or more."
                )


@MODALITIES.register("image")
class Image(Modality[Path | np.ndarray]):
    """Photographs, micrographs, scans and multi-channel stacks.

    A raw value is the path of a file or an array, (row, column) or (row, column, channel). One
    token is one patch of up to four channels; an image of more channels has several groups of them.

    *Values.* Integers are divided by the largest value of their type, floats are taken as they
    are. Each channel is then standardised by its mean and spread in this image, which makes a
    12-bit camera in a 16-bit file and an 8-bit scan look alike; the mean and the spread travel
    with every token, on a signed log scale, so that brightness is not lost. Non-finite pixels
    (the black rim of a stitched scan) count as missing and take the mean.

    *Edges.* Patches at the right and lower edge are filled with 0, the mean of the standardised
    channel; how many rows and columns are real stands in the token's ids.

    *Size.* Images with more than ``max_tokens`` patches are scaled down, keeping their proportions,
    by averaging over the area of each new pixel. Images of less than ``least_across`` pixels are
    scaled up between their pixels.

    Args:
        config: Limits and patch size; see `ImageConfig`.
    """

    name: ClassVar[str] = "image"
    n_ids = 3
    n_values = CHANNELS_PER_GROUP * 16**2 + N_STATISTICS

    def __init__(self, config: ImageConfig | None = None) -> None:
        self._configure(config or ImageConfig())

    def _configure(self, config: ImageConfig) -> None:
        self.config = config
        self.n_values = CHANNELS_PER_GROUP * config.patch_size**2 + N_STATISTICS

    def check(self, value: Path | np.ndarray) -> Path | np.ndarray:
        """Return a path as it is, once its whole image was read; an array with a channel axis.

        Raises:
            InputError: The file is missing, no image, damaged or too large, or the array is not
                an image, or has no finite pixel or too many channels.
        """
        if isinstance(value, np.ndarray):
            value = self._check_array(value)
            self._check_pixels(value)
        else:
            self._check_pixels(read_image(Path(value), self.config.max_pixels))
        return value

    def _check_array(self, value: np.ndarray) -> np.ndarray:
        if value.ndim not in (2, 3) or value.dtype.kind not in "buif":
            raise InputError(
                f"an array of shape {value.shape} and type {value.dtype} is not an image",
                fix="Give numbers as (row, column) or (row, column, channel).",
            )
        image = value if value.ndim == 3 else value[:, :, None]
        rows, columns, channels = image.shape
        check_size(rows, columns, channels, self.config.max_pixels)
        return image

    def _check_pixels(self, pixels: np.ndarray) -> None:
        if pixels.dtype.kind not in "buif":
            raise InputError(
                f"the image has pixels of type {pixels.dtype}",
                fix="Export it with integers or real numbers.",
            )
        groups = -(-pixels.shape[2] // CHANNELS_PER_GROUP)
        if groups > self.config.max_tokens:
            raise InputError(
                f"the image has {pixels.shape[2]} channels, too many for "
                f"{self.config.max_tokens} tokens",
                fix="Choose the channels that matter, or project the stack.",
            )
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).any():
            raise InputError("the image has no finite pixel", fix="Export the file again.")

    def tokenize(self, value: Path | np.ndarray) -> Tokens:
        """Return one token per patch and group of four channels, group by group, row by row.

        Ids: channels, rows and columns that are present in the patch. Values: its pixels
        (channel, row, column), then each channel's mean and each channel's spread. Positions:
        (group, row, column) of the patch.
        """
        stored = (
            self._check_array(value)
            if isinstance(value, np.ndarray)
            else read_image(Path(value), self.config.max_pixels)
        )
        channels = self._fit_size(unit_range(stored))
        standardised, statistics = standardise(channels)
        return self._patches(standardised, statistics)

    def _fit_size(self, channels: Float[np.ndarray, "channel row column"]) -> np.ndarray:
        """Return the image, scaled up if it is tiny, down if it has more patches than allowed."""
        count, rows, columns = channels.shape
        if (longer := max(rows, columns)) < self.config.least_across:
            grown = [round(one * self.config.least_across / longer) for one in (columns, rows)]
            channels = resized(channels, (grown[0], grown[1]), PIL.Image.Resampling.BILINEAR)
            count, rows, columns = channels.shape
        groups = -(-count // CHANNELS_PER_GROUP)
        most = self.config.max_tokens // groups
        side = self.config.patch_size
        if math.ceil(rows / side) * math.ceil(columns / side) <= most:
            return channels
        # The largest scale whose grid of patches fits: at each number of patch rows, the columns
        # that the allowance leaves bound the scale from the other side.
        scale = max(
            min(down * side / rows, (most // down) * side / columns) for down in range(1, most + 1)
        )
        scale = min(scale, 1.0)
        size = (int(columns * scale), int(rows * scale))
        return resized(channels, size, PIL.Image.Resampling.BOX)

    def _patches(
        self,
        channels: Float[np.ndarray, "channel row column"],
        statistics: Float[np.ndarray, "channel 2"],
    ) -> Tokens:
        count, rows, columns = channels.shape
        side = self.config.patch_size
        groups, down, across = (
            -(-count // CHANNELS_PER_GROUP),
            -(-rows // side),
            -(-columns // side),
        )
        padded = np.zeros((groups * CHANNELS_PER_GROUP, down * side, across * side), np.float32)
        padded[:count, :rows, :columns] = channels
        pixels = padded.reshape(groups, CHANNELS_PER_GROUP, down, side, across, side)
        pixels = pixels.transpose(0, 2, 4, 1, 3, 5).reshape(groups * down * across, -1)
        per_group = np.zeros((groups * CHANNELS_PER_GROUP, 2), np.float32)
        per_group[:count] = statistics
        per_group = per_group.reshape(groups, CHANNELS_PER_GROUP, 2).transpose(0, 2, 1)
        grid = np.stack(
            np.meshgrid(np.arange(groups), np.arange(down), np.arange(across), indexing="ij"), -1
        ).reshape(-1, 3)
        left = np.array([count, rows, columns]) - grid * [CHANNELS_PER_GROUP, side, side]
        return Tokens(
            ids=np.minimum(left, [CHANNELS_PER_GROUP, side, side]).astype(np.int64),
            values=np.hstack([pixels, per_group.reshape(groups, -1)[grid[:, 0]]]),
            positions=grid.astype(np.float32),
        )

    def hide(self, tokens: Tokens, chosen: Bool[np.ndarray, " token"]) -> Tokens:
        """Return the tokens with the chosen patches blanked: no row and no column is there.

        How many channels there are, and their mean and spread in the whole image, stay.
        """
        values, ids = tokens.values.copy(), tokens.ids.copy()
        values[chosen, :-N_STATISTICS] = 0
        ids[chosen, 1:] = 0
        return replace(tokens, ids=ids, values=values)

    def answers(
        self, tokens: Tokens
    ) -> tuple[Float[np.ndarray, "token answer"], Float[np.ndarray, "token answer"]]:
        """Return the standardised pixels; those beyond the edge or in no channel do not count."""
        side = self.config.patch_size
        limits = (CHANNELS_PER_GROUP, side, side)
        channel, row, column = (
            np.arange(limit) < tokens.ids[:, axis : axis + 1] for axis, limit in enumerate(limits)
        )
        inside = channel[:, :, None, None] & row[:, None, :, None] & column[:, None, None, :]
        weights = inside.reshape(len(tokens), int(np.prod(limits))).astype(np.float32)
        return tokens.values[:, :-N_STATISTICS], weights

    def vary(self, value: Path | np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image framed, focused and exposed differently, (row, column, channel).

        A part of 60 to 100% of each side fills the whole frame, which is scaled down if it has more
        than `VARIED_ACROSS` patches along a side; half of the images lose up to half of their
        resolution, and half of those within 0 to 1 have other mid-tones (a gamma of 0.6 to 1.6).
        """
        stored = (
            self._check_array(value)
            if isinstance(value, np.ndarray)
            else read_image(Path(value), self.config.max_pixels)
        )
        longest = VARIED_ACROSS * self.config.patch_size
        channels = varied(unit_range(stored), longest, rng)
        return np.ascontiguousarray(channels.transpose(1, 2, 0))

    def crop(self, tokens: Tokens, most: int, rng: np.random.Generator) -> Tokens:
        """Return a random region of at most ``most`` patches, with all its channels."""
        return region(tokens, most, rng)

    def embedder(self, dim: int) -> nn.Module:
        """Return timm's patch embedding plus what the ids and the channel statistics add."""
        return PatchEmbedder(self.config.patch_size, dim)

    def state(self) -> dict[str, Any]:
        """Return the settings."""
        return {"config": asdict(self.config)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the settings."""
        self._configure(restore_config(ImageConfig, state, self.name))


class PatchEmbedder(nn.Module):
    """Embeds patches of pixels.

    Args:
        patch_size: Rows and columns of a patch.
        dim: Width of an embedding.
    """

    def __init__(self, patch_size: int, dim: int) -> None:
        # Here, since timm takes seconds to import and most predictions need no image.
        from timm.layers import PatchEmbed

        super().__init__()
        self.patch_size = patch_size
        self.pixels = PatchEmbed(
            img_size=patch_size, patch_size=patch_size, in_chans=CHANNELS_PER_GROUP, embed_dim=dim
        )
        self.statistics = nn.Linear(N_STATISTICS, dim, bias=False)
        self.channels_present = nn.Embedding(CHANNELS_PER_GROUP + 1, dim)
        self.rows_present = nn.Embedding(patch_size + 1, dim)
        self.columns_present = nn.Embedding(patch_size + 1, dim)
        for table in (self.channels_present, self.rows_present, self.columns_present):
            nn.init.normal_(table.weight, std=0.02)

    def forward(
        self,
        ids: Int[Tensor, "token 3"],
        values: Float[Tensor, "token n_values"],
    ) -> Float[Tensor, "token dim"]:
        """Return one vector per patch."""
        side = self.patch_size
        pixels = values[:, :-N_STATISTICS].reshape(-1, CHANNELS_PER_GROUP, side, side)
        embedded: Tensor = (
            self.pixels(pixels)[:, 0]
            + self.statistics(values[:, -N_STATISTICS:])
            + self.channels_present(ids[:, 0])
            + self.rows_present(ids[:, 1])
            + self.columns_present(ids[:, 2])
        )
        return embedded
