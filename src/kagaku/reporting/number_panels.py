"""Panels for predicted numbers: are they right, are the intervals honest, and where not."""

from collections.abc import Iterator

import numpy as np

from kagaku.data.schema import Target
from kagaku.reporting import figures
from kagaku.reporting.panel import Panel, make_panel, promised_coverage
from kagaku.reporting.results import Results
from kagaku.reporting.verdict import percent, unit_label


def number_panels(results: Results, target: Target) -> Iterator[Panel]:
    """Yield the panels of a regression target."""
    measured = results.numbers(target, "_measured")
    predicted = results.numbers(target)
    usable = np.isfinite(measured) & np.isfinite(predicted)
    if not usable.any():
        return
    unit = unit_label(target)
    lower, upper = results.numbers(target, "_lower"), results.numbers(target, "_upper")
    censoring = results.numbers(target, "_censoring").astype(np.int64)
    domain = results.flags(target, "_in_domain")
    promised = promised_coverage(results, target)
    yield make_panel(
        target,
        "parity",
        "Predicted against measured",
        figures.parity(
            measured[usable],
            predicted[usable],
            lower[usable],
            upper[usable],
            domain[usable],
            censoring[usable],
            unit,
        ),
        f"Held-out rows with their {percent(promised)} intervals. On the diagonal, prediction and "
        "measurement agree.",
    )
    exact = usable & (censoring == 0)
    if not exact.any():
        return
    error = predicted[exact] - measured[exact]
    half_width = (upper - lower)[exact] / 2
    covered = (lower <= measured)[exact] & (measured <= upper)[exact]
    distance = results.numbers(target, "_distance")[exact]
    yield make_panel(
        target,
        "residuals",
        "Residuals",
        figures.residuals(error, unit),
        "How predicted minus measured values are spread. A mean far from 0 is a bias.",
    )
    yield make_panel(
        target,
        "calibration",
        "Calibration of the intervals",
        figures.interval_scale(error, half_width, promised),
        "Share of rows inside if all intervals were this much wider. The curve should pass where "
        "the dashed lines cross; the dot is what was measured.",
    )
    if np.ptp(half_width) > 1e-9 * max(float(half_width.max()), 1e-300):
        yield make_panel(
            target,
            "width",
            "Coverage by interval width",
            figures.coverage_by(
                half_width, covered, promised, figures.with_unit("half width of interval", unit)
            ),
            "Groups of equal size, from the surest to the least sure predictions; bars are 95% "
            "intervals. All should lie near the dashed line.",
        )
    if np.isfinite(distance).all():
        yield make_panel(
            target,
            "distance",
            "Errors by distance to training",
            figures.error_by_distance(distance, error, domain[exact], unit),
            "0 is a copy of a training row. Triangles are out of domain: farther away than 95% of "
            "the training rows are from each other.",
        )
        yield make_panel(
            target,
            "coverage-distance",
            "Coverage by distance to training",
            figures.coverage_by(
                distance, covered, promised, "distance to the nearest training rows"
            ),
            "Whether the intervals still hold far from the training rows. A fall to the right "
            "means: do not trust them there.",
        )
