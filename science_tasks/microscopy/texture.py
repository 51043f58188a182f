"""Texture, edges and objects of a grey image, from NumPy and SciPy alone."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Grey = Float[np.ndarray, "row column"]

N_ORIENTATIONS = 8
"""Bins of edge direction, over half a turn: light-to-dark and dark-to-light are one edge."""

N_CELLS = 4
"""Cells along each side over which edge directions are collected."""

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations, in pixels, of the blurs whose differences tell coarse from fine."""

PEAK_WINDOWS = (0.05, 0.1, 0.2)
"""Least distances between the middles of two objects, as parts of the image's shorter side."""

BLOB_SIZES = (0.01, 0.02, 0.04, 0.08, 0.12)
"""Sizes of blobs (standard deviations), as parts of the image's shorter side."""

N_CODES = 10
"""Different uniform patterns of eight neighbours: 0 to 8 brighter ones, and all others."""


def _uniform_codes() -> np.ndarray:
    """Return the rotation-invariant uniform code of each of the 256 neighbour patterns."""
    codes = np.empty(256, dtype=np.int64)
    for pattern in range(256):
        bits = [(pattern >> bit) & 1 for bit in range(8)]
        changes = sum(bits[i] != bits[i - 1] for i in range(8))
        codes[pattern] = sum(bits) if changes <= 2 else N_CODES - 1
    return codes


_CODE_OF_PATTERN = _uniform_codes()
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def edge_directions(grey: Grey) -> Float[np.ndarray, " feature"]:
    """Return histograms of edge direction over 4 x 4 cells, normalised over the whole image.

    Source: Dalal and Triggs (2005), https://doi.org/10.1109/CVPR.2005.177, without overlapping
    blocks.
    """
    down, across = (ndimage.sobel(grey, axis=axis, mode="nearest") for axis in (0, 1))
    strength = np.hypot(down, across)
    turn = np.arctan2(down, across) % np.pi / np.pi
    # The centre of bin 0 is an upright edge, so that noise around 0 does not jump to the last bin.
    direction = np.round(turn * N_ORIENTATIONS).astype(np.int64) % N_ORIENTATIONS
    rows, columns = (
        np.arange(length) * N_CELLS // length for length in (grey.shape[0], grey.shape[1])
    )
    bins = (rows[:, None] * N_CELLS + columns[None, :]) * N_ORIENTATIONS + direction
    histogram = np.bincount(
        bins.ravel(), weights=strength.ravel(), minlength=N_CELLS**2 * N_ORIENTATIONS
    )
    length = np.linalg.norm(histogram)
    normalised: np.ndarray = np.sqrt(histogram / length) if length > 0 else histogram
    return normalised


def local_patterns(grey: Grey) -> Float[np.ndarray, " code"]:
    """Return how often each local binary pattern occurs, as fractions.

    A pixel's code is how many of its eight neighbours are at least as bright, if they stand
    together; rotation changes nothing. Source: Ojala, Pietikainen and Maenpaa (2002),
    https://doi.org/10.1109/TPAMI.2002.1017623
    """
    padded = np.pad(grey, 1, mode="edge")
    rows, columns = grey.shape
    pattern = np.zeros(grey.shape, dtype=np.int64)
    for bit, (down, across) in enumerate(_NEIGHBOURS):
        neighbour = padded[1 + down : 1 + down + rows, 1 + across : 1 + across + columns]
        pattern |= (neighbour >= grey).astype(np.int64) << bit
    codes = np.bincount(_CODE_OF_PATTERN[pattern].ravel(), minlength=N_CODES)
    fractions: np.ndarray = codes / grey.size
    return fractions


def scale_energies(grey: Grey) -> Float[np.ndarray, " scale"]:
    """Return the spread of the details between one blur and the next, fine to coarse, as logs."""
    blurred = [grey, *(ndimage.gaussian_filter(grey, sigma, mode="nearest") for sigma in SCALES)]
    details = [np.std(fine - coarse) for fine, coarse in itertools.pairwise(blurred)]
    return np.log(np.array(details) + 1e-4)


