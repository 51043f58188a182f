"""Building a corpus: read, clean, select, write; what is finished is kept for the next try."""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from kagaku.data.corpora.cleaning import (
    CleaningTask,
    Partition,
    SampleTools,
    clean_partition,
    load_partition,
)
from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.coverage import spans_of
from kagaku.data.corpora.encoding import sample_id
from kagaku.data.corpora.held_out import (
    NOT_HELD_OUT,
    HeldOut,
    HeldOutTask,
    HeldOutValue,
    hold_out,
    in_pieces,
    load_held_out,
)
from kagaku.data.corpora.manifest import TRAIN, VALID, Manifest, SourceInfo
from kagaku.data.corpora.raw import Deferred, RawSample
from kagaku.data.corpora.scaling import DescriptorSample
from kagaku.data.corpora.selection import (
    TRAINING,
    VALIDATION,
    Seen,
    Selection,
    ValidRule,
    select,
)
from kagaku.data.corpora.shards import EncodedSample, write_shards
from kagaku.data.corpora.storage import HELD_OUT, MANIFEST, load_manifest, save_manifest
from kagaku.data.corpora.trained_on import TRAINED_ON_FILE, Collector
from kagaku.data.whole_files import write_json
from kagaku.errors import InputError

PARTITION_BYTES = 4_000_000
"""About how much raw data one partition holds; as much as a scheduler likes to pass on."""

PARTITION_SAMPLES = 2_000
"""Most samples of one partition: some seconds of work."""

DEFERRED_BYTES = 20_000
"""What a value counts that the worker has to make: it costs more than its size."""

CODE_VERSION = 2
"""Raised by one whenever cleaning, keys or selection would give another corpus."""

HELD_OUT_PIECE = 5_000
"""Held-out values per task."""

MOST_OPEN_PARTITIONS = 256
"""Partitions that are open at once while shards are written."""

PLAN = "plan.json"
"""What a folder was built from."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Progress = Callable[[int, int, str], None]


@runtime_checkable
class Runner(Protocol):
    """Runs a function on tasks, here or on a cluster, with few of them in memory at a time."""

    def __call__(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results in any order."""


