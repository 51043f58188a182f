"""Rain over Finland within the hour, from radar images five minutes apart."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.column_measures import mean_of, root_mean_of
from kagaku.science_tasks.benchmark.measures import Measure
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Task
from kagaku.science_tasks.climate.advection import carried, motion
from kagaku.science_tasks.climate.verification import BLOCK

STEP_MINUTES = 5

KEYS = tuple(
    f"climate/fmi_radar_20160928/20160928{minute // 60:02d}{minute % 60:02d}"
    "_fmi.radar.composite.lowest_FIN_SUOMI1.pgm"
    for minute in range(14 * 60 + 45, 18 * 60 + 1, STEP_MINUTES)
)

N_KNOWN = 13
"""Images that are learnt from; forecasts are made of later ones only."""

LEADS = (5, 15, 30, 60)
"""In minutes."""

THRESHOLDS = (10, 20, 30)
"""dBZ above which there is drizzle, rain and heavy rain."""

FSS_THRESHOLD, FSS_PIXELS = 20, 17
"""The fractions skill score is of rain in squares of 17 km."""

N_MOTION = 4
"""Images that the motion is taken from."""

MISSING = 255
"""The byte of pixels that no radar sees."""

BLOCK_IMAGES = 6
"""Starts that are resampled together: half an hour."""


def reflectivity(image: UInt8[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Return dBZ, at least 0, from bytes; 0 where nothing is seen.

    Below 0 dBZ there is no rain to speak of, and differences there should not count.
    """
    dbz = (image.astype(np.float64) - 64.0) / 2.0  # as the files' own header has it
    return np.where(image == MISSING, 0.0, np.maximum(dbz, 0.0))


def read_pgm(content: bytes, where: str) -> UInt8[np.ndarray, "row column"]:
    """Return the image in a binary PGM file of one byte per pixel.

    Raises:
        InputError: It is none.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            pixels = np.asarray(picture)
    except (OSError, ValueError) as error:  # a damaged header raises the latter
        raise InputError(
            f"the content is no image ({error})", fix="Fetch the data set again.", where=where
        ) from None
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise InputError(
            f"pixels are {pixels.dtype} in {pixels.ndim} dimensions, not one byte each",
            fix="Fetch the data set again.",
            where=where,
        )
    return pixels


@dataclass(frozen=True)
class RadarCase:
    """Images in a row, and those to be told a lead ahead."""

    images: UInt8[np.ndarray, "time row column"]
    """Bytes; see `reflectivity`."""

    starts: Int[np.ndarray, " item"]
    """By item, the last image that is known."""

    steps: int
    """How many images ahead is asked for."""

    n_known: int = N_KNOWN
    """So many images at the beginning may be learnt from."""

    @property
    def n_train(self) -> int:
        """How many images there are to learn from."""
        return self.n_known

    @property
    def n_test(self) -> int:
        """How many images are asked for."""
        return len(self.starts)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:  # noqa: ARG002 (nothing to compare)
        """Return nothing: no corpus has radar images, and each image is there once."""
        return {}

    def cut(self, n_train: int, n_test: int, seed: int) -> "RadarCase":  # noqa: ARG002 (no chance)
        """Return the case with fewer starts, and images of a quarter of the sides if very few."""
        images = self.images[:, 256:512, 256:512] if n_test < len(self.starts) else self.images
        return replace(self, images=images, starts=self.starts[:n_test])

    @cached_property
    def seen(self) -> Bool[np.ndarray, "row column"]:
        """The pixels that some radar sees in every image."""
        return np.asarray((self.images != MISSING).all(axis=0))

    def dbz(self, time: int) -> Float[np.ndarray, "row column"]:
        """Return one image in dBZ."""
        return reflectivity(self.images[time])

    def motion(self, start: int) -> Float[np.ndarray, "2 tile_row tile_column"]:
        """Return the motion in the images up to one."""
        first = max(0, start + 1 - N_MOTION)
        return motion(np.stack([self.dbz(time) for time in range(first, start + 1)]))


def read_radar(source: Source) -> Mapping[str, Case]:
    """Return one case for each lead; all leads have the same starts."""
    images = np.stack([read_pgm(source(key), key) for key in KEYS])
    longest = max(LEADS) // STEP_MINUTES
    starts = np.arange(N_KNOWN - 1, len(images) - longest)
    return {f"{lead} min": RadarCase(images, starts, lead // STEP_MINUTES) for lead in LEADS}


def radar_answers(
    case: RadarCase, forecast: Callable[[int], Float[np.ndarray, "row column"]]
) -> pd.DataFrame:
    """Return the answers to a case.

    Args:
        case: What was asked.
        forecast: Gives the image in dBZ from the last known one.
    """
    from scores.spatial import fss_2d_single_field

    found = []
    for start in case.starts.tolist():
        truth, given = case.dbz(start + case.steps), np.maximum(forecast(start), 0.0)
        seen, error = case.seen, (given - truth)[case.seen]
        row: dict[str, float] = {
            "absolute_error": float(np.abs(error).mean()),
            "squared_error": float(np.square(error).mean()),
            BLOCK: start // BLOCK_IMAGES,
        }
        for threshold in THRESHOLDS:
            told, was = (given >= threshold) & seen, (truth >= threshold) & seen
            row[f"hits_{threshold}"] = int((told & was).sum())
            row[f"either_{threshold}"] = int((told | was).sum())
        row["fss"] = float(
            fss_2d_single_field(
                np.where(seen, given, 0.0),
                np.where(seen, truth, 0.0),
                event_threshold=FSS_THRESHOLD,
                window_size=(FSS_PIXELS, FSS_PIXELS),
                threshold_operator=np.greater_equal,
            )
        )
        found.append(row)
    return pd.DataFrame(found)


def _csi(threshold: int) -> Measure:
    hits, either = f"hits_{threshold}", f"either_{threshold}"

    def compute(answers: pd.DataFrame) -> float:
        total = float(answers[either].sum())
        return float(answers[hits].sum()) / total if total else float("nan")

    return Measure(f"CSI {threshold} dBZ", compute, columns=(hits, either))


MEASURES = (
    mean_of("fss", f"FSS {FSS_THRESHOLD} dBZ, {FSS_PIXELS} km"),
    *(_csi(one) for one in THRESHOLDS),
    mean_of("absolute_error", "MAE", unit="dBZ", smaller_is_better=True),
    root_mean_of("squared_error", "RMSE", unit="dBZ"),
)


def dry(case: RadarCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer that there is no rain."""
    return radar_answers(case, lambda start: np.zeros_like(case.dbz(start)))


