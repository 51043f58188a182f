"""Intervals of methods that compare nothing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kagaku.bases import UNTRAINED, load_base
from kagaku.science_tasks.benchmark.calibrated import Calibrated, held_out_fold
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.measures import GIVEN, HIGH, LOW, TRUTH
from kagaku.science_tasks.benchmark.methods import Mean, Single
from kagaku.science_tasks.benchmark.task import Context, Rows


def line_case(n_train: int, n_test: int = 400, **how: Any) -> PropertyCase:
    """Return numbers on a line, with noise."""
    rng = np.random.default_rng(n_train)
    count = n_train + n_test
    x = rng.uniform(1, 10, count)
    table = pd.DataFrame(
        {"x [kg]": x, "y": 2 * x + rng.normal(0, 1, count), "plate": np.arange(count) // 5}
    )
    order = np.arange(count)
    rows = Rows(order[:n_train], order[n_train:])
    return table_case(table, ["x [kg]: quantity"], "y [kg]: regression", rows, **how)


def asked(method: Any, case: PropertyCase) -> pd.DataFrame:
    answers = method(case, Context(lambda: load_base(UNTRAINED)))
    assert isinstance(answers, pd.DataFrame)
    return answers


@pytest.mark.parametrize("method", [Calibrated(Single("linear")), Mean((Single("linear"),))])
def test_intervals_hold_nine_of_ten_without_changing_the_answers(method: Any) -> None:
    case = line_case(600)
    answers = asked(method, case)
    bare = asked(Single("linear"), case)
    np.testing.assert_array_equal(answers[GIVEN], bare[GIVEN])
    held = (answers[LOW] <= answers[TRUTH]) & (answers[TRUTH] <= answers[HIGH])
    assert 0.85 < held.mean() < 0.95
    # The noise has a standard deviation of 1 kg: nine of ten lie within 3.3 kg.
    assert (answers[HIGH] - answers[LOW]).mean() == pytest.approx(3.3, rel=0.15)


def test_the_held_out_fold_keeps_groups_and_test_rows_apart() -> None:
    case = line_case(300, keeps_apart="group", group="plate")
    sides = held_out_fold(case, seed=0)
    assert sides is not None
    fitted, held = sides
    assert sorted([*fitted, *held]) == list(range(300))
    assert 40 <= len(held) <= 80
    assert not set(fitted // 5) & set(held // 5)


def test_too_few_rows_and_no_wish_give_no_intervals() -> None:
    pair = (Single("linear"), Single("trees"))
    for method in (Calibrated(Single("linear")), Mean(pair)):
        assert LOW not in asked(method, line_case(40, 20))
    assert LOW not in asked(Mean(pair, has_intervals=False), line_case(200, 20))
