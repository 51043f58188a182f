"""What frozen embeddings are worth: the same readouts on classical features, with and without them.

    KAGAKU_DATA=<folder> python scripts/frozen_embeddings.py --base FOLDER --output results/

Each task keeps its published split. A linear readout and a Gaussian process are fitted on the
training part, on the classical features of the domain, on embeddings of an untrained encoder of
the same size, on those of the base, and on classical features with each. Nothing is chosen on the
test part. Finished scores are kept, so the script can be stopped and run again. ``transfer.json``
is what a release's card is made from: copy it into the release, and release it again.
"""

import argparse
import gzip
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from kagaku.bases import load_base, weights_folder
from kagaku.data import Records, Schema, grid_records, infer_schema, parse_records
from kagaku.data.grids import grid_from_dataset
from kagaku.data.records import TargetValues
from kagaku.data.schema import Input, Target
from kagaku.data.table import table_from_frame
from kagaku.data.whole_files import write_json
from kagaku.datasets import source
from kagaku.modalities.checking import check_records, fit_modalities, make_modalities
from kagaku.models import Encoder, untrained_encoder
from kagaku.models.checkpoint import WEIGHTS_FILE
from kagaku.pretraining.card import TRANSFER_FILE
from kagaku.provenance import sha256
from kagaku.science_tasks.benchmark.cases import PropertyCase
from kagaku.science_tasks.candidates import row_weights
from kagaku.science_tasks.embeddings import EmbeddingFeatures
from kagaku.science_tasks.features import FeatureBlock
from kagaku.science_tasks.featurizing import feature_blocks, fit_featurizers
from kagaku.science_tasks.genomes.enhancers import Load as Enhancers
from kagaku.science_tasks.metrics import score_prediction
from kagaku.science_tasks.readouts import READOUTS
from kagaku.science_tasks.readouts.field_readout import FieldReadout
from kagaku.science_tasks.readouts.readout import Readout

MOST_TRAIN, MOST_TEST = 3_000, 2_000
"""Records of each side at most, drawn with seed 0; a task that was cut says so."""

READOUT_NAMES = ("linear", "gp")

ACE_SETS = ("CHEMBL1862_Ki", "CHEMBL2047_EC50", "CHEMBL2835_Ki", "CHEMBL4203_Ki", "CHEMBL4616_EC50")
"""Five of MoleculeACE's sets: those of the public files with the fewest compounds but one."""


@dataclass(frozen=True)
class Task:
    """One published task."""

    records: Records
    """All records, checked."""

    train: np.ndarray
    """Indices of the training part."""

    test: np.ndarray
    """Indices of the test part."""

    metric: str
    """The score that the task is known by."""


def from_frame(
    frame: pd.DataFrame, target: str, train: np.ndarray, test: np.ndarray, metric: str
) -> Task:
    """Return the task of a table."""
    table = table_from_frame(frame)
    schema = infer_schema(table, targets=[target])
    records, bad = parse_records(table, schema, with_targets=True)
    records, more = check_records(records, make_modalities(schema))
    assert not bad
    assert not more
    return Task(records, train, test, metric)


def moleculenet(name: str, split: str, column: str, metric: str) -> Callable[[Path], Task]:
    """Return what reads a MoleculeNet set with one of its splits."""

    def make(data: Path) -> Task:
        folder = data / "molecules" / "moleculenet"
        frame = pd.read_csv(folder / f"{name}.csv.gz")[["smiles", column]]
        with gzip.open(folder / f"{name}.splits.json.gz", "rt") as stream:
            sides = json.load(stream)[split]
        frame = frame.rename(columns={column: "y"})
        target = "y: binary" if metric == "ROC-AUC" else "y"
        train = np.array(sides["train"] + sides["valid"])
        return from_frame(frame, target, train, np.array(sides["test"]), metric)

    return make


def molecule_ace(name: str) -> Callable[[Path], Task]:
    """Return what reads one of MoleculeACE's sets."""

    def make(data: Path) -> Task:
        frame = pd.read_csv(data / "molecules" / "moleculeace" / f"{name}.csv.gz")
        train = np.flatnonzero(frame["split"] == "train")
        test = np.flatnonzero(frame["split"] == "test")
        table = frame[["smiles", "y [pEC50/pKi]"]].rename(columns={"y [pEC50/pKi]": "y"})
        return from_frame(table, "y", train, test, "RMSE")

    return make


