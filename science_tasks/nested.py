"""Nested cross-validation: the whole procedure repeated in each fold, on the other folds alone.

What fits never gets the fold's records at all, so nothing can look at them: neither means and
vocabularies, nor the choice among candidates, nor the calibration. So the score is that of the
procedure, not of one lucky winner. Source: Varma and Simon (2006),
https://doi.org/10.1186/1471-2105-7-91
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from kagaku.data.records import Records
from kagaku.science_tasks.blending import joined
from kagaku.science_tasks.candidate_scores import Fold
from kagaku.science_tasks.prediction import Prediction
from kagaku.science_tasks.property import PropertyModel, TargetPrediction
from kagaku.science_tasks.storage import load_state, save_state

ProgressCallback = Callable[[int, int, str], None]

Chosen = Mapping[str, tuple[str, ...]]
"""By target, the candidates that answer together."""

Fit = Callable[[Records, Path | None, ProgressCallback | None], tuple[PropertyModel, Chosen]]
"""Fits to all of the given records, with a folder for finished steps."""


@dataclass(frozen=True)
class OuterFold:
    """One fold, predicted by what was fitted on all others."""

    index: Int[np.ndarray, " _"]
    """The records of the fold."""

    n_train: int
    """How many records there were to fit on."""

    chosen: Chosen
    """What was chosen without the fold."""

    answers: Mapping[str, TargetPrediction]
    """By target, calibrated predictions of the fold."""

    seconds: float
    """How long fitting and predicting took."""


def repeat_in_folds(
    fit: Fit,
    records: Records,
    folds: Sequence[Fold],
    *,
    work: Path | None = None,
    fingerprint: str = "",
    progress: ProgressCallback | None = None,
) -> list[OuterFold]:
    """Return each fold as predicted by the whole procedure on the others.

    Args:
        fit: The procedure.
        records: All records.
        folds: Records to fit on and records to predict, in turn.
        work: A folder where finished folds are kept, so that a stopped run goes on.
        fingerprint: Identifies data and settings; kept folds of another are not used.
        progress: Called with (done, total, what) of the fold in progress.
    """
    found = []
    for number, (train, test) in enumerate(folds):
        kept = None if work is None else work / f"outer-{_digest(fingerprint, train, test)}"
        finished = None if kept is None else kept.with_suffix(".safetensors")
        if finished is not None and finished.exists():
            found.append(_restored(load_state(finished)))
            continue
        label = f"outer fold {number + 1} of {len(folds)}"
        begun = time.monotonic()
        model, chosen = fit(records.subset(train), kept, _labelled(progress, label))
        answers = model.predict(records.subset(test), progress=_labelled(progress, label))
        one = OuterFold(test, len(train), chosen, answers, time.monotonic() - begun)
        if kept is not None and finished is not None:
            save_state(asdict(one), finished)
            shutil.rmtree(kept, ignore_errors=True)
        found.append(one)
    return found


def joined_answers(folds: Sequence[OuterFold], target: str) -> TargetPrediction:
    """Return the predictions of a target in all folds, one fold after the other."""
    answers = [fold.answers[target] for fold in folds]

    def column(name: str) -> Any:
        values = [getattr(one, name) for one in answers]
        return None if values[0] is None else np.concatenate(values)

    names = ("in_domain", "distance", "lower", "upper", "sets", "token_counts")
    prediction = joined([one.prediction for one in answers])
    return TargetPrediction(prediction, **{name: column(name) for name in names})


def _restored(state: Mapping[str, Any]) -> OuterFold:
    """Return the fold that was kept."""
    answers = {
        name: TargetPrediction(Prediction(**one["prediction"]), **_without_prediction(one))
        for name, one in state["answers"].items()
    }
    chosen = {name: tuple(members) for name, members in state["chosen"].items()}
    return OuterFold(state["index"], state["n_train"], chosen, answers, state["seconds"])


def _without_prediction(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "prediction"}


def _digest(fingerprint: str, train: np.ndarray, test: np.ndarray) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    for part in (train, test):
        digest.update(np.asarray(part, dtype=np.int64).tobytes() + b"/")
    return digest.hexdigest()[:24]


def _labelled(progress: ProgressCallback | None, label: str) -> ProgressCallback | None:
    if progress is None:
        return None
    return lambda done, total, what: progress(done, total, f"{label}: {what}")
