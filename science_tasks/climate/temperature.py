"""Short-range forecasts of temperature over the British Isles, from the ERA5 reanalysis."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kagaku.data import area_weights
from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.task import TASKS, Case, Rows, Task
from kagaku.science_tasks.climate.field_case import CLIMATOLOGY, FieldCase, FieldInput
from kagaku.science_tasks.climate.field_forecast import Together
from kagaku.science_tasks.climate.field_learning import EmbeddingRidge, FieldProcess, FineTuned
from kagaku.science_tasks.climate.field_ridge import FieldRidge
from kagaku.science_tasks.climate.forecasting import Damped, MeanOf, Reference
from kagaku.science_tasks.climate.verification import BLOCK, field_measures

KEY = "climate/era5_uk_t2m/era5_uk_t2m_201903.npz"

TRAIN_HOURS, VALID_HOURS = 504, 96
"""21 days to learn from and 4 to choose with, of 31; the last 6 are asked for."""

LEADS = (6, 12, 24)
"""Hours between the last known field and the one asked for."""


@dataclass(frozen=True)
class ReadTemperature:
    """Reads a month of hourly fields; one split for each lead.

    A forecast belongs to the part that its target lies in. What it is made from lies before it, and
    may lie in the part before; nothing that is learnt from lies in a later part.
    """

    leads: tuple[int, ...] = LEADS
    """In hours."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each lead."""
        with np.load(io.BytesIO(source(KEY)), allow_pickle=False) as stored:
            fields = stored["t2m"].astype(np.float64)
            latitudes, longitudes = stored["lat"], stored["lon"]
            stamps = stored["time_yyyymmddhh"].astype(np.int64)
        return {
            f"{lead} h": temperature_case(fields, stamps, latitudes, longitudes, lead)
            for lead in self.leads
        }


def temperature_case(
    fields: np.ndarray,
    stamps: np.ndarray,
    latitudes: np.ndarray,
    longitudes: np.ndarray,
    lead: int,
) -> FieldCase:
    """Return the forecasts of hourly fields at one lead.

    Args:
        fields: Shape (time, lat, lon), K, one each hour.
        stamps: When each is, as a number of the digits yyyymmddhh.
        latitudes: Degrees north.
        longitudes: Degrees east.
        lead: In hours.
    """
    every, hours = np.arange(len(fields)), stamps % 100
    weights = np.repeat(area_weights(latitudes)[:, None], len(longitudes), axis=1)
    first_test = TRAIN_HOURS + VALID_HOURS
    rows = Rows(every[:TRAIN_HOURS], every[first_test:], every[TRAIN_HOURS:first_test])
    return FieldCase(
        truth=fields,
        phase=hours,
        inputs={
            "now": before(fields, hours, lead),
            "6 h ago": before(fields, hours, lead + 6),
            "yesterday": before(fields, hours, 24),
            "a day ago": before(fields, hours, lead + 24),
        },
        weights=weights,
        rows=rows,
        blocks=every // 24,
        latitudes=latitudes,
        longitudes=longitudes,
        variable="air_temperature",
        unit="K",
        day_of_year=(58 + every / 24) / 365,  # from the first of March, which is day 59
        times=days_of(stamps),
    )


def days_of(stamps: np.ndarray) -> Float[np.ndarray, " item"]:
    """Return numbers of the digits yyyymmddhh as days since 1970-01-01.

    Example:
        >>> days_of(np.array([1970010206])).tolist()
        [1.25]
    """
    written = [f"{one:010d}" for one in stamps.tolist()]
    times = [f"{one[:4]}-{one[4:6]}-{one[6:8]}T{one[8:]}" for one in written]
    hours = np.array(times, dtype="datetime64[h]").astype(np.int64)
    days: np.ndarray = hours / 24
    return days


def before(fields: np.ndarray, phase: np.ndarray, steps: int) -> FieldInput:
    """Return the field so many steps before each item; NaN at the start.

    Args:
        fields: Shape (item, lat, lon), evenly spaced in time.
        phase: Part of the cycle of each.
        steps: At least 1.
    """
    earlier = np.full_like(fields, np.nan)
    earlier[steps:] = fields[:-steps]
    phases = np.roll(phase, steps)
    return FieldInput(earlier, phases)


MIDWAY = (CLIMATOLOGY, "yesterday")
"""Where corrections start that choose nothing: half the anomaly of a day before. On the training
days the mean of the two is better than either."""

RIDGE = FieldRidge(
    inputs=(("now",), ("now", "yesterday"), ("now", "6 h ago", "yesterday")),
    start=((CLIMATOLOGY,), ("yesterday",), MIDWAY),
)

PROCESS = FieldProcess(("now", "yesterday"), MIDWAY, every=3)

TASKS.register(
    Task(
        name="era5-uk-temperature",
        domain="climate",
        question="How warm will it be over the British Isles in 6, 12 and 24 hours?",
        dataset="era5-uk",
        files=(KEY,),
        load=ReadTemperature(),
        measures=field_measures("K"),
        methods={
            "persistence": Reference("now"),
            "climatology": Reference(),
            "yesterday": Reference("yesterday"),
            "damped": Damped("now"),
            "midway": MeanOf(MIDWAY),
            "eof-ridge": RIDGE,
            "field-gp": PROCESS,
            "ridge-and-gp": Together((RIDGE, PROCESS)),
            "linear-embeddings": EmbeddingRidge(RIDGE),
            "gp-joined": FieldProcess(("now", "yesterday"), MIDWAY, has_embeddings=True, every=3),
            "full": FineTuned(("now", "yesterday"), MIDWAY),
        },
        baselines=("persistence", "climatology", "yesterday", "damped", "midway", "eof-ridge"),
        default=(
            "persistence",
            "climatology",
            "yesterday",
            "damped",
            "midway",
            "eof-ridge",
            "field-gp",
            "ridge-and-gp",
            "gp-joined",
        ),
        seen="scores of many configurations were looked at before inputs, grids and the rule of "
        "choice were fixed: take these for upper bounds.",
        traps=(
            "Six days of one spring are asked for: 144 hours are six blocks, and intervals over "
            "blocks are wide.",
            "The climatology is the mean of the same hour over the training days of that month; no "
            "other year is known. Of training and validation days, from which the others learn, it "
            "would miss by 1.866 K in place of 1.930.",
            "The four days to choose with are unlike the six that follow: there the climatology "
            "beats the day before, afterwards it does not.",
            "It is a reanalysis on both sides: a forecast centre would not know its field of now.",
        ),
        group=BLOCK,
    )
)