def run_here(function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Run tasks one after the other in this process."""
    return (function(task) for task in tasks)


@dataclass(frozen=True)
class SourcePlan:
    """One source to be read."""

    name: str
    """The word for it in the corpus."""

    inputs: dict[str, str]
    """By input name, its modality."""

    origin: str
    """See `SourceInfo.origin`."""

    version: str
    """See `SourceInfo.version`."""

    licence: str
    """See `SourceInfo.licence`."""

    read: Callable[[], Iterator[RawSample]]
    """Yields its samples, always in the same order."""

    most: int | None = None
    """Most samples to take; a random choice, fixed by the corpus' seed. None takes all."""

    n_about: int = 0
    """About how many samples there are, for the time left; 0 where nobody knows."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what its cleaned partitions depend on."""
        names = ("name", "inputs", "origin", "version", "most")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CorpusPlan:
    """Everything that decides what a corpus will be."""

    name: str
    """What the corpus is called."""

    seed: int
    """Fixes every random choice."""

    sources: tuple[SourcePlan, ...]
    """In the order in which duplicates are kept: earlier ones win."""

    held_out: Callable[[], Iterator[HeldOutValue]]
    """Yields what must not be trained on."""

    held_out_version: str
    """Changes whenever ``held_out`` would yield other values."""

    valid_share: Mapping[str, float]
    """By the modality of a source's first input, the share that is kept for validation."""

    most_valid: int
    """Most validation samples per source."""

    shard_bytes: int
    """About how large a shard is."""

    notes: tuple[str, ...] = ()
    """See `Manifest.notes`."""

    def fingerprint(self, tools: SampleTools) -> dict[str, Any]:
        """Return what the finished corpus depends on, as plain JSON values."""
        return {
            "name": self.name,
            "seed": self.seed,
            "sources": [one.fingerprint() | {"licence": one.licence} for one in self.sources],
            "held_out": self.held_out_version,
            "valid_share": dict(self.valid_share),
            "most_valid": self.most_valid,
            "shard_bytes": self.shard_bytes,
            "tools": tools.version,
            "code": CODE_VERSION,
        }


def build_corpus(
    plan: CorpusPlan, folder: Path, tools: SampleTools, run: Runner, progress: Progress
) -> Manifest:
    """Build a corpus into a folder and return its manifest.

    Work happens in a folder beside it, with ``.building`` behind its name; the finished corpus is
    renamed. Stopped at any moment, the same call goes on, and gives the same bytes.

    Args:
        plan: What to build.
        folder: Where the corpus shall lie; must not exist, or hold this very corpus.
        tools: What checks, counts and describes samples.
        run: Runs cleaning on partitions.
        progress: Called with samples done, samples expected, and the source's name.

    Raises:
        InputError: The folder holds something else, or no sample of a source is left.
    """
    told = plan.fingerprint(tools)
    if folder.exists():
        return _finished(folder, told)
    work = folder.with_name(folder.name + ".building")
    work.mkdir(parents=True, exist_ok=True)
    held_out = _held_out(plan, work, tools, run, progress)
    out = work / "corpus"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    seen, scale = Seen(), DescriptorSample(tools.descriptor_names)
    taught = Collector()
    sources, removed = [], []
    for source in plan.sources:
        paths = _cleaned(source, plan.seed, work, tools, run, progress)
        partitions = [load_partition(path) for path in paths]
        share = plan.valid_share[next(iter(source.inputs.values()))]
        rule = ValidRule(plan.seed, share, plan.most_valid)
        if not sum(len(one.keys) for one in partitions):
            raise InputError(
                f"no sample of {source.name!r} could be read as {source.inputs}",
                fix="Check the source's file and the modalities of its inputs.",
                where=source.origin,
            )
        chosen = select(partitions, source.inputs, held_out, seen, rule, work / "signatures.npy")
        scale.add(partitions, chosen.fate)
        removed += _removed(chosen, paths, partitions, held_out)
        _teach(taught, source, partitions, chosen)
        sources.append(_written(source, plan, out, paths, partitions, chosen))
    manifest = Manifest(
        name=plan.name,
        seed=plan.seed,
        sources=tuple(sources),
        descriptors=scale.scale(),
        held_out=_counts(removed, held_out),
        notes=plan.notes,
    )
    _write_held_out(removed, out / HELD_OUT)
    write_json(told, out / PLAN)
    save_manifest(manifest, out)
    taught.trained_on(spans_of(Corpus.open(out))).save(out / TRAINED_ON_FILE)
    out.replace(folder)
    shutil.rmtree(work)
    return manifest


def _finished(folder: Path, told: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a folder that holds the corpus already.

    Raises:
        InputError: It holds something else.
    """
    if (folder / MANIFEST).is_file() and (folder / PLAN).is_file():
        if json.loads((folder / PLAN).read_text(encoding="utf-8")) == json.loads(json.dumps(told)):
            return load_manifest(folder)
        what = "the folder holds a corpus that was built from another recipe or other packages"
    else:
        what = "the folder exists and holds no corpus"
    raise InputError(what, fix="Name another folder, or remove this one.", where=str(folder))


def _digest(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def _held_out(
    plan: CorpusPlan, work: Path, tools: SampleTools, run: Runner, progress: Progress
) -> HeldOut:
    """Return the index of everything that must not be trained on."""
    told = {"held_out": plan.held_out_version, "tools": tools.version, "code": CODE_VERSION}
    digest = _digest(told)
    folder = work / f"held-out-{digest}"
    folder.mkdir(exist_ok=True)
    paths = []

    def tasks() -> Iterator[HeldOutTask]:
        for number, values in enumerate(in_pieces(plan.held_out(), HELD_OUT_PIECE)):
            paths.append(folder / f"{number:06d}.npz")
            if not paths[-1].is_file():
                yield HeldOutTask(values, paths[-1])

    for _ in run(partial(hold_out, tools=tools), tasks()):
        done = len(paths) * HELD_OUT_PIECE  # those that wait at the workers included
        progress(done, done, "held-out values")
    return load_held_out(paths)


def _cleaned(
    source: SourcePlan,
    seed: int,
    work: Path,
    tools: SampleTools,
    run: Runner,
    progress: Progress,
) -> list[Path]:
    """Return the paths of a source's cleaned partitions, in order."""
    told = {"seed": seed, "tools": tools.version, "code": CODE_VERSION}
    digest = _digest(source.fingerprint() | told)
    folder = work / f"{source.name}-{digest}"
    folder.mkdir(exist_ok=True)
    chosen, expected = _choice(source, seed)
    paths: list[Path] = []
    sizes: dict[int, int] = {}

    def tasks() -> Iterator[CleaningTask]:
        for first, samples in _partitions(source.read(), chosen):
            number = len(paths)
            paths.append(folder / f"{number:06d}")
            sizes[number] = len(samples)
            if not paths[-1].with_suffix(".npz").is_file():
                yield CleaningTask(source.name, source.inputs, number, first, samples, paths[-1])
            else:
                finished.append(number)

    finished: list[int] = []
    for number in run(partial(clean_partition, tools=tools), tasks()):
        finished.append(number)
        done = sum(sizes[one] for one in finished)
        progress(done, max(expected, sum(sizes.values())), source.name)
    return paths


def _choice(source: SourcePlan, seed: int) -> tuple[np.ndarray | None, int]:
    """Return (which reading numbers are taken or None for all, how many; 0 if unknown)."""
    if source.most is None:
        return None, source.n_about
    total = sum(1 for _ in source.read())
    if total <= source.most:
        return None, total
    digest = hashlib.sha256(source.name.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:4], "little")])
    taken = np.zeros(total, dtype=bool)
    taken[rng.choice(total, source.most, replace=False)] = True
    return taken, source.most


