"""`kagaku benchmark` and `kagaku compare`, end to end."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import kagaku
from kagaku.bases import UNTRAINED, load_base
from kagaku.benchmarks import verb
from kagaku.benchmarks.comparing import compare
from kagaku.benchmarks.estimating import estimate
from kagaku.benchmarks.minutes import Minutes, write_minutes
from kagaku.benchmarks.request import BenchmarkRequest
from kagaku.benchmarks.scoreboard import _counts, _section
from kagaku.benchmarks.scoreboard_figures import draw_scores
from kagaku.benchmarks.scores import FEWEST_LEFT, task_scores
from kagaku.benchmarks.tables import leak_sentences, notes, published_rows, sentences, sourced_rows
from kagaku.data.catalogue import Source
from kagaku.errors import InputError
from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.families import Family
from kagaku.science_tasks.benchmark.leaks import Leaks
from kagaku.science_tasks.benchmark.measures import Measure, regression
from kagaku.science_tasks.benchmark.methods import Chosen, Single, constant, plain
from kagaku.science_tasks.benchmark.running import Plan, run_task
from kagaku.science_tasks.benchmark.task import Case, Published, Rows, Task, Tasks
from kagaku.terminal import Terminal

SMILES = [f"{'C' * n}{end}" for n in range(1, 21) for end in ("O", "N", "F")]
UNIT = "log10(mol/L)"


def load(source: Source) -> Mapping[str, Case]:
    """Return a made case: a chain's solubility falls with its length."""
    del source
    rng = np.random.default_rng(0)
    y = [1.0 - 0.5 * one.count("C") + rng.normal(0, 0.2) for one in SMILES]
    order = rng.permutation(len(SMILES))
    return {
        "only": table_case(
            pd.DataFrame({"smiles": SMILES, "logS": y}),
            ["smiles: molecule"],
            f"logS [{UNIT}]: regression",
            Rows(order[:45], order[45:]),
        )
    }


TOY = Task(
    name="toy",
    domain="chemistry",
    question="How well does a <b>chain</b> dissolve?",
    dataset="made",
    files=("none",),
    load=load,
    measures=regression(("RMSE", "Spearman"), UNIT),
    methods={
        "constant": constant,
        "plain": plain,
        "linear-embeddings": Single("linear", "embeddings"),
    },
    baselines=("constant", "plain"),
    default=("constant", "plain", "linear-embeddings"),
    published=(
        Published("somebody", "RMSE", 0.4, "https://doi.org/10.1000/1", differs="other data"),
        Published("a memory", "RMSE", 0.3, "https://doi.org/10.1000/2", checked=False),
        Published("both", "RMSE", 0.2, "https://doi.org/10.1000/3", None, "other split", False),
        Published("a table", "RMSE", 0.1, "https://doi.org/10.1000/4"),
    ),
    traps=("Chains are made up.",),
)


