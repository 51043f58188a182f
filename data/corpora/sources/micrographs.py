"""Simulated micrographs: pictures drawn by rule, with words and numbers for what is in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.records import Quantity

N_SAMPLES = 12_000
"""Pictures that are drawn; each by its own number, so the first ones never change."""

SMALLEST, LARGEST = 24, 64
"""Pixels along a side."""

MOST_OBJECTS = 40

APART, TOUCHING = 1.2, 0.75
"""Least distance of two objects' middles, in their mean diameter."""

NUMBER, ACROSS = "objects", "mean diameter"
"""Names of the quantities of a picture with objects."""

_SHAPES = ("round", "elongated", "ring-shaped")

_BLURS = {0.3: "sharp", 0.8: "a little blurred", 1.6: "blurred"}

# Red, green and blue of the objects and of what lies between them, at full contrast.
_STAINS = {
    "purple on pink": ((0.36, 0.16, 0.52), (0.93, 0.76, 0.86)),
    "red on white": ((0.72, 0.20, 0.24), (0.96, 0.94, 0.93)),
    "green on black": ((0.15, 0.90, 0.25), (0.02, 0.04, 0.02)),
    "blue on black": ((0.20, 0.30, 0.95), (0.02, 0.02, 0.05)),
}


@SOURCES.register("simulated-micrographs")
class SimulatedMicrographs(Source):
    """Cells or grains on a ground, rough to smooth fields, and stripes; blurred and noisy.

    Nothing is real in them. But how many objects were drawn, how wide and of which shape, how
    strong contrast and noise are: all of that is known, which photographs never tell. Some objects
    overlap or stand across the rim. Pretraining on pictures drawn by rule: Kataoka et al. 2020,
    https://arxiv.org/abs/2101.08515
    """

    packages: ClassVar[tuple[Package, ...]] = ()
    inputs: ClassVar[Mapping[str, str]] = {
        "image": "image", "text": "text", NUMBER: "quantity", ACROSS: "quantity",
    }  # fmt: skip
    licence: ClassVar[str] = "drawn by kagaku, Apache-2.0"
    origin: ClassVar[str] = "drawn by kagaku"
    version: ClassVar[str] = "1"
    n_about: ClassVar[int] = N_SAMPLES

    def read(self) -> Iterator[RawSample]:
        """Yield the pictures with what is in them."""
        for number in range(N_SAMPLES):
            scene = described(number)
            inputs: dict[str, object] = {
                "image": Deferred(picture, (number,)),
                "text": in_words(scene),
            }
            if scene.kind == "objects":
                inputs[NUMBER] = Quantity(NUMBER, float(len(scene.discs)), "dimensionless")
            if scene.discs:
                inputs[ACROSS] = Quantity(ACROSS, scene.across, "pixel")
            yield RawSample(str(number), inputs)


@dataclass(frozen=True)
class Scene:
    """What a picture shows, before it is drawn."""

    kind: str
    """``"objects"``, ``"field"`` or ``"stripes"``."""

    shape: tuple[int, int]
    """Rows and columns, pixels."""

    discs: tuple[tuple[float, float, float], ...]
    """Row and column of the middle of each object, and its diameter, pixels."""

    are_apart: bool
    """Whether no object touches another, if none is longer than wide."""

    across: float
    """Mean diameter of the objects, distance of the stripes, pixels; 0 where there is neither."""

    form: str
    """Shape of the objects."""

    slope: float
    """How fast power falls with spatial frequency, in a field: 0 is noise, 4 is smooth."""

    degrees: int
    """Direction across the stripes."""

    contrast: float
    """Of what is shown against its ground, 0 to 1."""

    noise: float
    """Spread of the noise, as a share of the full range."""

    blur: float
    """Spread of the blur, pixels."""

    is_bright: bool
    """Whether objects are brighter than their ground."""

    tilt: float
    """How much the illumination changes from side to side, as a share."""

    stain: str
    """Name of the colours; empty for grey."""


