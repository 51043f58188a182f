"""A GRIB file of one variable decoded to a NumPy archive, for machines without a GRIB reader."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

import numpy as np

from kagaku.data.catalogue.dataset import DataFile
from kagaku.errors import InputError


def decoded_grib(file: DataFile, fetch: Callable[[str], bytes]) -> bytes:
    """Return ``t2m`` (time lat lon, K), ``time_yyyymmddhh``, ``lat`` and ``lon`` as an npz archive.

    Args:
        file: Its source is the GRIB file.
        fetch: Gives it.

    Raises:
        InputError: ecCodes is not installed.
    """
    try:
        import eccodes
    except (ImportError, RuntimeError):
        raise InputError(
            "it is decoded from a GRIB file, which needs ecCodes",
            fix='Install it with: pip install "kagaku[grib]".',
            where=file.key,
        ) from None
    fields: list[np.ndarray] = []
    hours: list[int] = []
    axes: tuple[np.ndarray, np.ndarray] = (np.empty(0), np.empty(0))
    with _stored(fetch(file.sources[0])) as stream:
        while (message := eccodes.codes_grib_new_from_file(stream)) is not None:
            lat = np.asarray(eccodes.codes_get_array(message, "distinctLatitudes"))
            lon = np.asarray(eccodes.codes_get_array(message, "distinctLongitudes"))
            axes = (lat, lon)
            values = eccodes.codes_get_values(message).reshape(len(lat), len(lon))
            fields.append(values.astype(np.float32))
            date, time = (eccodes.codes_get(message, name) for name in ("dataDate", "dataTime"))
            hours.append(date * 100 + time // 100)
            eccodes.codes_release(message)
    archive = io.BytesIO()
    np.savez_compressed(
        archive,
        t2m=np.array(fields),
        time_yyyymmddhh=np.array(hours, np.int64),
        lat=axes[0].astype(np.float32),
        lon=axes[1].astype(np.float32),
    )
    return archive.getvalue()


@contextmanager
def _stored(content: bytes) -> Iterator[object]:
    """Give the content as a file of the operating system, which ecCodes needs."""
    with TemporaryFile() as stream:
        stream.write(content)
        stream.seek(0)
        yield stream
