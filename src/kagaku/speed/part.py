"""What a part of the speed benchmark is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kagaku.speed.timing import Comparison


@dataclass(frozen=True)
class EsmShape:
    """Sizes of the protein language model; the defaults are those of ESM-2 with 8M weights.

    https://huggingface.co/facebook/esm2_t6_8M_UR50D/blob/main/config.json
    """

    depth: int = 6
    dim: int = 320
    heads: int = 20
    hidden: int = 1_280
    positions: int = 1_026


@dataclass(frozen=True)
class Sizes:
    """How much work each part does; smaller only to see that all works."""

    esm: EsmShape = EsmShape()
    """The protein language model."""

    n_proteins: int = 256
    """Proteins of `embedding` and `profile`."""

    longest: int = 1_022
    """Residues of the longest of them."""

    batch_sizes: tuple[int, ...] = (4, 8, 16, 32, 64)
    """Of the reference, sorted by length."""

    lengths: tuple[int, ...] = (30, 60, 120, 250, 500, 1_000, 2_000, 5_000)
    """Residues, of `lengths`."""

    tokens_per_length: int = 40_000
    """Residues of each point."""

    n_molecules: int = 20_000
    """Rows that are predicted."""

    training_rows: int | None = None
    """Rows of the sample that the predicting run is fitted on; None takes all."""

    n_peptides: tuple[int, ...] = (10_000, 100_000)
    """Sequences of the files that are embedded."""

    warm_steps: int = 3
    """Training steps that are not counted, since kernels are built in them."""

    steps: int = 8
    """Training steps that are."""

    loaded_batches: int = 40
    """Micro-batches that are composed."""

    n_traced: int = 100
    """Values of each modality that are traced."""

    recipe: Path | None = None
    """The pretraining recipe; None takes the shipped one of kagaku-tiny."""


LONG = Sizes(n_molecules=1_000_000, n_peptides=(10_000, 100_000, 1_000_000))
"""What `--long` asks for."""


@dataclass(frozen=True)
class Wishes:
    """What a user asks of the speed benchmark."""

    only: tuple[str, ...] = ()
    """Parts; empty is all."""

    turns: int = 3
    """How often contenders are timed."""

    corpus: Path | None = None
    """A corpus folder, for training and loading."""

    chemprop: Path | None = None
    """A Python that has chemprop."""

    page: Path | None = None
    """A Markdown page whose marked part gets the table."""

    sizes: Sizes = field(default_factory=Sizes)
    """How much work there is."""

    def settings(self) -> dict[str, Any]:
        """Return what decides the figures, as JSON values; a kept part must agree with it."""
        sizes = {name: _plain(value) for name, value in asdict(self.sizes).items()}
        others = {"turns": self.turns, "corpus": self.corpus, "chemprop": self.chemprop}
        return {**{name: _plain(value) for name, value in others.items()}, "sizes": sizes}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class NotRun:
    """A figure that was not measured."""

    name: str
    """What it would be."""

    why: str
    """What was missing."""

    target: str = ""
    """What is aimed at."""


@dataclass(frozen=True)
class Measured:
    """What came of one part."""

    comparisons: tuple[Comparison, ...] = ()
    """What was measured."""

    not_run: tuple[NotRun, ...] = ()
    """What was not."""

    details: Mapping[str, Any] = field(default_factory=dict)
    """More, as JSON values."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "comparisons": [one.to_json() for one in self.comparisons],
            "not_run": [asdict(one) for one in self.not_run],
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Measured":
        """Return what `to_json` wrote."""
        return cls(
            tuple(Comparison.from_json(one) for one in stored["comparisons"]),
            tuple(NotRun(**one) for one in stored["not_run"]),
            stored["details"],
        )


@dataclass(frozen=True)
class Part:
    """One measurement by its name."""

    name: str
    """What ``--only`` calls it."""

    what: str
    """What it measures, in a line."""

    measure: Callable[[Wishes, Path], Measured]
    """Does it, given a scratch folder of its own."""