@pytest.fixture(autouse=True)
def _only_toys(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = Tasks()
    tasks.register(TOY)
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    monkeypatch.setattr("kagaku.benchmarks.comparing.TASKS", tasks)


def no_file(key: str) -> bytes:
    raise AssertionError(key)


def run(folder: Path, **how: object) -> dict[str, object]:
    request = BenchmarkRequest(names=("toy",), base=UNTRAINED, **how)  # type: ignore[arg-type]
    return verb.benchmark(request, folder, terminal=Terminal(quiet=True), source=no_file)


def test_a_benchmark_leaves_scores_answers_and_a_page(tmp_path: Path) -> None:
    found = run(tmp_path / "bench")
    toy = found["toy"]
    assert isinstance(toy, dict)
    assert [one["name"] for one in toy["methods"]] == ["constant", "plain", "linear-embeddings"]
    assert toy["best_baseline"] == "plain"
    assert toy["methods"][2]["base"] == UNTRAINED
    assert toy["methods"][2]["versus_baseline"]["sentence"].startswith("linear-embeddings is ")
    versus = toy["methods"][2]["versus_baselines"]
    assert list(versus) == ["constant", "plain"]
    assert versus["plain"] == toy["methods"][2]["versus_baseline"]
    for name, one in versus.items():
        scores = {method["name"]: method["scores"]["RMSE"]["mean"] for method in toy["methods"]}
        expected = scores["linear-embeddings"] - scores[name]
        assert one["difference"] == pytest.approx(expected)
        assert one["low"] <= one["difference"] <= one["high"]
    assert toy["methods"][1]["versus_baselines"]["constant"]["verdict"] == "better"
    assert toy["leaks"]["only"]["within"] == 0
    assert "was pretrained on nothing" in toy["leaks"]["only"]["note"]
    stored = json.loads((tmp_path / "bench" / "scores.json").read_text())
    assert stored["tasks"]["toy"] == json.loads(json.dumps(toy))
    page = (tmp_path / "bench" / "scoreboard.html").read_text()
    assert "How well does a &lt;b&gt;chain&lt;/b&gt; dissolve?" in page
    assert "not comparable: other data" in page
    assert "Beside each plain baseline, on the same items: RMSE" in page
    assert f"{versus['constant']['difference']:+.3f}" in page
    assert "Chains are made up." in page
    assert page.count("<svg") == 1


def test_the_table_tells_scores_baselines_and_traps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = BenchmarkRequest(names=("toy",), methods=("constant", "plain"))
    verb.benchmark(request, tmp_path / "bench", source=no_file)
    told = " ".join(capsys.readouterr().err.split())
    assert "Errors are in log10(mol/L). Plain baselines: constant, plain." in told
    assert "Beware: Chains are made up." in told
    assert "only: 0.0% of the test items stand in its training part" in told


def test_what_is_from_memory_is_told_apart_from_what_is_not_comparable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = BenchmarkRequest(names=("toy",), methods=("constant",))
    found = verb.benchmark(request, tmp_path / "bench", source=no_file)["toy"]
    assert "from memory" in capsys.readouterr().err
    assert [row[-1] for row in published_rows(found)] == [
        "not comparable: other data",
        "from memory, not checked",
        "not comparable: other split; from memory, not checked",
        "https://doi.org/10.1000/4",
    ]
    assert [row[-2:] for row in sourced_rows(found)] == [
        ["https://doi.org/10.1000/1", "not comparable: other data"],
        ["https://doi.org/10.1000/2", "from memory, not checked"],
        ["https://doi.org/10.1000/3", "not comparable: other split; from memory, not checked"],
        ["https://doi.org/10.1000/4", "-"],
    ]
    stored = json.loads((tmp_path / "bench" / "scores.json").read_text())["tasks"]["toy"]
    assert [one["checked"] for one in stored["published"]] == [True, False, False, True]
    assert [one["differs"] for one in stored["published"]] == [
        "other data", "", "other split", "",
    ]  # fmt: skip
    page = (tmp_path / "bench" / "scoreboard.html").read_text()
    assert "<td>https://doi.org/10.1000/2</td><td>from memory, not checked</td>" in page
    assert "thin where given from memory" in page
    axes = draw_scores(found, found["measures"][0]).axes[0]
    drawn = [line for line in axes.lines if line.get_marker() in {"D", "d"}]
    assert [(one.get_marker(), one.get_markerfacecolor() == "none") for one in drawn] == [
        ("D", True), ("d", False), ("d", True), ("D", False),
    ]  # fmt: skip


def test_scores_that_were_kept_before_memory_was_told_are_still_shown() -> None:
    old = asdict(TOY.published[0])
    del old["checked"]
    (row,) = published_rows({"published": [old]})
    assert row[-1] == "not comparable: other data"


def test_scores_without_matches_stand_beside_those_of_all(tmp_path: Path) -> None:
    results = list(run_task(TOY, no_file, BaseUse(lambda: load_base(UNTRAINED)), Plan(), tmp_path))
    n_test = results[0].n_test
    none, some = np.zeros(n_test, dtype=bool), np.arange(n_test) == 0
    assert (
        task_scores(TOY, results, {"only": Leaks(none, none)})["methods"][0]["without_matches"]
        is None
    )
    found = task_scores(TOY, results, {"only": Leaks(some, some)})
    for method in found["methods"]:
        (answers,) = [one.answers for one in results if one.method == method["name"]]
        kept = method["without_matches"]
        assert kept["n_splits"] == 1
        assert kept["scores"]["RMSE"] == pytest.approx(TOY.leading.of(answers[1:]))
        versus = kept["versus_baseline"]
        assert (versus is None) == method["is_baseline"]
    told = " ".join(leak_sentences(found))
    assert "plain without the matches: RMSE" in told
    assert "There linear-embeddings is not clearly different from plain" in told
    two = task_scores(TOY, results, {"only": Leaks(some, some)}) | {"splits": ["only", "lost"]}
    assert "plain without the matches (1 of 2 splits): RMSE" in " ".join(leak_sentences(two))
    few = np.arange(n_test) > FEWEST_LEFT - 2
    found = task_scores(TOY, results, {"only": Leaks(few, few)})
    assert [one["without_matches"] for one in found["methods"]] == [None] * 3


def test_a_verdict_is_of_one_method_and_says_whether_it_is_blind(tmp_path: Path) -> None:
    results = list(run_task(TOY, no_file, BaseUse(lambda: load_base(UNTRAINED)), Plan(), tmp_path))
    seen = replace(TOY, seen="plain was known to be good.")
    sections = {
        name: _section(task_scores(task, some, {}))
        for name, task, some in (
            ("blind", TOY, results),
            ("seen", seen, results),
            ("not run", TOY, [one for one in results if one.method != "linear-embeddings"]),
        )
    }
    assert sections["blind"].label == "not clearly different from the best plain baseline"
    assert sections["seen"].label == f"{sections['blind'].label}, not blind"
    assert sections["not run"].label == (
        "no verdict: it is about linear-embeddings, which was not run"
    )
    told = "Not blind: plain was known to be good."
    assert told in list(sentences(sections["seen"].found))
    assert told in sections["seen"].notes
    told = _counts(list(sections.values()))
    assert told.startswith("Of 1 tasks, the judged method is better than the best plain baseline ")
    assert "on 0, worse on 0, and not clearly different on 1." in told
    assert "Of 1 more, scores of the test part were seen" in told


def test_what_methods_chose_is_told(tmp_path: Path) -> None:
    task = replace(TOY, methods={**TOY.methods, "auto": Chosen("readout")}, default=("auto",))
    results = list(run_task(task, no_file, BaseUse(lambda: load_base(UNTRAINED)), Plan(), tmp_path))
    found = task_scores(task, results, {})
    (chosen,) = found["methods"][0]["chosen"]
    assert chosen
    assert "blend" not in chosen
    assert f"auto answered with: {chosen}." in list(notes(found))
    found["methods"][0]["chosen"] = ["a", "b + c", "d", "e", "f", "g"]
    assert "auto answered with: a; b + c; d; e; and 2 more." in list(notes(found))


def test_methods_that_take_long_are_left_out_told_and_run_when_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = Tasks()
    tasks.register(replace(TOY, long=("plain", "linear-embeddings")))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)

    def methods_run(**how: object) -> list[str]:
        toy = run(tmp_path / str(len(list(tmp_path.iterdir()))), **how)["toy"]
        assert isinstance(toy, dict)
        return [one["name"] for one in toy["methods"]]

    assert methods_run() == ["constant"]
    assert methods_run(with_long=True) == list(TOY.default)
    assert methods_run(is_quick=True) == list(TOY.default)
    assert methods_run(methods=("plain",)) == ["plain"]
    capsys.readouterr()
    assert estimate(BenchmarkRequest(names=("toy",))) == {"toy": None}
    told = " ".join(capsys.readouterr().err.split())
    assert "Leaving out plain, linear-embeddings of toy: expected to take over 20" in told
    with pytest.raises(AssertionError):  # nothing would be left
        replace(TOY, long=TOY.default)


