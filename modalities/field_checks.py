"""What must be true of a latitude-longitude field before anything is computed from it."""

import numpy as np

from kagaku.data.records import Field
from kagaku.errors import InputError


def variable_key(name: str) -> str:
    """Return a variable's name as names are compared: without case and surrounding spaces."""
    return name.strip().casefold()


def check_shape(field: Field, values: np.ndarray) -> None:
    """Check that values, names, units and coordinates fit each other.

    Raises:
        InputError: They do not, there are no cells, or two variables have one name.
    """
    if values.dtype.kind not in "fiu":
        raise InputError(
            f"the field has values of type {values.dtype}", fix="Store it as real numbers."
        )
    expected = (len(field.names), len(field.latitudes), len(field.longitudes))
    if values.shape != expected or len(field.units) != len(field.names):
        raise InputError(
            f"the field has shape {values.shape} and {len(field.units)} units, but "
            f"{expected[0]} names, {expected[1]} latitudes and {expected[2]} longitudes",
            fix="Give values as (variable, lat, lon) with one name and one unit per variable.",
        )
    if not values.size:
        raise InputError("the field has no cells", fix="Choose a region with at least one cell.")
    keys = [variable_key(name) for name in field.names]
    if repeated := sorted({name for name in keys if keys.count(name) > 1}):
        raise InputError(
            f"the field has more than one variable named {repeated[0]!r}",
            fix="Give each level or kind its own name.",
        )


def check_coordinates(field: Field) -> None:
    """Check that latitudes and longitudes are on Earth, each once.

    Raises:
        InputError: One is out of range, not finite, or there twice.
    """
    for what, degrees, lowest, highest in (
        ("latitude", field.latitudes, -90.0, 90.0),
        ("longitude", field.longitudes, -180.0, 360.0),
    ):
        wrong = degrees[~((degrees >= lowest - 1e-3) & (degrees <= highest + 1e-3))]
        if degrees.ndim != 1 or len(wrong):
            value = f"{wrong[0]:g}" if len(wrong) else f"of {degrees.ndim} dimensions"
            raise InputError(
                f"there is a {what} {value} out of range",
                fix=f"Give {what}s in degrees, from {lowest:g} to {highest:g}.",
            )
        if len(np.unique(degrees)) < len(degrees):
            raise InputError(f"a {what} occurs twice", fix=f"Give each {what} once.")


def check_cells(values: np.ndarray) -> None:
    """Check that some cell is there and none is infinite; missing cells are NaN.

    Raises:
        InputError: All are missing, or one is infinite.
    """
    if np.isinf(values).any():
        raise InputError(
            "the field has infinite cells", fix="Mark missing cells with the fill value or NaN."
        )
    if np.isnan(values).all():
        raise InputError(
            "every cell of the field is missing", fix="Drop this time, or choose another region."
        )
