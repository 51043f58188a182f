"""Fine fields told from coarse ones: interpolation, and a regression on the cells around."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.ndimage import map_coordinates

from kagaku.data import area_weights
from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Method, Rows, Task
from kagaku.science_tasks.climate.field_case import FieldCase, FieldInput
from kagaku.science_tasks.climate.field_learning import FieldProcess, FineTuned
from kagaku.science_tasks.climate.field_ridge import FieldRidge
from kagaku.science_tasks.climate.forecasting import Reference, spread_of
from kagaku.science_tasks.climate.netcdf import dataset
from kagaku.science_tasks.climate.temperature import KEY, TRAIN_HOURS, VALID_HOURS, days_of
from kagaku.science_tasks.climate.verification import BLOCK, field_answers, field_measures

GLOBE = "climate/eraint_uvz/eraint_uvz.nc"

FACTOR = 4
"""Fine cells along each side of a coarse one: 1 degree from 0.25, 3 degrees from 0.75."""

SECTORS = 12
"""The globe is cut along meridians into so many items, which are all of one shape and area."""

VARIABLES = {
    "z": ("geopotential", "m2 s-2"),
    "u": ("eastward_wind", "m s-1"),
    "v": ("northward_wind", "m s-1"),
}

ORDERS = {"nearest": 0, "bilinear": 1, "bicubic": 3}
"""Interpolations, by the order of their splines."""

NEIGHBOURS = 2
"""The regression reads so many coarse cells on each side."""

PENALTY = 1e-3
"""Ridge penalty of it, relative to the mean variance of what it reads."""

MOST_CELLS = 40_000
"""Coarse cells that it learns from at most, evenly spread over all."""


def coarsened(
    fields: Float[np.ndarray, "item lat lon"], latitudes: Float[np.ndarray, " lat"]
) -> Float[np.ndarray, "item coarse_lat coarse_lon"]:
    """Return the area-weighted means of blocks of `FACTOR` by `FACTOR` cells.

    Args:
        fields: Both sides are multiples of `FACTOR`.
        latitudes: Degrees north.
    """
    items, rows, columns = fields.shape
    assert not rows % FACTOR, rows
    assert not columns % FACTOR, columns
    area = area_weights(latitudes).reshape(-1, FACTOR)
    share = area / area.sum(axis=1, keepdims=True)
    blocks = fields.reshape(items, rows // FACTOR, FACTOR, columns // FACTOR, FACTOR)
    found: np.ndarray = np.einsum("irfcg,rf->irc", blocks, share) / FACTOR
    return found


def interpolated(
    coarse: Float[np.ndarray, "item coarse_lat coarse_lon"], order: int, *, is_global: bool
) -> Float[np.ndarray, "item lat lon"]:
    """Return coarse fields on the fine grid, by a spline of some order.

    Args:
        coarse: Means of blocks, taken to stand at their centres.
        order: 0 takes the block's own value, 1 is bilinear, 3 bicubic.
        is_global: Whether the first meridian follows on the last.
    """
    pad = NEIGHBOURS + 1
    wide = np.pad(coarse, ((0, 0), (0, 0), (pad, pad)), mode="wrap" if is_global else "edge")
    wide = np.pad(wide, ((0, 0), (pad, pad), (0, 0)), mode="edge")
    rows, columns = (pad + (np.arange(n * FACTOR) + 0.5) / FACTOR - 0.5 for n in coarse.shape[1:])
    places = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([map_coordinates(one, places, order=order, mode="nearest") for one in wide])


def downscaling_case(
    fields: Float[np.ndarray, "item lat lon"],
    latitudes: np.ndarray,
    longitudes: np.ndarray,
    phase: np.ndarray,
    blocks: np.ndarray,
    rows: Rows,
    what: tuple[str, str],
    *,
    is_global: bool = False,
) -> FieldCase:
    """Return fields to be rebuilt from their own block means.

    Args:
        fields: The fine fields; sides are multiples of `FACTOR`.
        latitudes: Degrees north.
        longitudes: Degrees east.
        phase: By item, as in `FieldCase`.
        blocks: By item, as in `FieldCase`.
        rows: The split.
        what: CF name and unit.
        is_global: Whether the fields go round the Earth, and are then cut into `SECTORS`.
    """
    coarse = coarsened(fields, latitudes)
    known = {
        name: interpolated(coarse, order, is_global=is_global) for name, order in ORDERS.items()
    }
    if is_global:
        fields, coarse = _sectors(fields), _sectors(coarse)
        known = {name: _sectors(one) for name, one in known.items()}
        longitudes = longitudes[: len(longitudes) // SECTORS]
    weights = np.repeat(area_weights(latitudes)[:, None], len(longitudes), axis=1)
    inputs = {"coarse": FieldInput(coarse, phase)}
    inputs |= {name: FieldInput(one, phase) for name, one in known.items()}
    return FieldCase(
        fields, phase, inputs, weights, rows, blocks, latitudes, longitudes, what[0], what[1]
    )


def _sectors(fields: Float[np.ndarray, "item lat lon"]) -> np.ndarray:
    """Return each field's sectors as items of their own."""
    return np.concatenate([np.stack(np.split(one, SECTORS, axis=1)) for one in fields])