def test_a_run_says_beforehand_that_it_will_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "minutes.tsv"
    monkeypatch.setattr("kagaku.benchmarks.minutes.TABLE", table)
    request = BenchmarkRequest(names=("toy",), methods=("constant",))
    for minutes, is_told in ((22.0, True), (19.0, False)):
        write_minutes([Minutes("toy", "constant", "", 2, minutes, "1 core")], table)
        verb.benchmark(request, tmp_path / str(minutes), source=no_file)
        told = " ".join(capsys.readouterr().err.split())
        said = "toy is expected to take 22 minutes or more (measured on 1 core)"
        assert (said in told) == is_told
        assert "was not measured yet" not in told
    verb.benchmark(replace(request, methods=("constant", "plain")), tmp_path / "b", source=no_file)
    told = " ".join(capsys.readouterr().err.split())
    assert "How long these take was not measured yet: plain of toy." in told


def test_data_are_loaded_once_and_no_base_where_no_method_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(source: Source) -> Mapping[str, Case]:
        calls.append("data")
        return load(source)

    def no_base(name: str | None) -> None:
        raise AssertionError(name)

    tasks = Tasks()
    tasks.register(replace(TOY, load=counted))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    monkeypatch.setattr("kagaku.benchmarks.verb.open_base", no_base)
    request = BenchmarkRequest(names=("toy",), methods=("constant",))
    for _ in range(2):  # the second time the kept answers are read
        verb.benchmark(request, tmp_path / "b", terminal=Terminal(quiet=True), source=no_file)
    assert calls == ["data", "data"]


