"""Inorganic compounds with computed transport properties."""

import csv
import io
import math
import tarfile
from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.records import Quantity

PROPERTIES = {"S_p": "Seebeck coefficient, p-type", "S_n": "Seebeck coefficient, n-type"}
"""By column, the property. Of the conductivities, power factors and effective masses in the table
the package tells no units, so they are left out."""

UNIT = "uV/K"


@SOURCES.register("transport-properties")
class TransportProperties(Source):
    """Compositions of the Materials Project with Seebeck coefficients from band structures.

    Source: Ricci et al. 2017, https://doi.org/10.1038/sdata.2017.85
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package(
            "pip",
            "matminer",
            "0.10.1",
            6,
            ("matminer/utils/data_files/mp_transport/transport_database.tar.xz",),
        ),
    )
    inputs: ClassVar[Mapping[str, str]] = {
        "material": "material",
        **dict.fromkeys(PROPERTIES.values(), "quantity"),
    }
    licence: ClassVar[str] = "BSD (matminer)"
    n_about: ClassVar[int] = 47_737

    def read(self) -> Iterator[RawSample]:
        """Yield the compounds, with those properties that are numbers."""
        path = self.file("matminer", "matminer/utils/data_files/mp_transport/*.tar.xz")
        with tarfile.open(path, "r:xz") as archive:
            stream = archive.extractfile("transport_database.csv")
            assert stream is not None  # the archive holds this one file
            for row in csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline="")):
                found = {
                    name: Quantity(name, float(row[column]), UNIT)
                    for column, name in PROPERTIES.items()
                    if row[column] and math.isfinite(float(row[column]))
                }
                yield RawSample(row["mp_id"], {"material": row["pretty_formula"], **found})
