"""ESOL, Lipophilicity and BACE on their published splits, beside a forest and an SVM on ECFP.

    KAGAKU_DATA=<folder> python scripts/moleculenet.py --output results/

Fits on train + valid of each of the three splits with ``method=auto``, and compares on the test
part with scikit-learn's random forest and support vector machine on count ECFP (radius 2, 2,048
bits), whose cost is chosen by cross-validation on the same rows. With ``--chemprop PYTHON``, a
Python that has chemprop 2, also with its default training, which keeps the epoch that is best on
valid. Every difference comes with its 95% interval over paired bootstrap resamples of the test
compounds. Finished splits are kept, so the script can be stopped and run again.
"""

import argparse
import gzip
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import roc_auc_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC, SVR

import kagaku
from kagaku.run import Run
from kagaku.science_tasks.metrics import paired_difference

SETS = {
    "ESOL": ("measured log solubility in mols per litre", "logS [log10(mol/L)]", "regression"),
    "Lipop": ("exp", "logD [dimensionless]", "regression"),
    "BACE": ("Class", "Class: binary", "binary"),
}
"""By file: the target's column, how it is asked for, and its kind."""


TUNING_ROWS = 1_000
"""Training rows on which the SVM's cost and width are chosen."""


def fingerprints(smiles: list[str]) -> np.ndarray:
    """Return count ECFP4, folded to 2,048."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return np.stack([generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles])


def classical(
    kind: str, train: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return the test predictions of the forest and of the SVM."""
    grid = {"C": [1, 10, 100], "gamma": ["scale", 0.01, 0.001]}
    some = np.random.default_rng(seed).permutation(len(y))[:TUNING_ROWS]
    if kind == "regression":
        forest = RandomForestRegressor(500, random_state=seed, n_jobs=2).fit(train, y)
        best = GridSearchCV(SVR(), grid, cv=3).fit(train[some], y[some]).best_params_
        svm = SVR(C=best["C"], gamma=best["gamma"]).fit(train, y)
        return {"forest": forest.predict(test), "svm": svm.predict(test)}
    forest = RandomForestClassifier(500, random_state=seed, n_jobs=2).fit(train, y)
    search = GridSearchCV(SVC(), grid, cv=3, scoring="roc_auc").fit(train[some], y[some])
    machine = SVC(C=search.best_params_["C"], gamma=search.best_params_["gamma"]).fit(train, y)
    return {
        "forest": forest.predict_proba(test)[:, 1],
        "svm": machine.decision_function(test),
    }


def chemprop(
    python: Path,
    table: pd.DataFrame,
    split: dict[str, list[int]],
    folder: Path,
    kind: str,
    seed: int,
) -> tuple[dict[int, float], float]:
    """Return chemprop's prediction of each test row by its index, and how many seconds it took."""
    part = pd.Series("train", index=table.index)
    part[split["valid"]], part[split["test"]] = "val", "test"
    folder.mkdir(parents=True, exist_ok=True)
    file, target = folder / "table.csv", table.columns[1]
    table.assign(part=part).to_csv(file, index=False)
    flags = {
        "--data-path": file,
        "--smiles-columns": "smiles",
        "--target-columns": target,
        "--splits-column": "part",
        "--task-type": "regression" if kind == "regression" else "classification",
        "--pytorch-seed": seed,
        "--output-dir": folder / "model",
    }
    start = time.monotonic()
    words = [str(one) for pair in flags.items() for one in pair]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(
            [python.with_name("chemprop"), "train", *words], check=True, stdout=log, stderr=log
        )
    seconds = time.monotonic() - start
    made = pd.read_csv(folder / "model" / "model_0" / "test_predictions.csv")
    asked = table[part == "test"]
    if made["smiles"].tolist() != asked["smiles"].tolist():
        raise ValueError("chemprop's predictions do not stand in the order of the table")
    return dict(zip(asked.index, made[target], strict=True)), seconds


def run_split(
    name: str, split_name: str, folder: Path, data: Path, python: Path | None
) -> dict[str, object]:
    """Return the scores of one split."""
    column, target, kind = SETS[name]
    frame = pd.read_csv(data / f"{name}.csv.gz")
    with gzip.open(data / f"{name}.splits.json.gz", "rt") as stream:
        split = json.load(stream)[split_name]
    train, test = np.array(split["train"] + split["valid"]), np.array(split["test"])
    asked = target.split(":")[0].split(" [")[0]
    table = frame[["smiles", column]].rename(columns={column: asked})
    source, indices = folder / f"{name}.csv", folder / f"{split_name}.json"
    table.to_csv(source, index=False)
    indices.write_text(json.dumps({"train": train.tolist(), "test": test.tolist()}))
    seed = int(split_name[-1])
    output = folder / f"{name}-{split_name}"
    if (output / "card.md").exists():
        run = Run.load(output)
    else:
        run = kagaku.finetune(
            source,
            target=target,
            output=output,
            split="file",
            seed=seed,
            settings={"indices": str(indices)},
        )
    predicted = pd.read_parquet(run.folder / "predictions.parquet")
    # A row number counts the heading as row 1.
    order = predicted["row"].to_numpy() - 2
    y = table[asked].to_numpy(dtype=float)
    own_column = asked if kind == "regression" else f"{asked}_p_1"
    given = {"kagaku": predicted[own_column].to_numpy()}
    prints = fingerprints(table["smiles"].tolist())
    given |= classical(kind, prints[train], y[train], prints[order], seed)
    if python is not None:
        place = folder / f"chemprop-{name}-{split_name}"
        theirs, their_seconds = chemprop(python, table, split, place, kind, seed)
        given["chemprop"] = np.array([theirs[row] for row in order])
    truth = y[order]
    score = root_mean_squared_error if kind == "regression" else roc_auc_score
    found = run.metrics["targets"][asked]
    result: dict[str, object] = {
        "set": name,
        "split": split_name,
        "metric": "RMSE" if kind == "regression" else "ROC-AUC",
        "n_test": len(truth),
        "seconds": run.metrics["seconds"],
        "chosen": found["chosen"],
        "coverage": found["coverage"]["measured"],
    }
    for method, values in given.items():
        result[method] = float(score(truth, values))
    if python is not None:
        result["chemprop_seconds"] = their_seconds
    for method in list(given)[1:]:
        difference = paired_difference(
            lambda a, b: float(score(a, b)) if len(set(a.tolist())) > 1 else float("nan"),
            truth,
            given["kagaku"],
            given[method],
        )
        result[f"minus_{method}"] = difference
    return result


def main() -> None:
    """Run every split that has not been run yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--chemprop", type=Path, help="a Python that has chemprop 2")
    arguments = parser.parse_args()
    data = Path(os.environ["KAGAKU_DATA"]) / "molecules" / "moleculenet"
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in arguments.sets:
        with gzip.open(data / f"{name}.splits.json.gz", "rt") as stream:
            splits = list(json.load(stream))[:3]
        for split in splits:
            kept = arguments.output / f"{name}-{split}.json"
            known = json.loads(kept.read_text()) if kept.exists() else {}
            if not known or (arguments.chemprop is not None and "chemprop" not in known):
                found = run_split(name, split, arguments.output, data, arguments.chemprop)
                kept.write_text(json.dumps(found))
            rows.append(json.loads(kept.read_text()))
    table = pd.DataFrame(rows)
    print(table.drop(columns=["chosen"]).to_string(index=False, float_format="%.3f"))
    methods = [one for one in ("kagaku", "forest", "svm", "chemprop") if one in table]
    print(table.groupby(["set", "metric"])[methods].mean().to_string())


if __name__ == "__main__":
    main()
