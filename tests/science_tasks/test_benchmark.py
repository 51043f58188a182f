"""Benchmarks: tasks, answers that are kept, paired comparisons and the leak audit."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from kagaku.bases import UNTRAINED, load_base
from kagaku.benchmarks.leaks import kept_leaks
from kagaku.benchmarks.scores import task_scores
from kagaku.benchmarks.tables import mark, sentences
from kagaku.data.corpora.keys import kin_key
from kagaku.data.corpora.signatures import signature
from kagaku.data.corpora.trained_on import Collector, Span, TrainedOn
from kagaku.data.schema import Target
from kagaku.errors import InputError
from kagaku.models.embedding import embed_columns
from kagaku.science_tasks import embedding_memory, fitting
from kagaku.science_tasks.baselines import MeanCandidate
from kagaku.science_tasks.benchmark import measuring
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import PropertyCase, labels_case, table_case, values_case
from kagaku.science_tasks.benchmark.column_measures import (
    f1_of_counts,
    mean_of,
    root_mean_of,
    share_of_counts,
)
from kagaku.science_tasks.benchmark.leaks import audit
from kagaku.science_tasks.benchmark.measures import (
    COVERAGE,
    GIVEN,
    TRUTH,
    Measure,
    binary,
    multiclass,
    multilabel,
    regression,
)
from kagaku.science_tasks.benchmark.measuring import Stopwatch, Watch
from kagaku.science_tasks.benchmark.methods import Mean, Single, constant, plain
from kagaku.science_tasks.benchmark.results import Quick, load_results
from kagaku.science_tasks.benchmark.running import Cases, Plan, run_task
from kagaku.science_tasks.benchmark.summary import (
    Paired,
    best_baseline,
    compare_runs,
    runs_of,
    summarise,
)
from kagaku.science_tasks.benchmark.task import Case, Context, Rows, Task, Tasks
from kagaku.science_tasks.climate.field_case import FieldCase
from kagaku.science_tasks.embedding_memory import EmbeddingMemory
from kagaku.science_tasks.fit_settings import FitSettings
from kagaku.science_tasks.tasks import TASKS

RNG = np.random.default_rng(0)
ALCOHOLS = [f"{'C' * n}O" for n in range(1, 31)] + [f"{'C' * n}(C)O" for n in range(1, 31)]


def alcohols() -> pd.DataFrame:
    """Return a table whose target is the length of a chain, with a little noise."""
    length = np.array([one.count("C") for one in ALCOHOLS], dtype=float)
    return pd.DataFrame({"smiles": ALCOHOLS, "length": length + RNG.normal(0, 0.1, len(length))})


def chain_case(**how: object) -> PropertyCase:
    order = np.random.default_rng(1).permutation(len(ALCOHOLS))
    return table_case(
        alcohols(),
        ["smiles: molecule"],
        "length [dimensionless]: regression",
        Rows(order[:40], order[50:], order[40:50]),
        **how,  # type: ignore[arg-type]
    )


def load_chains(source: object) -> Mapping[str, Case]:
    del source
    return {"first": chain_case(), "second": chain_case()}


def chain_task(**methods: object) -> Task:
    given = methods or {"constant": constant, "plain": plain}
    return Task(
        name="chains",
        domain="chemistry",
        question="How long is the chain?",
        dataset="none",
        files=(),
        load=load_chains,
        measures=regression(("RMSE", "Spearman"), "dimensionless"),
        methods=given,  # type: ignore[arg-type]
        baselines=("constant",) if "constant" in given else (),
        default=tuple(given),
    )


def no_files(key: str) -> bytes:
    raise AssertionError(key)


def untrained() -> BaseUse:
    return BaseUse(lambda: load_base(UNTRAINED))


def test_a_case_holds_the_parts_of_its_split_and_counts_what_cannot_be_read() -> None:
    table = alcohols()
    table.loc[3, "smiles"] = "C(("
    rows = Rows(np.arange(40), np.arange(50, 60), np.arange(40, 50))
    case = table_case(
        table, ["smiles: molecule"], "length [dimensionless]: regression", rows, extra=["length"]
    )
    assert (case.n_train, case.n_test, case.n_dropped) == (49, 10, 1)
    assert case.values("test")["molecule"] == ALCOHOLS[50:60]
    answers = constant(case, Context(untrained()))
    assert answers["length"].tolist() == table["length"][50:60].tolist()
    assert answers["truth"].to_numpy() == pytest.approx(table["length"][50:60].to_numpy())


def test_a_cut_keeps_both_classes() -> None:
    table = alcohols()
    table["long"] = (table["length"] > 28).astype(int)
    rows = Rows(np.arange(0, 60, 2), np.arange(1, 60, 2))
    case = table_case(table, ["smiles: molecule"], "long: binary", rows).cut(6, 6, seed=0)
    truth = case.records.targets["long"].values
    assert set(truth[case.rows.train]) == set(truth[case.rows.test]) == {0.0, 1.0}


def test_labels_that_are_missing_are_not_scored() -> None:
    table = alcohols()
    table["long"] = (table["length"] > 15).astype(float)
    table["short"] = 1 - table["long"]
    table.loc[10:13, "short"] = np.nan
    case = labels_case(
        table,
        ["smiles: molecule"],
        ["long", "short"],
        Rows(np.arange(20, 60), np.arange(10, 20)),
    )
    answers = constant(case, Context(untrained()))
    assert answers["t_1"].isna().sum() == 4
    answers["p_0"], answers["p_1"] = answers["t_0"], answers["t_1"].fillna(0.3)
    (area,) = multilabel(("macro ROC-AUC",))
    assert area.of(answers) == 1


def test_measures_agree_with_the_libraries_and_with_counting_by_hand() -> None:
    truth = RNG.integers(0, 3, 50)
    chances = RNG.dirichlet(np.ones(3), 50)
    answers = pd.DataFrame({"truth": truth, **{f"p_{i}": chances[:, i] for i in range(3)}})
    accuracy, macro = multiclass(("accuracy", "macro F1"))
    guess = chances.argmax(axis=1)
    assert accuracy.of(answers) == (guess == truth).mean()
    assert macro.of(answers) == pytest.approx(f1_score(truth, guess, average="macro"))
    counts = pd.DataFrame({"hits": [1, 0], "guessed": [2, 1], "wanted": [1, 3]})
    # Precision 1/3, recall 1/4: F1 = 2/7.
    assert f1_of_counts().of(counts) == pytest.approx(2 / 7)
    assert share_of_counts("Q3", "hits", "wanted").of(counts) == pytest.approx(1 / 4)
    assert np.isnan(mean_of("rank", "rank").of(counts))


NUMBERS = pd.DataFrame(
    {
        "truth": [1.0, 2.0, np.nan, 4.0, 2.5, 0.0],
        "given": [1.5, 2.0, 3.0, 3.0, 2.0, 0.5],
        "low": [0.0, 2.5, 0.0, 2.0, 1.0, 0.0],
        "high": [2.0, 3.0, 9.0, 3.5, 3.0, 1.0],
        "cliff": [0, 1, 1, 1, 0, 1],
        "hits": [1, 0, 2, 0, 1, 1],
        "guessed": [2, 1, 2, 0, 1, 3],
        "wanted": [1, 3, 2, 1, 1, 1],
    }
)
CLASSES = pd.DataFrame(
    {"truth": [0, 1, 1, 0], "p_0": [0.7, 0.4, 0.8, 0.5], "p_1": [0.3, 0.6, 0.2, 0.5]}
)
ON_NUMBERS = (
    *regression(("RMSE", "MAE", "R2"), "K"),
    regression(("RMSE",), "K")[0].where("RMSE on cliffs", lambda one: one["cliff"] == 1),
    COVERAGE,
    mean_of("high", "mean"),
    root_mean_of("high", "root"),
    share_of_counts("share", "hits", "wanted"),
    f1_of_counts(),
)


@pytest.mark.parametrize(
    ("measure", "answers"),
    [
        *((one, NUMBERS) for one in ON_NUMBERS),
        *((one, CLASSES) for one in binary(("accuracy", "Brier"))),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_scores_by_sums_are_the_scores(measure: Measure, answers: pd.DataFrame) -> None:
    assert measure.parts is not None
    for rows in (slice(None), slice(1, None), [0, 0, 3, 1]):
        some = answers.iloc[rows]
        summed = measure.parts.total(measure.parts.of(some).sum(axis=0)[:, None])
        assert summed[0] == pytest.approx(measure.of(some))


def test_a_measure_can_look_at_some_items_only() -> None:
    answers = pd.DataFrame({"truth": [0.0, 0.0], "given": [1.0, 3.0], "cliff": [0, 1]})
    (rmse,) = regression(("RMSE",), "K")
    on_cliffs = rmse.where("RMSE on cliffs", lambda one: one["cliff"] == 1)
    assert (on_cliffs.of(answers), on_cliffs.name, on_cliffs.unit) == (3.0, "RMSE on cliffs", "K")


def test_coverage_counts_truths_inside_their_interval() -> None:
    answers = pd.DataFrame({"truth": [1, 2, np.nan], "low": [0, 3, 0], "high": [2, 4, 1]})
    assert COVERAGE.of(answers) == 0.5


def test_answers_are_kept_and_a_second_run_asks_nobody(tmp_path: Path) -> None:
    calls = []

    def counted(case: PropertyCase, context: Context) -> pd.DataFrame:
        calls.append(context.seed)
        return constant(case, context)

    task = chain_task(counted=counted)
    plan = Plan(seeds=(0, 1))
    first = list(run_task(task, no_files, untrained(), plan, tmp_path))
    again = list(run_task(task, no_files, untrained(), plan, tmp_path))
    assert calls == [0, 1, 0, 1]
    assert [(one.split, one.seed) for one in first] == [
        ("first", 0),
        ("first", 1),
        ("second", 0),
        ("second", 1),
    ]
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one.answers, other.answers)
    assert len(load_results(tmp_path)) == 4


def test_the_time_of_a_stopped_attempt_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    path = tmp_path / "cell.seconds"
    first = Stopwatch(path, "this")
    for seconds in (4.0, 3.0, 2.0):  # kept at the seventh second, stopped at the ninth
        clock[0] += seconds
        first.tick()
    assert first.seconds == 9.0
    again = Stopwatch(path, "this")
    clock[0] += 1.5
    assert again.seconds == 8.5
    assert Stopwatch(path, "another").seconds == 0.0
    path.write_text("{")
    assert Stopwatch(path, "this").seconds == 0.0
    again.forget()
    assert not path.exists()


def test_memory_is_looked_at_while_a_method_computes(tmp_path: Path) -> None:
    stopwatch = Stopwatch(tmp_path / "cell.seconds", "this")
    with Watch(stopwatch) as watch:
        before = watch.most_bytes
        held = np.ones(40_000_000)  # 320 MB
        time.sleep(3 * measuring.BETWEEN_LOOKS)
        del held
    assert watch.most_bytes > before + 200e6


def test_what_nobody_could_know_is_shown_and_never_said_to_be_better(tmp_path: Path) -> None:
    task = replace(chain_task(), for_reference=("plain",))
    results = list(run_task(task, no_files, untrained(), Plan(), tmp_path))
    found = task_scores(task, results, {})
    told = {one["name"]: one for one in found["methods"]}
    assert told["plain"]["is_for_reference"]
    assert told["plain"]["versus_baseline"] is None
    assert told["plain"]["scores"]["RMSE"]["mean"] < told["constant"]["scores"]["RMSE"]["mean"]
    assert mark(told["plain"], found) == "plain, for reference"
    assert not any("better" in one for one in sentences(found))
    with pytest.raises(AssertionError):
        replace(task, for_reference=("constant",))


def test_what_a_method_reports_stands_behind_its_name(tmp_path: Path) -> None:
    def slow(case: PropertyCase, context: Context) -> pd.DataFrame:
        assert context.report is not None
        context.report(1, 2_000, "thinking")
        return constant(case, context)

    told: list[tuple[int, int, str]] = []
    plan = Plan(splits=("second",))
    task = chain_task(slow=slow)
    list(run_task(task, no_files, untrained(), plan, tmp_path, lambda *one: told.append(one)))
    assert told == [
        (0, 1, "chains: slow, second, seed 0"),
        (0, 1, "chains: slow, second, seed 0; thinking, 1 of 2,000"),
        (1, 1, "chains"),
    ]


def test_a_quick_look_and_the_whole_never_replace_each_other(tmp_path: Path) -> None:
    task = chain_task(constant=constant)
    looked, all_of_it = Plan(quick=Quick(10, 5), splits=("first",)), Plan(splits=("first",))
    (quick,) = run_task(task, no_files, untrained(), looked, tmp_path / "quick")
    (whole,) = run_task(task, no_files, untrained(), all_of_it, tmp_path / "whole")
    assert (quick.n_train, quick.n_test, whole.n_train, whole.n_test) == (10, 5, 50, 10)
    with pytest.raises(
        InputError, match="has all of it of chains, and a quick look of 10 items to learn from"
    ) as e:
        list(run_task(task, no_files, untrained(), looked, tmp_path / "whole"))
    assert "Choose another --output" in str(e.value)
    with pytest.raises(InputError, match="5 to answer of chains, and all of it cannot stand"):
        list(run_task(task, no_files, untrained(), all_of_it, tmp_path / "quick"))
    other = Plan(quick=Quick(20, 5), splits=("first",))
    with pytest.raises(InputError, match=r"of 10 items .* and a quick look of 20 items"):
        list(run_task(task, no_files, untrained(), other, tmp_path / "quick"))
    (kept,) = run_task(task, no_files, untrained(), all_of_it, tmp_path / "whole")
    assert kept.n_test == 10


def test_answers_of_other_weights_are_neither_taken_for_these_nor_replaced(tmp_path: Path) -> None:
    task = chain_task(learned=Single("linear", "embeddings"))
    plan = Plan(splits=("first",))
    (one,) = run_task(task, no_files, untrained(), plan, tmp_path)
    trained = BaseUse(lambda: load_base("kagaku-tiny"))
    with pytest.raises(
        InputError, match="answers of the base untrained-tiny to chains, and those "
    ):
        list(run_task(task, no_files, trained, plan, tmp_path))
    changed = untrained()
    changed._fingerprint = "another"
    with pytest.raises(InputError, match="of the base untrained-tiny with other weights to chains"):
        list(run_task(task, no_files, changed, plan, tmp_path))
    (other,) = run_task(task, no_files, trained, plan, tmp_path / "other")
    assert (one.base_name, other.base_name) == ("untrained-tiny", "kagaku-tiny")
    assert one.base != other.base


def test_a_mean_answers_with_the_mean_of_its_readouts(tmp_path: Path) -> None:
    task = chain_task(
        linear=Single("linear"),
        trees=Single("trees"),
        both=Mean((Single("linear"), Single("trees"))),
    )
    results = run_task(task, no_files, untrained(), Plan(splits=("first",)), tmp_path)
    given = {one.method: one.answers["given"] for one in results}
    np.testing.assert_allclose(given["both"], (given["linear"] + given["trees"]) / 2)
    assert not np.allclose(given["linear"], given["trees"])


def test_splits_and_seeds_of_a_method_embed_a_record_once(tmp_path: Path) -> None:
    counts = list[int]()

    def counted(*given: Any, **named: Any) -> Any:
        counts.append(len(given[1]))
        return embed_columns(*given, **named)

    task = chain_task(
        learned=Single("linear", "embeddings"), again=Single("linear", "classical + embeddings")
    )
    with patch.object(embedding_memory, "embed_columns", counted):
        results = list(run_task(task, no_files, untrained(), Plan(seeds=(0, 1)), tmp_path))
    n_splits = len(load_chains(no_files))
    assert len(results) == 2 * n_splits * 2
    assert n_splits > 1
    # Both methods embed for themselves, all records with the first split, and never again.
    assert len(counts) == 2
    assert counts[0] == counts[1] <= len(set(alcohols()["smiles"]))


def test_what_is_remembered_does_not_decide_what_is_tried() -> None:
    case, memory, expected = chain_case(), EmbeddingMemory(), list[float]()

    def watched(*given: Any) -> str:
        expected.append(given[3])
        return "not asked for"

    with patch.object(fitting, "why_no_network", watched):
        for _ in range(2):
            fitting.fit_property(
                case.records,
                case.rows.learnt(),
                encoder=load_base(None),
                settings=FitSettings(method="readout"),
                memory=memory,
            )
    first, again = expected
    assert again > 0.5 * first
    assert memory.seconds_saved > 0.2 * first


def test_baselines_are_fitted_when_they_are_asked_for() -> None:
    case, n_fitted = chain_case(), 0
    fit_mean = MeanCandidate.fit

    def counted(one: MeanCandidate, train_index: np.ndarray) -> Any:
        nonlocal n_fitted
        n_fitted += 1
        return fit_mean(one, train_index)

    with patch.object(MeanCandidate, "fit", counted):
        fitted = fitting.fit_property(
            case.records,
            case.rows.learnt(),
            encoder=load_base(None),
            settings=FitSettings(method="readout"),
        )
        assert n_fitted == 0
        (target,) = fitted.targets.values()
        assert list(target.baselines) == [one.name for one in target.plain]
        assert len(target.plain) > 2
    assert n_fitted == 1


def test_answers_of_no_base_stand_beside_those_of_any(tmp_path: Path) -> None:
    task = chain_task(constant=constant)
    plan = Plan(splits=("first",))
    (one,) = run_task(task, no_files, untrained(), plan, tmp_path)
    trained = BaseUse(lambda: load_base("kagaku-tiny"))
    (again,) = run_task(task, no_files, trained, plan, tmp_path)
    assert again.seconds == one.seconds


def test_what_other_code_has_begun_is_begun_anew(tmp_path: Path) -> None:
    seen: list[bool] = []

    def stopped(case: PropertyCase, context: Context) -> pd.DataFrame:
        assert context.work is not None
        seen.append((context.work / "step").is_file())
        context.work.mkdir(parents=True, exist_ok=True)
        (context.work / "step").touch()
        if len(seen) < 4:
            raise KeyboardInterrupt
        return constant(case, context)

    task = chain_task(stopped=stopped)
    for made_by in ("old", "old", "new"):
        plan = Plan(splits=("first",), made_by=made_by)
        with pytest.raises(KeyboardInterrupt):
            list(run_task(task, no_files, untrained(), plan, tmp_path))
    assert seen == [False, True, False]
    list(run_task(task, no_files, untrained(), plan, tmp_path))
    assert not list(tmp_path.rglob("*.work"))


def test_a_baseline_that_answered_fewer_splits_is_not_the_best_one(tmp_path: Path) -> None:
    def perfect(case: PropertyCase, context: Context) -> pd.DataFrame:
        answers = constant(case, context)
        return answers.assign(**{GIVEN: answers[TRUTH]})

    task = replace(
        chain_task(constant=constant, perfect=perfect), baselines=("constant", "perfect")
    )
    some = list(run_task(task, no_files, untrained(), Plan(("perfect",), ("first",)), tmp_path))
    others = list(run_task(task, no_files, untrained(), Plan(("constant",)), tmp_path))
    assert len({one.split for one in others}) > 1
    assert best_baseline(task, [*some, *others]) == "constant"
    every = list(run_task(task, no_files, untrained(), Plan(), tmp_path))
    assert best_baseline(task, every) == "perfect"


def test_which_method_is_judged_depends_on_no_score_and_on_nothing_that_ran() -> None:
    task = chain_task(constant=constant, one=plain, auto=plain, two=plain, three=plain)
    task = replace(task, default=("constant", "two", "auto", "one"), for_reference=("three",))
    assert task.judged == "auto"
    assert replace(task, long=("auto",)).judged == "one"
    assert replace(task, verdict_about="two").judged == "two"
    assert replace(task, default=("constant", "two", "three")).judged == "two"
    assert replace(task, default=("constant", "auto"), long=("auto",)).judged == "auto"
    assert replace(task, default=("constant",)).judged is None
    with pytest.raises(AssertionError):
        replace(task, verdict_about="constant")


def test_the_plain_model_beats_the_constant_and_the_comparison_says_so(tmp_path: Path) -> None:
    task = chain_task()
    results = list(run_task(task, no_files, untrained(), Plan(), tmp_path))
    found = {(one.method, one.measure): one for one in summarise(task, results)}
    assert found["plain", "RMSE"].mean < found["constant", "RMSE"].mean
    assert found["plain", "RMSE"].low < found["plain", "RMSE"].mean < found["plain", "RMSE"].high
    assert best_baseline(task, results) == "constant"
    paired = compare_runs(
        task.leading,
        runs_of(results, "plain"),
        runs_of(results, "constant"),
        ("plain", "constant"),
    )
    assert paired is not None
    assert paired.verdict == "better"
    assert paired.sentence().startswith("plain is better than constant (RMSE -")


def test_a_method_that_loses_says_so() -> None:
    task = chain_task()
    truth = np.arange(50.0)
    good = pd.DataFrame({"truth": truth, "given": truth + 0.1})
    bad = pd.DataFrame({"truth": truth, "given": truth + RNG.normal(0, 5, 50)})
    runs = ({("first", 0): bad}, {("first", 0): good})
    paired = compare_runs(task.leading, *runs, ("ours", "theirs"))
    assert paired is not None
    assert "ours is worse than theirs: use that one instead" in paired.sentence()
    same = compare_runs(task.leading, runs[0], runs[0], ("ours", "ours again"))
    assert same is not None
    assert (same.difference, same.verdict) == (0, "no different")


def test_items_of_a_group_are_resampled_together() -> None:
    truth = np.zeros(40)
    gene = np.repeat([0, 1], 20)
    given = np.where(gene == 0, 1.0, 2.0)
    answers = pd.DataFrame({"truth": truth, "given": given, "gene": gene})
    alone = chain_task()
    runs = ({("first", 0): answers}, {("first", 0): answers.assign(given=0.0)})
    narrow = compare_runs(alone.leading, *runs, ("a", "b"))
    wide = compare_runs(alone.leading, *runs, ("a", "b"), group="gene")
    assert narrow is not None
    assert wide is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_leads_that_ask_of_the_same_years_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    years = np.repeat(np.arange(20), 6)
    of_year = rng.normal(size=20)[years]  # some years are hard at every lead

    def runs(shift: float) -> dict[tuple[str, int], pd.DataFrame]:
        return {
            (f"lead {lead}", 0): pd.DataFrame({
                "truth": np.zeros(len(years)), "year": years,
                "given": 1 + shift * of_year + 0.01 * rng.normal(size=len(years)),
            })
            for lead in range(8)
        }  # fmt: skip

    error = chain_task().leading
    first, second = runs(0.3), runs(0.0)
    together = compare_runs(error, first, second, ("a", "b"), group="year")
    alone = {
        (split, seed): one.assign(year=[f"{split} {year}" for year in one["year"]])
        for (split, seed), one in first.items()
    }
    apart = compare_runs(error, alone, second, ("a", "b"), group="year")
    assert together is not None
    assert apart is not None
    # Eight copies of twenty years are no more than twenty years.
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_planted_duplicates_are_found_in_the_training_part_and_in_the_corpus() -> None:
    table = alcohols()
    table.loc[55, "smiles"] = "OC"  # methanol, which stands in row 0 as CO
    case = table_case(
        table,
        ["smiles: molecule"],
        "length [dimensionless]: regression",
        Rows(np.arange(50), np.arange(50, 60)),
    )
    collector = Collector()
    kin = np.array([[kin_key("molecule", ALCOHOLS[52])]], dtype=np.uint64)
    collector.add(["molecule"], kin, [])
    leaks = audit(case, collector.trained_on())
    assert np.flatnonzero(leaks.within).tolist() == [5]
    assert leaks.corpus is not None
    assert np.flatnonzero(leaks.corpus).tolist() == [2]
    assert np.flatnonzero(leaks.any).tolist() == [2, 5]
    assert leaks.shares()["corpus"] == pytest.approx(0.1)


def test_a_mixture_is_known_only_if_all_its_molecules_are() -> None:
    frame = pd.DataFrame({
        "ligand": ["CCO", "CCO", "CCO", "CCO"], "additive": ["CN", "CCN", "CCCN", "CN"],
        "y": [1.0, 2.0, 3.0, 4.0],
    })  # fmt: skip
    case = table_case(
        frame,
        ["ligand: molecule", "additive: molecule"],
        "y [dimensionless]: regression",
        Rows(np.array([0, 1]), np.array([2, 3])),
    )
    assert list(case.values("test")) == ["molecule", "molecule 2"]
    assert audit(case, None).within.tolist() == [False, True]


def test_a_question_without_a_training_part_has_no_share_of_it() -> None:
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "y": [1.0, 2.0]})
    case = table_case(
        frame,
        ["smiles: molecule"],
        "y [dimensionless]: regression",
        Rows(np.array([0]), np.array([1])),
    )
    assert audit(case, None).shares()["within"] == 0.0

    class ZeroShot:
        n_train, n_test = 0, 2

        def values(self, part: str) -> dict[str, list[str]]:
            return {"molecule": [] if part == "train" else ["CCO", "CCN"]}

        def cut(self, n_train: int, n_test: int, seed: int) -> "ZeroShot":
            raise AssertionError(n_train, n_test, seed)

    leaks = audit(ZeroShot(), TrainedOn({}, {}))
    assert leaks.shares()["within"] is None
    assert leaks.shares()["corpus"] == 0.0


def test_near_duplicates_of_texts_are_found() -> None:
    words = np.array([f"word{i}" for i in range(400)])
    texts = [" ".join(RNG.choice(words, 60)) for _ in range(30)]
    texts[25] = texts[3].replace(texts[3].split()[-1], "other")
    table = pd.DataFrame({"note": texts, "y": RNG.normal(size=30)})
    case = table_case(
        table,
        ["note: text"],
        "y [dimensionless]: regression",
        Rows(np.arange(20), np.arange(20, 30)),
    )
    leaks = audit(case, TrainedOn({}, {}))
    assert not leaks.within.any()
    assert np.flatnonzero(leaks.within_near).tolist() == [5]
    assert leaks.corpus is not None
    assert not leaks.corpus.any()


def test_fields_are_found_by_variable_place_and_time() -> None:
    years = np.arange(1980, 2000)
    case = FieldCase(
        truth=np.zeros((20, 2, 3)),
        phase=np.zeros(20, dtype=np.int64),
        inputs={},
        weights=np.ones((2, 3)),
        rows=Rows(np.arange(10), np.arange(10, 20)),
        blocks=np.arange(20),
        latitudes=np.array([0.0, 5.0]),
        longitudes=np.array([200.0, 205.0, 210.0]),
        variable="sea_surface_temperature",
        unit="degC",
        times=(years - 1970) * 365.25,
    )
    # A corpus with anomalies of the same quantity up to 1994.
    span = Span("ocean", ("surface_temperature_anomaly",), -60.0, 60.0, 0.0, 24.9 * 365.25)
    leaks = audit(case, TrainedOn({}, {}, (span,)))
    assert leaks.corpus is not None
    assert np.flatnonzero(leaks.corpus).tolist() == [0, 1, 2, 3, 4]  # 1990 to 1994
    north = replace(span, south=50.0)
    assert audit(case, TrainedOn({}, {}, (north,))).shares()["corpus"] == 0.0
    timeless = audit(replace(case, times=None), TrainedOn({}, {}, (span,)))
    assert timeless.corpus is None
    assert timeless.note.startswith("Not compared: there is no input, or only numbers or fields")
    assert timeless.shares()["within"] is None
    assert timeless.shares()["within_near"] is None


def test_pictures_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (6, 9, 7), dtype=np.uint8)
    for place, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{place}.png")
    paths = [tmp_path / f"{place}.png" for place in range(6)]
    target = Target("y", "y", "regression", "dimensionless")
    rows = Rows(np.arange(4), np.array([4, 5]))
    case = values_case({"picture": ("image", paths)}, target, np.arange(6.0), rows)
    collector = Collector()
    # A corpus has a grey picture with one channel.
    collector.add(["image"], np.array([[kin_key("image", pixels[5][:, :, None])]], np.uint64), [])
    leaks = audit(case, collector.trained_on())
    assert leaks.corpus is not None
    assert leaks.corpus.tolist() == [False, True]


def test_equal_answers_differ_by_nothing() -> None:
    rng = np.random.default_rng(3)
    runs = {
        (str(split), 0): pd.DataFrame({TRUTH: rng.normal(size=50), GIVEN: rng.normal(size=50)})
        for split in range(7)
    }
    (measure, *_) = regression(("RMSE",), None)
    found = compare_runs(measure, runs, runs, ("one", "other"))
    assert found is not None
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.verdict == "no different"


def test_a_difference_without_an_interval_says_so() -> None:
    nan = float("nan")
    told = Paired("ours", "plain", "Frechet distance", 0.25, nan, nan, "no different").sentence()
    assert told == (
        "ours is not clearly different from plain (Frechet distance +0.25, of which no interval "
        "can be given)."
    )


def test_near_duplicates_in_the_corpus_are_found() -> None:
    words = np.array([f"word{i}" for i in range(400)])
    texts = [" ".join(RNG.choice(words, 60)) for _ in range(30)]
    bases = ["".join(RNG.choice(list("ACGT"), 400)) for _ in range(30)]
    for modality, values, changed in (
        ("text", texts, texts[23].replace(texts[23].split()[-1], "other")),
        ("nucleotide", bases, bases[23][:-1] + ("A" if bases[23][-1] != "A" else "C")),
    ):
        table = pd.DataFrame({"x": values, "y": RNG.normal(size=30)})
        rows = Rows(np.arange(20), np.arange(20, 30))
        case = table_case(table, [f"x: {modality}"], "y [dimensionless]: regression", rows)
        collector = Collector()
        kin = np.array([[kin_key(modality, changed)]], dtype=np.uint64)
        collector.add([modality], kin, [signature(modality, changed)[None]])
        leaks = audit(case, collector.trained_on())
        assert leaks.corpus is not None
        assert leaks.corpus_near is not None
        assert not leaks.corpus.any()
        assert np.flatnonzero(leaks.corpus_near).tolist() == [3]


def test_without_fingerprints_the_corpus_is_not_judged() -> None:
    leaks = audit(chain_case(), None, "nobody knows")
    assert (leaks.corpus, leaks.note) == (None, "nobody knows")
    assert leaks.shares()["corpus"] is None


def test_a_kept_audit_of_other_items_or_another_version_is_made_anew(tmp_path: Path) -> None:
    task = chain_task()
    path = tmp_path / "chains" / "first.leaks.json"

    def found(plan: Plan) -> dict[str, int]:
        leaks = kept_leaks(Cases(task, no_files, plan.quick), plan, tmp_path, None, "unknown")
        return {name: len(one.within) for name, one in leaks.items()}

    plan = Plan(made_by="v1")
    assert found(plan) == {"first": 10, "second": 10}
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "note": "kept"}))
    found(plan)
    assert json.loads(path.read_text())["note"] == "kept"
    path.write_text(json.dumps({**stored, "note": "kept", "n_test": 7}))
    assert found(plan)["first"] == 10
    path.write_text(json.dumps({**stored, "note": "kept"}))
    found(Plan(made_by="v2"))
    assert json.loads(path.read_text())["note"] != "kept"


def test_misspelt_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"there is no task named 'esoll'. Did you mean 'esol'"):
        TASKS.chosen("esoll")
    with pytest.raises(InputError, match=r"the task 'chains' has no method 'plane'. Did you mean"):
        chain_task().method("plane")
    with pytest.raises(InputError, match=r"the task 'chains' has no split 'third'"):
        list(run_task(chain_task(), no_files, untrained(), Plan(splits=("third",)), Path("x")))


def test_a_toy_task_takes_one_registration() -> None:
    tasks = Tasks()
    tasks.register(chain_task())
    assert [one.name for one in tasks.chosen("chemistry")] == ["chains"]
    with pytest.raises(RuntimeError, match="two tasks claim the name 'chains'"):
        tasks.register(chain_task())


@pytest.mark.parametrize("name", list(TASKS))
def test_every_registered_task_is_whole(name: str) -> None:
    task = TASKS[name]
    assert task.question.endswith("?")
    assert task.files
    assert task.baselines
    measures = {one.name for one in task.measures}
    for one in task.published:
        assert one.source.startswith("https://")
        assert one.measure in measures
        # What is uncertain about a figure is `checked`, and does not make it incomparable.
        assert not re.search("recall|memory|not checked|not read again", one.differs)


def test_published_scores_cite_articles_and_no_copies_of_lists() -> None:
    cited = {one.source for task in TASKS.values() for one in task.published}
    assert not [one for one in cited if re.search("wizwand|paperswithcode2|synapsesocial", one)]
    assert all(" " not in one for one in cited)