def persistence(case: RadarCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with the last image."""
    return radar_answers(case, case.dbz)


def one_motion(case: RadarCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with the last image carried along as a whole."""

    def forecast(start: int) -> np.ndarray:
        moved = case.motion(start)
        mean = np.broadcast_to(moved.mean(axis=(1, 2), keepdims=True), moved.shape)
        return carried(case.dbz(start), mean, case.steps)

    return radar_answers(case, forecast)


def advection(case: RadarCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with the last image carried along, each part by its own motion."""
    return radar_answers(
        case, lambda start: carried(case.dbz(start), case.motion(start), case.steps)
    )


@dataclass(frozen=True)
class RainReadout:
    """Answers with a linear readout of the carried image and of what surrounds each pixel in it.

    Least squares on the first images: the carried image itself, its means over wider and wider
    surroundings, and how the rain has changed along its path since the last image. Where the lead
    is longer than the first images reach, it is learnt at the longest lead that they do.
    """

    widths: tuple[float, ...] = (2.0, 6.0, 16.0)
    """Of the surroundings, in pixels."""

    every: int = 101
    """One pixel in so many is learnt from."""

    def __call__(self, case: RadarCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        first = 2  # the motion needs three images
        steps = min(case.steps, case.n_known - 1 - first)
        seen = np.flatnonzero(case.seen)[:: self.every]
        design, wanted = [], []
        for start in range(first, case.n_known - steps):
            design.append(self._read(case, start, steps).reshape(len(self.widths) + 3, -1)[:, seen])
            wanted.append(case.dbz(start + steps).ravel()[seen])
        table, target = np.concatenate(design, axis=1), np.concatenate(wanted)
        gram = table @ table.T
        gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
        slopes = np.linalg.solve(gram, table @ target)
        return radar_answers(
            case,
            lambda start: np.tensordot(slopes, self._read(case, start, case.steps), axes=1),
        )

    def _read(
        self, case: RadarCase, start: int, steps: int
    ) -> Float[np.ndarray, "feature row column"]:
        moved = case.motion(start)
        there = carried(case.dbz(start), moved, steps)
        change = there - carried(case.dbz(start - 1), moved, steps + 1)
        wide = [gaussian_filter(there, width) for width in self.widths]
        return np.stack([there, *wide, gaussian_filter(change, 4.0), np.ones_like(there)])


TASKS.register(
    Task(
        name="fmi-nowcasting",
        domain="climate",
        question="Where will it rain within the hour?",
        dataset="fmi-radar",
        files=KEYS,
        load=read_radar,
        measures=MEASURES,
        methods={
            "dry": dry,
            "persistence": persistence,
            "one-motion": one_motion,
            "advection": advection,
            "readout": RainReadout(),
        },
        baselines=("dry", "persistence", "one-motion", "advection"),
        default=("dry", "persistence", "one-motion", "advection", "readout"),
        traps=(
            "One afternoon of one day: nothing tells how a method does in other weather, and the "
            "intervals rest on three half hours.",
            "Bytes of 255 are pixels that no radar sees; they are left out, not taken for rain.",
            "The readout is told to lower squared errors; smooth forecasts score well there and "
            "badly in CSI and FSS of heavy rain.",
            "No method reads the base: its patches are made for fields of weather, not for a "
            "million pixels.",
        ),
        group=BLOCK,
    )
)