def otsu_threshold(grey: Grey) -> tuple[float, float]:
    """Return the value that best parts dark from bright, and the share of variance it explains.

    An image of one value has no parts: the value itself, and 0. Source: Otsu (1979),
    https://doi.org/10.1109/TSMC.1979.4310076
    """
    counts, edges = np.histogram(grey, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    valid = (below > 0) & (above > 0)
    if not valid.any():
        return float(grey.flat[0]), 0.0
    difference = np.zeros(len(below))
    difference[valid] = (
        sums[:-1][valid] / below[valid] - (sums[-1] - sums[:-1][valid]) / above[valid]
    )
    between = below * above * difference**2 / counts.sum() ** 2
    # Where nothing lies between the two populations, every threshold there is as good as another.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    explained = float(between.max() / max(float(grey.var()), 1e-30))
    return float(edges[1:][best].mean()), min(explained, 1.0)


def objects(pixels: Float[np.ndarray, "row column channel"]) -> Float[np.ndarray, " feature"]:
    """Return counts and sizes of bright and of dark objects, for counting tasks.

    They are looked for in the channel that Otsu's threshold parts best: stained and fluorescent
    cells stand out in one colour. First what share of the variance that is; then for the bright
    and the dark side: log(1 + objects), log(1 + objects of at least 0.02% of the image), covered
    fraction, median and largest object as fractions of the image, and log(1 + peaks of the
    distance map) at three sizes: touching cells are one object, but have a peak each. Last, the
    blobs of `blob_counts`.
    """
    smooth = ndimage.gaussian_filter(pixels, (1.0, 1.0, 0.0), mode="nearest")
    parted = [otsu_threshold(smooth[:, :, channel]) for channel in range(pixels.shape[2])]
    best = max(range(len(parted)), key=lambda channel: parted[channel][1])
    threshold, explained = parted[best]
    bright = smooth[:, :, best] > threshold
    return np.concatenate(
        [
            [explained],
            _object_statistics(bright),
            _object_statistics(~bright),
            blob_counts(smooth[:, :, best]),
        ]
    )


def blob_counts(grey: Grey) -> Float[np.ndarray, " feature"]:
    """Return log(1 + blobs) of each size in `BLOB_SIZES`, dark ones, then bright ones.

    A blob is a clear extremum of the Laplacian of a Gaussian, on an image reduced to about 96
    pixels. Source: Lindeberg (1998), https://doi.org/10.1023/A:1008045108935
    """
    factor = max(1, round(min(grey.shape) / 96))
    rows, columns = (length // factor * factor for length in grey.shape)
    small = grey[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
    reduced = small.mean(axis=(1, 3))
    spread = reduced.std()
    standardised = (reduced - reduced.mean()) / spread if spread > 1e-6 else np.zeros(reduced.shape)
    counts = []
    for size in BLOB_SIZES:
        sigma = size * min(reduced.shape)
        response = sigma**2 * ndimage.gaussian_laplace(standardised, sigma, mode="nearest")
        window = max(3, int(2 * sigma) | 1)
        for signed in (response, -response):
            peaks = (signed == ndimage.maximum_filter(signed, size=window)) & (signed > 0.5)
            counts.append(float(peaks.sum()))
    logs: np.ndarray = np.log1p(np.array(counts))
    return logs


def _object_statistics(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(5 + len(PEAK_WINDOWS))
    sizes = np.bincount(labels.ravel())[1:] / mask.size
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0, mode="nearest")
    n_peaks = []
    for part in PEAK_WINDOWS:
        window = max(3, int(min(mask.shape) * part) | 1)
        peaks = (depth == ndimage.maximum_filter(depth, size=window)) & (depth > 1.0) & mask
        n_peaks.append(ndimage.label(peaks, structure=np.ones((3, 3)))[1])
    return np.array(
        [
            np.log1p(count),
            np.log1p((sizes >= 2e-4).sum()),
            mask.mean(),
            np.median(sizes),
            sizes.max(),
            *np.log1p(n_peaks),
        ]
    )
