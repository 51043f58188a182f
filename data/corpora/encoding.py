"""One sample as tar members: JSON for strings and numbers, .npy or .png for arrays.

The members are what plain webdataset expects: one key per sample, the rest of the name tells what
a member holds. Times, owners and modes are fixed, so equal samples give equal bytes.
"""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import Float

from kagaku.data.corpora.sample import CorpusSample
from kagaku.data.crystals import Crystal
from kagaku.data.records import Field, Quantity

BLOCK = 512
"""Bytes of a tar header; contents are filled up to a multiple of it.
Source: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar)"""

END_OF_TAR = bytes(2 * BLOCK)
"""Two empty blocks end an archive."""

_NAME, _SIZE = slice(0, 100), slice(124, 135)
_PNG_CHANNELS = {1, 3}


def encode_sample(key: str, sample_id: str, source: str, inputs: Mapping[str, Any]) -> bytes:
    """Return the tar members of one sample.

    Args:
        key: Name of its members before the first dot; has no dot itself.
        sample_id: See `CorpusSample.id`.
        source: See `CorpusSample.source`.
        inputs: Checked values by input name; no path among them.
    """
    assert "." not in key
    told: dict[str, Any] = {}
    arrays: list[tuple[str, bytes]] = []
    for name, value in inputs.items():
        if isinstance(value, str):
            told[name] = value
        elif isinstance(value, Quantity):
            told[name] = {"quantity": [value.name, value.value, value.unit]}
        elif isinstance(value, Crystal):
            told[name] = {"crystal": _told_crystal(value)}
        elif isinstance(value, Field):
            told[name] = {"field": _told_field(value)}
            arrays.append((f"{name}.npy", _npy(np.asarray(value.values, dtype=np.float32))))
        else:
            form, content = _image(np.asarray(value))
            told[name] = {"image": form}
            arrays.append((f"{name}.{form}", content))
    text = json.dumps(
        {"id": sample_id, "source": source, "inputs": told},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    members = [("json", text.encode()), *arrays]
    return b"".join(_member(f"{key}.{ending}", content) for ending, content in members)


def decode_sample(
    span: bytes, descriptors: Float[np.ndarray, " descriptor"] | None = None
) -> CorpusSample:
    """Return the sample whose members these are; the opposite of `encode_sample`."""
    size = int(span[_SIZE], 8)
    told = json.loads(span[BLOCK : BLOCK + size])
    inputs = told["inputs"]
    if len(span) > BLOCK + _filled(size):
        arrays = _arrays(span, BLOCK + _filled(size))
        for name, value in inputs.items():
            if not isinstance(value, str):
                inputs[name] = _decode_value(value, arrays.get(name))
    else:
        for name, value in inputs.items():
            if not isinstance(value, str):
                inputs[name] = _decode_value(value, None)
    return CorpusSample(told["id"], told["source"], inputs, descriptors)


def sample_id(span: bytes) -> str:
    """Return the id of the sample whose members these are."""
    size = int(span[_SIZE], 8)
    found: str = json.loads(span[BLOCK : BLOCK + size])["id"]
    return found


def _decode_value(told: dict[str, Any], array: np.ndarray | None) -> Any:
    if "quantity" in told:
        name, value, unit = told["quantity"]
        return Quantity(name, value, unit)
    if "crystal" in told:
        crystal = told["crystal"]
        return Crystal(
            lattice=np.array(crystal["lattice"], dtype=np.float64),
            species=tuple(crystal["species"]),
            positions=np.array(crystal["positions"], dtype=np.float64),
            occupancies=np.array(crystal["occupancies"], dtype=np.float64),
        )
    assert array is not None
    if "image" in told:
        return array
    stored = told["field"]
    return Field(
        values=array,
        names=tuple(stored["names"]),
        units=tuple(stored["units"]),
        latitudes=np.array(stored["latitudes"], dtype=np.float64),
        longitudes=np.array(stored["longitudes"], dtype=np.float64),
        time=stored["time"],
        day_of_year=stored["day_of_year"],
    )


def _told_crystal(crystal: Crystal) -> dict[str, Any]:
    return {
        "lattice": crystal.lattice.tolist(),
        "species": list(crystal.species),
        "positions": crystal.positions.tolist(),
        "occupancies": crystal.occupancies.tolist(),
    }


def _told_field(field: Field) -> dict[str, Any]:
    return {
        "names": list(field.names),
        "units": list(field.units),
        "latitudes": np.asarray(field.latitudes, dtype=np.float64).tolist(),
        "longitudes": np.asarray(field.longitudes, dtype=np.float64).tolist(),
        "time": field.time,
        "day_of_year": field.day_of_year,
    }


def _image(pixels: np.ndarray) -> tuple[str, bytes]:
    """Return (ending, content): PNG for what a photograph can be, else the array itself."""
    if pixels.dtype != np.uint8 or pixels.shape[2] not in _PNG_CHANNELS:
        return "npy", _npy(pixels)
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return "png", stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _arrays(span: bytes, start: int) -> dict[str, np.ndarray]:
    """Return the arrays of the members from ``start`` on, by input name."""
    found = {}
    while start < len(span):
        name = span[start : start + BLOCK][_NAME].rstrip(b"\0").decode()
        size = int(span[start : start + BLOCK][_SIZE], 8)
        content = io.BytesIO(span[start + BLOCK : start + BLOCK + size])
        _, told, form = name.split(".", 2) if name.count(".") == 2 else (*name.split("."), "")
        if form == "png":
            with PIL.Image.open(content) as picture:
                pixels = np.asarray(picture)
            found[told] = pixels if pixels.ndim == 3 else pixels[:, :, None]
        else:
            found[told] = np.load(content, allow_pickle=False)
        start += BLOCK + _filled(size)
    return found


def _filled(size: int) -> int:
    """Return the size of a content with what fills its last block."""
    return -(-size // BLOCK) * BLOCK


def _member(name: str, content: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o644, 0
    header = info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    return header + content + bytes(_filled(len(content)) - len(content))
