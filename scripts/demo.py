"""The main job on shipped data: fine-tune on measured solubilities, predict new compounds.

Run by ``make demo``; leaves everything in ``demo/``.
"""

import shutil
import time
from pathlib import Path

import pandas as pd

import kagaku
from kagaku.data import copy_sample

FOLDER = Path("demo")
TARGET = "logS [log10(mol/L)]"


def main() -> None:
    """Fine-tune, predict, and say where everything is."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    table = copy_sample("molecules", FOLDER)
    run = kagaku.finetune(table, target=TARGET, output=FOLDER / "run")
    new = pd.read_csv(FOLDER / "molecules_new.csv")
    predictions = run.predict(new)
    assert isinstance(predictions, pd.DataFrame)
    measured = pd.read_csv(FOLDER / "molecules_new_measured.csv")
    shown = new.assign(measured=measured[TARGET]).join(predictions.round(2))
    shown.to_csv(FOLDER / "predictions.csv", index=False)
    print(shown.head(12).to_string(index=False, max_colwidth=40))
    inside = shown["measured"].between(shown["logS_lower"], shown["logS_upper"]).mean()
    print(
        f"\n{len(shown)} new compounds: {inside:.0%} of the measured values lie in their 90% "
        f"intervals.\nPredictions: {FOLDER / 'predictions.csv'}\nReport:      {run.report}\n"
        f"Run folder:  {run.folder}\nTime:        {time.monotonic() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
