"""Reading whatever file a laboratory has: a table or a grid, told by its ending."""

from pathlib import Path

from kagaku.data.grids import Grid, read_grid
from kagaku.data.opening import find_file
from kagaku.data.suffixes import GRID_SUFFIXES
from kagaku.data.table import Table
from kagaku.data.tables import read_table


def read(path: str | Path, *, is_unlabelled: bool = False) -> Table | Grid:
    """Return the table or grid in a file or folder.

    Args:
        path: As in `read_table`, or of NetCDF or Zarr.
        is_unlabelled: See `read_tables`.

    Raises:
        InputError: It cannot be read; says why and how to mend it.
    """
    if is_grid(find_file(path)):
        return read_grid(path)
    return read_table(path, is_unlabelled=is_unlabelled)


def is_grid(path: Path) -> bool:
    """Return whether a path names a NetCDF file or a Zarr store."""
    if path.suffix.lower() in GRID_SUFFIXES:
        return True
    return path.is_dir() and any(
        (path / marker).exists() for marker in (".zgroup", ".zmetadata", "zarr.json")
    )
