"""Images: handwritten digits, and the sky with the catalogue's words for what is seen."""

import json
import math
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.Image

from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.errors import InputError

MOST_PIXELS_ACROSS = 256
"""Photographs are scaled down to this, by averaging; 16 x 16 patches then."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@SOURCES.register("digits")
class Digits(Source):
    """Handwritten digits, 8 x 8 pixels, with their names; they come with scikit-learn.

    Source: Alpaydin and Kaynak 1998, https://doi.org/10.24432/C50P49
    """

    packages: ClassVar[tuple[Package, ...]] = ()
    inputs: ClassVar[Mapping[str, str]] = {"image": "image", "text": "text"}
    licence: ClassVar[str] = "CC BY 4.0"
    origin: ClassVar[str] = "scikit-learn, as installed"
    version: ClassVar[str] = "1"
    n_about: ClassVar[int] = 1_797

    def read(self) -> Iterator[RawSample]:
        """Yield the images with what they show; grey levels 0 to 16 become 0 to 255."""
        from sklearn.datasets import load_digits

        stored = load_digits()
        for number, (pixels, digit) in enumerate(
            zip(stored.images, stored.target.tolist(), strict=True)
        ):
            image = np.round(pixels * (255 / 16)).astype(np.uint8)[:, :, None]
            text = f"a handwritten digit {DIGITS[digit]}, {digit}"
            yield RawSample(str(number), {"image": image, "text": text})


@SOURCES.register("sky")
class Sky(Source):
    """Photographs of nebulae, clusters and galaxies, each with what the catalogue says of it.

    For building corpora only: every photograph has an owner of its own.

    Source: OpenNGC, https://github.com/mattiaverga/OpenNGC
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package(
            "apt", "stellarium-data", "0.22.2", 247,
            ("usr/share/stellarium/nebulae/default/*.png",
             "usr/share/stellarium/nebulae/default/textures.json"), "deb",
        ),
        Package("pip", "pyongc", "1.2.2", 3, ("pyongc/ongc.db",)),
    )  # fmt: skip
    inputs: ClassVar[Mapping[str, str]] = {"image": "image", "text": "text"}
    licence: ClassVar[str] = "photographs: each its own, not to be passed on; OpenNGC: CC BY-SA 4.0"
    n_about: ClassVar[int] = 500

    def read(self) -> Iterator[RawSample]:
        """Yield the photographs whose object the catalogue knows."""
        folder = self.folders["stellarium-data"] / "usr/share/stellarium/nebulae/default"
        text = (folder / "textures.json").read_text(encoding="utf-8")
        told = json.loads(_BARE_POINT.sub("0.", text))
        connection = sqlite3.connect(
            f"file:{self.file('pyongc', 'pyongc/ongc.db')}?mode=ro", uri=True
        )
        connection.row_factory = sqlite3.Row
        try:
            for tile in sorted(told["subTiles"], key=lambda one: str(one.get("imageUrl"))):
                name = tile.get("imageUrl", "")
                found = _object(connection, name, tile.get("worldCoords"))
                if found is not None and (folder / name).is_file():
                    image = Deferred(photograph, (folder / name,))
                    yield RawSample(name, {"image": image, "text": caption(found)})
        finally:
            connection.close()


def photograph(path: Path) -> np.ndarray:
    """Return a photograph in three colours, at most `MOST_PIXELS_ACROSS` wide and high.

    Raises:
        InputError: The file is no image.
    """
    try:
        with PIL.Image.open(path) as stored:
            image = stored.convert("RGBA").convert("RGB")  # palettes with transparency, too
    except OSError as error:
        raise InputError(f"the photograph cannot be read ({error})", where=path.name) from None
    image.thumbnail((MOST_PIXELS_ACROSS, MOST_PIXELS_ACROSS), PIL.Image.Resampling.BOX)
    return np.asarray(image)


_BARE_POINT = re.compile(r"(?<![\d.\w])\.(?=\d)")
"""The file writes -.98 for -0.98, which is not JSON."""

_FILE = re.compile(r"(?P<catalogue>ngc|ic|n|m)[_-]?(?P<number>\d+)(?!\d)", re.IGNORECASE)
_SELECT = (
    "SELECT objects.*, typedesc FROM objects JOIN objTypes USING (type) "
    "WHERE {} AND type NOT IN ('Dup', 'NonEx')"
)


def _object(connection: sqlite3.Connection, name: str, corners: Any) -> sqlite3.Row | None:
    """Return the catalogue's entry of a photograph: by its file's name, else by its place."""
    if match := _FILE.match(name):
        number = int(match["number"])
        if match["catalogue"].lower() == "m":
            where, value = "messier = ?", f"{number:03d}"
        else:
            prefix = "IC" if match["catalogue"].lower() == "ic" else "NGC"
            where, value = "objects.name = ?", f"{prefix}{number:04d}"
        row: sqlite3.Row | None = connection.execute(_SELECT.format(where), (value,)).fetchone()
        if row is not None:
            return row
    return _nearest(connection, corners) if corners else None


def _nearest(connection: sqlite3.Connection, corners: Any) -> sqlite3.Row | None:
    """Return the brightest entry near the centre of a photograph's corners (degrees)."""
    points = np.deg2rad(np.array(corners, dtype=np.float64).reshape(-1, 2))
    vectors = np.stack(
        [np.cos(points[:, 1]) * np.cos(points[:, 0]),
         np.cos(points[:, 1]) * np.sin(points[:, 0]),
         np.sin(points[:, 1])], axis=1
    )  # fmt: skip
    x, y, z = vectors.mean(axis=0).tolist()
    right_ascension, declination = math.atan2(y, x) % (2 * math.pi), math.atan2(z, math.hypot(x, y))
    radius = float(np.ptp(points[:, 1])) / 4 or 1e-3
    width = radius / max(math.cos(declination), 0.05)  # meridians draw together near the poles
    where = "abs(dec - ?) < ? AND abs(ra - ?) < ?"
    row: sqlite3.Row | None = connection.execute(
        _SELECT.format(where) + " ORDER BY min(ifnull(vmag, 99), ifnull(bmag, 99)) LIMIT 1",
        (declination, radius, right_ascension, width),
    ).fetchone()
    return row


def caption(row: Mapping[str, Any] | sqlite3.Row) -> str:
    """Return what the catalogue says of an object: names, kind, constellation, brightness."""
    names = [one.strip() for one in (row["commonnames"] or "").split(",") if one.strip()]
    if row["messier"]:
        names.append(f"Messier {int(row['messier'])}")
    kind = row["typedesc"]
    kind = kind if kind[1:2].isupper() else kind[:1].lower() + kind[1:]  # "HII" stays
    said = [f"{', '.join([*names, row['name']])}: {kind} in {row['const']}"]
    magnitude = row["vmag"] if row["vmag"] is not None else row["bmag"]
    if magnitude is not None:
        said.append(f"magnitude {magnitude:g}")
    if row["majax"] is not None:
        said.append(f"{row['majax']:g} arcminutes across")
    if row["hubble"]:
        said.append(f"Hubble type {row['hubble']}")
    if row["redshift"] is not None:
        said.append(f"redshift {row['redshift']:g}")
    return ", ".join(said)
