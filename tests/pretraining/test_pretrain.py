"""`kagaku pretrain` from the recipe to the run folder, in one process and in two."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
import yaml
from typer.testing import CliRunner

from kagaku.bases import load_base
from kagaku.cli import app
from kagaku.data.corpora.manifest import DescriptorScale
from kagaku.errors import InputError
from kagaku.models import Encoder
from kagaku.models.pretraining.keeper import Pace
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.starting import start_from
from kagaku.models.pretraining.state import latest_state, load_counters
from kagaku.models.pretraining.stored import load_pretrained
from kagaku.pretraining.evaluation import evaluate_weights
from kagaku.pretraining.recipe import PretrainRecipe, load_pretrain_recipe
from kagaku.pretraining.sections import build, read_sections
from kagaku.pretraining.verb import is_first_process, run_pretraining
from kagaku.terminal import Terminal


def steps(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "steps.csv")
    return table.drop(columns=["seconds", "tokens_per_second", "waiting_share", "peak_share"])


def test_a_run_leaves_everything_that_is_needed_later(run: Path, bench: Any) -> None:
    names = {one.name for one in run.iterdir()}
    assert {
        "config.yaml",
        "manifest.json",
        "provenance.json",
        "summary.json",
        "encoder.safetensors",
        "encoder.json",
        "heads.safetensors",
        "objectives.json",
        "losses.csv",
        "valid.csv",
        "steps.csv",
        "losses.png",
        "losses.svg",
        "tensorboard",
    } <= names
    assert (run / "manifest.json").read_bytes() == (
        bench.folder / "corpus/manifest.json"
    ).read_bytes()
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == summary["max_steps"] == 6
    assert summary["epochs"].keys() == {"named", "proteins"}
    assert any(name.endswith("masked/protein") for name in summary["held_out"])


def test_the_weights_can_be_fine_tuned_and_asked(run: Path) -> None:
    base = load_base(str(run))
    assert base.config.is_pretrained
    assert base.config.name == "made-up"
    stored = load_pretrained(run)
    assert stored.descriptors is not None
    assert stored.descriptors.names == ("length", "one")
    trained = base.state_dict()
    own = stored.network.encoder.state_dict()
    assert all(torch.equal(weight, own[name]) for name, weight in trained.items())


@pytest.mark.parametrize("missing", ["provenance.json", "summary.json"])
def test_a_run_killed_between_its_last_files_is_finished_by_the_next_call(
    run: Path, bench: Any, tmp_path: Path, missing: str
) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(run, folder)
    before = json.loads((folder / "summary.json").read_text())
    (folder / missing).unlink()
    if missing == "provenance.json":
        with pytest.raises(InputError, match=r"there is no provenance\.json"):
            evaluate_weights(folder)
    run_pretraining(bench.recipe, output=folder)
    assert (folder / "provenance.json").is_file()
    after = json.loads((folder / "summary.json").read_text())
    assert after["held_out"] == pytest.approx(before["held_out"], rel=1e-4)


def test_the_stored_recipe_starts_the_same_run_again(run: Path) -> None:
    again = run_pretraining(run / "config.yaml")
    assert again.resolve() == run.resolve().parent / "run-again"
    pd.testing.assert_frame_equal(steps(again), steps(run), rtol=1e-5)


def test_time_stops_a_run_and_the_same_command_goes_on(
    bench: Any, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pretrain", str(bench.recipe), "--output", str(tmp_path / "mine")]
    stopped = CliRunner().invoke(app, [*words, "--max-minutes", "0"], catch_exceptions=False)
    assert stopped.exit_code == 0
    assert "1 of 6 steps" in stopped.stderr
    assert "The time is up. Run the same command again to go on." in stopped.stderr
    finished = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "6 of 6 steps" in finished.stderr
    assert "--base" in finished.stderr
    pd.testing.assert_frame_equal(steps(tmp_path / "mine"), steps(run), rtol=1e-5)
    capsys.readouterr()


def test_a_signal_leaves_the_state_and_the_exit_of_a_stop(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step_and_interrupt(pace: Pace, n_tokens: int) -> float:
        os.kill(os.getpid(), signal.SIGUSR1)
        return step(pace, n_tokens)

    step = Pace.step
    monkeypatch.setattr(Pace, "step", step_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_pretraining(bench.recipe, output=tmp_path / "mine")
    assert latest_state(tmp_path / "mine") is not None
    assert not (tmp_path / "mine" / "encoder.json").exists()


def test_a_run_can_start_from_the_weights_of_another(bench: Any, run: Path) -> None:
    recipe = bench.written({"start": str(run), "training": {"max_steps": 1}})
    folder = run_pretraining(recipe)
    before, after = (pd.read_csv(one / "valid.csv") for one in (run, folder))
    ended = before[before["step"] == before["step"].max()].set_index(["source", "loss"])["value"]
    began = after[after["step"] == 0].set_index(["source", "loss"])["value"]
    # The same weights on the same held-out samples.
    pd.testing.assert_series_equal(began, ended, rtol=1e-5)
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    assert (folder / stored["start"]).resolve() == run.resolve()
    identity = json.loads((folder / "provenance.json").read_text())["identity"]
    assert len(identity["start"]) == 16


def test_other_sizes_cannot_go_on_from_the_weights(bench: Any, run: Path) -> None:
    recipe = bench.written({"start": str(run), "backbone": {"dim": 64}})
    with pytest.raises(InputError, match=r"dim=64.*weights to start from have.*dim=32"):
        run_pretraining(recipe)


def test_weights_to_start_from_must_be_there(bench: Any) -> None:
    with pytest.raises(InputError, match="there are no weights named"):
        run_pretraining(bench.written({"start": "nowhere"}))


def test_a_head_for_other_descriptors_starts_anew(run: Path) -> None:
    given = load_pretrained(run)
    config = given.network.encoder.config
    network = PretrainingNetwork(Encoder(config), ObjectiveConfig(), 2)
    other = DescriptorScale(("width", "one"), (0.0, 0.0), (1.0, 1.0))
    new = start_from(network, given, other)
    assert new == sorted(name for name in network.state_dict() if "descriptor_head" in name)
    own, theirs = network.state_dict(), given.network.state_dict()
    assert all(torch.equal(own[name], theirs[name]) for name in own if name not in new)


def test_another_recipe_is_refused_in_the_same_folder(bench: Any, run: Path) -> None:
    with pytest.raises(InputError, match=r"training\.max_steps was 6 and is now 7"):
        run_pretraining(bench.recipe, max_steps=7)
    assert run.exists()


def test_a_run_of_another_planning_is_not_continued(
    bench: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagaku.pretraining.prepared.PLANNING_VERSION", 99)
    with pytest.raises(InputError, match=r"planning was \d+ and is now 99"):
        run_pretraining(bench.recipe)
    assert run.exists()


def test_another_corpus_is_refused_in_the_same_folder(
    bench: Any, run: Path, tmp_path: Path
) -> None:
    bench.build_corpus(tmp_path / "other")
    manifest = tmp_path / "other/manifest.json"
    manifest.write_text(manifest.read_text().replace("CC0-1.0", "CC-BY-4.0"))
    with pytest.raises(InputError, match=r"corpus\.manifest was \w+ and is now \w+"):
        run_pretraining(bench.recipe, corpus=tmp_path / "other")
    assert run.exists()


def test_a_folder_with_other_things_is_refused(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files.*Choose an empty"):
        run_pretraining(bench.recipe, output=tmp_path)
    with pytest.raises(InputError, match="this is a file, not a folder"):
        run_pretraining(bench.recipe, output=tmp_path / "notes.txt")


def test_plots_can_be_drawn_at_any_time(bench: Any, run: Path, tmp_path: Path) -> None:
    (run / "losses.png").unlink()
    answer = CliRunner().invoke(app, ["pretrain", str(bench.recipe), "--plots"])
    assert answer.exit_code == 0
    assert (run / "losses.png").stat().st_size > 10_000
    with pytest.raises(InputError, match=r"no losses to draw yet.*without --plots"):
        CliRunner().invoke(
            app,
            ["pretrain", str(bench.recipe), "--plots", "--output", str(tmp_path)],
            catch_exceptions=False,
        )


def test_what_is_read_how_often_is_shown_first(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pretraining(bench.recipe, output=tmp_path / "a", max_minutes=0.0, terminal=Terminal())
    told = capsys.readouterr().err
    assert "6 steps of 2 micro-batches with 384 tokens" in told
    assert "epochs" in told
    assert "step 1 of 6: loss" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nam: a", r"recipe\.yaml, line 1: there is no setting 'nam' here\. Did you mean 'name'"),
        ("name: a\norder:\n  row_lenght: 5", r"line 3: .*'row_lenght'.*Did you mean 'row_length'"),
        ("name: a\norder:\n  n_rows: 1.5", r"line 3: n_rows must be a whole number, got 1\.5"),
        ("name: a\norder:\n  n_rows: 0", r"line 3: n_rows must be at least 1"),
        ("name: a\norder:\n  seed: 1", r"line 3: .*'seed'.*Set the seed of the whole run"),
        ("name: a\norder: 5", r"line 2: order must be a list of indented settings, got 5"),
        ("name: a\nname: b", r"line 2: 'name' is set twice"),
        ("name: a\ntraining:\n  compile: off", r"line 3: compile must be text, got False"),
        ("name: a\noptimiser:\n  learning_rate: fast", r"line 3: learning_rate must be a number"),
        ("name: a\ncorpus: c\noutput: o\nseed: -1", r"line 4: seed must lie between 0"),
        ("name: ' '", r"the recipe does not say 'corpus'"),
        ("- a", r"a recipe is a list of 'setting: value' lines"),
        ("name: [", r"this is not YAML"),
        ("name: {a: 1}", r"line 1: name must be one value, got a list of settings"),
        ("name: a\nobjectives:\n  hidden: {protein: 2}", r"hidden of protein must lie between 0"),
        ("name: a\nobjectives:\n  hidden: {protien: .2}", r"Did you mean 'protein'"),
    ],
)
def test_mistakes_in_a_recipe_are_told_with_their_line(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        load_pretrain_recipe(path)


def test_a_recipe_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "pretrain_tiny.yaml").write_text("name: a")
    with pytest.raises(InputError, match=r"no such recipe\. Did you mean 'pretrain_tiny\.yaml'"):
        load_pretrain_recipe(tmp_path / "pretrain_tin.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: \xe9".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_pretrain_recipe(tmp_path / "latin.yaml")


def test_numbers_without_a_dot_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ncorpus: c\noutput: o\noptimiser: {learning_rate: 1e-3}")
    recipe = build(PretrainRecipe, read_sections(path))
    assert recipe.optimiser.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("name", "millions"), [("tiny", 5), ("small", 50), ("base", 200), ("large", 1_000)]
)
def test_every_shipped_recipe_fits_the_code(name: str, millions: float) -> None:
    path = Path(str(files("kagaku.configs") / f"pretrain_{name}.yaml"))
    recipe = load_pretrain_recipe(path)
    backbone = recipe.backbone
    weights = backbone.depth * (4 * backbone.dim**2 + 3 * backbone.dim * backbone.hidden)
    assert weights / 1e6 == pytest.approx(millions, rel=0.15)
    devices = (recipe.training.devices or 1) * recipe.training.nodes
    assert recipe.order.micro_batches % devices == 0


def test_the_first_process_is_known_by_what_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process()
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("SLURM_PROCID", "8")
    assert not is_first_process()
    monkeypatch.setenv("RANK", "0")
    assert is_first_process()


Start = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command as a user does, in processes of its own; ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def begin(recipe: Path) -> "subprocess.Popen[str]":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(
            [sys.executable, "-m", "kagaku", "pretrain", str(recipe)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_give_the_losses_of_one(
    bench: Any, run: Path, start: Start, strategy: str
) -> None:
    recipe = bench.changed(strategy=strategy, devices=2)
    process = start(recipe)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    found = steps(Path(load_pretrain_recipe(recipe).output))
    # Sums in another order in float32, over six steps.
    pd.testing.assert_frame_equal(found, steps(run), rtol=5e-4)


def wait_for_a_state(folder: Path) -> None:
    """Return when a run has saved its first state, or much too late."""
    deadline = time.monotonic() + 240
    while latest_state(folder) is None and time.monotonic() < deadline:
        time.sleep(0.05)


def check_that_it_goes_on(again: "subprocess.Popen[str]", folder: Path, run: Path) -> None:
    """Compare a run that was killed and started again with one that ran through."""
    told = again.communicate(timeout=300)[1]
    assert again.returncode == 0, told
    pd.testing.assert_frame_equal(steps(folder), steps(run), rtol=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_killed_process_and_a_restart_give_the_same_losses(
    bench: Any, run: Path, start: Start, strategy: str
) -> None:
    recipe = bench.changed(strategy=strategy, devices=2, save_minutes=0.0)
    folder = Path(load_pretrain_recipe(recipe).output)
    process = start(recipe)
    wait_for_a_state(folder)
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGKILL)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert latest_state(folder) is not None
    check_that_it_goes_on(start(recipe), folder, run)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 3])
def test_one_killed_process_goes_on_alone_with_other_workers(
    bench: Any, run: Path, start: Start, workers: int
) -> None:
    values = bench.settings()
    values["output"] = f"run-with-{workers}-workers"
    values["training"] |= {"workers": 1, "save_minutes": 0.0}
    recipe = bench.folder / f"workers-{workers}.yaml"
    recipe.write_text(yaml.safe_dump(values))
    folder = Path(load_pretrain_recipe(recipe).output)
    process = start(recipe)
    wait_for_a_state(folder)
    os.killpg(process.pid, signal.SIGKILL)  # as it stands, and its worker with it
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    state = latest_state(folder)
    assert state is not None
    assert load_counters(state).step < 6  # there is something left to do
    values["training"]["workers"] = workers
    recipe.write_text(yaml.safe_dump(values))
    process = start(recipe)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    # Without a second process nothing is summed in another order.
    pd.testing.assert_frame_equal(steps(folder), steps(run), rtol=0.0, atol=0.0)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_losses(bench: Any, run: Path, start: Start) -> None:
    recipe = bench.changed(compile="always")
    process = start(recipe)  # of its own: torch's compiler raises and hides warnings
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    found = steps(Path(load_pretrain_recipe(recipe).output))
    # Fused sums in another order, over six steps in float32.
    pd.testing.assert_frame_equal(found, steps(run), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_one_killed_process_ends_the_others_and_a_restart_goes_on(
    bench: Any, run: Path, start: Start, strategy: str
) -> None:
    recipe = bench.changed(strategy=strategy, devices=2, save_minutes=0.0, valid_minutes=99.0)
    folder = Path(load_pretrain_recipe(recipe).output)
    process = start(recipe)
    wait_for_a_state(folder)
    ranks = [
        one
        for one in psutil.Process(process.pid).children()
        if one.environ().get("LOCAL_RANK") == "1"
    ]
    assert len(ranks) == 1
    ranks[0].send_signal(signal.SIGKILL)
    process.communicate(timeout=120)  # it must not wait for the dead one
    assert process.returncode != 0
    check_that_it_goes_on(start(recipe), folder, run)


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one(bench: Any, run: Path, start: Start) -> None:
    values = bench.settings()
    values["output"] = "run-shrunk"
    values["training"] |= {"strategy": "fsdp2", "devices": 2, "max_minutes": 0.0}
    path = bench.folder / "shrunk.yaml"
    path.write_text(yaml.safe_dump(values))
    process = start(path)
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 0, told
    values["training"] |= {"strategy": "auto", "devices": 1, "max_minutes": None}
    path.write_text(yaml.safe_dump(values))
    pd.testing.assert_frame_equal(steps(run_pretraining(path)), steps(run), rtol=5e-4)
