"""`kagaku benchmark speed`, at sizes that tell nothing but that all works."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from kagaku.benchmarks.request import SPEED, asks_for_speed
from kagaku.cli import app
from kagaku.data.catalogue import DOMAINS
from kagaku.errors import InputError
from kagaku.models.pretraining import throughput
from kagaku.science_tasks.benchmark.families import FAMILIES
from kagaku.science_tasks.tasks import TASKS
from kagaku.speed import (
    embedding,
    embedding_memory,
    finetuning,
    lengths,
    loading,
    predicting,
    profile,
    training,
    verb,
)
from kagaku.speed.part import EsmShape, Measured, NotRun, Part, Sizes, Wishes
from kagaku.speed.report import MARKS
from kagaku.speed.timing import Comparison, Target, run_child, take_turns
from kagaku.terminal import Terminal

SMALL = Wishes(
    turns=2,
    sizes=Sizes(
        esm=EsmShape(depth=2, dim=32, heads=4, hidden=64, positions=66),
        n_proteins=6,
        longest=50,
        batch_sizes=(2, 4),
        lengths=(10, 40),
        tokens_per_length=80,
    ),
)
QUIET = Terminal(quiet=True)


def test_contenders_take_turns_and_the_first_round_is_free() -> None:
    called: list[str] = []
    ticks = iter(range(100))
    contenders = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    found = take_turns(contenders, 2, clock=lambda: float(next(ticks)))
    assert called == ["a", "b"] * 3
    assert found == {"a": (1.0, 1.0), "b": (1.0, 1.0)}
    assert next(ticks) == 8


def test_a_target_is_met_by_the_median_of_the_ratios_alone() -> None:
    one = Comparison(
        "x", "1/s", (30.0, 20.0, 40.0), (10.0, 10.0, 10.0), target=Target(">= 3x", 3.0)
    )
    assert one.ratios == (3.0, 2.0, 4.0)
    assert one.is_met is True
    assert replace(one, ours=(29.0, 20.0, 40.0)).is_met is False


def test_less_time_is_a_better_ratio_and_a_limit_may_be_on_the_value() -> None:
    assert Comparison("x", "s", (1.0,), (3.0,), better="lower").ratios == (3.0,)
    limit = Target("< 0.5 s", 0.5, "value")
    assert Comparison("x", "s", (0.4,), better="lower", target=limit).is_met is True
    assert Comparison("x", "s", (0.6,), better="lower", target=limit).is_met is False


def test_a_comparison_comes_back_from_json() -> None:
    one = Comparison("x", "s", (1.0, 2.0), (3.0, 4.0), "other", "lower", Target("t", 1.0))
    stored = json.loads(json.dumps(one.to_json()))
    assert Comparison.from_json(stored) == one
    assert stored["ratio"] == {"median": 2.5, "least": 2.0, "most": 3.0}


def test_a_failed_child_process_is_told_with_its_last_lines() -> None:
    with pytest.raises(InputError, match="exit code 3: no luck"):
        run_child([sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)"])
    with pytest.raises(InputError, match="cannot be started"):
        run_child(["/nowhere/python"])


def test_nothing_else_is_called_speed() -> None:
    assert SPEED not in {*TASKS, *DOMAINS, *FAMILIES, "all"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["speed", "esol"], "cannot be measured together with tasks"),
        (["speed", "--method", "auto"], "'speed' takes no --method"),
        (["speed", "--quick"], "'speed' takes no --quick"),
        (["esol", "--turns", "2"], "only 'speed' takes --turns"),
        (["speed", "--only", "embeding"], "speed has no part 'embeding'"),
    ],
)
def test_what_does_not_go_together_is_refused(words: list[str], told: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["benchmark", *words, "--output", str(tmp_path / "out")])
    assert isinstance(done.exception, InputError)
    assert told in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_no_flag_of_speed_is_needed_for_tasks() -> None:
    assert not asks_for_speed(["esol"], {"--only": None}, {"--quick": True})
    assert asks_for_speed(["speed"], {"--only": "lengths"}, {"--quick": None})


def test_embedding_compares_equal_vectors(tmp_path: Path) -> None:
    with patch.object(throughput, "SECONDS", 0.0):
        found = embedding.measure(SMALL, tmp_path)
    assert len(found.comparisons) == 5
    assert found.details["differences"]["float32, largest"] <= embedding.EXACT
    inside, overall, peak = found.comparisons[2:]
    assert min(peak.ours) > 0
    assert all(0 < low < high for low, high in zip(overall.ours, inside.ours, strict=True))


def test_contenders_that_do_not_agree_are_an_error(tmp_path: Path) -> None:
    with (
        patch.object(embedding, "EXACT", 0.0),
        pytest.raises(embedding.ParityError, match="vectors in float32 differ"),
    ):
        embedding.measure(SMALL, tmp_path)


def test_the_profile_tells_all_of_the_time(tmp_path: Path) -> None:
    found = profile.measure(replace(SMALL, turns=1), tmp_path)
    assert sum(one.ours[0] for one in found.comparisons) == pytest.approx(100)
    assert found.comparisons[0].ours[0] > 0


def test_without_corpus_or_chemprop_the_rows_say_what_is_missing(tmp_path: Path) -> None:
    assert "--corpus" in training.measure(SMALL, tmp_path).not_run[0].why
    assert "--chemprop" in finetuning.measure(SMALL, tmp_path).not_run[0].why


def test_loading_needs_no_corpus_for_tokenising(tmp_path: Path) -> None:
    found = loading.measure(replace(SMALL, turns=1), tmp_path)
    assert len(found.comparisons) == len(loading.SAMPLES) + 1
    assert "--corpus" in found.not_run[0].why


def test_finished_parts_are_kept_and_the_files_are_written(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure(wishes: Wishes, folder: Path) -> Measured:
        calls.append(1)
        return lengths.measure(wishes, folder)

    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS.begin}\n\nNot measured yet.\n\n{MARKS.end}\nafter\n")
    wishes = replace(SMALL, only=("lengths",), page=page)
    output = tmp_path / "out"
    with patch.dict(verb.PARTS, {"lengths": Part("lengths", "", measure)}):
        first = verb.run_speed(wishes, output, terminal=QUIET)
        assert verb.run_speed(wishes, output, terminal=QUIET) == first
        assert len(calls) == 1
        verb.run_speed(replace(wishes, turns=1), output, terminal=QUIET)
        assert len(calls) == 2
    names = {one.name for one in output.iterdir()}
    assert names == {"parts", "speed.json", "speed.md", "speed_lengths.png", "speed_lengths.svg"}
    text = page.read_text()
    assert "embed proteins of 40 residues" in text
    assert "Not measured yet" not in text
    assert text.endswith("after\n")
    assert "not run: compared by the tests marked slow" in (output / "speed.md").read_text()


def test_other_parts_stay_in_the_table_until_code_or_machine_change(tmp_path: Path) -> None:
    done = Measured((Comparison("x", "s", (1.0,)),))
    output = tmp_path / "out"
    parts = {name: Part(name, "", lambda *_: done) for name in ("starting", "profile")}

    def names(only: str) -> list[str]:
        found = verb.run_speed(replace(SMALL, only=(only,)), output, terminal=QUIET)
        stored = json.loads((output / "speed.json").read_text())
        assert list(stored["parts"]) == list(found)
        return list(found)

    with patch.dict(verb.PARTS, parts):
        assert names("profile") == ["profile"]
        assert names("starting") == ["starting", "profile"]
        with patch.object(verb, "code_fingerprint", lambda: "another"):
            assert names("starting") == ["starting"]


def test_a_page_keeps_the_figures_of_parts_that_are_not_measured(tmp_path: Path) -> None:
    calls: list[str] = []

    def part(name: str, measured: Measured) -> Part:
        def measure(*_: object) -> Measured:
            calls.append(name)
            return measured

        return Part(name, "", measure)

    done = Measured((Comparison("x", "s", (1.0,)),))
    missing = Measured(not_run=(NotRun("x", "no corpus"),))
    page, output = tmp_path / "page.md", tmp_path / "out"
    page.write_text(f"{MARKS.begin}\n\nNot measured yet.\n\n{MARKS.end}\n")
    three = {name: part(name, done) for name in ("starting", "profile", "training")}

    def run(parts: dict[str, Part], *only: str, folder: Path = output) -> str:
        with patch.object(verb, "PARTS", parts):
            verb.run_speed(replace(SMALL, only=only, page=page), folder, terminal=QUIET)
        return page.read_text()

    before = run(three)
    assert "| training | x |" in before
    assert run(three, "profile") == before, "what is kept in the folder stays"
    n_calls = len(calls)
    told = "page.md: the page has figures of starting, training, which are not measured here"
    with pytest.raises(InputError, match=told):
        run(three, "profile", folder=tmp_path / "elsewhere")
    assert len(calls) == n_calls, "it is refused before any work"
    with pytest.raises(InputError, match="the page has figures of training, which"):
        run({**three, "training": part("training", missing)}, folder=tmp_path / "elsewhere")
    more = Measured((*done.comparisons, Comparison("a million", "s", (1.0,))))
    page.write_text(run({**three, "profile": part("profile", more)}, folder=tmp_path / "long"))
    with pytest.raises(InputError, match="the page has figures of profile, which"):
        run(three, folder=tmp_path / "short")
    page.write_text(before)
    assert "no corpus" in (tmp_path / "elsewhere/speed.md").read_text()
    assert "| training | x |" in run(three, folder=tmp_path / "third")
    row = next(line for line in before.splitlines() if line.startswith("| starting"))
    page.write_text(before.replace(row, "| starting | x |  |  |  |  | not run: no |"))
    assert "| profile | x |" in run(three, "profile", "training", folder=tmp_path / "fourth")


def test_molecules_to_predict_are_all_different() -> None:
    found = predicting.distinct_molecules(["C", "CC", "CCC", "CCCC", "CCCCC"], 20)
    mixtures = {tuple(sorted(one.split("."))) for one in found}  # whichever stands first
    assert len(mixtures) == len(found) == 20
    assert [one.count(".") for one in found] == [1] * 10 + [2] * 10


@pytest.mark.slow
def test_predicting_tells_its_memory(tmp_path: Path) -> None:
    sizes = replace(SMALL.sizes, n_molecules=30, training_rows=30)
    found = predicting.measure(replace(SMALL, sizes=sizes), tmp_path)
    assert [one.unit for one in found.comparisons] == ["MB"]
    assert found.details["predict"]["rows"] == 30


@pytest.mark.slow
def test_embedding_tells_its_memory_for_each_length_of_file(tmp_path: Path) -> None:
    sizes = replace(SMALL.sizes, n_peptides=(40, 20))
    found = embedding_memory.measure(replace(SMALL, sizes=sizes), tmp_path)
    short, long, ratio = found.comparisons
    assert (short.unit, long.unit, ratio.unit) == ("MB", "MB", "times")
    assert found.details["embed 20"]["rows"] == 20
    assert found.details["embed 40"]["rows"] == 40
    assert ratio.ours[0] == pytest.approx(long.ours[0] / short.ours[0])
    assert short.ours[0] > 0
    sequences = (tmp_path / "peptides_40.fasta").read_text().split("\n")[1::2]
    assert {len(one) for one in sequences} == {embedding_memory.PEPTIDE}


def test_memory_is_flat_if_the_longest_file_takes_hardly_more_than_the_shortest() -> None:
    def is_flat(longest: float) -> bool | None:
        held = {10_000: 80.0, 100_000: 300.0, 1_000_000: longest}
        return embedding_memory.comparisons(held)[-1].is_met

    assert is_flat(119.0) is True
    assert is_flat(121.0) is False
    (alone,) = embedding_memory.comparisons({10_000: 80.0})
    assert alone.target is None


@pytest.mark.parametrize("long", [False, True])
def test_the_parts_and_lengths_of_a_call_are_those_of_its_flags(long: bool) -> None:
    asked = ["benchmark", "speed", "--only", "embedding_memory", *(["--long"] if long else [])]
    with patch.object(verb, "run_speed") as run:
        answer = CliRunner().invoke(app, [*asked, "--output", "out"])
    assert answer.exit_code == 0
    (wishes, _), _ = run.call_args
    assert [one.name for one in verb.chosen_parts(wishes.only)] == ["embedding_memory"]
    sizes = (10_000, 100_000, 1_000_000)
    assert wishes.sizes.n_peptides == (sizes if long else sizes[:2])
