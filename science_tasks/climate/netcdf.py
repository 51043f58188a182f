"""Catalogued grids: NetCDF files read from memory."""

import warnings
from typing import TYPE_CHECKING

from kagaku.data.catalogue import Source
from kagaku.errors import InputError

if TYPE_CHECKING:
    import xarray


def dataset(source: Source, key: str) -> "xarray.Dataset":
    """Return a NetCDF file as a Dataset in memory, packed values unpacked, times not decoded.

    Args:
        source: Gives catalogued files.
        key: Which one.

    Raises:
        InputError: It cannot be had, or is no NetCDF file.
    """
    import netCDF4
    import xarray as xr

    content = source(key)
    try:
        with warnings.catch_warnings():
            # Fill values that do not fit a packed variable are no trouble of the user's.
            warnings.simplefilter("ignore")
            with netCDF4.Dataset("in memory", memory=content) as file:
                store = xr.backends.NetCDF4DataStore(file)  # type: ignore[no-untyped-call]
                opened: xarray.Dataset = xr.open_dataset(store, decode_times=False).load()
                return opened
    except OSError as error:
        raise InputError(
            f"the content is no NetCDF file ({error})", fix="Fetch the data set again.", where=key
        ) from None