def gb1(data: Path) -> Task:
    """Return FLIP's GB1 landscape, trained on at most two mutations."""
    with zipfile.ZipFile(data / "proteins" / "flip_gb1" / "flip_gb1_splits.zip") as archive:
        name = next(one for one in archive.namelist() if one.endswith("two_vs_rest.csv"))
        frame = pd.read_csv(archive.open(name))
    train = np.flatnonzero(frame["set"] == "train")
    test = np.flatnonzero(frame["set"] == "test")
    return from_frame(frame[["sequence", "target"]], "target", train, test, "Spearman")


def avgfp(data: Path) -> Task:
    """Return the brightness of variants of green fluorescent protein, main split."""
    folder = data / "proteins" / "nn4dms"
    frame = pd.read_csv(folder / "avgfp.tsv.gz", sep="\t")
    with gzip.open(folder / "avgfp.splits.json.gz", "rt") as stream:
        splits = json.load(stream)
    name = next(one for one in splits if one.endswith("main"))
    sides = splits[name]
    held = next(key for key in ("test", "stest") if key in sides)
    wild = _wild_type(frame["variant"])
    sequences = []
    for variant in frame["variant"]:
        letters = wild.copy()
        for mutation in str(variant).split(","):
            letters[int(mutation[1:-1])] = mutation[-1]
        sequences.append("".join(letters[one] for one in sorted(letters)).replace("*", "X"))
    table = pd.DataFrame({"sequence": sequences, "score": frame["score"]})
    return from_frame(table, "score", np.array(sides["train"]), np.array(sides[held]), "Spearman")


def _wild_type(variants: pd.Series) -> dict[int, str]:
    """Return the wild-type residue by place, as the variants tell it; X where none says."""
    found: dict[int, str] = {}
    for variant in variants:
        for mutation in str(variant).split(","):
            found[int(mutation[1:-1])] = mutation[0]
    return {place: found.get(place, "X") for place in range(min(found), max(found) + 1)}


def ienhancer(data: Path) -> Task:
    """Return iEnhancer's stretches of human DNA; training ones that are test ones are left out."""
    case = Enhancers(without_copies=True)(source({"KAGAKU_DATA": str(data)}))["test"]
    assert isinstance(case, PropertyCase)
    return Task(case.records, case.rows.learnt(), case.rows.test, "accuracy")


def glass(data: Path) -> Task:
    """Return whether an abstract is about glass, official parts."""
    folder = data / "text" / "glass_abstracts"
    parts = [pd.read_csv(folder / f"{one}.csv.gz") for one in ("train", "val", "test")]
    frame = pd.concat(parts, ignore_index=True)
    n_train = len(parts[0]) + len(parts[1])
    every = np.arange(len(frame))
    return from_frame(frame, "Label: binary", every[:n_train], every[n_train:], "accuracy")


def pneumonia(data: Path) -> Task:
    """Return PneumoniaMNIST: chest X-rays of 28 x 28 pixels; its train part is altered."""
    stored = np.load(data / "images" / "pneumoniamnist" / "pneumoniamnist.npz", allow_pickle=False)
    images = [*stored["train_images"], *stored["val_images"], *stored["test_images"]]
    labels = np.concatenate([stored[f"{one}_labels"].ravel() for one in ("train", "val", "test")])
    n_train = len(images) - len(stored["test_images"])
    schema = Schema(
        (Input("image", "image", "image"),), (Target("y", "y", "binary", classes=("0", "1")),)
    )
    records = Records(
        schema=schema,
        inputs={"image": [one[:, :, None] for one in images]},
        targets={"y": TargetValues(labels.astype(float), np.zeros(len(labels), dtype=np.int64))},
        rows=np.arange(len(images)),
        source="pneumoniamnist",
    )
    every = np.arange(len(images))
    return Task(records, every[:n_train], every[n_train:], "ROC-AUC")


def era5(data: Path) -> Task:
    """Return 2 m temperature over the UK twelve hours ahead; March 2019 in order of time."""
    stored = np.load(
        data / "climate" / "era5_uk_t2m" / "era5_uk_t2m_201903.npz", allow_pickle=False
    )
    times = pd.date_range("2019-03-01", periods=len(stored["t2m"]), freq="h")
    attributes = {"units": "K", "standard_name": "air_temperature"}  # as ERA5's own files have
    dataset = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), stored["t2m"], attributes)},
        coords={"time": times, "latitude": stored["lat"], "longitude": stored["lon"]},
    )
    grid = grid_from_dataset(dataset)
    schema = infer_schema(grid, targets=["t2m"], lead="12 hours")
    records = grid_records(grid, schema, with_targets=True)
    # Hours 1-600 teach and 601-744 test; no training target lies in the test.
    return Task(records, np.arange(0, 600 - 12), np.arange(600, 744 - 12), "RMSE")


