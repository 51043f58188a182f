"""Every example in a docstring gives what it says."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import kagaku

MODULES = [
    found.name
    for found in pkgutil.walk_packages(kagaku.__path__, prefix="kagaku.")
    # Importing it runs the command.
    if found.name != "kagaku.__main__"
]
WITH_EXAMPLES = [
    name
    for name in MODULES
    if (spec := importlib.util.find_spec(name)) is not None
    and spec.origin is not None
    and ">>> " in Path(spec.origin).read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
