"""Simulates global weather with SPEEDY, and writes a NetCDF file per segment of days.

Run by itself, in an environment that has jcm 3.0.0 and its own dependencies:

    python simulate_speedy.py FOLDER

SPEEDY (Molteni 2003, https://doi.org/10.1007/s00382-002-0268-2) is a general circulation model of
intermediate complexity; jcm is its rewriting in JAX. Resolution T31, 96 x 48 cells, 8 levels, with
the terrain and the climatology of sea and land that the package brings, so nothing is downloaded.

Each segment starts at rest on another day of the year, and its first days are thrown away. Segments
do not depend on each other: one that is there is not made again, so a stopped program goes on.
"""

import sys
from pathlib import Path
from typing import Any

N_SEGMENTS = 8
"""Segments; their starts are spread over the year."""

SPIN_UP_DAYS, DAYS = 20, 40
"""Days until the atmosphere has found its climate, thrown away; and days that are kept."""

HOURS = 6
"""Between two fields."""

NAMES = {
    "surface_flux.t0": ("air_temperature", "K"),
    "surface_flux.u0": ("eastward_wind", "m s-1"),
    "surface_flux.v0": ("northward_wind", "m s-1"),
}
"""By jcm's name, the CF standard name and unit; all near the surface."""


def segment_file(number: int) -> str:
    """Return the name of a segment's file."""
    return f"segment-{number:02d}.nc"


def start_day(number: int) -> int:
    """Return the day of the year, from 0, at which a segment starts."""
    return number * 365 // N_SEGMENTS


def main(folder: Path) -> None:
    """Simulate every segment that is not there yet."""
    import jcm
    import numpy as np
    from jcm.forcing import ForcingData
    from jcm.model import Model
    from jcm.physics.speedy.speedy_coords import get_speedy_coords
    from jcm.terrain import TerrainData

    given = Path(jcm.__file__).parent / "data" / "bc" / "t30" / "clim"
    coords = get_speedy_coords()
    terrain = TerrainData.from_file(str(given / "terrain.nc"), coords)
    forcing = ForcingData.from_file(
        str(given / "forcing.nc"), coords, align_mode="wrap_year", validate=True
    )
    for number in range(N_SEGMENTS):
        path = folder / segment_file(number)
        if path.exists():
            continue
        start = np.datetime64("2001-01-01") + np.timedelta64(start_day(number), "D")
        model = Model(coords=coords, terrain=terrain, start_time=str(start))
        made = model.run(
            forcing=forcing, save_interval=HOURS / 24, total_time=float(SPIN_UP_DAYS + DAYS)
        )
        write(made.to_xarray(), path)
        print(f"segment {number + 1} of {N_SEGMENTS}", flush=True)  # noqa: T201


def write(dataset: Any, path: Path) -> None:
    """Write the named variables of the kept days, (time, lat, lon), through a temporary name."""
    kept = dataset[list(NAMES)].isel(time=slice(SPIN_UP_DAYS * 24 // HOURS, None)).load()
    for name, (standard, unit) in NAMES.items():
        kept[name].attrs = {"standard_name": standard, "units": unit}
    kept = kept.rename({name: standard for name, (standard, _) in NAMES.items()})
    kept = kept.drop_vars([name for name in kept.coords if name not in ("time", "lat", "lon")])
    kept.attrs = {"source": "SPEEDY T31L8 through jcm"}
    kept["lat"].attrs["units"], kept["lon"].attrs["units"] = "degrees_north", "degrees_east"
    partial = path.with_name(f"{path.name}.partial")
    kept.transpose("time", "lat", "lon").sortby("lat").to_netcdf(
        partial, encoding={name: {"zlib": True, "complevel": 4} for name in kept.data_vars}
    )
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