TASKS: dict[str, Callable[[Path], Task]] = {
    "ESOL random122": moleculenet(
        "ESOL", "random122", "measured log solubility in mols per litre", "RMSE"
    ),
    "Lipophilicity random122": moleculenet("Lipop", "random122", "exp", "RMSE"),
    "BACE scaffold122": moleculenet("BACE", "scaffold122", "Class", "ROC-AUC"),
    **{f"MoleculeACE {name}": molecule_ace(name) for name in ACE_SETS},
    "GB1 two-vs-rest": gb1,
    "avGFP main": avgfp,
    "iEnhancer": ienhancer,
    "glass abstracts": glass,
    "PneumoniaMNIST": pneumonia,
    "ERA5 +12 h": era5,
}
"""By name, what reads a task."""


def cut(task: Task) -> Task:
    """Return the task with no more records than the script takes."""
    rng = np.random.default_rng(0)
    train, test = (
        np.sort(rng.permutation(side)[:most])
        for side, most in ((task.train, MOST_TRAIN), (task.test, MOST_TEST))
    )
    used = np.union1d(train, test)
    records = task.records.subset(used)
    train, test = (np.searchsorted(used, side) for side in (train, test))
    return Task(records, train, test, task.metric)


def score(task: Task, blocks: list[FeatureBlock], name: str) -> float:
    """Return the test score of one readout on some blocks."""
    target = task.records.schema.targets[0]
    values = task.records.targets[target.name]
    train = task.train[values.present()[task.train]]
    readout: Readout = READOUTS[name]()
    if target.kind == "field":
        readout = FieldReadout(name, row_weights(task.records, target))
    readout.fit(
        [block.subset(train) for block in blocks],
        values.subset(train),
        target.kind,
        len(target.classes),
        seed=0,
    )
    given = readout.predict([block.subset(task.test) for block in blocks])
    latitudes = None
    if target.kind == "field":
        fields = next(iter(task.records.inputs.values()))
        latitudes = next(one for one in fields if one is not None).latitudes
    found = score_prediction(given, values.subset(task.test), target.kind, latitudes=latitudes)
    return next(one.value for one in found if one.name == task.metric)


def run_task(
    name: str, data: Path, encoders: dict[str, Encoder], kept: dict[str, object]
) -> Iterator[dict[str, object]]:
    """Yield what is known of a task after each new score.

    Args:
        name: Of the task.
        data: The folder of benchmark files.
        encoders: By label, whose embeddings are tried.
        kept: What is known already.
    """
    sets = ["classical", *(f"{plus}{one}" for one in encoders for plus in ("", "classical + "))]
    missing = [
        (features, readout)
        for features in sets
        for readout in READOUT_NAMES
        if f"{readout}: {features}" not in kept
    ]
    if not missing:
        return
    whole = TASKS[name](data)
    task = cut(whole)
    learnt_from = task.records.subset(task.train)
    blocks = {"classical": feature_blocks(task.records, fit_featurizers(learnt_from))}
    modalities = fit_modalities(learnt_from)
    known = kept | {
        "task": name,
        "metric": task.metric,
        "n_train": len(task.train),
        "n_test": len(task.test),
        "is_cut": len(task.test) < len(whole.test) or len(task.train) < len(whole.train),
    }
    for features, readout in missing:
        label = features.removeprefix("classical + ")
        if label not in blocks:
            _, blocks[label] = EmbeddingFeatures.fit(
                encoders[label], modalities, task.records, task.train
            )
        chosen = blocks[label] if label == features else [*blocks["classical"], *blocks[label]]
        known[f"{readout}: {features}"] = score(task, chosen, readout)
        yield known


def main() -> None:
    """Run every task that has not been run yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default=None, help="a weights name or a folder")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    arguments = parser.parse_args()
    data = Path(os.environ["KAGAKU_DATA"])
    base = load_base(arguments.base)
    weights = sha256(weights_folder(arguments.base) / WEIGHTS_FILE)
    most = [MOST_TRAIN, MOST_TEST]
    encoders = {"untrained": untrained_encoder(base.config), "base": base}
    arguments.output.mkdir(parents=True, exist_ok=True)
    tasks = []
    for name in arguments.tasks:
        path = arguments.output / f"{name.replace(' ', '_')}.json"
        known: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
        if known.get("weights") != weights or known.get("most") != most:
            known = {"weights": weights, "most": most}  # what is kept is of something else
        for now in run_task(name, data, encoders, known):
            write_json(now, path)
            known = now
        tasks.append(known)
        print(json.dumps(known), flush=True)
    write_json({"weights": weights, "tasks": tasks}, arguments.output / TRANSFER_FILE)
    print(pd.DataFrame(tasks).set_index("task").round(3).T.to_string())


if __name__ == "__main__":
    main()