def described(number: int) -> Scene:
    """Return what the picture of a number shows."""
    rng = np.random.default_rng([number, 0])
    kind = str(rng.choice(["objects", "field", "stripes"], p=[0.6, 0.28, 0.12]))
    rows, columns = (int(rng.integers(SMALLEST, LARGEST + 1)) for _ in range(2))
    widest = min(rows, columns) / (3 if kind == "objects" else 2)
    across = round(float(np.exp(rng.uniform(np.log(3), np.log(widest)))), 1)
    are_apart = bool(rng.random() < 0.5)
    discs: tuple[tuple[float, float, float], ...] = ()
    if kind == "objects":
        discs = _placed((rows, columns), across, APART if are_apart else TOUCHING, rng)
        across = round(float(np.mean([one[2] for one in discs])), 1) if discs else 0.0
    return Scene(
        kind=kind,
        shape=(rows, columns),
        discs=discs,
        are_apart=are_apart,
        across=0.0 if kind == "field" else across,
        form=str(rng.choice(_SHAPES)),
        slope=round(float(rng.uniform(0, 4)), 1),
        degrees=int(rng.integers(0, 180)),
        contrast=round(float(rng.uniform(0.15, 1)), 2),
        noise=round(float(rng.choice([0.0, 0.02, 0.05, 0.12]) * rng.uniform(0.7, 1.3)), 3),
        blur=float(rng.choice(list(_BLURS))),
        is_bright=bool(rng.random() < 0.5),
        tilt=round(float(rng.choice([0.0, 0.0, 0.25, 0.5])), 2),
        stain=str(rng.choice(list(_STAINS))) if kind == "objects" and rng.random() < 0.4 else "",
    )


def _placed(
    shape: tuple[int, int], across: float, apart: float, rng: np.random.Generator
) -> tuple[tuple[float, float, float], ...]:
    """Return objects of about one diameter at random places, as far apart as is asked.

    Args:
        shape: Of the picture.
        across: About their diameter.
        apart: Least distance of two middles, in mean diameters of the two.
        rng: Where chance comes from.
    """
    room = shape[0] * shape[1] / (2 * across**2)
    wanted = min(int(rng.geometric(1 / (1 + 0.4 * room))) - 1, MOST_OBJECTS)
    placed: list[tuple[float, float, float]] = []
    for _ in range(4 * wanted):
        row, column = rng.uniform(0, shape)
        diameter = across * rng.uniform(0.85, 1.15)
        is_free = all(
            np.hypot(row - one[0], column - one[1]) >= apart * 0.5 * (diameter + one[2])
            for one in placed
        )
        if is_free and len(placed) < wanted:
            placed.append((float(row), float(column), float(diameter)))
    return tuple(placed)


def in_words(scene: Scene) -> str:
    """Return all that is known of a scene as one sentence."""
    if scene.kind == "objects":
        tone = scene.stain or ("bright on dark" if scene.is_bright else "dark on bright")
        count = len(scene.discs)
        noun = f"{scene.form} object{'s' if count > 1 else ''} {scene.across:g} pixels across"
        where = ", apart" if scene.are_apart and count > 1 and scene.form != "elongated" else ""
        ground = tone.rpartition(" on ")[2]
        what = f"{count} {noun}{where}, {tone}" if count else f"no objects, {ground} ground"
    elif scene.kind == "field":
        words = ("noise", "rough", "cloudy", "smooth")
        what = f"a field, {words[min(int(scene.slope), 3)]}, spectral slope {scene.slope:g}"
    else:
        what = f"stripes {scene.across:g} pixels apart at {scene.degrees} degrees"
    rows, columns = scene.shape
    return ", ".join((
        f"simulated micrograph of {rows} x {columns} pixels: {what}",
        f"contrast {scene.contrast:g}",
        f"noise {scene.noise:g}" if scene.noise else "no noise",
        _BLURS[scene.blur],
        f"light uneven by {scene.tilt:g}" if scene.tilt else "even light",
    ))  # fmt: skip


