"""Building a corpus: read, clean, select, write; what is finished is kept for the next try."""

import csv
import json
import shutil
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from kagaku.data.corpora.cleaning import (
    Partition,
    SampleTools,
    load_partition,
)
from kagaku.data.corpora.corpus import Corpus
from kagaku.data.corpora.coverage import spans_of
from kagaku.data.corpora.encoding import sample_id
from kagaku.data.corpora.held_out import (
    NOT_HELD_OUT,
    HeldOut,
    HeldOutTask,
    hold_out,
    in_pieces,
    load_held_out,
)
from kagaku.data.corpora.manifest import TRAIN, VALID, Manifest, SourceInfo
from kagaku.data.corpora.partitions import cleaned_partitions
from kagaku.data.corpora.plan import CODE_VERSION, CorpusPlan, SourcePlan, digest
from kagaku.data.corpora.running import Progress, Runner
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

HELD_OUT_PIECE, HELD_OUT_LETTERS = 5_000, 4_000_000
"""Most held-out values of a task, and about most letters, as genomes are long."""

MOST_OPEN_PARTITIONS = 256
"""Partitions that are open at once while shards are written."""

PLAN = "plan.json"
"""What a folder was built from."""


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
        paths = cleaned_partitions(source, plan.seed, work, tools, run, progress)
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


def _held_out(
    plan: CorpusPlan, work: Path, tools: SampleTools, run: Runner, progress: Progress
) -> HeldOut:
    """Return the index of everything that must not be trained on."""
    told = {
        "held_out": plan.held_out_version,
        "tools": tools.version,
        "code": CODE_VERSION,
        "piece": [HELD_OUT_PIECE, HELD_OUT_LETTERS],
    }
    folder = work / f"held-out-{digest(told)}"
    folder.mkdir(exist_ok=True)
    paths, done = [], 0

    def tasks() -> Iterator[HeldOutTask]:
        nonlocal done
        pieces = in_pieces(plan.held_out(), HELD_OUT_PIECE, HELD_OUT_LETTERS)
        for number, values in enumerate(pieces):
            paths.append(folder / f"{number:06d}.npz")
            done += len(values)
            if not paths[-1].is_file():
                yield HeldOutTask(values, paths[-1])

    for _ in run(partial(hold_out, tools=tools), tasks()):
        progress(done, done, "held-out values")  # those that wait at the workers included
    return load_held_out(paths)


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
