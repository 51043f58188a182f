"""The loop: exact resume, stops that lose nothing, and steps that are left out."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from torch import nn

from kagaku.data.corpora import CorpusSample
from kagaku.data.corpora.manifest import TRAIN
from kagaku.data.corpora.order import CorpusOrder, OrderConfig
from kagaku.errors import InputError
from kagaku.modalities import MODALITIES
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.pretraining import outliers, processes, throughput, training
from kagaku.models.pretraining.averaging import WeightAverage
from kagaku.models.pretraining.composing import Composer
from kagaku.models.pretraining.keeper import Pace, Report
from kagaku.models.pretraining.learner import Learner, forget_unasked
from kagaku.models.pretraining.loader import (
    MicroBatches,
    PretrainingData,
    RankSampler,
    ignore_stop_signals,
    make_loader,
)
from kagaku.models.pretraining.network import PretrainingNetwork
from kagaku.models.pretraining.objectives import ObjectiveConfig
from kagaku.models.pretraining.optimisers import (
    OptimiserConfig,
    learning_rate_factor,
    make_optimisers,
    parameter_groups,
)
from kagaku.models.pretraining.processes import StopRequest, check_agreement, check_world_size
from kagaku.models.pretraining.settings import TrainingConfig
from kagaku.models.pretraining.state import (
    COUNTERS_FILE,
    WEIGHTS_FILE,
    Counters,
    check_identity,
    latest_state,
    load_counters,
    load_state,
    save_state,
)
from kagaku.models.pretraining.throughput import flops_per_token, measured_peak
from kagaku.models.pretraining.training import Outcome, Watcher, pretrain
from kagaku.models.pretraining.validation import valid_micro_batches

RESIDUES = list("ACDEFGHIKLMNPQRSTVWY")
ORDER = OrderConfig(row_length=64, n_rows=4, micro_batches=2)


@pytest.fixture(scope="module", autouse=True)
def quick_machine() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, threads that wait for each other cost the most
    with patch.object(throughput, "SECONDS", 0.0):
        yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class MadeUp:
    """A corpus of made-up molecules and proteins, in memory."""

    values: dict[str, list[str]]

    def read(self, source: str, index: int, part: str = TRAIN) -> CorpusSample:
        value = self.values[source][index]
        return CorpusSample(f"{source}:{part}:{index}", source, {source: value})


def made_data(order_config: OrderConfig = ORDER) -> PretrainingData:
    rng = np.random.default_rng(0)
    values = {
        "molecule": ["C" * int(n) + "O" for n in rng.integers(1, 30, 60)],
        "protein": ["".join(rng.choice(RESIDUES, n)) for n in rng.integers(5, 60, 60)],
    }
    modalities = {name: MODALITIES[name]() for name in values}
    lengths = {
        name: np.array([len(modalities[name].tokenize(one)) for one in of])
        for name, of in values.items()
    }
    order = CorpusOrder(lengths, order_config)
    composer = Composer(
        modalities, {name: {name: name} for name in values}, None, ObjectiveConfig()
    )
    valid = valid_micro_batches(lengths, order.sources, order_config, 2)
    return PretrainingData(MadeUp(values), order, composer, valid)


def made_network() -> PretrainingNetwork:
    config = EncoderConfig(
        modalities=("molecule", "protein"), backbone=BackboneConfig(32, 2, 2, 64)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PretrainingNetwork(Encoder(config), ObjectiveConfig(), 0)


QUICK = TrainingConfig(
    max_steps=8,
    precision="32-true",
    compile="never",
    workers=0,
    save_minutes=1e4,
    valid_minutes=1e4,
    log_steps=1,
)


def run(
    folder: Path,
    config: TrainingConfig = QUICK,
    *,
    optimiser: OptimiserConfig | None = None,
    identity: dict[str, Any] | None = None,
    report: Callable[[Report], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    return pretrain(
        made_network(),
        made_data(),
        optimiser or OptimiserConfig(warmup_steps=2),
        config,
        folder=folder,
        identity=identity or {"seed": 0},
        watcher=Watcher(report, say),
    )


def steps(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "steps.csv")
    return table.drop(columns=["seconds", "tokens_per_second", "waiting_share", "peak_share"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def test_a_run_learns_and_tells_where_it_stands(whole: tuple[Path, Outcome]) -> None:
    folder, outcome = whole
    table = steps(folder)
    assert table["step"].tolist() == list(range(1, 9))
    assert outcome.counters.step == 8
    assert outcome.counters.tokens == table["tokens"].iloc[-1]
    assert not outcome.stopped_by
    valid = pd.read_csv(folder / "valid.csv")
    assert set(valid["step"]) == {0, 8}
    total = valid[valid["loss"] == "total"].groupby("step")["value"].mean()
    assert total[8] < total[0]


def test_losses_are_logged_by_source_and_objective(whole: tuple[Path, Outcome]) -> None:
    losses = pd.read_csv(whole[0] / "losses.csv")
    assert {"masked/protein", "masked/molecule", "total"} <= set(losses["loss"])
    totals = losses[losses["loss"] == "total"]
    assert totals.groupby("step")["micro_batches"].sum().tolist() == [2] * 8
    assert list((whole[0] / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_stopped_again_and_again_does_the_same_steps(
    whole: tuple[Path, Outcome], tmp_path: Path, workers: int
) -> None:
    for n_steps in (1, 2, 3):
        stopped = run(tmp_path, replace(QUICK, max_minutes=0.0))
        assert (stopped.stopped_by, stopped.counters.step) == ("time", n_steps)
    outcome = run(tmp_path, replace(QUICK, workers=workers))
    pd.testing.assert_frame_equal(steps(tmp_path), steps(whole[0]), rtol=1e-5)
    for name, weight in outcome.weights.items():
        torch.testing.assert_close(weight, whole[1].weights[name], rtol=1e-4, atol=1e-6)


def test_a_kill_after_a_save_loses_what_came_after_and_nothing_else(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def kill(report: Report) -> None:
        if report.step == 6:
            raise KilledError

    run(tmp_path, replace(QUICK, max_minutes=0.0))
    with pytest.raises(KilledError):
        run(tmp_path, report=kill)
    assert latest_state(tmp_path) == tmp_path / "state-000000001"
    # The files hold steps that the state does not; and a kill may leave half a row.
    assert steps(tmp_path)["step"].max() == 6
    with (tmp_path / "steps.csv").open("a") as stream:
        stream.write("7,12")
    (tmp_path / "state-000000009.partial").mkdir()
    run(tmp_path)
    pd.testing.assert_frame_equal(steps(tmp_path), steps(whole[0]), rtol=1e-5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_stops_and_handlers_are_put_back(
    whole: tuple[Path, Outcome], tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def interrupt(report: Report) -> None:
        if report.step == 3:
            os.kill(os.getpid(), number)

    outcome = run(tmp_path, report=interrupt)
    assert outcome.stopped_by == "signal"
    assert 3 <= outcome.counters.step <= 4
    assert signal.getsignal(number) == before
    run(tmp_path)
    pd.testing.assert_frame_equal(steps(tmp_path), steps(whole[0]), rtol=1e-5)


def test_a_second_ctrl_c_stops_at_once() -> None:
    request = StopRequest()
    request.handle(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        request.handle(signal.SIGINT, None)


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    failures: list[BaseException] = []

    def listen() -> None:
        try:
            with StopRequest().listening() as start:
                start()
        except ValueError as error:  # what Python raises for signals in threads
            failures.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert not failures


def test_a_finished_run_gives_its_weights_again_without_a_step(
    whole: tuple[Path, Outcome],
) -> None:
    folder, outcome = whole
    again = run(folder)
    assert again.counters == outcome.counters
    for name, weight in again.weights.items():
        assert torch.equal(weight, outcome.weights[name])


@pytest.mark.parametrize("n_left", [0, 1])
def test_a_run_killed_in_its_last_validation_is_validated_by_the_next_call(
    whole: tuple[Path, Outcome], tmp_path: Path, n_left: int
) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(whole[0], folder)
    valid = pd.read_csv(folder / "valid.csv")
    last = valid[valid["step"] == 8]
    pd.concat([valid[valid["step"] < 8], last[:n_left]]).to_csv(folder / "valid.csv", index=False)
    again = run(folder)
    assert again.held_out.keys() == whole[1].held_out.keys()
    mended = pd.read_csv(folder / "valid.csv")
    columns = ["step", "source", "loss", "value", "micro_batches"]
    # Numbers are written with six digits.
    pd.testing.assert_frame_equal(mended[columns], valid[columns], rtol=1e-4)
    assert run(folder).held_out.keys() == whole[1].held_out.keys()


def test_only_the_first_process_writes_for_a_finished_run(
    whole: tuple[Path, Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "is_global_zero", property(lambda _: False))
    before = {one: one.stat().st_mtime_ns for one in whole[0].rglob("*")}
    again = run(whole[0])
    assert not again.is_writer
    assert not again.weights
    assert {one: one.stat().st_mtime_ns for one in whole[0].rglob("*")} == before


def test_a_changed_setting_is_refused_with_the_difference(whole: tuple[Path, Outcome]) -> None:
    with pytest.raises(
        InputError, match=r"other settings: seed was 0 and is now 1\. Set them back"
    ) as caught:
        run(whole[0], identity={"seed": 1})
    assert str(whole[0]) in str(caught.value)


def test_each_difference_is_named_by_its_place() -> None:
    before = {"order": {"n_rows": 4, "weights": {"a": 1.0}}, "seed": 0}
    now = {"order": {"n_rows": 8, "weights": {}}, "seed": 0}
    with pytest.raises(InputError) as caught:
        check_identity(before, now, "run")
    assert "order.n_rows was 4 and is now 8" in caught.value.what
    assert "order.weights.a was 1.0 and is now not set" in caught.value.what
    assert "seed" not in caught.value.what


def test_tuples_and_lists_are_the_same_setting() -> None:
    check_identity({"a": [1, 2]}, {"a": (1, 2)}, "run")


def test_an_outlier_step_leaves_the_weights_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outliers.OutlierSteps, "is_outlier", lambda _, norm: norm > 0)
    told: list[Report] = []
    outcome = run(tmp_path, replace(QUICK, max_steps=2), report=told.append)
    assert outcome.counters.skipped == 2
    assert steps(tmp_path)["skipped"].tolist() == [1, 1]
    assert "step 2 was skipped: its gradient's norm was" in told[1].note
    for name, weight in made_network().state_dict().items():
        assert torch.equal(weight, outcome.weights[name])


def test_norms_far_above_the_median_are_outliers_until_they_are_usual() -> None:
    steps_ = outliers.OutlierSteps(10.0)
    assert not any(steps_.is_outlier(1.0) for _ in range(outliers.LEAST))
    assert steps_.is_outlier(10.1)
    assert not steps_.is_outlier(9.9)
    assert steps_.is_outlier(float("nan"))
    assert steps_.is_outlier(float("inf"))
    answers = [steps_.is_outlier(50.0) for _ in range(outliers.WINDOW)]
    assert answers[0]
    assert not answers[-1]
    assert len(steps_.norms) == outliers.WINDOW


def test_gradients_that_stay_not_finite_end_the_run() -> None:
    steps_ = outliers.OutlierSteps(10.0)
    for _ in range(outliers.MOST_IN_A_ROW):
        assert steps_.is_outlier(float("nan"))
    with pytest.raises(InputError, match=r"26 steps in a row were not finite.*Lower the learning"):
        steps_.is_outlier(float("nan"))


def test_an_average_of_the_weights_is_kept_and_resumed(tmp_path: Path) -> None:
    config = replace(QUICK, ema_decay=0.5, max_steps=4)
    straight = run(tmp_path / "straight", config)
    run(tmp_path / "stopped", replace(config, max_minutes=0.0))
    resumed = run(tmp_path / "stopped", config)
    plain = run(tmp_path / "plain", replace(config, ema_decay=None))
    different = 0
    for name, weight in resumed.weights.items():
        torch.testing.assert_close(weight, straight.weights[name], rtol=1e-4, atol=1e-6)
        different += not torch.allclose(weight, plain.weights[name], atol=1e-6)
    assert different > len(plain.weights) // 2
    again = run(tmp_path / "stopped", config)
    assert torch.equal(again.weights["generating"], resumed.weights["generating"])


def test_the_average_moves_by_its_share() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
        average = WeightAverage(module, 0.75)
        module.weight.fill_(5.0)
    average.update()
    assert module.weight.item() == 5.0
    with average.applied():
        assert module.weight.item() == 2.0
    assert module.weight.item() == 5.0


def test_muon_holds_the_matrices_of_the_blocks_and_adamw_the_rest() -> None:
    network = made_network()
    adamw, muon = make_optimisers(network, OptimiserConfig())
    held = [
        parameter
        for optimiser in (adamw, muon)
        for group in optimiser.param_groups
        for parameter in group["params"]
    ]
    assert {id(one) for one in held} == {id(one) for one in network.parameters()}
    assert len(held) == len(list(network.parameters()))
    matrices, _, free = parameter_groups(network)
    assert len(matrices) == 2 * 4
    assert muon.param_groups[0]["params"] == matrices
    table = dict(network.named_parameters())["encoder.embedders.protein.table.weight"]
    assert any(one is table for one in free)
    assert adamw.param_groups[1]["weight_decay"] == 0.0
    (alone,) = make_optimisers(network, OptimiserConfig(name="adamw"))
    assert sum(len(group["params"]) for group in alone.param_groups) == len(held)


def test_tables_may_have_a_learning_rate_of_their_own() -> None:
    network = made_network()
    tables = {id(one.weight) for one in network.modules() if isinstance(one, nn.Embedding)}
    for rate in (None, 0.01):
        adamw, muon = make_optimisers(network, OptimiserConfig(table_learning_rate=rate))
        groups = [*adamw.param_groups, *muon.param_groups]
        several = [id(one) for group in groups for one in group["params"]]
        assert len(several) == len(set(several)) == len(list(network.parameters()))
        for group in adamw.param_groups:
            held = {id(one) for one in group["params"]}
            assert (group["lr"] == 0.01) == (rate is not None and held <= tables)
            assert group["peak"] == group["lr"]


def test_the_learning_rate_rises_then_falls_to_its_end() -> None:
    config = OptimiserConfig(warmup_steps=10, final_fraction=0.1)
    factors = [learning_rate_factor(step, 100, config) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert all(one >= two for one, two in pairwise(factors[9:]))
    assert factors[55] == pytest.approx(0.55)
    assert factors[100] == pytest.approx(0.1)
    flat = OptimiserConfig(warmup_steps=0, decay="constant")
    assert [learning_rate_factor(step, 9, flat) for step in (0, 5, 20)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "mion"}, r"optimiser name cannot be 'mion'\. Did you mean 'muon'"),
        ({"decay": "cosin"}, r"optimiser decay cannot be 'cosin'\. Did you mean 'cosine'"),
        ({"learning_rate": 0.0}, r"learning_rate must lie between 1e-09 and 1, got 0"),
        ({"gradient_clip": -1.0}, r"gradient_clip must lie between"),
        ({"table_learning_rate": 2.0}, r"table_learning_rate must lie between 1e-09 and 1, got 2"),
    ],
)
def test_optimiser_settings_out_of_range_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        OptimiserConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"precision": "bf16"},
            r"precision cannot be 'bf16'\. Choose from .'32-true', 'auto', 'bf16-mixed'",
        ),
        ({"strategy": "fsdp"}, r"strategy cannot be 'fsdp'\. Did you mean 'fsdp2'"),
        ({"compile": "yes"}, r"compile cannot be 'yes'"),
        ({"max_steps": 0}, r"max_steps must lie between 1 and 1e\+09, got 0"),
        ({"spike_factor": 1.0}, r"spike_factor must lie between 1\.5"),
    ],
)
def test_training_settings_out_of_range_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        TrainingConfig(**settings)


def test_processes_share_the_micro_batches_of_each_step() -> None:
    alone = list(RankSampler(3, 5, 4, 0, 1))
    assert alone == list(range(12, 20))
    shared = [list(RankSampler(3, 5, 4, rank, 2)) for rank in (0, 1)]
    assert shared == [[12, 14, 16, 18], [13, 15, 17, 19]]
    assert len(RankSampler(3, 5, 4, 1, 2)) == 4


def test_every_source_with_held_out_samples_is_measured() -> None:
    lengths = {"many": np.full(40, 60), "few": np.full(2, 60), "none": np.zeros(0, dtype=int)}
    found = valid_micro_batches(lengths, ("many", "few", "none"), ORDER, 3)
    assert [one.source for one in found] == ["many"] * 3 + ["few"]
    assert sorted(sample for row in found[-1].rows for sample in row) == [0, 0, 1, 1]
    assert len({one.seed for one in found}) == 4


def test_processes_that_cannot_share_a_step_are_refused() -> None:
    check_world_size(4, 2)
    with pytest.raises(InputError, match=r"4 micro-batches of a step cannot be shared.*by 3 proc"):
        check_world_size(4, 3)


def test_processes_that_settled_a_setting_differently_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_agreement("precision", "32-true")
    monkeypatch.setattr(processes, "gather", lambda mine: [mine, "bf16-mixed"])
    with pytest.raises(
        InputError, match=r"precision would be 32-true here and bf16-mixed there.*Name the prec"
    ):
        check_agreement("precision", "32-true")


def test_a_state_keeps_the_precision_of_its_steps(tmp_path: Path) -> None:
    told: list[str] = []
    first = replace(QUICK, precision="auto", max_minutes=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "is_bfloat16_faster", lambda _: False)
        run(tmp_path, first, say=told.append)
    state = latest_state(tmp_path)
    assert state is not None
    assert load_counters(state).precision == "32-true"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "is_bfloat16_faster", lambda _: True)
        run(tmp_path, replace(QUICK, precision="auto"), say=told.append)
    assert told[-1].startswith("The run was begun in float32, so it goes on in it")


def test_batches_are_the_same_with_any_number_of_workers() -> None:
    data = made_data()
    sampler = RankSampler(2, 5, 2, 0, 1)
    here = list(make_loader(data, sampler, 0))
    there = list(make_loader(data, sampler, 2))
    assert len(here) == len(there) == 6
    for one, other in zip(here, there, strict=True):
        assert one.source == other.source
        assert torch.equal(one.packed.position, other.packed.position)
        for name, target in one.masked.items():
            assert torch.equal(target.label, other.masked[name].label)
    assert MicroBatches(data)[4].source == here[0].source


def test_workers_outlive_the_signals_that_stop_a_run() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ignore_stop_signals()
        assert all(signal.getsignal(number) is signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_a_state_is_whole_or_not_there(tmp_path: Path) -> None:
    network = made_network()
    optimisers = make_optimisers(network, OptimiserConfig())
    save_state(tmp_path, Counters(step=5), network, optimisers, None)
    save_state(tmp_path, Counters(step=9, norms=(1.0, 2.0)), network, optimisers, None)
    (tmp_path / "state-000000012").mkdir()  # renamed folders are whole; this one is someone else's
    (tmp_path / "state-000000013.partial").mkdir()
    state = latest_state(tmp_path)
    assert state == tmp_path / "state-000000009"
    assert not (tmp_path / "state-000000005").exists()
    assert load_counters(state) == Counters(step=9, norms=(1.0, 2.0))
    assert latest_state(tmp_path / "nowhere") is None


def test_a_step_that_is_saved_stays_and_one_half_removed_is_written_anew(tmp_path: Path) -> None:
    network = made_network()
    optimisers = make_optimisers(network, OptimiserConfig())
    save_state(tmp_path, Counters(step=5), network, optimisers, None)
    state = tmp_path / "state-000000005"
    written = (state / WEIGHTS_FILE).stat().st_mtime_ns
    save_state(tmp_path, Counters(step=5), network, optimisers, None)
    assert (state / WEIGHTS_FILE).stat().st_mtime_ns == written
    (state / "counters.json").unlink()
    (state / WEIGHTS_FILE).unlink()
    save_state(tmp_path, Counters(step=5), network, optimisers, None)
    assert latest_state(tmp_path) == state
    assert (state / WEIGHTS_FILE).is_file()


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    network = made_network()
    save_state(
        tmp_path, Counters(step=5), network, make_optimisers(network, OptimiserConfig()), None
    )
    state = tmp_path / "state-000000005"
    (state / WEIGHTS_FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"saved state is damaged.*Remove this folder"):
        load_state(state, network, [], None)
    (state / COUNTERS_FILE).write_text("{}")
    with pytest.raises(InputError, match=r"saved state cannot be read \(KeyError"):
        load_counters(state)
    told = {"format_version": 99, "norms": []}
    (state / COUNTERS_FILE).write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"format version 99, and this kagaku reads 1"):
        load_counters(state)


def test_nothing_on_disk_is_a_pickle(whole: tuple[Path, Outcome]) -> None:
    endings = {one.suffix for one in whole[0].rglob("*") if one.is_file()}
    assert endings <= {".csv", ".json", ".safetensors", ".0"}  # .0: TensorBoard's own


def test_compiled_blocks_are_refused_or_left_out_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "compiler_problem", lambda _: "there is no C++ compiler")
    with pytest.raises(InputError, match=r"cannot be compiled: there is no C\+\+ compiler"):
        run(tmp_path, replace(QUICK, compile="always"))
    told: list[str] = []
    run(tmp_path, replace(QUICK, compile="auto", max_steps=1), say=told.append)
    assert told == ["Training without compiled blocks, which is slower: there is no C++ compiler."]


def test_bfloat16_gives_nearly_the_losses_of_float32(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    run(tmp_path, replace(QUICK, precision="bf16-mixed"))
    # Three digits of bfloat16, over eight steps.
    np.testing.assert_allclose(steps(tmp_path)["loss"], steps(whole[0])["loss"], rtol=0.05)


def test_operations_are_counted_as_by_hand() -> None:
    config = BackboneConfig(dim=8, depth=3, heads=2, hidden=16)
    per_block = 4 * 8 * 8 + 3 * 8 * 16
    assert flops_per_token(config, 10) == 6 * 3 * (per_block + 2 * 8 * 10)


def test_the_machine_multiplies_matrices() -> None:
    assert measured_peak(torch.device("cpu"), torch.float32) > 1e8


def test_reports_tell_speed_and_time_left(tmp_path: Path) -> None:
    told: list[Report] = []
    run(tmp_path, replace(QUICK, max_steps=3, max_minutes=10.0), report=told.append)
    assert [one.step for one in told] == [1, 2, 3]
    assert all(one.tokens_per_second > 0 and 0 < one.peak_share < 1 for one in told)
    assert told[0].seconds_left <= 600
    assert told[-1].seconds_left == 0
    logged = pd.read_csv(tmp_path / "steps.csv")
    assert logged["waiting_share"].between(0, 1).all()
    np.testing.assert_allclose(logged["peak_share"], [one.peak_share for one in told], atol=1e-4)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_one_process_of_a_shared_strategy_does_the_same_steps(
    whole: tuple[Path, Outcome], tmp_path: Path, strategy: str
) -> None:
    run(tmp_path, replace(QUICK, strategy=strategy, devices=1))
    pd.testing.assert_frame_equal(steps(tmp_path), steps(whole[0]), rtol=1e-4)


def test_waiting_for_data_is_told_from_working(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("kagaku.models.pretraining.keeper.time.monotonic", lambda: now)
    pace = Pace()
    for _ in range(2):
        for waited, worked in ((3.0, 1.0), (1.0, 5.0)):
            pace.wants_data()
            now += waited
            pace.has_data()
            now += worked
        assert pace.step(100) == pytest.approx(10)
        assert pace.waiting_share == pytest.approx(0.4)


def test_a_run_that_an_older_version_began_keeps_its_steps(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    run(tmp_path, replace(QUICK, max_minutes=0.0))
    table = pd.read_csv(tmp_path / "steps.csv").drop(columns=["waiting_share", "peak_share"])
    table.to_csv(tmp_path / "steps.csv", index=False)
    run(tmp_path)
    pd.testing.assert_frame_equal(steps(tmp_path), steps(whole[0]), rtol=1e-5)
    waited = pd.read_csv(tmp_path / "steps.csv")["waiting_share"]
    assert waited.isna().tolist() == [True] * len(table) + [False] * (len(waited) - len(table))


def test_a_learner_without_a_trainer_keeps_plain_weights() -> None:
    learner = Learner(
        made_network(),
        OptimiserConfig(),
        outliers.OutlierSteps(10.0),
        max_steps=1,
        first_step=0,
        own_micro_batches=1,
        average_decay=None,
        is_sharded=False,
        is_bfloat16=False,
    )
    before = learner.objective
    learner.configure_model()
    assert learner.objective is before


def test_a_head_that_nobody_asked_rests_and_does_not_forget() -> None:
    asked, unasked = (nn.Parameter(torch.ones(3)) for _ in range(2))
    never = nn.Parameter(torch.ones(3))
    optimiser = torch.optim.AdamW([asked, unasked, never], lr=0.1)
    for is_asked in (True, False, False):
        torch.autograd.backward(asked.sum() + unasked.sum() * float(is_asked))
        forget_unasked([asked, unasked, never])
        optimiser.step()
        optimiser.zero_grad()
    assert never.grad is None
    assert optimiser.state[asked]["step"] == 3
    assert optimiser.state[unasked]["step"] == 1
    # Decayed and moved once, as by a single step.
    torch.testing.assert_close(unasked, torch.full((3,), 1 - 0.1 - 0.1 * 0.01).requires_grad_())
