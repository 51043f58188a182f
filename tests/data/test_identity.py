"""Which records are the same sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from kagaku.data import Field, Input, Quantity, Records, Schema, identity_keys


def keys_of(modality: str, values: list[object]) -> list[str]:
    schema = Schema((Input("x", "x", modality),))
    rows = np.arange(len(values))
    return identity_keys(Records(schema, {"x": values}, {}, rows, "lab.csv"))


def test_sequences_are_compared_by_residues() -> None:
    first, second, third = keys_of("protein", ["MKT AAV*", "mktaav", "MKTAAL"])
    assert first == second != third


def test_quantities_are_compared_in_base_units() -> None:
    first, second, third = keys_of(
        "quantity",
        [Quantity("t", 25.0, "degC"), Quantity("t", 298.15, "K"), Quantity("t", 25.0, "K")],
    )
    assert first == second != third


def test_images_are_compared_by_their_bytes(tmp_path: Path) -> None:
    paths: list[object] = []
    for name, content in [("a.png", b"1"), ("b.png", b"1"), ("c.png", b"2")]:
        (tmp_path / name).write_bytes(content)
        paths.append(tmp_path / name)
    first, second, third = keys_of("image", paths)
    assert first == second != third


def test_fields_are_compared_by_values_and_place() -> None:
    field = Field(np.ones((1, 2, 2)), ("t",), ("K",), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    moved = replace(field, latitudes=np.array([5.0, 6.0]))
    later = replace(field, time=3.0)
    first, second, third = keys_of("climate", [field, later, moved])
    assert first == second != third


def test_all_inputs_count_and_missing_ones_are_no_wildcards() -> None:
    schema = Schema((Input("x", "x", "text"), Input("t", "t", "text")))
    inputs: dict[str, list[object]] = {
        "x": ["a", "a", "a", None, None],
        "t": ["1", "1", None, None, None],
    }
    keys = identity_keys(Records(schema, inputs, {}, np.arange(5), "lab.csv"))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_long_texts_have_short_keys() -> None:
    first, second = keys_of("text", ["word " * 1000, "word " * 999])
    assert first != second
    assert len(first) < 50


def test_images_in_memory_are_told_apart_by_their_pixels() -> None:
    dark, light = np.zeros((4, 4, 1), np.uint8), np.ones((4, 4, 1), np.uint8)
    schema = Schema(inputs=(Input("image", "image", "image"),))
    records = Records(schema, {"image": [dark, light, dark.copy()]}, {}, np.arange(3), "made")
    first, second, third = identity_keys(records)
    assert first == third != second