def picture(number: int) -> np.ndarray:
    """Return the picture of a number, uint8 (row, column, channel), 1 or 3 channels."""
    scene = described(number)
    rng = np.random.default_rng([number, 1])
    shown = {"objects": _objects, "field": _field, "stripes": _stripes}[scene.kind](scene, rng)
    shown = ndimage.gaussian_filter(shown, scene.blur)
    if scene.stain:
        front, ground = (np.array(one) for one in _STAINS[scene.stain])
        share = (scene.contrast * shown)[:, :, None]
        image = share * front + (1 - share) * ground
    else:
        level = scene.contrast * (shown if scene.is_bright else 1 - shown)
        image = (level + (1 - scene.contrast) * 0.5)[:, :, None]
    image = image * _light(scene, rng)[:, :, None]
    image = image + scene.noise * rng.standard_normal(image.shape)
    levels: np.ndarray = np.round(255 * image.clip(0, 1)).astype(np.uint8)
    return levels


def _light(scene: Scene, rng: np.random.Generator) -> Float[np.ndarray, "row column"]:
    """Return the illumination: even, or falling from one side to the other."""
    row, column = _places(scene.shape)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * row / scene.shape[0] + np.sin(angle) * column / scene.shape[1]
    light: np.ndarray = 1 - scene.tilt * (along - along.min()) / max(float(np.ptp(along)), 1e-9)
    return light


def _objects(scene: Scene, rng: np.random.Generator) -> Float[np.ndarray, "row column"]:
    """Return how much of each pixel is covered by an object, 0 to 1."""
    row, column = _places(scene.shape)
    covered = np.zeros(scene.shape)
    for middle_row, middle_column, diameter in scene.discs:
        radius = 0.5 * diameter
        angle = rng.uniform(0, np.pi)
        stretch = rng.uniform(1.5, 2.2) if scene.form == "elongated" else rng.uniform(1, 1.1)
        down, right = row - middle_row, column - middle_column
        one = np.cos(angle) * down + np.sin(angle) * right
        other = np.cos(angle) * right - np.sin(angle) * down
        distance = np.hypot(one / stretch**0.5, other * stretch**0.5)
        disc = (radius - distance + 0.5).clip(0, 1)
        if scene.form == "ring-shaped":
            disc = disc - 0.7 * (0.5 * radius - distance + 0.5).clip(0, 1)
        covered = np.maximum(covered, disc)
    return covered


def _field(scene: Scene, rng: np.random.Generator) -> Float[np.ndarray, "row column"]:
    """Return a random field of the scene's spectrum, brought to the range 0 to 1."""
    frequency = np.hypot(
        np.fft.fftfreq(scene.shape[0])[:, None], np.fft.rfftfreq(scene.shape[1])[None, :]
    )
    frequency[0, 0] = 1.0
    waves = np.fft.rfft2(rng.standard_normal(scene.shape)) * frequency ** (-0.5 * scene.slope)
    waves[0, 0] = 0.0
    drawn = np.fft.irfft2(waves, s=scene.shape)
    field: np.ndarray = (0.5 + drawn / (5 * drawn.std())).clip(0, 1)
    return field


def _stripes(scene: Scene, rng: np.random.Generator) -> Float[np.ndarray, "row column"]:
    """Return stripes whose crests lie the scene's distance apart."""
    row, column = _places(scene.shape)
    angle = np.deg2rad(scene.degrees)
    along = np.cos(angle) * column + np.sin(angle) * row
    phase = rng.uniform(0, 2 * np.pi)
    waves: np.ndarray = 0.5 + 0.5 * np.sin(2 * np.pi * along / scene.across + phase)
    return waves


def _places(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    row, column = np.indices(shape)
    return row + 0.5, column + 0.5
