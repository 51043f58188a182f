"""Monthly indices of El Nino and the Southern Oscillation, told months ahead."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from kagaku.data.catalogue import Source
from kagaku.science_tasks.benchmark.answers import answers_of
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.measures import GIVEN, TRUTH, Measure, regression
from kagaku.science_tasks.benchmark.methods import Single, property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Case, Context, Method, Rows, Task
from kagaku.science_tasks.climate.netcdf import dataset
from kagaku.science_tasks.climate.verification import BLOCK
from kagaku.science_tasks.prediction import Prediction

NINO34 = "climate/climpred/NMME_Reyn_SmithOIv2_Nino34_sst.nc"
SOUTHERN_OSCILLATION = "climate/soi_darwin/SOI_Darwin.nc"

MONTHS_KNOWN = 6
"""How many months, up to the one that the forecast starts in, are read."""

NOW = "now"
LEAD, MONTH = "lead", "month"
SEASON = ("season sine", "season cosine")


@dataclass(frozen=True)
class ReadIndex:
    """Reads a monthly series; one split for each lead."""

    key: str
    """Of the file."""

    variable: str
    """The series in it."""

    first_month: tuple[int, int]
    """Year and month of its first value."""

    first_test_year: int
    """The first year that is asked for."""

    name: str
    """What the anomaly is called."""

    unit: str
    """Its unit."""

    leads: tuple[int, ...] = tuple(range(1, 13))
    """In months."""

    block_months: int = 12
    """Months that are resampled together."""

    def __call__(self, source: Source) -> Mapping[str, Case]:
        """Return the case of each lead."""
        values = dataset(source, self.key)[self.variable].to_numpy().astype(np.float64).ravel()
        year, month = self.first_month
        months = year * 12 + month - 1 + np.arange(len(values))
        return {
            f"{lead} month" + ("s" if lead > 1 else ""): self.case(values, months, lead)
            for lead in self.leads
        }

    def case(
        self, values: Float[np.ndarray, " month"], months: Int[np.ndarray, " month"], lead: int
    ) -> PropertyCase:
        """Return the forecasts at one lead, of anomalies from the training climatology.

        Args:
            values: The series.
            months: Year times twelve plus the month from 0, of each.
            lead: In months.
        """
        is_train = months // 12 < self.first_test_year
        anomaly = values - seasonal_mean(values, months, is_train)
        item = np.arange(lead + MONTHS_KNOWN - 1, len(values))
        start = item - lead
        unit = f" [{self.unit}]"
        known = {lag_name(lag) + unit: anomaly[start - lag] for lag in range(MONTHS_KNOWN)}
        angle = 2 * np.pi * (months[item] % 12) / 12
        season = {f"{SEASON[0]} [dimensionless]": np.sin(angle)}
        season[f"{SEASON[1]} [dimensionless]"] = np.cos(angle)
        target = f"{self.name}{unit}"
        columns = {**known, **season, target: anomaly[item], MONTH: months[item]}
        frame = pd.DataFrame({**columns, BLOCK: months[item] // self.block_months, LEAD: lead})
        # Months that were never measured, or whose past was not, are asked of nobody.
        frame = frame.dropna(ignore_index=True)
        teaches = frame[MONTH].to_numpy() // 12 < self.first_test_year
        rows = Rows(np.flatnonzero(teaches), np.flatnonzero(~teaches))
        return table_case(
            frame,
            [f"{name}: quantity" for name in (*known, *season)],
            f"{target}: regression",
            rows,
            keeps_apart="time",
            time=MONTH,
            extra=(BLOCK, LEAD, MONTH),
            source=self.name,
        )


def lag_name(lag: int) -> str:
    """Return what the anomaly so many months before the start is called."""
    return NOW if lag == 0 else f"{lag} month{'s' if lag > 1 else ''} ago"


def seasonal_mean(
    values: Float[np.ndarray, " month"], months: Int[np.ndarray, " month"], is_train: np.ndarray
) -> Float[np.ndarray, " month"]:
    """Return the training mean of each value's calendar month."""
    calendar = months % 12
    means = np.array([np.nanmean(values[is_train & (calendar == one)]) for one in range(12)])
    found: np.ndarray = means[calendar]
    return found


def _column(case: PropertyCase, name: str) -> Float[np.ndarray, " record"]:
    return np.array([one.value for one in case.records.inputs[name]], dtype=np.float64)


def _truth(case: PropertyCase) -> Float[np.ndarray, " record"]:
    return case.records.targets[case.target.name].values.astype(np.float64)


