"""Pixels of an image as float32 channels: one range, one spread, another size, another picture."""

import numpy as np
import PIL.Image
from jaxtyping import Float

FLAT = 1e-7
"""Spread, relative to the mean, below which a channel counts as flat: float32 ends there."""

VARIED = 0.5
"""How often focus, and how often exposure, is another in a varied image."""


def resized(
    channels: Float[np.ndarray, "channel row column"],
    size: tuple[int, int],
    method: PIL.Image.Resampling,
) -> Float[np.ndarray, "channel new_row new_column"]:
    """Return every channel with ``size`` columns and rows, at least one of each."""
    columns, rows = (max(1, one) for one in size)
    return np.stack(
        [np.asarray(PIL.Image.fromarray(one).resize((columns, rows), method)) for one in channels]
    )


def unit_range(pixels: np.ndarray) -> Float[np.ndarray, "channel row column"]:
    """Return (row, column, channel) pixels as float32, integers divided by their type's maximum.

    Non-finite pixels become the mean of their channel (0 where a channel has no finite pixel).
    """
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1
    if pixels.dtype.kind in "biu":
        scaled = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(most)
        return np.ascontiguousarray(scaled)
    scaled = pixels.transpose(2, 0, 1).astype(np.float64)
    for channel in scaled:
        finite = np.isfinite(channel)
        channel[~finite] = channel[finite].mean() if finite.any() else 0.0
    limit = np.finfo(np.float32).max
    return np.ascontiguousarray(scaled.clip(-limit, limit).astype(np.float32))


def standardise(
    channels: Float[np.ndarray, "channel row column"],
) -> tuple[Float[np.ndarray, "channel row column"], Float[np.ndarray, "channel 2"]]:
    """Return each channel with mean 0 and spread 1, and its mean and spread as sign * log(1 + |x|).

    A flat channel becomes 0.
    """
    mean = channels.mean(axis=(1, 2), dtype=np.float64)
    std = channels.std(axis=(1, 2), dtype=np.float64)
    is_flat = std <= FLAT * np.abs(mean)
    divisor = np.where(is_flat, np.inf, std)[:, None, None]
    standardised = ((channels - mean[:, None, None]) / divisor).astype(np.float32)
    statistics = np.stack([np.sign(mean) * np.log1p(np.abs(mean)), np.log1p(std)], axis=1)
    return standardised, statistics.astype(np.float32)


def varied(
    channels: Float[np.ndarray, "channel row column"], longest: int, rng: np.random.Generator
) -> Float[np.ndarray, "channel new_row new_column"]:
    """Return an image framed, focused and exposed differently; see `Image.vary`.

    Args:
        channels: As `unit_range` gives them.
        longest: Most pixels along the longer side of what is returned.
        rng: Where chance comes from.
    """
    _, rows, columns = channels.shape
    down, across = (max(1, round(one * rng.uniform(0.6, 1.0))) for one in (rows, columns))
    top, left = rng.integers(rows - down + 1), rng.integers(columns - across + 1)
    channels = channels[:, top : top + down, left : left + across]
    if rng.random() < VARIED:
        coarse = rng.uniform(0.5, 1.0)
        size = (round(across * coarse), round(down * coarse))
        channels = resized(channels, size, PIL.Image.Resampling.BOX)
    scale = min(1.0, longest / max(rows, columns))
    size = (round(columns * scale), round(rows * scale))
    method = PIL.Image.Resampling.BILINEAR if scale == 1 else PIL.Image.Resampling.BOX
    channels = resized(channels, size, method)
    if rng.random() < VARIED and channels.min() >= 0 and channels.max() <= 1:
        channels = channels ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
    return channels
