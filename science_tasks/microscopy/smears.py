"""Blood smears with boxes around cells: the case, and answers about boxes and counts."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import PIL.Image
from jaxtyping import UInt8

from kagaku.science_tasks.benchmark.drawing import drawn
from kagaku.science_tasks.microscopy.boxes import (
    NO_BOXES,
    Boxes,
    Scores,
    areas,
    detection_row,
)

CELLS = ("RBC", "WBC", "Platelets")
"""Red cells, white cells and platelets, as the annotations call them."""


EDGES = ("xmin", "ymin", "xmax", "ymax")
"""What the annotations call the edges of a box, in the order of `boxes.Boxes`."""


@dataclass(frozen=True)
class Smear:
    """One photograph, packed, with its true boxes."""

    name: str
    """Name of the file without its ending."""

    stored: bytes
    """The JPEG file."""

    boxes: Mapping[str, Boxes]
    """By kind of cell; boxes without an area are left out."""

    @property
    def pixels(self) -> UInt8[np.ndarray, "row column 3"]:
        """The photograph, red, green and blue."""
        with PIL.Image.open(io.BytesIO(self.stored)) as image:
            return np.array(image.convert("RGB"))


@dataclass(frozen=True)
class Detection:
    """What was found of one kind of cell in one image."""

    boxes: Boxes = field(default_factory=lambda: NO_BOXES)
    """Where."""

    scores: Scores = field(default_factory=lambda: NO_BOXES[:, 0])
    """How sure; only the order counts."""

    def count(self, threshold: float) -> int:
        """Return how many boxes are at least so sure."""
        return int((self.scores >= threshold).sum())


Found = Mapping[str, Detection]
"""By kind of cell, what was found in one image."""


@dataclass(frozen=True)
class SmearCase:
    """Photographs with boxes, some to learn from and some to answer for."""

    train: tuple[Smear, ...]
    """What methods learn from: the official training part, then the official validation part."""

    test: tuple[Smear, ...]
    """What they are asked; methods look at the pixels only."""

    @property
    def n_train(self) -> int:
        """How many images there are to learn from."""
        return len(self.train)

    @property
    def n_test(self) -> int:
        """How many images are asked."""
        return len(self.test)

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return the photographs of a part."""
        return {"image": [one.pixels for one in (self.test if part == "test" else self.train)]}

    def cut(self, n_train: int, n_test: int, seed: int) -> "SmearCase":
        """Return the case with at most so many images of each part, drawn at random."""
        rng = np.random.default_rng(seed)
        return replace(
            self, train=drawn(self.train, n_train, rng), test=drawn(self.test, n_test, rng)
        )


def read_smears(archive: bytes) -> tuple[Smear, ...]:
    """Return the photographs of a tar archive with ``JPEGImages`` and ``Annotations``, by name."""
    images: dict[str, bytes] = {}
    boxes: dict[str, dict[str, Boxes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path, stream = PurePosixPath(member.name), tar.extractfile(member)
            if stream is None:
                continue
            if path.suffix == ".xml":
                boxes[path.stem] = read_annotation(stream.read())
            elif path.suffix == ".jpg":
                images[path.stem] = stream.read()
    return tuple(Smear(name, images[name], boxes[name]) for name in sorted(images))


def read_annotation(stored: bytes) -> dict[str, Boxes]:
    """Return the boxes of an annotation in Pascal VOC's form, by kind of cell."""
    found: dict[str, list[list[float]]] = {one: [] for one in CELLS}
    for one in ET.fromstring(stored).iter("object"):
        edges = [float(one.findtext(f"bndbox/{edge}", "nan")) for edge in EDGES]
        found[one.findtext("name", "")].append(edges)
    tables = {name: np.array(several).reshape(-1, 4) for name, several in found.items()}
    return {name: table[areas(table) > 0] for name, table in tables.items()}


def smear_answers(
    case: SmearCase, found: Sequence[Found], counts: Sequence[Mapping[str, float]]
) -> pd.DataFrame:
    """Return the answers to a case, one row per image.

    Args:
        case: Whose test images were looked at.
        found: Boxes by kind of cell, of each image.
        counts: How many cells of each kind each image is said to have.

    Returns:
        For each kind the columns of `detection_row`, the count that was given (``count_KIND``), and
        how far it is off (``error_KIND``).
    """
    rows = []
    for smear, several, given in zip(case.test, found, counts, strict=True):
        row: dict[str, object] = {}
        for name in CELLS:
            one, truth = several.get(name, Detection()), smear.boxes[name]
            row |= detection_row(name, one.boxes, one.scores, truth)
            row |= {f"count_{name}": given[name], f"error_{name}": abs(given[name] - len(truth))}
        rows.append(row)
    return pd.DataFrame(rows)


def usual_counts(smears: Sequence[Smear]) -> dict[str, float]:
    """Return the median number of cells of each kind: no constant has a smaller mean error."""
    return {name: float(np.median([len(one.boxes[name]) for one in smears])) for name in CELLS}


@dataclass(frozen=True)
class Counter:
    """Counts the cells of one kind from the boxes that are sure enough, and a line."""

    threshold: float
    """Least score of a box that is counted."""

    offset: float
    """Cells where no box is."""

    slope: float
    """Cells per box: below 1 where people leave some of what can be found unmarked."""

    def __call__(self, detection: Detection) -> float:
        """Return the number of cells, to the nearest whole one."""
        return float(max(0.0, np.round(self.offset + self.slope * detection.count(self.threshold))))


def fitted_counters(smears: Sequence[Smear], found: Sequence[Found]) -> dict[str, Counter]:
    """Return by kind of cell the counter with the least mean error on these photographs."""
    counters = {}
    for name in CELLS:
        several = [one.get(name, Detection()) for one in found]
        scores = np.concatenate([one.scores for one in several])
        truth = np.array([len(one.boxes[name]) for one in smears], dtype=np.float64)
        tried = np.unique(np.quantile(scores, np.linspace(0, 1, 21))) if len(scores) else [0.0]
        fitted = [
            _line(float(t), np.array([float(one.count(float(t))) for one in several]), truth)
            for t in tried
        ]
        errors = [np.abs([one(d) for d in several] - truth).mean() for one in fitted]
        counters[name] = fitted[int(np.argmin(errors))]
    return counters


def _line(threshold: float, counts: np.ndarray, truth: np.ndarray) -> Counter:
    """Return the counter whose line has the least squared error."""
    together = ((counts - counts.mean()) * (truth - truth.mean())).mean()
    slope = float(together / counts.var()) if counts.var() else 0.0
    return Counter(threshold, float(truth.mean() - slope * counts.mean()), slope)


def counted(found: Sequence[Found], counters: Mapping[str, Counter]) -> list[dict[str, float]]:
    """Return how many cells of each kind each image has."""
    return [{name: counters[name](one.get(name, Detection())) for name in CELLS} for one in found]
