"""Numbers as laboratories write them."""

import pytest

from kagaku.data.numbers import (
    is_missing_label,
    is_missing_number,
    is_number,
    parse_number,
    split_censoring,
)
from kagaku.errors import InputError


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", 1.0), (" -1.5e-3 ", -0.0015), (".5", 0.5), ("+2.", 2.0), ("\u22125", -5.0), (3, 3.0)],
)
def test_plain_and_scientific_notation_is_read(cell: object, number: float) -> None:
    assert parse_number(cell) == number


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("1,5", "Write a decimal point: 1.5"),
        ("1,234,567.8", "thousands separators: 1234567.8"),
        ("5 ± 0.1", "a column of its own"),
        ("abc", "Write a plain number"),
        ("1_000", "Write a plain number"),
        ("0x10", "Write a plain number"),
        ("1e999", "leave the cell empty"),
        ("inf", "leave the cell empty"),
        (float("inf"), "leave the cell empty"),
    ],
)
def test_what_is_no_number_is_refused_with_the_right_spelling(cell: object, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        parse_number(cell)


@pytest.mark.parametrize(
    "cell", [None, "", " ", "NA", "N/A", "nan", "NaN", "null", "-", float("nan")]
)
def test_missing_numbers_are_known(cell: object) -> None:
    assert is_missing_number(cell)


def test_a_dash_may_be_a_class_though_it_is_no_number() -> None:
    assert not is_missing_label("-")
    assert is_missing_label("NA")


@pytest.mark.parametrize(
    ("cell", "rest", "sign"),
    [
        ("<5", "5", -1),
        ("> 100", "100", 1),
        ("≥3", "3", 1),
        ("<=2", "2", -1),
        ("7", "7", 0),
        (7, 7, 0),
    ],
)
def test_censoring_is_taken_off(cell: object, rest: object, sign: int) -> None:
    assert split_censoring(cell) == (rest, sign)
    assert is_number(cell)