def test_answers_of_other_code_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = BenchmarkRequest(names=("toy",), methods=("constant",))
    for code in ("old", "new"):
        monkeypatch.setattr("kagaku.benchmarks.verb.code_fingerprint", lambda code=code: code)
        verb.benchmark(request, tmp_path / "b", source=no_file)
        told = " ".join(capsys.readouterr().err.split())
        is_told = "toy: the answers of constant were kept from another version of kagaku" in told
        assert is_told == (code == "new")


def test_the_page_says_which_rows_cannot_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def halves(source: Source) -> dict[str, Case]:
        (whole,) = load(source).values()
        return {"one": whole, "other": whole}

    tasks = Tasks()
    tasks.register(replace(TOY, load=halves, published=()))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    for code, method, splits in (("old", "plain", ("one",)), ("new", "constant", ())):
        monkeypatch.setattr("kagaku.benchmarks.verb.code_fingerprint", lambda code=code: code)
        request = BenchmarkRequest(("toy",), (method,), splits, base=UNTRAINED)
        found = verb.benchmark(request, tmp_path / "bench", terminal=Terminal(), source=no_file)
    toy = found["toy"]
    assert toy["best_baseline"] == "constant"
    assert [(one["name"], one["splits"]) for one in toy["methods"]] == [
        ("constant", ["one", "other"]),
        ("plain", ["one"]),
    ]
    told = " ".join("".join(capsys.readouterr()).split())
    assert "plain (1 of 2 splits)" in told
    page = (tmp_path / "bench" / "scoreboard.html").read_text(encoding="utf-8")
    assert "plain (1 of 2 splits), baseline" in page
    for text in (told, page):
        assert "plain did not answer all splits that others did" in text
        assert "given by 2 states of kagaku" in text
    assert "no verdict: it is about linear-embeddings, which was not run" in page
    assert "reads the base" in page


def test_a_folder_of_another_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    run(tmp_path / "bench", methods=("constant",))

    def unread(key: str) -> bytes:
        raise AssertionError(key)

    request = BenchmarkRequest(("toy",), ("plain",), base=UNTRAINED, is_quick=True)
    with pytest.raises(InputError, match="has all of it of toy, and a quick look of 200 items"):
        verb.benchmark(request, tmp_path / "bench", terminal=Terminal(quiet=True), source=unread)


