"""Several candidates that answer together: their mean, and which of them are worth it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kagaku.science_tasks.prediction import Prediction

BLEND = "blend"
"""Name of the equal-weight mean of candidates that complement each other."""

LARGEST_BLEND = 4
"""Most members of a blend; more cost time and rarely help."""

BLEND_GAIN = 0.005
"""A blend must be this much better (as a share of the score) than its best member, or the simpler
answer stays."""


@dataclass(frozen=True)
class Choice:
    """Which candidates shall answer."""

    members: tuple[str, ...]
    """The winner: one candidate, or the parts of a blend."""

    ranked: tuple[str, ...]
    """All candidates, best first."""

    mixed: tuple[str, ...]
    """Parts of the best blend, whether it won or not; empty if none was tried."""


def choose(
    names: Sequence[str], score: Callable[[tuple[str, ...]], float], *, with_blend: bool
) -> Choice:
    """Return the candidate of the lowest score, or the blend that beats it by `BLEND_GAIN`.

    The blend grows from the best candidate by whichever other helps most, which often is no near
    copy of those that are in already.

    Args:
        names: The candidates; of equally good ones the first wins.
        score: Of the mean of some candidates; lower is better, NaN is worst.
        with_blend: Whether a blend may win.
    """

    def known(members: tuple[str, ...]) -> float:
        found = score(members)
        return found if np.isfinite(found) else np.inf

    ranked = tuple(sorted(names, key=lambda name: known((name,))))
    members = best = ranked[:1]
    if not with_blend or len(ranked) < 2:
        return Choice(best, ranked, ())
    grown = []
    while len(members) < min(LARGEST_BLEND, len(ranked)):
        members = min(((*members, one) for one in ranked if one not in members), key=known)
        grown.append(members)
    mixed = min(grown, key=known)
    wins = known(mixed) < known(best) * (1 - BLEND_GAIN)
    return Choice(mixed if wins else best, ranked, mixed)


def blend(predictions: Sequence[Prediction]) -> Prediction:
    """Return the equal-weight mixture of several predictions of the same records.

    The spread of a mixture joins the members' own variance with their disagreement.
    """
    if len(predictions) == 1:
        return predictions[0]
    if predictions[0].probabilities is not None:
        tables = [one.probabilities for one in predictions if one.probabilities is not None]
        return Prediction(probabilities=np.mean(tables, axis=0))
    means = np.stack([one.mean for one in predictions if one.mean is not None])
    spreads = np.stack([one.spread for one in predictions if one.spread is not None])
    variance = np.square(spreads).mean(axis=0) + means.var(axis=0)
    return Prediction(mean=means.mean(axis=0), spread=np.sqrt(variance))


def joined(parts: Sequence[Prediction]) -> Prediction:
    """Return the predictions of several lots of records, one lot after the other."""

    def column(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values)

    return Prediction(column("mean"), column("spread"), column("probabilities"))
