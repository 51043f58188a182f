"""What a scientific question is: frozen data, so that a reader sees the science and no plumbing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Int

from kagaku.data.catalogue import DOMAINS, Source
from kagaku.errors import InputError
from kagaku.models import Encoder
from kagaku.models.pretraining.stored import Pretrained
from kagaku.models.public import PublicEncoder
from kagaku.registry import did_you_mean
from kagaku.science_tasks.benchmark.measures import COVERAGE, Measure
from kagaku.science_tasks.embedding_memory import EmbeddingMemory
from kagaku.science_tasks.public_embeddings import FrozenEncoder


@runtime_checkable
class Case(Protocol):
    """One official split of a task: what methods learn from, and what they are asked."""

    @property
    def n_train(self) -> int:
        """How many items there are to learn from; 0 for zero-shot questions."""

    @property
    def n_test(self) -> int:
        """How many items are asked: answers have a row for each, in this order."""

    def values(self, part: str) -> Mapping[str, Sequence[Any]]:
        """Return raw values by modality, one per item of a part; None if missing.

        A further column of a modality has its number behind: ``"molecule 2"``.

        Args:
            part: ``"train"`` or ``"test"``.

        The leak audit compares them with each other and with what the weights were trained on.
        """

    def cut(self, n_train: int, n_test: int, seed: int) -> "Case":
        """Return the same case with at most so many items, drawn at random, for a quick look."""


def no_heads() -> Pretrained:
    """Refuse, for a base that is an encoder and nothing more.

    Raises:
        InputError: Always.
    """
    raise InputError(
        "the base has no heads, so it can neither generate nor align",
        fix="Choose a whole pretrained network as base, such as kagaku-tiny.",
    )


@dataclass(frozen=True)
class Context:
    """What a method is given beside the case."""

    encoder: Callable[[], FrozenEncoder]
    """Gives the base that embeddings come from; loaded at the first call."""

    seed: int = 0
    """Fixes whatever is random."""

    work: Path | None = None
    """A folder where finished steps may be kept, so that a stopped run goes on."""

    report: Callable[[int, int, str], None] | None = None
    """Called with (done, total, what)."""

    pretrained: Callable[[], Pretrained] = no_heads
    """Gives the base with the heads that it was pretrained with, for questions that it can answer
    as it is: to generate, or to tell what belongs together.

    Raises:
        InputError: The base has none.
    """

    memory: EmbeddingMemory | None = None
    """Keeps what a base of the suite said of records, for other splits and seeds of a method."""

    def reporter(self, what: str) -> Callable[[int, int], None] | None:
        """Return what reports (done, total) of one kind of work; None where nobody listens."""
        report = self.report
        return None if report is None else lambda done, total: report(done, total, what)

    def own_encoder(self) -> Encoder:
        """Return the base as an encoder of the suite, for methods that look into it or train it.

        Raises:
            InputError: The base is a public model, which is read frozen and whole.
        """
        encoder = self.encoder()
        if isinstance(encoder, PublicEncoder):
            raise InputError(
                f"this method looks into the base, which {encoder.name}, a public model, does not "
                "allow",
                fix="Choose another --base, or methods that read embeddings.",
            )
        return encoder


Method = Callable[[Any, Context], pd.DataFrame]
"""Answers a case: one row per test item, in order, with the columns that measures read. Learns from
the training part only."""


CHOSEN_BY_VALIDATION = "there the validation part is to choose by; ours learn from it too"
"""What differs where a published method had less to learn from than ours."""


@dataclass(frozen=True)
class Published:
    """A score that others have published."""

    model: str
    """What they call their method."""

    measure: str
    """Name of one of the task's measures."""

    value: float
    """The score, in the measure's unit."""

    source: str
    """DOI or public address where it stands."""

    split: str | None = None
    """Which of the task's splits it belongs to; None for the mean over all."""

    differs: str = ""
    """What is not the same there (data, split), so that comparing is not fair; else empty. What is
    uncertain about the figure itself does not belong here."""

    checked: bool = True
    """Whether the figure was compared with its source, or with a text that has it from there;
    False: given from memory."""