def test_a_stopped_benchmark_shows_what_it_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(source: Source) -> Mapping[str, Case]:
        del source
        raise KeyboardInterrupt

    tasks = Tasks()
    tasks.register(TOY)
    tasks.register(replace(TOY, name="never-run", load=stopped))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    request = BenchmarkRequest(("toy", "never-run"), ("constant",), base=UNTRAINED)
    with pytest.raises(KeyboardInterrupt):
        verb.benchmark(request, tmp_path, terminal=Terminal(quiet=True), source=no_file)
    page = (tmp_path / "scoreboard.html").read_text(encoding="utf-8")
    assert "How well does a" in page
    assert "never-run" not in page
    # What goes wrong with the page does not hide what stopped the run.
    with (
        patch.object(verb, "write_scoreboard", side_effect=KeyError("measures")),
        pytest.raises(KeyboardInterrupt),
    ):
        verb.benchmark(request, tmp_path, terminal=Terminal(quiet=True), source=no_file)
    # What stops in the first task has nothing to show.
    request = BenchmarkRequest(("never-run",), ("constant",), base=UNTRAINED)
    with pytest.raises(KeyboardInterrupt):
        verb.benchmark(request, tmp_path / "none", terminal=Terminal(quiet=True), source=no_file)
    assert not (tmp_path / "none" / "scoreboard.html").exists()


def test_a_measure_that_takes_another_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = Measure("FCD", lambda _: float("nan"), needs="kagaku[generation]")
    tasks = Tasks()
    tasks.register(replace(TOY, measures=(lacking, *TOY.measures)))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    request = BenchmarkRequest(("toy",), ("constant",), base=UNTRAINED)
    found = verb.benchmark(request, tmp_path, terminal=Terminal(), source=no_file)
    assert found["toy"]["best_baseline"] is None
    told = " ".join("".join(capsys.readouterr()).split())
    assert "FCD was not measured, and by nothing else are methods compared: install" in told
    assert "pip install 'kagaku[generation]'" in told


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="the folder holds other files, which a benchmark would"):
        run(tmp_path)


def test_a_method_that_cannot_answer_is_left_out_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unable(*_: object) -> pd.DataFrame:
        raise InputError("the base has no heads", fix="Choose another.")

    tasks = Tasks()
    tasks.register(
        replace(TOY, methods={**TOY.methods, "unable": unable}, default=("unable", "plain"))
    )
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    request = BenchmarkRequest(names=("toy",))
    found = verb.benchmark(request, tmp_path / "bench", source=no_file)
    assert [one["name"] for one in found["toy"]["methods"]] == ["plain"]
    assert "toy: unable was left out: the base has no heads" in capsys.readouterr().err
    with pytest.raises(InputError, match="the base has no heads"):
        verb.benchmark(replace(request, methods=("unable",)), tmp_path / "other", source=no_file)


def test_a_family_has_a_mean_over_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = Tasks()
    tasks.register(replace(TOY, name="one"), replace(TOY, name="two"))
    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", tasks)
    whole = replace(TOY, name="both", published=())
    monkeypatch.setattr(
        "kagaku.benchmarks.request.FAMILIES", {"both": Family(whole, {"1": "one", "2": "two"})}
    )
    request = BenchmarkRequest(names=("both",), methods=("constant", "plain"))
    found = verb.benchmark(request, tmp_path / "b", terminal=Terminal(quiet=True), source=no_file)
    scores = [
        found[name]["methods"][1]["scores"]["RMSE"]["mean"] for name in ("one", "two", "both")
    ]
    assert scores[2] == pytest.approx((scores[0] + scores[1]) / 2)
    assert set(found["both"]["leaks"]) == {"1", "2"}


def test_two_methods_of_a_benchmark_are_compared(tmp_path: Path) -> None:
    run(tmp_path / "bench")
    found = compare(
        tmp_path / "bench",
        tmp_path / "bench",
        method="plain",
        other="constant",
        terminal=Terminal(quiet=True),
    )
    (paired,) = found["toy"]
    assert (paired.method, paired.other) == ("plain (bench)", "constant (bench)")
    assert paired.verdict == "better"


