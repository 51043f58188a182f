"""The climate of one scenario told from another's: HadCM3 over North America."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from kagaku.data import area_weights
from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.task import TASKS, Case, Method, Rows, Task
from kagaku.science_tasks.climate.field_case import FieldCase, FieldInput
from kagaku.science_tasks.climate.field_learning import EmbeddingRidge, FieldProcess, FineTuned
from kagaku.science_tasks.climate.field_ridge import FieldRidge
from kagaku.science_tasks.climate.forecasting import PatternScaling, Reference
from kagaku.science_tasks.climate.netcdf import dataset
from kagaku.science_tasks.climate.temperature import before
from kagaku.science_tasks.climate.verification import BLOCK, field_measures

MITIGATED = "climate/hadcm3_scenarios/E1_north_america.nc"
UNMITIGATED = "climate/hadcm3_scenarios/A1B_north_america.nc"

FIRST_YEAR, FIRST_VALID, FIRST_TEST = 1860, 2000, 2040

BLOCK_YEARS = 10
"""Years that are resampled together."""

RECENT_YEARS = 10
"""Years whose mean is the recent climate."""


def read_scenarios(source: Source) -> Mapping[str, Case]:
    """Return the two questions that can be asked.

    ``"one year ahead"``: the scenario is known up to the year before. ``"pattern"``: its mean over
    the region is given for the year itself, as a simple climate model would give it, and the
    question is how the change is spread over the map.
    """
    wanted, other = dataset(source, MITIGATED), dataset(source, UNMITIGATED)
    fields = wanted["air_temperature"].to_numpy().astype(np.float64)
    others = other["air_temperature"].to_numpy().astype(np.float64)
    latitudes = wanted["latitude"].to_numpy().astype(np.float64)
    longitudes = wanted["longitude"].to_numpy().astype(np.float64)
    ahead = scenario_case(fields, others, latitudes, longitudes, knows_mean=False)
    pattern = scenario_case(fields, others, latitudes, longitudes, knows_mean=True)
    return {"one year ahead": ahead, "pattern": pattern}


def scenario_case(
    fields: Float[np.ndarray, "year lat lon"],
    others: Float[np.ndarray, "year lat lon"],
    latitudes: np.ndarray,
    longitudes: np.ndarray,
    *,
    knows_mean: bool,
) -> FieldCase:
    """Return one of the two questions.

    Args:
        fields: The scenario that is asked for, K.
        others: The other scenario.
        latitudes: Degrees north.
        longitudes: Degrees east.
        knows_mean: Whether the regional mean of the year asked for is given.
    """
    weights = np.repeat(area_weights(latitudes)[:, None], len(longitudes), axis=1)
    none = np.zeros(len(fields), dtype=np.int64)
    years = FIRST_YEAR + np.arange(len(fields))
    last, lately = before(fields, none, 1), recent(fields)
    others_lately = recent(others)
    inputs = {
        "last year": last,
        "last ten years": FieldInput(lately, none),
        "other scenario": FieldInput(others, none),
        # What a drifting climate is told by is how far a year lies from those before it.
        "departure": FieldInput(last.values - lately, none),
        "other's departure": FieldInput(others - others_lately, none),
        "other's mean": _mean_over(others, weights, none),
    }
    if knows_mean:
        inputs["mean"] = _mean_over(fields, weights, none)
        inputs["mean departure"] = _mean_over(fields - lately, weights, none)
    return FieldCase(
        truth=fields,
        phase=none,
        inputs=inputs,
        weights=weights,
        rows=Rows(
            np.flatnonzero(years < FIRST_VALID),
            np.flatnonzero(years >= FIRST_TEST),
            np.flatnonzero((years >= FIRST_VALID) & (years < FIRST_TEST)),
        ),
        blocks=(years - FIRST_YEAR) // BLOCK_YEARS,
        latitudes=latitudes,
        longitudes=longitudes,
        variable="air_temperature",
        unit="K",
        extra={"year": years},
    )


def recent(fields: Float[np.ndarray, "year lat lon"]) -> Float[np.ndarray, "year lat lon"]:
    """Return for each year the mean of the `RECENT_YEARS` before it; NaN where there are fewer."""
    found = np.full_like(fields, np.nan)
    for year in range(RECENT_YEARS, len(fields)):
        found[year] = fields[year - RECENT_YEARS : year].mean(axis=0)
    return found


def _mean_over(fields: np.ndarray, weights: np.ndarray, phase: np.ndarray) -> FieldInput:
    """Return the area-weighted mean as a field of one cell."""
    mean = (fields * weights).sum(axis=(1, 2)) / weights.sum()
    return FieldInput(mean[:, None, None], phase)


LATELY = ("last ten years",)

TRAPS = (
    "Both scenarios share the years up to 1999 to the last bit: the other one tells nothing new "
    "there, and a random split would hand out the answers.",
    "One run of one model: nothing tells how sure its climate is.",
    "The climatology is that of the training years; of these and the validation years, from which "
    "the others learn, it would miss by 2.144 K in place of 2.417.",
    "RMSE is that of single years, most of which is weather that nobody can know so far ahead.",
)


def _scenario_task(
    name: str, question: str, split: str, mean: str, ridge: FieldRidge, reads: tuple[str, ...]
) -> Task:
    methods: dict[str, Method] = {
        "climatology": Reference(),
        "other-scenario": Reference("other scenario"),
        "persistence": Reference("last year"),
        "recent-climate": Reference("last ten years"),
        "pattern-scaling": PatternScaling(mean),
        "eof-ridge": ridge,
        "field-gp": FieldProcess(reads, LATELY),
        "linear-embeddings": EmbeddingRidge(ridge),
        "full": FineTuned(reads, LATELY),
    }
    plain = tuple(list(methods)[:5])
    return Task(
        name=name,
        domain="climate",
        question=question,
        dataset="hadcm3-scenarios",
        files=(MITIGATED, UNMITIGATED),
        load=lambda source: {split: read_scenarios(source)[split]},
        measures=field_measures("K", leading="mean RMSE"),
        methods=methods,
        baselines=plain,
        default=(*plain, "eof-ridge", "field-gp"),
        traps=TRAPS,
        group=BLOCK,
    )


TASKS.register(
    _scenario_task(
        "hadcm3-next-year",
        "Knowing one scenario and this one's past, how warm will North America be next year?",
        "one year ahead",
        "other's mean",
        FieldRidge((("departure",), ("departure", "other's departure")), (LATELY,)),
        ("departure", "other's departure"),
    ),
    _scenario_task(
        "hadcm3-pattern",
        "Given how warm North America is in a year, where is it how warm?",
        "pattern",
        "mean",
        FieldRidge((("mean departure",), ("mean departure", "departure")), (LATELY,)),
        ("departure", "mean departure"),
    ),
)