@dataclass(frozen=True)
class Globe:
    """Reads variables of the two mean fields: January teaches, July is asked for, on three levels.

    The row at the south pole is left out, so that blocks fill the grid.
    """

    variables: tuple[str, ...]
    """Which of `VARIABLES`; all of one unit, since a score is the mean over them."""

    def __post_init__(self) -> None:
        """Check that a mean over the variables has a unit."""
        assert len({VARIABLES[one][1] for one in self.variables}) == 1, self.variables

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return one case for each variable."""
        stored = dataset(source, GLOBE).isel(latitude=slice(None, -1))
        latitudes = stored["latitude"].to_numpy().astype(np.float64)
        longitudes = stored["longitude"].to_numpy().astype(np.float64)
        n_levels = stored.sizes["level"]
        every = np.arange(2 * n_levels * SECTORS)
        january = every < n_levels * SECTORS
        found: dict[str, Case] = {}
        for name in self.variables:
            fields = stored[name].transpose("month", "level", "latitude", "longitude").to_numpy()
            found[VARIABLES[name][0].replace("_", " ")] = downscaling_case(
                fields.reshape(-1, *fields.shape[2:]).astype(np.float64),
                latitudes,
                longitudes,
                every // SECTORS % n_levels,
                every % SECTORS,
                Rows(every[january], every[~january]),
                VARIABLES[name],
                is_global=True,
            )
        return found


def read_region(source: Source) -> Mapping[str, Case]:
    """Return the case of hourly temperature, with the hours of the forecasts' split.

    The last row and column are left out, so that blocks fill the grid.
    """
    with np.load(io.BytesIO(source(KEY)), allow_pickle=False) as stored:
        fields = stored["t2m"][:, :-1, :-1].astype(np.float64)
        latitudes, longitudes = stored["lat"][:-1], stored["lon"][:-1]
        stamps = stored["time_yyyymmddhh"].astype(np.int64)
    every = np.arange(len(fields))
    first_test = TRAIN_HOURS + VALID_HOURS
    rows = Rows(every[:TRAIN_HOURS], every[first_test:], every[TRAIN_HOURS:first_test])
    what = ("air_temperature", "K")
    case = downscaling_case(fields, latitudes, longitudes, stamps % 100, every // 24, rows, what)
    return {"2 m temperature": replace(case, times=days_of(stamps))}


@dataclass(frozen=True)
class PatchReadout:
    """Answers with a spline, corrected by ridge regression on the coarse cells around.

    One regression serves every place: it reads how the cells around differ from the one in the
    middle and tells how the fine cells inside differ from the spline. Block means are kept.
    """

    start: str = "bicubic"
    """The interpolation that is corrected."""

    is_by_phase: bool = False
    """Whether each phase (a pressure level) has a regression of its own."""

    def __call__(self, case: FieldCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        learnt, test = case.rows.learnt(), case.rows.test
        given = case.inputs[self.start].values.copy()
        phases = case.phase if self.is_by_phase else np.zeros_like(case.phase)
        for one in np.unique(phases[test]):
            taught, asked = learnt[phases[learnt] == one], test[phases[test] == one]
            taught = taught if len(taught) else learnt
            both = np.concatenate([taught, asked])
            slopes = self._fit(case, taught)
            given[both] = self._corrected(case, both, slopes)
        spread = spread_of(case.truth[learnt] - given[learnt])
        return field_answers(case, given[test], np.broadcast_to(spread, given[test].shape))

    def _fit(self, case: FieldCase, rows: np.ndarray) -> np.ndarray:
        around = neighbourhoods(case.inputs["coarse"].values[rows])
        rest = inside(case.truth[rows] - case.inputs[self.start].values[rows])
        few = np.linspace(0, len(around) - 1, min(len(around), MOST_CELLS)).astype(np.int64)
        seen, wanted = around[few], rest[few]
        gram = seen.T @ seen
        gram += PENALTY * np.trace(gram) / len(gram) * np.eye(len(gram))
        slopes: np.ndarray = np.linalg.solve(gram, seen.T @ wanted)
        return slopes

    def _corrected(self, case: FieldCase, rows: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        coarse = case.inputs["coarse"].values[rows]
        items, height, width = coarse.shape
        told = (neighbourhoods(coarse) @ slopes).reshape(items, height, width, FACTOR, FACTOR)
        correction = told.transpose(0, 1, 3, 2, 4).reshape(items, height * FACTOR, -1)
        fine = case.inputs[self.start].values[rows] + correction
        lost = coarse - coarsened(fine, case.latitudes)
        kept: np.ndarray = fine + lost.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)
        return kept


def neighbourhoods(
    coarse: Float[np.ndarray, "item coarse_lat coarse_lon"],
) -> Float[np.ndarray, "cell neighbour"]:
    """Return how the cells around each coarse cell differ from it; the edge goes on outside."""
    side = 2 * NEIGHBOURS + 1
    pad = ((0, 0), (NEIGHBOURS, NEIGHBOURS), (NEIGHBOURS, NEIGHBOURS))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(coarse, pad, mode="edge"), (side, side), axis=(1, 2)
    )
    flat = windows.reshape(-1, side * side) - coarse.reshape(-1, 1)
    return np.delete(flat, side * side // 2, axis=1)


def inside(fields: Float[np.ndarray, "item lat lon"]) -> Float[np.ndarray, "cell inner"]:
    """Return the fine cells inside each coarse cell, in the order of `neighbourhoods`."""
    items, rows, columns = fields.shape
    blocks = fields.reshape(items, rows // FACTOR, FACTOR, columns // FACTOR, FACTOR)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, FACTOR * FACTOR)


def _methods(more: Mapping[str, Method]) -> dict[str, Method]:
    return {**{name: Reference(name) for name in ORDERS}, **more}


def _globe_task(name: str, question: str, variables: tuple[str, ...]) -> Task:
    return Task(
        name=name,
        domain="climate",
        question=question,
        dataset="era-interim",
        files=(GLOBE,),
        load=Globe(variables),
        measures=field_measures(VARIABLES[variables[0]][1]),
        methods=_methods({"patch": PatchReadout(is_by_phase=True)}),
        baselines=tuple(ORDERS),
        default=(*ORDERS, "patch"),
        traps=(
            "Two mean fields, of January and July: twelve sectors of the globe stand for items, "
            "and they belong to one and the same field.",
            "Means over a month are smooth; fields of a single hour hold finer structure.",
            "The coarse field is the mean of the fine one, which no coarse model would give.",
        ),
        group=BLOCK,
    )


TASKS.register(
    _globe_task(
        "era-interim-geopotential-downscaling",
        "How high did pressure surfaces stand at 0.75 degrees, told at 3 degrees?",
        ("z",),
    ),
    _globe_task(
        "era-interim-wind-downscaling",
        "How did the wind blow at 0.75 degrees, told at 3 degrees?",
        ("u", "v"),
    ),
    Task(
        name="era5-uk-downscaling",
        domain="climate",
        question="How warm is it at each place of the British Isles, told at 1 degree?",
        dataset="era5-uk",
        files=(KEY,),
        load=read_region,
        measures=field_measures("K"),
        methods=_methods(
            {
                "patch": PatchReadout(),
                "eof-ridge": FieldRidge((("coarse",),), (("bicubic",), ("bilinear",))),
                "field-gp": FieldProcess(("bicubic",), ("bicubic",), every=4),
                "full": FineTuned(("bicubic",), ("bicubic",)),
            }
        ),
        baselines=(*ORDERS, "eof-ridge"),
        default=(*ORDERS, "patch", "eof-ridge", "field-gp"),
        traps=(
            "Where land ends and hills rise is the same in training and test: a method that learns "
            "a place by heart does well here and nowhere else.",
            "The coarse field is the mean of the fine one, which no coarse model would give.",
        ),
        group=BLOCK,
    ),
)
