"""Questions about materials: folds, cases and methods, and all of them on real data."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kagaku.bases import load_base
from kagaku.data.catalogue import FolderSource
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import PropertyCase, table_case
from kagaku.science_tasks.benchmark.files import frame, stored_json
from kagaku.science_tasks.benchmark.methods import constant
from kagaku.science_tasks.benchmark.results import Quick
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Context, Rows, Task
from kagaku.science_tasks.materials.density_functional_sets import MODELS
from kagaku.science_tasks.materials.density_functional_sets import Load as LoadParts
from kagaku.science_tasks.materials.least_error import MEMBERS, LeastError, least_error
from kagaku.science_tasks.materials.matbench import BALANCED, REPEATED, Folds, Load
from kagaku.science_tasks.tasks import TASKS

OURS = [TASKS[name] for name in TASKS if TASKS[name].domain == "materials"]


@dataclass(frozen=True)
class Thinned:
    """A source that gives some 400 rows of each table, spread evenly over it."""

    source: FolderSource

    def __call__(self, key: str) -> bytes:
        head, *rows = self.source(key).splitlines()
        return b"\n".join([head, *rows[:: max(1, len(rows) // 400)]])


class Files(dict[str, bytes]):
    """A source that holds its files."""

    def __call__(self, key: str) -> bytes:
        return self[key]


def no_base() -> object:
    raise AssertionError("a plain method asked for the base")


PLAINLY = Context(no_base)  # type: ignore[arg-type]


def compounds(n: int = 60) -> pd.DataFrame:
    """Return oxides and fluorides whose target is the share of the anion, with outliers."""
    rng = np.random.default_rng(0)
    metals = ["Na", "Mg", "Al", "K", "Ca", "Ti", "Fe", "Zn", "Sr", "Zr", "Ba", "La"]
    rows = []
    for i in range(n):
        metal, anion = metals[i % len(metals)], ("O", "F")[i % 2]
        count = 1 + i // len(metals) % 4
        share = count / (1 + count)
        rows.append((f"{metal}{anion}{count}", share + rng.normal(0, 0.01) + 5 * (i % 20 == 0)))
    return pd.DataFrame(rows, columns=["formula", "target"])


def csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def composition_case() -> PropertyCase:
    table = compounds().rename(columns={"target": "share"})
    order = np.random.default_rng(1).permutation(len(table))
    return table_case(
        table, ["formula: material"], "share [dimensionless]: regression",
        Rows(order[:45], order[45:]),
    )  # fmt: skip


def test_folds_are_those_of_matbench_and_each_row_is_asked_once() -> None:
    load = Load("jdft2d", "energy [eV]: regression")
    (key,) = load.files
    cases = load(Files({key: csv(compounds())}))
    assert list(cases) == [f"fold{i}" for i in range(5)]
    rows = load.rows(compounds())
    assert sorted(np.concatenate([one.test for one in rows])) == list(range(60))
    assert all(len(one.test) == 12 for one in rows)
    assert (cases["fold0"].n_train, cases["fold0"].n_test) == (48, 12)


def test_formulas_that_stand_in_the_training_part_too_are_told() -> None:
    table = pd.concat([compounds(), compounds().assign(target=9.0)], ignore_index=True)
    load = Load("perovskites", "energy [eV]: regression")
    case = load(Files({load.files[0]: csv(table)}))["fold0"]
    assert isinstance(case, PropertyCase)
    assert case.extra is not None
    formulas = np.array(table["formula"])
    rows = load.rows(table)[0]
    expected = np.isin(formulas[rows.test], formulas[rows.train])
    assert (case.extra[REPEATED][case.rows.test] == expected).all()
    assert expected.any()
    assert not expected.all()
    answers = constant(case, PLAINLY)
    measure = TASKS["matbench-perovskites"].measure("MAE, new formulas")
    kept = answers[~expected]
    assert measure.of(answers) == pytest.approx((kept["truth"] - kept["given"]).abs().mean())


def test_sodium_nitride_is_a_compound_and_no_missing_cell() -> None:
    table = compounds()
    table.loc[0, "formula"] = "NaN"
    load = Load("jdft2d", "energy [eV]: regression")
    cases = load(Files({load.files[0]: csv(table)}))
    assert isinstance(cases, Folds)
    for name in cases:
        case = cases[name]
        assert isinstance(case, PropertyCase)
        assert case.n_dropped == 0
        assert case.n_train + case.n_test == len(table)


def test_classes_keep_their_shares_in_the_folds() -> None:
    table = compounds(100).assign(target=np.arange(100) % 10 == 0)
    load = Load("glass", "glass: binary")
    cases = load(Files({load.files[0]: csv(table)}))
    for name in cases:
        case = cases[name]
        assert isinstance(case, PropertyCase)
        assert constant(case, PLAINLY)["truth"].sum() == 2


def test_balanced_accuracy_is_the_mean_recall_of_both_classes() -> None:
    answers = pd.DataFrame({"truth": [0, 0, 0, 1], "p_0": [0.9, 0.8, 0.2, 0.1]})
    answers["p_1"] = 1 - answers["p_0"]
    assert BALANCED.of(answers) == pytest.approx((2 / 3 + 1) / 2)
    assert np.isnan(BALANCED.of(answers[:3]))


def test_published_parts_are_kept_and_the_validation_part_is_learnt_from() -> None:
    load = LoadParts("mp_bulk_modulus", "bulk_modulus [GPa]: regression")
    table = compounds()
    parts = (table[:40], table[40:50], table[50:])
    files = {key: csv(one) for key, one in zip(load.files, parts, strict=True)}
    case = load(Files(files))["test"]
    assert isinstance(case, PropertyCase)
    assert (case.n_train, case.n_test) == (50, 10)
    answers = constant(case, PLAINLY)
    assert answers["truth"].tolist() == pytest.approx(table["target"][50:].tolist(), rel=1e-6)


def test_a_blend_has_the_least_absolute_error_of_all() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    given = {"low": truth - 1, "high": truth + 1, "wild": truth + np.array([9.0, 0, 0])}
    assert least_error(given, truth) == ("low", "high")
    assert least_error({"wild": given["wild"]}, truth) == ("wild",)


def test_least_error_follows_compositions_in_spite_of_outliers() -> None:
    case = composition_case()
    told: list[str] = []
    context = Context(no_base, report=lambda *what: told.append(what[2]))  # type: ignore[arg-type]
    answers = LeastError()(case, context)
    chosen = answers.attrs["chosen"].split(" + ")
    assert set(chosen) <= set(MEMBERS)
    ordinary = answers[answers["truth"] < 2]
    error = (ordinary["truth"] - ordinary["given"]).abs().median()
    assert error < (ordinary["truth"] - constant(case, PLAINLY)["given"]).abs().median() / 2
    assert (answers["low"] <= answers["given"]).all()
    assert (answers["given"] <= answers["high"]).all()
    assert len(told) == 5 * len(MEMBERS)


def test_least_error_never_looks_at_the_answers() -> None:
    case = composition_case()
    method = LeastError(members=("trees of the median", "kernel"))
    before = method(case, PLAINLY)["given"]
    values = case.records.targets["share"].values.copy()
    values[case.rows.test] += 100
    case.records.targets["share"].values[:] = values
    assert (method(case, PLAINLY)["given"] == before).all()


def test_published_errors_have_a_source_and_a_measure() -> None:
    assert len(OURS) == 20
    for task in OURS:
        assert task.published
        for one in task.published:
            assert one.source.startswith("https://")
            assert task.measure(one.measure).name == one.measure
            assert one.value > 0


@pytest.mark.benchmark_data
def test_folds_are_the_published_ones_and_errors_those_of_the_published_table() -> None:
    source = FolderSource([Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()])
    folds = stored_json(source, "materials/matbench/folds_kfold5_seed18012019.json")
    for name, expected in folds.items():
        load = Load(name.removeprefix("matbench_"), "target [eV]: regression")
        table = frame(source, load.files[0], keep_default_na=False)
        found = [sorted(one.test.tolist()) for one in load.rows(table)]
        assert found == [sorted(one) for one in expected]
    errors = frame(source, "materials/crabnet_benchmark/all_metrics.csv").set_index("property")
    columns = dict(zip(MODELS, ("crabnet", "roost", "hotcrab", "elemnet", "rf"), strict=True))
    for task in OURS:
        if isinstance(task.load, LoadParts):
            for one in task.published:
                given = errors.loc[task.load.name, columns[one.model]]
                assert one.value == pytest.approx(given, rel=1e-3)


@pytest.mark.benchmark_data
@pytest.mark.parametrize("task", OURS, ids=lambda one: one.name)
def test_every_question_about_materials_is_answered_on_real_data(
    task: Task, tmp_path: Path
) -> None:
    folder = Path(os.environ["KAGAKU_DATA"]).expanduser().resolve()
    source = Thinned(FolderSource([folder]))
    base = BaseUse(lambda: load_base("kagaku-tiny"))
    # Choosing among all candidates takes seconds each, so it is done for one task of each kind.
    methods = task.default
    if task.name not in {"matbench-expt-gap", "matbench-glass", "mp-shear-modulus"}:
        methods = tuple(one for one in methods if one != "auto")
    splits = ("fold1",) if isinstance(task.load, Load) else ()
    plan = Plan(methods=methods, splits=splits, quick=Quick(150, 80))
    scores = {
        one.method: task.leading.of(one.answers)
        for one in run_task(task, source, base, plan, tmp_path)
    }
    assert set(scores) == set(methods)
    assert np.isfinite([*scores.values()]).all()
    sign = -1 if task.leading.smaller_is_better else 1
    best = max(sign * scores[name] for name in methods if name != "constant")
    assert best > sign * scores["constant"]
