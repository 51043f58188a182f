"""Tokens as they were when checkpoints were trained: if one changes, no checkpoint is right.

If a change is meant, raise the checkpoints' format version and renew the file:

    python tests/modalities/test_golden_tokens.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagaku.data.crystals import Crystal
from kagaku.data.records import Field, Quantity
from kagaku.modalities import MODALITIES, Tokens

GOLDEN = Path(__file__).with_name("golden_tokens.json")
STRIDE = 37
"""Every so many-th real of a token is kept; a patch of an image has a thousand."""


def gradient(rows: int, columns: int, channels: int) -> np.ndarray:
    r, c, k = np.indices((rows, columns, channels))
    pixels: np.ndarray = ((7 * r * r + 13 * c + 29 * k + r * c * k) % 256).astype(np.uint8)
    return pixels


def field(day_of_year: float | None) -> Field:
    values = gradient(5, 6, 2).transpose(2, 0, 1).astype(np.float64)
    values[1, 3, 2] = np.nan
    return Field(
        values=values,
        names=("air_temperature", "lwe_precipitation_rate"),
        units=("K", "mm day-1"),
        latitudes=np.array([-60.0, -30.0, 0.0, 30.0, 60.0]),
        longitudes=np.arange(6) * 60.0 - 180.0,
        day_of_year=day_of_year,
    )


EXAMPLES: dict[str, list[Any]] = {
    "climate": [field(0.1), field(None)],
    "image": [gradient(20, 18, 5), gradient(3, 4, 1).astype(np.uint16), gradient(40, 40, 3) / 7],
    "material": [
        "SrTiO3",
        "Li1.2Mn0.54Ni0.13Co0.13O2",
        "CuSO4\u00b75H2O",
        "SO4^2-",
        Crystal(
            lattice=np.diag([4.0, 4.0, 5.0]),
            species=("Ba", "Sr", "Ti", "O", "O", "O"),
            positions=np.array(
                [
                    [0, 0, 0],
                    [0, 0, 0],
                    [0.5, 0.5, 0.52],
                    [0.5, 0.5, 0],
                    [0.5, 0, 0.5],
                    [0, 0.5, 0.5],
                ]
            ),
            occupancies=np.array([0.7, 0.3, 1, 1, 1, 1]),
        ),
    ],
    "molecule": [
        "[Na+].[O-]C(=O)c1ccc(Br)cc1",
        "N[C@@H](C)C(=O)O",
        "[13CH3]/C=C\\C#N",
        "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    ],
    "nucleotide": ["ATGGCCATTGTAATGGGCCGCTGA", "ACGTRYSWKMBDHVN", "acguacgu", "N"],
    "protein": ["MKTAAVLLPVLLAAPGWYCDEFHIKNQRST", "UOBZJX"],
    "quantity": [
        Quantity("temperature", 25.0, "degC"),
        Quantity("temperature", 350.0, "K"),
        Quantity("pH", 7.4, "pH"),
        Quantity("concentration", 1e-9, "mol/L"),
        Quantity("concentration", 1e-3, "mol/L"),
    ],
    "text": [
        "The mixture was stirred at 298.15 K for 3 h.",
        "sea_surface_temperature [K]\n\tµg/mL, 日本, 🧪, <mask>",
    ],
}


def tokens_of(name: str) -> list[Tokens]:
    modality = MODALITIES[name]()
    checked = [modality.check(value) for value in EXAMPLES[name]]
    modality.fit(checked)
    return [modality.tokenize(value) for value in checked]


def summary(tokens: Tokens) -> dict[str, list[Any]]:
    return {
        "ids": tokens.ids.tolist(),
        "values": tokens.values[:, ::STRIDE].astype(float).round(6).tolist(),
        "positions": tokens.positions.astype(float).round(6).tolist(),
    }


def test_every_modality_has_golden_tokens() -> None:
    assert set(json.loads(GOLDEN.read_text())) == set(EXAMPLES) == set(MODALITIES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_tokens_are_what_they_were(name: str) -> None:
    stored = json.loads(GOLDEN.read_text())[name]
    found = [summary(tokens) for tokens in tokens_of(name)]
    assert len(stored) == len(found)
    for old, new in zip(stored, found, strict=True):
        assert old["ids"] == new["ids"]
        # Sums in another order, as another processor may do them, move the sixth digit.
        np.testing.assert_allclose(new["values"], old["values"], atol=2e-5)
        np.testing.assert_allclose(new["positions"], old["positions"], atol=2e-5)


if __name__ == "__main__":
    renewed = {name: [summary(tokens) for tokens in tokens_of(name)] for name in sorted(EXAMPLES)}
    GOLDEN.write_text(json.dumps(renewed, separators=(",", ":")).replace("}],", "}],\n") + "\n")
