"""Pictures drawn by rule: what is said of them is what they show."""

import numpy as np
import pytest
from scipy import ndimage

from kagaku.data.corpora.raw import Deferred
from kagaku.data.corpora.sources.micrographs import (
    ACROSS,
    LARGEST,
    MOST_OBJECTS,
    N_SAMPLES,
    NUMBER,
    SMALLEST,
    SimulatedMicrographs,
    described,
    in_words,
    picture,
)
from kagaku.data.records import Quantity

SCENES = {number: described(number) for number in range(1500)}


def test_a_picture_depends_on_its_number_alone() -> None:
    assert np.array_equal(picture(17), picture(17))
    assert described(17) == described(17)
    assert len({in_words(scene) for scene in SCENES.values()}) == len(SCENES)


def test_samples_carry_words_and_numbers() -> None:
    samples = [
        sample for sample, _ in zip(SimulatedMicrographs({}).read(), range(50), strict=False)
    ]
    assert [sample.name for sample in samples] == [str(number) for number in range(50)]
    for number, sample in enumerate(samples):
        scene, image = SCENES[number], sample.inputs["image"]
        assert isinstance(image, Deferred)
        pixels = image.value()
        assert pixels.dtype == np.uint8
        assert pixels.shape == (*scene.shape, 3 if scene.stain else 1)
        assert min(scene.shape) >= SMALLEST
        assert max(scene.shape) <= LARGEST
        assert sample.inputs["text"] == in_words(scene)
        assert (NUMBER in sample.inputs) == (scene.kind == "objects")
        assert (ACROSS in sample.inputs) == bool(scene.discs)
        if scene.kind == "objects":
            count = float(len(scene.discs))
            assert sample.inputs[NUMBER] == Quantity(NUMBER, count, "dimensionless")
        if scene.discs:
            mean = np.mean([diameter for _, _, diameter in scene.discs])
            told = sample.inputs[ACROSS]
            assert isinstance(told, Quantity)
            assert told.value == pytest.approx(mean, abs=0.051)
    assert SimulatedMicrographs.n_about == N_SAMPLES


def test_every_kind_occurs() -> None:
    scenes = SCENES.values()
    assert {scene.kind for scene in scenes} == {"objects", "field", "stripes"}
    assert {scene.form for scene in scenes} == {"round", "elongated", "ring-shaped"}
    counts = [len(scene.discs) for scene in scenes if scene.kind == "objects"]
    assert min(counts) == 0
    assert 20 < max(counts) <= MOST_OBJECTS


def test_few_sharp_objects_can_be_counted() -> None:
    clear = [
        (number, scene)
        for number, scene in SCENES.items()
        if scene.kind == "objects" and not scene.stain and scene.form == "round"
        and 1 <= len(scene.discs) <= 20 and scene.are_apart
        and scene.contrast > 0.4 and scene.noise < 0.04
        and scene.tilt == 0 and scene.blur < 1
    ]  # fmt: skip
    assert len(clear) >= 5
    for number, scene in clear:
        grey = picture(number)[:, :, 0].astype(float)
        is_shown = (grey > 0.5 * (grey.min() + grey.max())) == scene.is_bright
        _, found = ndimage.label(is_shown)
        # One may stand so far across the rim that little of it is left.
        assert len(scene.discs) - 1 <= found <= len(scene.discs), in_words(scene)


@pytest.mark.parametrize(("low", "high"), [((0.0, 0.5), (3.5, 4.0))])
def test_steep_spectra_make_smooth_fields(
    low: tuple[float, float], high: tuple[float, float]
) -> None:
    def roughness(slopes: tuple[float, float]) -> float:
        found = [
            np.abs(np.diff(image, axis=0)).mean() / image.std()
            for number, scene in SCENES.items()
            if scene.kind == "field" and slopes[0] <= scene.slope <= slopes[1]
            and scene.noise == 0 and scene.tilt == 0 and scene.blur < 1
            for image in [picture(number)[:, :, 0].astype(float)]
        ]  # fmt: skip
        assert found
        return float(np.mean(found))

    assert roughness(low) > 3 * roughness(high)


def test_stripes_have_the_distance_that_is_said() -> None:
    striped = [
        (number, scene)
        for number, scene in SCENES.items()
        if scene.kind == "stripes" and scene.noise < 0.03 and scene.tilt == 0
        and 5 < scene.across < 12
    ]  # fmt: skip
    assert len(striped) >= 3
    for number, scene in striped:
        image = picture(number)[:, :, 0].astype(float)
        power = np.abs(np.fft.fft2(image - image.mean(), s=(256, 256)))
        row, column = np.unravel_index(power[:, :128].argmax(), (256, 128))
        frequency = np.hypot(min(row, 256 - row), column) / 256
        assert 1 / frequency == pytest.approx(scene.across, rel=0.15), in_words(scene)