def test_two_runs_are_compared_on_their_common_rows(tmp_path: Path) -> None:
    table = pd.DataFrame({"smiles": SMILES, "logS [log10(mol/L)]": np.arange(60.0)})
    table.to_csv(tmp_path / "lab.csv", index=False)
    for name, method in (("one", "readout"), ("two", "readout")):
        kagaku.finetune(
            tmp_path / "lab.csv",
            target="logS",
            output=tmp_path / name,
            method=method,
            base=UNTRAINED,
            split="random",
            quiet=True,
        )
    found = compare(tmp_path / "one", tmp_path / "two", terminal=Terminal(quiet=True))
    (((name, (paired,)),)) = found.items()
    assert name.startswith("logS, ")
    assert (paired.difference, paired.verdict) == (0, "no different")


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder holds no answers of a benchmark"):
        compare(tmp_path, tmp_path)
    run(tmp_path / "whole", methods=("constant",))
    run(tmp_path / "quick", methods=("constant",), is_quick=True)
    with pytest.raises(InputError, match="one has a quick look at toy and the other all of it"):
        compare(tmp_path / "whole", tmp_path / "quick")


TOY_FILE = """
import numpy as np
import pandas as pd

from kagaku.science_tasks.benchmark.base_use import BaseUse
from kagaku.science_tasks.benchmark.cases import table_case
from kagaku.science_tasks.benchmark.leaks import Leaks
from kagaku.science_tasks.benchmark.measures import Measure, regression
from kagaku.science_tasks.benchmark.methods import property_methods
from kagaku.science_tasks.benchmark.task import TASKS, Rows, Task


def load(source):
    chains = pd.DataFrame({"smiles": ["C" * n + "O" for n in range(1, 31)], "length": range(30)})
    rows = Rows(np.arange(0, 30, 2), np.arange(1, 30, 2))
    return {"all": table_case(chains, ["smiles: molecule"], "length: regression", rows)}


TASKS.register(
    Task(
        name="toy-chains",
        domain="chemistry",
        question="How long is a chain?",
        dataset="esol",
        files=(),
        load=load,
        measures=regression(("RMSE",), None),
        methods=property_methods(),
        baselines=("constant",),
        default=("constant", "plain"),
    )
)
"""


def test_a_toy_task_takes_one_file(tmp_path: Path) -> None:
    (tmp_path / "toy_chains.py").write_text(TOY_FILE)
    program = (
        "import kagaku.science_tasks.chemistry as domain;"
        f"domain.__path__.append({str(tmp_path)!r});"
        "from kagaku.cli import app; app()"
    )
    arguments = ["benchmark", "toy-chains", "--output", str(tmp_path / "bench")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    assert "plain is better than constant" in " ".join((done.stdout + done.stderr).split())
    scores = json.loads((tmp_path / "bench" / "scores.json").read_text())["tasks"]["toy-chains"]
    assert [one["name"] for one in scores["methods"]] == ["constant", "plain"]


@pytest.mark.benchmark_data
def test_the_first_task_runs_on_a_part_of_its_real_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.environ["KAGAKU_DATA"]
    from kagaku.science_tasks.tasks import TASKS

    monkeypatch.setattr("kagaku.benchmarks.request.TASKS", TASKS)
    request = BenchmarkRequest(names=("esol", "bace"), methods=("constant", "plain"), is_quick=True)
    found = verb.benchmark(request, tmp_path / "bench", terminal=Terminal(quiet=True))
    for name, metric, factor in (("esol", "RMSE", -1), ("bace", "ROC-AUC", 1)):
        scores = {
            one["name"]: factor * one["scores"][metric]["mean"] for one in found[name]["methods"]
        }
        assert scores["plain"] > scores["constant"]
        assert found[name]["leaks"][next(iter(found[name]["leaks"]))]["corpus"] == 0
