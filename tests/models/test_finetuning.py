"""Full fine-tuning learns, stops, and goes on where it stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kagaku.errors import InputError
from kagaku.modalities import MODALITIES, Tokens
from kagaku.models import BackboneConfig, Encoder, EncoderConfig
from kagaku.models.examples import Example, TargetPlan, collate
from kagaku.models.finetuning import finetune
from kagaku.models.multitask import FinetuningConfig

SMALL = BackboneConfig(dim=32, depth=1, heads=2, hidden=48)
LETTERS = MODALITIES["protein"].vocabulary_size
REGRESSION = TargetPlan("share", "regression", 1)


def protein(rng: np.random.Generator) -> Tokens:
    length = int(rng.integers(4, 12))
    positions = np.zeros((length, 3), dtype=np.float32)
    positions[:, 0] = np.arange(length)
    return Tokens(
        rng.integers(3, LETTERS, (length, 1)), np.zeros((length, 0), np.float32), positions
    )


def examples(n: int, seed: int) -> list[Example]:
    """Return proteins whose target is the standardised share of the first half of the alphabet."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        tokens = protein(rng)
        share = (tokens.ids[:, 0] < LETTERS // 2).mean()
        label = np.float32((share - 0.4) / 0.18)
        made.append(Example({0: ("protein", tokens)}, {"share": np.asarray(label)}))
    return made


def encoder() -> Encoder:
    torch.manual_seed(1)
    return Encoder(EncoderConfig(modalities=("protein",), backbone=SMALL))


def test_training_lowers_the_loss_below_the_mean_baseline() -> None:
    config = FinetuningConfig(epochs=12, learning_rate=3e-3, token_budget=256)
    _, progress = finetune(encoder(), [REGRESSION], 1, examples(160, 0), examples(60, 1), config)
    # Predicting mean and deviation of the training records costs 0.5 log(2 pi e) = 1.42.
    assert progress.best_loss < 1.1
    assert len(progress.history) == progress.epoch


class StoppedError(Exception):
    """Stands for Ctrl-C or a kill between two epochs."""


def test_a_stopped_training_ends_with_the_weights_of_one_never_stopped(tmp_path: Path) -> None:
    config = FinetuningConfig(epochs=4, learning_rate=2e-3, token_budget=256)
    train, valid = examples(60, 0), examples(20, 1)

    def run(folder: Path, stop_after: int) -> torch.nn.Module:
        def report(epoch: int, epochs: int, text: str) -> None:  # noqa: ARG001
            if epoch == stop_after:
                raise StoppedError

        return finetune(
            encoder(),
            [REGRESSION],
            1,
            train,
            valid,
            config,
            fingerprint="a",
            folder=folder,
            report=report,
        )[0]

    whole = run(tmp_path / "whole", 99)
    with pytest.raises(StoppedError):
        run(tmp_path / "stopped", 2)
    resumed = run(tmp_path / "stopped", 99)
    for (name, expected), actual in zip(
        whole.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, msg=name)


def test_a_state_of_other_settings_is_not_resumed(tmp_path: Path) -> None:
    config = FinetuningConfig(epochs=1, token_budget=256)
    train, valid = examples(20, 0), examples(10, 1)
    finetune(encoder(), [REGRESSION], 1, train, valid, config, fingerprint="a", folder=tmp_path)
    _, progress = finetune(
        encoder(), [REGRESSION], 1, train, valid, config, fingerprint="b", folder=tmp_path
    )
    assert (progress.fingerprint, progress.epoch) == ("b", 1)


KINDS = [
    (TargetPlan("t", "binary", 1), np.float32(1), np.float32("nan")),
    (TargetPlan("t", "multiclass", 3), np.int64(2), np.int64(-1)),
    (TargetPlan("t", "multilabel", 2), np.array([1, np.nan], np.float32), np.full(2, np.nan)),
    (TargetPlan("t", "per-token", 4, 0), np.arange(5) % 4, np.full(5, -1)),
    (TargetPlan("t", "field", 6, 0), np.ones((5, 6)), np.full((5, 6), np.nan)),
    (TargetPlan("t", "regression", 1), np.float32(0.5), np.float32("nan")),
]


@pytest.mark.parametrize(("plan", "label", "missing"), KINDS, ids=lambda value: str(value)[:40])
def test_every_kind_trains_with_some_labels_missing(
    plan: TargetPlan, label: np.ndarray, missing: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    made = []
    for index in range(12):
        positions = np.zeros((5, 3), np.float32)
        tokens = Tokens(rng.integers(3, LETTERS, (5, 1)), np.zeros((5, 0), np.float32), positions)
        value = np.asarray(missing if index % 3 == 0 else label)
        weights = {"t": np.ones((5, 6))} if plan.kind == "field" else {}
        made.append(Example({0: ("protein", tokens)}, {"t": value}, weights=weights))
    config = FinetuningConfig(epochs=2, token_budget=20, learning_rate=3e-3)
    module, progress = finetune(encoder(), [plan], 1, made, made, config)
    assert np.isfinite(progress.best_loss)
    assert progress.history[-1][1] < progress.history[0][0]
    packed, _ = collate(made, [plan])
    with torch.inference_mode():
        (outputs,) = module.outputs(packed)
    assert torch.isfinite(outputs).all()


def test_censored_values_pull_the_prediction_beyond_the_bound() -> None:
    made = [
        Example(e.tokens, {"share": np.asarray(np.float32(0))}, censoring={"share": +1})
        for e in examples(30, 0)
    ]
    config = FinetuningConfig(epochs=5, learning_rate=3e-3, token_budget=128)
    module, _ = finetune(encoder(), [REGRESSION], 1, made, made, config)
    packed, _ = collate(made, [REGRESSION])
    with torch.inference_mode():
        (outputs,) = module.outputs(packed)
    assert outputs[:, 0].mean() > 0.3


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="epochs must be positive, got 0"):
        FinetuningConfig(epochs=0)
