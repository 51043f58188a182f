"""Fingerprints of what a corpus taught."""

from pathlib import Path

import numpy as np
import pytest

from kagaku.data.corpora.keys import kin_key
from kagaku.data.corpora.signatures import signature
from kagaku.data.corpora.trained_on import Collector, Span, TrainedOn, near, sketch
from kagaku.data.records import Field
from kagaku.errors import InputError

RNG = np.random.default_rng(0)
RESIDUES = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
PROTEINS = ["".join(RNG.choice(RESIDUES, 200)) for _ in range(50)]


def mutated(sequence: str, n_residues: int) -> str:
    """Return a sequence with some residues replaced."""
    letters = list(sequence)
    for place in RNG.choice(len(letters), n_residues, replace=False):
        letters[place] = "W" if letters[place] != "W" else "A"
    return "".join(letters)


def sketches(sequences: list[str]) -> np.ndarray:
    return sketch(np.stack([signature("protein", one) for one in sequences]))


@pytest.fixture(name="trained_on")
def _trained_on() -> TrainedOn:
    collector = Collector()
    kin = np.array([[kin_key("protein", one)] for one in PROTEINS], dtype=np.uint64)
    signatures = np.stack([signature("protein", one) for one in PROTEINS])
    collector.add(["protein"], kin, [signatures[:20], signatures[20:]])
    span = Span("sea", ("air_temperature",), 0.0, 60.0, 100.0, 200.0)
    return collector.trained_on([span])


def test_what_was_trained_on_is_known_and_what_was_not_is_not(trained_on: TrainedOn) -> None:
    strangers = ["".join(RNG.choice(RESIDUES, 200)) for _ in range(50)]
    keys = [kin_key("protein", one) for one in [*PROTEINS, *strangers]]
    assert trained_on.knows("protein", keys).tolist() == [True] * 50 + [False] * 50
    assert not trained_on.knows("molecule", keys).any()


def test_a_near_duplicate_resembles_it_and_a_distant_relative_does_not(
    trained_on: TrainedOn,
) -> None:
    close = sketches([mutated(one, 1) for one in PROTEINS])
    far = sketches([mutated(one, 60) for one in PROTEINS])
    assert trained_on.resembles("protein", close).mean() > 0.9
    assert not trained_on.resembles("protein", far).any()


def test_bits_of_sketches_are_fair_coins() -> None:
    numbers = sketches(["".join(RNG.choice(RESIDUES, 300)) for _ in range(300)])
    bits = (numbers[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    # 19,200 coins: the standard error of their mean is 0.0036.
    assert abs(bits.mean() - 0.5) < 0.015
    assert not near(numbers[:150], numbers[150:]).any()


def test_fingerprints_survive_the_file(trained_on: TrainedOn, tmp_path: Path) -> None:
    trained_on.save(tmp_path / "trained_on.safetensors")
    again = TrainedOn.load(tmp_path / "trained_on.safetensors")
    np.testing.assert_array_equal(again.keys["protein"], trained_on.keys["protein"])
    np.testing.assert_array_equal(again.sketches["protein"], trained_on.sketches["protein"])
    assert again.spans == trained_on.spans


def test_weights_that_start_from_others_know_what_either_saw(trained_on: TrainedOn) -> None:
    collector = Collector()
    kin = np.array([[kin_key("molecule", "CCO"), 0]], dtype=np.uint64)
    collector.add(["molecule", "text"], kin, [np.zeros((1, 0), dtype=np.uint32)])
    both = trained_on.joined(collector.trained_on())
    assert both.knows("molecule", [kin_key("molecule", "OCC")]).all()
    assert both.knows("protein", [kin_key("protein", PROTEINS[0])]).all()
    assert both.spans == trained_on.spans


@pytest.mark.parametrize(
    ("name", "latitude", "time", "is_covered"),
    [
        ("air_temperature", 50.0, 150.0, True),
        ("air_temperature", 50.0, 250.0, False),
        ("air_temperature", -50.0, 150.0, False),
        ("eastward_wind", 50.0, 150.0, False),
        ("air_temperature", 50.0, None, False),
    ],
)
def test_a_field_is_covered_by_variable_place_and_time(
    trained_on: TrainedOn, name: str, latitude: float, time: float | None, is_covered: bool
) -> None:
    field = Field(np.zeros((1, 1, 1)), (name,), ("K",), np.array([latitude]), np.array([0.0]), time)
    assert trained_on.covers(field) is is_covered


def test_another_format_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "trained_on.safetensors"
    save_file(
        {"keys.text": np.zeros((1, 5), np.uint8)},
        path,
        metadata={"kagaku": '{"format_version": 9}'},
    )
    with pytest.raises(InputError, match="the fingerprints have format 9, and this kagaku reads"):
        TrainedOn.load(path)
