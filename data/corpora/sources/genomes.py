"""Whole genomes of bacteria, cut into windows."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from kagaku.data.corpora.raw import RawSample
from kagaku.data.corpora.sources.base import SOURCES, Package, Source
from kagaku.data.opening import open_bytes, text_lines

WINDOW = 1_530
"""Bases of a sample: with three a token, start and end, 512 tokens."""

BLOCK_WINDOWS = 64
"""Windows in a row that are not torn between training and validation: about 98,000 bases."""

_RAGOUT = Package(
    "apt",
    "ragout-examples",
    "2.3-4",
    19,
    ("usr/share/doc/ragout/examples/*/references/*.fasta.gz",),
    "deb",
)


@SOURCES.register("bacterial-genomes")
class BacterialGenomes(Source):
    """Sixteen genomes of four species: E. coli, H. pylori, S. aureus and V. cholerae.

    Strains of a species share most of their sequence, in other windows. So a validation window may
    have a relative among the training windows.
    """

    packages: ClassVar[tuple[Package, ...]] = (_RAGOUT,)
    inputs: ClassVar[Mapping[str, str]] = {"nucleotide": "nucleotide"}
    licence: ClassVar[str] = "BSD-3-Clause as packaged; sequences from GenBank and RefSeq"
    n_about: ClassVar[int] = 31_500

    def read(self) -> Iterator[RawSample]:
        """Yield the windows of each replicon, side by side, the last one where it is a tenth."""
        from Bio.SeqIO.FastaIO import SimpleFastaParser

        for path in sorted(self.folders[_RAGOUT.key].glob(_RAGOUT.files[0])):
            species, strain = path.parent.parent.name, path.name.partition(".")[0]
            with open_bytes(path) as stream:
                entries = SimpleFastaParser(text_lines(stream, path.name))
                for number, (_, sequence) in enumerate(entries, start=1):
                    name = f"{species}/{strain}/{number}"
                    for place, start in enumerate(range(0, len(sequence), WINDOW)):
                        window = sequence[start : start + WINDOW]
                        if len(window) >= WINDOW // 10:
                            block = f"{name}/{place // BLOCK_WINDOWS}"
                            yield RawSample(f"{name}/{start}", {"nucleotide": window}, (block,))