def _partitions(
    samples: Iterator[RawSample], chosen: np.ndarray | None
) -> Iterator[tuple[int, list[RawSample]]]:
    """Yield (number of the first sample, samples) of partitions of a handy size."""
    piece: list[RawSample] = []
    size, start, number = 0, 0, 0
    for place, sample in enumerate(samples):
        if chosen is not None and not chosen[place]:
            continue
        piece.append(sample)
        number += 1
        size += sum(_size(value) for value in sample.inputs.values())
        if len(piece) >= PARTITION_SAMPLES or size >= PARTITION_BYTES:
            yield start, piece
            piece, size, start = [], 0, number
    if piece:
        yield start, piece


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    pixels = getattr(value, "values", value)
    if isinstance(pixels, np.ndarray):
        return int(pixels.nbytes)
    return DEFERRED_BYTES if isinstance(value, Path | Deferred) else 100


def _written(
    source: SourcePlan,
    plan: CorpusPlan,
    out: Path,
    paths: list[Path],
    partitions: list[Partition],
    chosen: Selection,
) -> SourceInfo:
    """Write a source's shards and return what the manifest says of it."""
    lengths = np.concatenate([one.lengths for one in partitions])
    shards = {
        part: write_shards(
            _in_order(paths, partitions, chosen.fate == fate, plan.seed),
            out,
            f"{source.name}-{part}",
            plan.shard_bytes,
        )
        for part, fate in ((TRAIN, TRAINING), (VALID, VALIDATION))
    }
    return SourceInfo(
        name=source.name,
        origin=source.origin,
        version=source.version,
        licence=source.licence,
        inputs=source.inputs,
        steps=chosen.steps,
        n_tokens=int(lengths[chosen.fate == TRAINING].sum()),
        train=shards[TRAIN],
        valid=shards[VALID],
    )


def _teach(
    taught: Collector, source: SourcePlan, partitions: list[Partition], chosen: Selection
) -> None:
    """Add the fingerprints of a source's training samples."""
    taken = np.split(chosen.fate == TRAINING, np.cumsum([len(one.keys) for one in partitions])[:-1])
    taught.add(
        list(source.inputs.values()),
        np.concatenate([one.kin[rows] for one, rows in zip(partitions, taken, strict=True)]),
        (one.signatures()[rows] for one, rows in zip(partitions, taken, strict=True)),
    )


def _in_order(
    paths: list[Path], partitions: list[Partition], taken: np.ndarray, seed: int
) -> Iterator[EncodedSample]:
    """Yield the samples that are taken, shuffled."""
    starts = np.cumsum([0, *(len(one.keys) for one in partitions)])

    @lru_cache(maxsize=MOST_OPEN_PARTITIONS)
    def opened(number: int) -> tuple[np.ndarray, np.ndarray]:
        members = np.memmap(paths[number].with_suffix(".tar"), dtype=np.uint8, mode="r")
        return members, partitions[number].descriptors()

    for place in np.random.default_rng(seed).permutation(np.flatnonzero(taken)).tolist():
        number = int(np.searchsorted(starts, place, side="right")) - 1
        one, within = partitions[number], place - int(starts[number])
        start, stop = int(one.offsets[within]), int(one.offsets[within + 1])
        members, descriptors = opened(number)
        yield EncodedSample(
            members[start:stop].tobytes(),
            one.lengths[within],
            np.array(descriptors[within]) if descriptors.shape[1] else None,
        )


def _removed(
    chosen: Selection, paths: list[Path], partitions: list[Partition], held_out: HeldOut
) -> list[tuple[str, str]]:
    """Return (sample's id, set's name) of the samples that were removed as held out."""
    found = []
    start = 0
    for path, one in zip(paths, partitions, strict=True):
        places = np.flatnonzero(chosen.found_in[start : start + len(one.keys)] != NOT_HELD_OUT)
        if len(places):
            content = np.memmap(path.with_suffix(".tar"), dtype=np.uint8, mode="r")
            for place in places.tolist():
                span = content[int(one.offsets[place]) : int(one.offsets[place + 1])].tobytes()
                name = held_out.sets[int(chosen.found_in[start + place])]
                found.append((sample_id(span), name))
        start += len(one.keys)
    return found


def _counts(removed: list[tuple[str, str]], held_out: HeldOut) -> dict[str, int]:
    counts = dict.fromkeys(held_out.sets, 0)
    for _, name in removed:
        counts[name] += 1
    return counts


def _write_held_out(removed: list[tuple[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sample", "held_out_set"])
        writer.writerows(removed)
