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
    picture,
)
from kagaku.data.records import Quantity

SCENES = {number: described(number) for number in range(600)}


def test_a_picture_depends_on_its_number_alone() -> None:
    assert np.array_equal(picture(17), picture(17))
    assert described(17) == described(17)
    assert len({scene.text for scene in SCENES.values()}) == len(SCENES)


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
        assert sample.inputs["text"] == scene.text
        assert (NUMBER in sample.inputs) == (scene.kind == "objects")
        if scene.kind == "objects":
            assert sample.inputs[NUMBER] == Quantity(
                NUMBER, float(scene.n_objects or 0), "dimensionless"
            )
            assert sample.inputs[ACROSS] == Quantity(ACROSS, scene.across, "pixel")
    assert SimulatedMicrographs.n_about == N_SAMPLES


def test_every_kind_occurs() -> None:
    scenes = SCENES.values()
    assert {scene.kind for scene in scenes} == {"objects", "field", "stripes"}
    assert {scene.form for scene in scenes} == {"round", "elongated", "ring-shaped"}
    counts = [scene.n_objects for scene in scenes if scene.n_objects is not None]
    assert min(counts) == 0
    assert 20 < max(counts) <= MOST_OBJECTS


def test_few_sharp_objects_can_be_counted() -> None:
    clear = [
        (number, scene)
        for number, scene in SCENES.items()
        if scene.kind == "objects" and not scene.stain and scene.form == "round"
        and 1 <= (scene.n_objects or 0) <= 8 and scene.contrast > 0.5 and scene.noise < 0.04
        and scene.tilt == 0 and scene.blur < 1
    ]  # fmt: skip
    assert len(clear) >= 5
    for number, scene in clear:
        grey = picture(number)[:, :, 0].astype(float)
        is_shown = (grey > 0.5 * (grey.min() + grey.max())) == scene.is_bright
        _, found = ndimage.label(is_shown)
        # Two may touch, one may lie outside but for its rim; more are never drawn than said.
        assert 1 <= found <= (scene.n_objects or 0), scene.text


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
        assert 1 / frequency == pytest.approx(scene.across, rel=0.15), scene.text
