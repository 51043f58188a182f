"""Which precision is taken where nobody names one, and what a slow one is told."""

from pathlib import Path

import pytest
import torch

from kagaku.computing import Computing
from kagaku.models import precision
from kagaku.models.pretraining.settings import TrainingConfig
from kagaku.models.pretraining.training import Watcher, settled_precision

CPU = torch.device("cpu")


@pytest.fixture(params=[0.02, 2.5], ids=["slow", "fast"])
def gain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Let the processor be as many times faster in bfloat16."""
    found = float(request.param)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for place in ("kagaku.models.precision", "kagaku.computing"):
        monkeypatch.setattr(f"{place}.bfloat16_gain", lambda _: found)
    return found


def test_the_gain_is_a_ratio_of_times() -> None:
    precision.bfloat16_gain.cache_clear()
    assert 1e-4 < precision.bfloat16_gain("cpu") < 100
    assert precision.is_bfloat16_faster(CPU) == (
        precision.bfloat16_gain("cpu") >= precision.LEAST_GAIN
    )


def test_a_device_counts_as_faster_by_its_gain(gain: float) -> None:
    assert precision.is_bfloat16_faster(CPU) == (gain > 1)


def test_auto_takes_what_the_machine_is_fast_in(gain: float) -> None:
    told: list[str] = []
    found = settled_precision(TrainingConfig(), "", Watcher(say=told.append))
    if gain > 1:
        assert (found.precision, told) == ("bf16-mixed", [])
    else:
        assert found.precision == "32-true"
        assert told == ["Computing in float32: this machine is not faster in bfloat16."]


def test_a_named_precision_is_kept_and_a_slow_one_told(gain: float) -> None:
    told: list[str] = []
    config = TrainingConfig(precision="bf16-mixed")
    assert settled_precision(config, "32-true", Watcher(say=told.append)) == config
    assert [one.startswith("The recipe asks for bfloat16, in which") for one in told] == [True][
        : int(gain < 1)
    ]
    exact = TrainingConfig(precision="32-true")
    assert settled_precision(exact, "bf16-mixed", Watcher(say=told.append)) == exact
    assert len(told) == int(gain < 1)


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(gain: float) -> None:
    for before, is_slow in (("bf16-mixed", gain < 1), ("32-true", gain > 1)):
        told: list[str] = []
        found = settled_precision(TrainingConfig(), before, Watcher(say=told.append))
        assert found.precision == before
        assert any(one.startswith("The run was begun in") for one in told) == is_slow


def test_embedding_warns_of_a_slow_precision(gain: float) -> None:
    assert Computing("cpu").warning() is None
    told = Computing("cpu", "bfloat16").warning()
    if gain > 1:
        assert told is None
    else:
        assert told == (
            "Matrix products take 50 times as long in bfloat16 as in float32 on this processor: "
            "leave --precision out."
        )


def test_the_laptop_recipe_leaves_the_precision_to_the_machine() -> None:
    recipe = Path(__file__).parents[2] / "configs" / "pretrain_laptop.yaml"
    assert "precision: auto" in recipe.read_text(encoding="utf-8")
