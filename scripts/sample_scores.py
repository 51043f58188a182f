"""Every shipped sample over several seeds: score, baselines, and coverage of the 90% intervals.

    python scripts/sample_scores.py --output scores/ --seeds 5

Each seed draws its own held-out part (except in time, where the last years are held out). Finished
runs are kept, so the script can be stopped and run again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

import kagaku
from kagaku.data import list_samples
from kagaku.errors import InputError

SAMPLES_FOLDER = Path(__file__).parents[1] / "data" / "samples"
FILES = {
    "molecules": ("molecules.csv", "logS", {}),
    "proteins": ("proteins.csv", "fitness", {}),
    "splicing": ("splicing.csv", "inclusion", {}),
    "images": ("images/labels.csv", "n_nuclei", {}),
    "climate": ("climate.nc", "nino34", {"lead": "3 months"}),
    "text": ("text.csv", "canonical_units", {}),
    "reactions": ("reactions.csv", "yield", {}),
}
"""By sample: its file, its target, and what else the task needs."""


def run_seed(name: str, seed: int, folder: Path) -> dict[str, object]:
    """Return the scores of one sample with one seed."""
    file, target, settings = FILES[name]
    run = kagaku.finetune(
        SAMPLES_FOLDER / file,
        target=target,
        output=folder / f"{name}-{seed}",
        seed=seed,
        overwrite=True,
        quiet=True,
        settings=settings,
    )
    found = run.metrics["targets"][target]
    metric = found["metric"]
    baselines = {one["name"]: one["test"][metric]["value"] for one in found["baselines"]}
    return {
        "sample": name,
        "seed": seed,
        "split": run.metrics["split"]["kind"],
        "metric": metric,
        "kagaku": found["test"][metric]["value"],
        "simplest": next(iter(baselines.values())),
        "best_baseline": found["versus_best_baseline"]["baseline"],
        "best": baselines[found["versus_best_baseline"]["baseline"]],
        "verdict": found["versus_best_baseline"]["verdict"],
        "coverage": found["coverage"]["measured"],
        "chosen": found["chosen"],
        "n_test": found["n_test"],
        "seconds": run.metrics["seconds"],
    }


def main() -> None:
    """Run what has not been run yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", nargs="+", default=[one.name for one in list_samples()])
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    # Seed by seed, so that an early look shows every sample.
    for seed in range(arguments.seeds):
        for name in arguments.samples:
            if name not in FILES:
                raise InputError(f"there is no sample {name!r}", fix=f"Choose from {list(FILES)}.")
            kept = arguments.output / f"{name}-{seed}.json"
            if not kept.exists():
                kept.write_text(json.dumps(run_seed(name, seed, arguments.output)))
            rows.append(json.loads(kept.read_text()))
            print({key: rows[-1][key] for key in ("sample", "seed", "kagaku", "coverage")})
    table = pd.DataFrame(rows)
    grouped = table.groupby(["sample", "split", "metric"], sort=False)
    figures = ["kagaku", "simplest", "best", "coverage", "seconds"]
    print(grouped[figures].mean().round(3).to_string())
    n_test = table["n_test"].to_numpy(dtype=float)
    pooled = np.average(table["coverage"].to_numpy(dtype=float), weights=n_test)
    print(f"coverage pooled over all held-out records: {pooled:.3f}")


if __name__ == "__main__":
    main()
