"""Changes of an image that leave the answer as it is, because the instrument makes them itself."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Shaped

Image = Shaped[np.ndarray, "_ _ ..."]
Boxes = Float[np.ndarray, "_ 4"]

Change = Callable[[np.ndarray], np.ndarray]


def _turned(quarters: int, *, is_mirrored: bool) -> Change:
    def change(image: np.ndarray) -> np.ndarray:
        mirrored = image[:, ::-1] if is_mirrored else image
        return np.ascontiguousarray(np.rot90(mirrored, quarters))

    return change


def _shifted(down: int, across: int) -> Change:
    def change(image: np.ndarray) -> np.ndarray:
        rows, columns = image.shape[:2]
        row = np.clip(np.arange(rows) - down, 0, rows - 1)
        column = np.clip(np.arange(columns) - across, 0, columns - 1)
        moved: np.ndarray = image[row][:, column]
        return moved

    return change


SYMMETRIES: Mapping[str, Change] = {
    "as it is": _turned(0, is_mirrored=False),
    "quarter turn": _turned(1, is_mirrored=False),
    "half turn": _turned(2, is_mirrored=False),
    "three-quarter turn": _turned(3, is_mirrored=False),
    "left-right mirror": _turned(0, is_mirrored=True),
    "up-down mirror": _turned(2, is_mirrored=True),
    "diagonal mirror": _turned(1, is_mirrored=True),
    "other diagonal mirror": _turned(3, is_mirrored=True),
    "pixel left": _shifted(0, -1),
    "pixel right": _shifted(0, 1),
    "pixel up": _shifted(-1, 0),
    "pixel down": _shifted(1, 0),
}
"""All that are known, by name. Turns are against the clock; a shift repeats the edge."""

SMEAR = (
    "as it is",
    "quarter turn",
    "half turn",
    "three-quarter turn",
    "left-right mirror",
    "up-down mirror",
    "diagonal mirror",
    "other diagonal mirror",
)
"""Of a blood smear: cells lie on the slide as they fell, so no direction is different, and a slide
may be looked at from either side."""

CHEST = ("as it is", "pixel left", "pixel right", "pixel up", "pixel down")
"""Of a chest X-ray: patients stand a little to one side. They do not stand on their heads, and a
mirror would put the heart on the right, which is a finding and no accident."""


def changed(image: Image, name: str) -> Image:
    """Return an image after the change of a name; raises KeyError for a stranger."""
    return SYMMETRIES[name](image)


def moved_boxes(boxes: Boxes, name: str, rows: int, columns: int) -> Boxes:
    """Return where boxes lie after the change of an image, as (left, top, right, bottom).

    Args:
        boxes: In the image as it was, in pixels.
        name: A turn or mirror.
        rows: Of the image as it was.
        columns: Of the image as it was.
    """
    order = ("as it is", "quarter turn", "half turn", "three-quarter turn")
    mirrors = (
        "left-right mirror",
        "diagonal mirror",
        "up-down mirror",
        "other diagonal mirror",
    )
    is_mirrored = name in mirrors
    left, top, right, bottom = boxes.T
    if is_mirrored:
        left, right = columns - right, columns - left
    for _ in range((mirrors if is_mirrored else order).index(name)):
        # A quarter turn against the clock takes (x, y) to (y, columns - x).
        left, top, right, bottom = top, columns - right, bottom, columns - left
        rows, columns = columns, rows
    return np.stack([left, top, right, bottom], axis=1)