@dataclass(frozen=True)
class Task:
    """One scientific question with its data, splits, measures and published answers."""

    name: str
    """What the command line calls it, such as ``"esol"``."""

    domain: str
    """One of `DOMAINS`."""

    question: str
    """What is asked, in one sentence of the field."""

    dataset: str
    """Name of the data set in the catalogue."""

    files: tuple[str, ...]
    """Keys of the catalogued files that it reads."""

    load: Callable[[Source], Mapping[str, Case]]
    """Gives the case of each official split, by the split's name."""

    measures: tuple[Measure, ...]
    """The leading one first. Coverage of intervals is measured wherever answers have them."""

    methods: Mapping[str, Method]
    """By name, everything that can answer, cheapest first."""

    baselines: tuple[str, ...]
    """The methods that are plain baselines: what a careful laboratory would try first."""

    default: tuple[str, ...]
    """The methods that are run if none is named, those in `long` only where that is wanted."""

    for_reference: tuple[str, ...] = ()
    """Methods that know what nobody could, such as the mean of the test years: shown, and never
    said to be better than a baseline."""

    published: tuple[Published, ...] = ()
    """Scores of others."""

    tabulated: Callable[[Source], Sequence[Published]] | None = None
    """Gives further scores of others that stand in a catalogued table."""

    traps: tuple[str, ...] = ()
    """What a reader must know before believing any score here."""

    long: tuple[str, ...] = ()
    """Default methods that are left out unless long ones are wanted: with them a run is expected
    to take more than 20 minutes on two CPU cores."""

    verdict_about: str | None = None
    """The method that is compared with the best plain baseline, where it is not the usual one."""

    seen: str = ""
    """What was seen of the test part's scores before the judged method became what it is, in a
    sentence: its verdict is not blind then, and is counted apart. Empty if nothing was."""

    group: str | None = None
    """A column of the answers whose equal values are resampled together: a gene, a year."""

    symmetries: tuple[str, ...] = ()
    """Of images, the changes that the instrument makes itself and that leave the answer as it is;
    methods may learn from and ask about images so changed, and from no others. Names of
    `microscopy.symmetries.SYMMETRIES`."""

    def __post_init__(self) -> None:
        """Check what a typing error would break late."""
        assert self.domain in DOMAINS, self.domain
        named = {*self.default, *self.baselines, *self.for_reference}
        assert named <= set(self.methods), self.name
        assert set(self.long) < set(self.default), self.name
        assert not set(self.baselines) & set(self.for_reference), self.name
        apart = {*self.baselines, *self.for_reference}
        assert self.verdict_about is None or self.verdict_about in set(self.default) - apart
        names = {one.name for one in self.measures}
        assert {one.measure for one in self.published} <= names, self.name

    def usual(self, *, with_long: bool) -> tuple[str, ...]:
        """Return the methods that are run if none is named."""
        return tuple(one for one in self.default if with_long or one not in self.long)

    @property
    def judged(self) -> str | None:
        """The method that the verdict is about, whatever was run; None if all are baselines.

        It depends on no score: the one that the task names, else ``"auto"`` unless it takes long,
        else the last of the default ones that do not take long, else the last of all default ones;
        plain baselines and what is for reference are never judged.
        """
        if self.verdict_about is not None:
            return self.verdict_about
        apart = {*self.baselines, *self.for_reference}
        found = [one for one in self.default if one not in apart]
        quick = [one for one in found if one not in self.long] or found
        if "auto" in quick:
            return "auto"
        return quick[-1] if quick else None

    @property
    def leading(self) -> Measure:
        """The measure that comparisons are about."""
        return self.measures[0]

    def all_published(self, source: Source) -> tuple[Published, ...]:
        """Return the scores of others, those of catalogued tables included."""
        if self.tabulated is None:
            return self.published
        return (*self.published, *self.tabulated(source))

    def measure(self, name: str) -> Measure:
        """Return one of the measures; raises KeyError for a stranger."""
        return {one.name: one for one in (*self.measures, COVERAGE)}[name]

    def method(self, name: str) -> Method:
        """Return a method.

        Raises:
            InputError: The task has none of that name.
        """
        if name not in self.methods:
            raise InputError(
                f"the task {self.name!r} has no method {name!r}",
                fix=did_you_mean(name, self.methods),
            )
        return self.methods[name]


@dataclass(frozen=True)
class Rows:
    """Which items of a table stand in the parts of an official split."""

    train: Int[np.ndarray, " train"]
    """What methods learn from."""

    test: Int[np.ndarray, " test"]
    """What they are asked; methods never see the answers."""

    valid: Int[np.ndarray, " valid"] | None = None
    """A part that the split sets aside for choosing; our methods choose by cross-validation, so
    it is learnt from too."""

    def learnt(self) -> Int[np.ndarray, " learnt"]:
        """Return training and validation items together."""
        return self.train if self.valid is None else np.concatenate([self.train, self.valid])


class Tasks(Mapping[str, Task]):
    """All registered tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def register(self, *tasks: Task) -> None:
        """File tasks under their names."""
        for one in tasks:
            if one.name in self._tasks:
                raise RuntimeError(f"two tasks claim the name {one.name!r}")
            self._tasks[one.name] = one

    def __getitem__(self, name: str) -> Task:
        if name in self._tasks:
            return self._tasks[name]
        raise InputError(
            f"there is no task named {name!r}", fix=did_you_mean(name, [*self._tasks, *DOMAINS])
        )

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Any:
        return iter(sorted(self._tasks, key=lambda one: (self._tasks[one].domain, one)))

    def __len__(self) -> int:
        return len(self._tasks)

    def chosen(self, name: str) -> list[Task]:
        """Return the task of that name, or all tasks of the domain of that name.

        Raises:
            InputError: It is neither.
        """
        if name in DOMAINS:
            return [self[one] for one in self if self[one].domain == name]
        return [self[name]]


TASKS = Tasks()
