"""Sea surface temperature of the eastern Pacific, years ahead, beside a model's hindcasts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.task import TASKS, Case, Rows, Task
from kagaku.science_tasks.climate.field_case import UNBIASED, FieldCase, FieldInput
from kagaku.science_tasks.climate.field_learning import EmbeddingRidge, FieldProcess, FineTuned
from kagaku.science_tasks.climate.field_ridge import FieldRidge
from kagaku.science_tasks.climate.forecasting import Damped, Reference
from kagaku.science_tasks.climate.netcdf import dataset
from kagaku.science_tasks.climate.temperature import before
from kagaku.science_tasks.climate.verification import BLOCK, field_measures

OCEAN = "climate/climpred/FOSI.SST.eastern_pacific.nc"
HINDCASTS = "climate/climpred/CESM-DP-LE.SST.eastern_pacific.nc"

FIRST_TEST_YEAR = 1990

YEARS_AHEAD = (1, 2, 3, 5)
"""Leads. A hindcast of lead 1 is of the year after the one whose November it starts in."""

BLOCK_YEARS = 3
"""What is resampled together: El Nino and what follows it."""


@dataclass(frozen=True)
class ReadOcean:
    """Reads the reconstruction and the hindcasts of it; one split for each lead."""

    leads: tuple[int, ...] = YEARS_AHEAD
    """In years."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each lead."""
        ocean, hindcasts = dataset(source, OCEAN), dataset(source, HINDCASTS)
        years = ocean["time"].to_numpy().astype(np.int64)
        starts = hindcasts["init"].to_numpy().astype(np.int64)
        fields = ocean["SST"].to_numpy().astype(np.float64)
        told = hindcasts["SST"].to_numpy().astype(np.float64)
        found: dict[str, Case] = {}
        for lead in self.leads:
            there = hindcasts_of(told[:, lead - 1], starts, years - lead)
            found[f"{lead} year" + ("s" if lead > 1 else "")] = FieldCase(
                truth=fields,
                phase=np.zeros(len(years), dtype=np.int64),
                inputs={
                    "now": before(fields, np.zeros(len(years), dtype=np.int64), lead),
                    "hindcast": FieldInput(there, np.zeros(len(years), dtype=np.int64)),
                    "all hindcasts": FieldInput(
                        there - told[:, lead - 1].mean(axis=0) + fields.mean(axis=0),
                        np.zeros(len(years), dtype=np.int64),
                    ),
                    "all years": FieldInput(
                        np.broadcast_to(fields.mean(axis=0), fields.shape),
                        np.zeros(len(years), dtype=np.int64),
                    ),
                },
                weights=ocean["TAREA"].to_numpy().astype(np.float64),
                rows=Rows(
                    np.flatnonzero(years < FIRST_TEST_YEAR),
                    np.flatnonzero(years >= FIRST_TEST_YEAR),
                ),
                blocks=(years - years[0]) // BLOCK_YEARS,
                # In this region the ocean model's grid runs along latitudes and longitudes.
                latitudes=ocean["TLAT"].to_numpy()[:, 0],
                longitudes=ocean["TLONG"].to_numpy()[0],
                variable="sea_surface_temperature",
                unit="degC",
                # The middle of each year.
                times=(years - 1970) * 365.2425 + 182.6,
                extra={"year": years},
            )
        return found


def hindcasts_of(
    fields: Float[np.ndarray, "start lat lon"],
    starts: Int[np.ndarray, " start"],
    wanted: Int[np.ndarray, " item"],
) -> Float[np.ndarray, "item lat lon"]:
    """Return the hindcast that started in each wanted year; NaN where none did.

    Args:
        fields: Hindcasts of one lead.
        starts: The year that each starts from.
        wanted: By item, a year.
    """
    place = {int(year): i for i, year in enumerate(starts)}
    none = np.full(fields.shape[1:], np.nan)
    return np.stack([fields[place[year]] if year in place else none for year in wanted.tolist()])


CALIBRATED = FieldRidge((("hindcast",), ("now", "hindcast")), folds="around")

TASKS.register(
    Task(
        name="pacific-sst",
        domain="climate",
        question="How warm will the eastern Pacific be in one, two, three and five years?",
        dataset="climpred",
        files=(OCEAN, HINDCASTS),
        load=ReadOcean(),
        measures=field_measures("degC", leading="mean RMSE"),
        methods={
            "climatology": Reference(),
            "persistence": Reference("now"),
            "damped": Damped("now"),
            "cesm-dple": Reference(f"hindcast{UNBIASED}"),
            "cesm-dple-damped": Damped("hindcast"),
            "climatology-all-years": Reference("all years"),
            "cesm-dple-all-years": Reference("all hindcasts"),
            "eof-ridge": FieldRidge((("now",),), folds="around"),
            "cesm-dple-ridge": CALIBRATED,
            "field-gp": FieldProcess(("now", "hindcast")),
            "linear-embeddings": EmbeddingRidge(CALIBRATED),
            "gp-joined": FieldProcess(("now", "hindcast"), has_embeddings=True),
            "full": FineTuned(("now", "hindcast")),
        },
        baselines=("climatology", "persistence", "damped", "cesm-dple", "cesm-dple-damped"),
        for_reference=("climatology-all-years", "cesm-dple-all-years"),
        default=(
            "climatology",
            "persistence",
            "damped",
            "cesm-dple",
            "cesm-dple-damped",
            "climatology-all-years",
            "cesm-dple-all-years",
            "eof-ridge",
            "cesm-dple-ridge",
            "field-gp",
            "linear-embeddings",
        ),
        seen="scores of many configurations were looked at before inputs, grids and the rule of "
        "choice were fixed: take these for upper bounds.",
        traps=(
            "Methods whose name ends in all-years take their means over the test years too, as "
            "figures for hindcasts usually do; no forecaster could. They are there to be compared "
            "with.",
            "Methods with cesm-dple in the name, cesm-dple-ridge, field-gp and the learned ones "
            "read the physical model's hindcast of the year asked for, which starts from the "
            "reconstruction of the year before the lead; eof-ridge does not.",
            "42 years teach and 26 are asked for; neighbouring years are alike.",
            "The truth is the ocean model's own reconstruction, which the hindcasts start from.",
        ),
        group=BLOCK,
    )
)
