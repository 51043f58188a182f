"""The numbers under which an index knows the values of a corpus."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kagaku.data.corpora.corpus import Corpus


@dataclass(frozen=True)
class Stretch:
    """The values of one input of one source, numbered without a gap."""

    source: str
    """Name of the source."""

    input: str
    """Name of the input."""

    first: int
    """Number of its first training sample's value."""

    n_samples: int
    """How many there are."""


@dataclass(frozen=True)
class Entries:
    """All values of one modality, in the order of the manifest."""

    stretches: tuple[Stretch, ...]
    """Source by source, input by input."""

    def __len__(self) -> int:
        return sum(one.n_samples for one in self.stretches)

    def place(self, entry: int) -> tuple[Stretch, int]:
        """Return the stretch of an entry, and the number of its sample in the source."""
        firsts = [one.first for one in self.stretches]
        stretch = self.stretches[bisect_right(firsts, entry) - 1]
        return stretch, entry - stretch.first


def entries_of(corpus: Corpus, modalities: Sequence[str]) -> dict[str, Entries]:
    """Return the entries of each modality; without those that the corpus does not have."""
    found = {}
    for modality in modalities:
        stretches: list[Stretch] = []
        first = 0
        for source in corpus.manifest.sources:
            n_samples = corpus.n_samples(source.name)
            for name, kind in source.inputs.items():
                if kind == modality and n_samples:
                    stretches.append(Stretch(source.name, name, first, n_samples))
                    first += n_samples
        if stretches:
            found[modality] = Entries(tuple(stretches))
    return found
