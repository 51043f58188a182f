"""Learning from images as the instrument might also have taken them, and asking about each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from kagaku.modalities.image_files import read_image
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.benchmark.measures import CHANCE, GIVEN, HIGH, LOW
from kagaku.science_tasks.benchmark.task import Context, Method, Rows
from kagaku.science_tasks.microscopy.symmetries import changed

MAX_PIXELS = 64_000_000
"""Largest image that is decoded, as in `modalities.image.ImageConfig`."""


@dataclass(frozen=True)
class Augmented:
    """A method that learns from every symmetry of the training images and averages over the tests'.

    What is averaged are probabilities, means and ends of intervals; the rest of the answers is that
    of the image as it is.
    """

    method: Method
    """Answers a case of records."""

    symmetries: tuple[str, ...]
    """Of the task, the one that leaves the image as it is first."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:
        """Answer a case."""
        frame = self.method(augmented_case(case, self.symmetries), context)
        return averaged(frame, len(self.symmetries))


def augmented_case(case: PropertyCase, symmetries: tuple[str, ...]) -> PropertyCase:
    """Return the case with every image after every change, those of one image one after the other.

    Copies of a training image are one group, so that folds keep them together.
    """
    count = len(symmetries)
    every = np.repeat(np.arange(len(case.records)), count)
    records = case.records.subset(every)
    inputs = dict(records.inputs)
    for one in records.schema.inputs:
        if one.modality == "image":
            inputs[one.name] = [
                None if value is None else changed(_pixels(value), name)
                for value in case.records.inputs[one.name]
                for name in symmetries
            ]
    groups = every if case.records.groups is None else case.records.groups[every]
    records = replace(records, inputs=inputs, groups=np.asarray(groups, dtype=object))

    def spread(rows: np.ndarray) -> np.ndarray:
        return (rows[:, None] * count + np.arange(count)).ravel()

    extra = case.extra and {name: column[every] for name, column in case.extra.items()}
    return replace(
        case,
        records=records,
        rows=Rows(spread(case.rows.learnt()), spread(case.rows.test)),
        keeps_apart="group",
        extra=extra,
    )


def averaged(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return answers about images from answers about ``count`` changes of each, in order."""
    first = frame.iloc[::count].reset_index(drop=True)
    for name in frame.columns:
        if name in {GIVEN, LOW, HIGH} or name.removeprefix(CHANCE).isdigit():
            first[name] = frame[name].to_numpy(np.float64).reshape(-1, count).mean(axis=1)
    first.attrs = frame.attrs
    return first


def _pixels(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else read_image(value, MAX_PIXELS)