def _given(case: PropertyCase, every: np.ndarray) -> pd.DataFrame:
    """Return answers with intervals as wide as the errors on training items are."""
    learnt, test = case.rows.learnt(), case.rows.test
    errors = np.abs(_truth(case)[learnt] - every[learnt])
    half = np.quantile(errors, 0.9)
    given = every[test]
    prediction = Prediction(mean=given, spread=np.full(len(given), half))
    return answers_of(case, prediction, lower=given - half, upper=given + half)


def climatology(case: PropertyCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with no anomaly."""
    return _given(case, np.zeros(len(case.records)))


def persistence(case: PropertyCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with the anomaly as it is now."""
    return _given(case, _column(case, NOW))


def damped_persistence(case: PropertyCase, context: Context) -> pd.DataFrame:  # noqa: ARG001 (nothing random)
    """Answer with the share of the present anomaly that least squares gives."""
    now, learnt = _column(case, NOW), case.rows.learnt()
    share = now[learnt] @ _truth(case)[learnt] / (now[learnt] @ now[learnt])
    return _given(case, share * now)


@dataclass(frozen=True)
class InverseModel:
    """Answers with a linear inverse model: the one-month operator, applied month after month.

    C. Penland and P. D. Sardeshmukh 1995, https://doi.org/10.1175/1520-0442(1995)008<1999:TOGOTS>2.0.CO;2;
    the state is the index now and in the months before, in place of a field's patterns.
    """

    months: int = 3
    """How many months make up the state."""

    def __call__(self, case: PropertyCase, context: Context) -> pd.DataFrame:  # noqa: ARG002 (nothing random)
        """Answer a case."""
        state = np.stack([_column(case, lag_name(lag)) for lag in range(self.months)], axis=1)
        learnt = np.sort(case.rows.learnt())
        assert case.extra is not None
        follows = np.diff(case.extra[MONTH][learnt]) == 1
        now, then = learnt[:-1][follows], learnt[1:][follows]
        operator = np.linalg.lstsq(state[now], state[then], rcond=None)[0]
        ahead = np.linalg.matrix_power(operator, int(case.extra[LEAD][0]))
        return _given(case, (state @ ahead)[:, 0])


def _pearson(answers: pd.DataFrame) -> float:
    both = answers[[TRUTH, GIVEN]].to_numpy(dtype=np.float64)
    if (both.std(axis=0) < 1e-12).any():
        return float("nan")
    return float(np.corrcoef(both.T)[0, 1])


def _index_task(
    name: str, question: str, dataset_name: str, read: ReadIndex, traps: tuple[str, ...]
) -> Task:
    methods: dict[str, Method] = {
        "climatology": climatology,
        "persistence": persistence,
        "damped": damped_persistence,
        "inverse-model": InverseModel(),
        "ridge": Single("linear"),
        **property_methods(gp=Single("gp")),
    }
    plain = ("climatology", "persistence", "damped", "inverse-model", "ridge", "plain")
    return Task(
        name=name,
        domain="climate",
        question=question,
        dataset=dataset_name,
        files=(read.key,),
        load=read,
        measures=(
            *regression(("RMSE",), read.unit),
            Measure("correlation", _pearson),
            *regression(("MAE", "R2"), read.unit),
        ),
        methods=methods,
        baselines=plain,
        default=(*plain, "gp"),
        traps=traps,
        group=BLOCK,
    )


TASKS.register(
    _index_task(
        "nino34",
        "How warm will the central Pacific be one to twelve months ahead?",
        "climpred",
        ReadIndex(NINO34, "sst", (1981, 11), 2005, "Nino 3.4 anomaly", "K"),
        (
            "Neighbouring months are alike: the 192 months of the test are 16 years, which are "
            "resampled whole.",
            "Anomalies are from the mean of the calendar month before 2005. Forecasts of the first "
            "months of 2005 start in 2004.",
            "Forecasts through spring are hard for all; a lead says little without its season.",
            "Published skill of forecasts is of other years and other observations: none is given.",
        ),
    ),
    _index_task(
        "southern-oscillation",
        "How will the Southern Oscillation stand one to twelve months ahead?",
        "southern-oscillation",
        ReadIndex(
            SOUTHERN_OSCILLATION,
            "SOI_Darwin",
            (1866, 1),
            1994,
            "SOI at Darwin",
            "dimensionless",
            leads=(1, 3, 6, 12),
        ),
        (
            "A single month of the index is mostly noise of the weather; no method can be good.",
            "Some months were not measured: they and forecasts that would read them are left out.",
            "The last 20 years, from 1994, are asked for.",
        ),
    ),
)
