"""The room's front: every public name is there, and naming the room loads nothing heavy."""

import subprocess
import sys

import pytest

import kagaku.data


def test_every_public_name_can_be_had() -> None:
    for name in kagaku.data.__all__:
        assert getattr(kagaku.data, name) is not None
    assert set(kagaku.data.__all__) <= set(dir(kagaku.data))


def test_a_stranger_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'read_tabel'"):
        kagaku.data.read_tabel  # noqa: B018


def test_importing_the_room_loads_nothing_heavy_and_reading_no_torch() -> None:
    code = (
        "import sys, kagaku.data\n"
        "heavy = {'pandas', 'torch', 'rdkit', 'xarray', 'pint'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from kagaku.data import *\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
