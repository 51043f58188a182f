"""What can be said of any field, whatever its grid: level, spread, slopes and roughness."""

import numpy as np
from jaxtyping import Float

from kagaku.modalities import Modality, Tokens

_QUANTILES = (0.1, 0.5, 0.9)

N_NUMBERS = 9
"""Numbers of `field_summary`."""


def field_summary(
    modality: Modality[object], tokens: Tokens
) -> Float[np.ndarray, " number"] | None:
    """Return numbers that describe what is shown of a field, all variables together.

    Area-weighted mean and spread of the standardised cells, their quantiles, the slopes of the
    patches' means towards the north and the east (over one spread of their places), what of these
    means no slope explains, and the roughness inside patches. None where no cell is there.

    Args:
        modality: The climate modality, which knows areas.
        tokens: Of a field, or of a region of it.
    """
    cells, weights = (one.astype(np.float64) for one in modality.answers(tokens))
    total = weights.sum()
    if total <= 0:
        return None
    mean = (cells * weights).sum() / total
    spread = np.sqrt((weights * (cells - mean) ** 2).sum() / total)
    quantiles = np.quantile(cells[weights > 0], _QUANTILES)
    of_patch = weights.sum(axis=1)
    is_there = of_patch > 0
    level = (cells * weights).sum(axis=1)[is_there] / of_patch[is_there]
    inside = cells[is_there] - level[:, None]
    rough = np.sqrt((weights[is_there] * inside**2).sum() / total)
    places = tokens.positions[:, 1:3].astype(np.float64)
    # Eastwards from the first patch, so that a region across Greenwich is not torn apart.
    places[:, 1] = (places[:, 1] - places[0, 1]) % 360
    slopes, left = _slopes(places[is_there], level - mean)
    return np.array([mean, spread, *quantiles, *slopes, left, rough], dtype=np.float64)


def _slopes(
    places: Float[np.ndarray, "patch 2"], level: Float[np.ndarray, " patch"]
) -> tuple[np.ndarray, float]:
    """Return how fast the level rises along both axes, and the spread that is left."""
    centred = places - places.mean(axis=0)
    width = centred.std(axis=0)
    scaled = np.divide(centred, width, out=np.zeros_like(centred), where=width > 1e-6)
    slopes, *_ = np.linalg.lstsq(scaled, level, rcond=None)
    return slopes, float(np.std(level - scaled @ slopes))
