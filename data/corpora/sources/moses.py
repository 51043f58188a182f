"""MOSES: drug-like molecules of ZINC, with their test sets held out."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.held_out import HeldOutValue
from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source

TESTS = ("test", "test_scaffolds")


@SOURCES.register("moses")
class Moses(Source):
    """The training molecules of MOSES; its test and scaffold test sets are held out.

    Source: Polykovskiy et al. 2020, https://doi.org/10.3389/fphar.2020.565644
    """

    packages: ClassVar[tuple[Package, ...]] = (
        Package("pip", "molsets", "0.3.1", 52, ("moses/dataset/data/*.csv.gz",)),
    )
    inputs: ClassVar[Mapping[str, str]] = {"molecule": "molecule"}
    licence: ClassVar[str] = "MIT"
    n_about: ClassVar[int] = 1_584_663

    def read(self) -> Iterator[RawSample]:
        """Yield the molecules of the training set."""
        for number, smiles in enumerate(self._column("train")):
            yield RawSample(f"train/{number}", {"molecule": smiles})

    def held_out(self) -> Iterator[HeldOutValue]:
        """Yield the molecules of both test sets."""
        for name in TESTS:
            for smiles in self._column(name):
                yield HeldOutValue(f"MOSES {name}", "molecule", smiles)

    def _column(self, name: str) -> Iterator[str]:
        path = self.file("molsets", f"moses/dataset/data/{name}.csv.gz")
        with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                yield row["SMILES"]
