"""The main job on shipped data: fine-tune on measured solubilities, predict new compounds.

Run by ``make demo``; leaves everything in ``demo/``.
"""

import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd

import kagaku
from kagaku.data import copy_sample

FOLDER = Path("demo")
TARGET = "logS [log10(mol/L)]"
SHOWN = 12
"""Compounds printed; the file has them all."""

HOW_TO_READ = """
How to read it: `predicted` is log10 of the solubility in mol/L: one less is ten times less
soluble. `from` and `to` enclose the 90% interval: nine of ten measured values should lie in
theirs. `in domain` says whether the compound resembles the training compounds; where it says no,
trust the interval less. `measured` was kept from the model; it stands here for you to judge by."""


def main() -> None:
    """Fine-tune, predict, compare with the measured values, and say where everything is."""
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    table = copy_sample("molecules", FOLDER)
    say(f"How soluble is a compound that nobody measured?\n\n1. Learn from {table}")
    run = kagaku.finetune(table, target=TARGET, output=FOLDER / "run")
    new = FOLDER / "molecules_new.csv"
    say(f"\n2. Predict the compounds in {new}, which the model has not seen\n")
    compounds = pd.read_csv(new)
    predicted = run.predict(compounds)
    measured = pd.read_csv(FOLDER / "molecules_new_measured.csv")[TARGET]
    compounds.join(predicted).assign(measured=measured).to_csv(
        FOLDER / "predictions.csv", index=False
    )
    say(comparison(compounds["name"], predicted, measured).head(SHOWN).to_string(index=False))
    say(f"... and {len(compounds) - SHOWN} more.\n{HOW_TO_READ}\n")
    say(summary(predicted, measured))
    say(
        f"\nReport:       {run.report} (open it in a browser)\n"
        f"Predictions:  {FOLDER / 'predictions.csv'}\n"
        f"Run folder:   {run.folder}\n"
        f"Time:         {time.monotonic() - started:.0f} s\n\n"
        'Now your own:  kagaku finetune lab.csv --target "what [unit]" --output run/'
    )


def say(text: str) -> None:
    """Print at once, so that the order with the progress on standard error stays right."""
    print(text, flush=True)


def comparison(names: pd.Series, predicted: pd.DataFrame, measured: pd.Series) -> pd.DataFrame:
    """Return the predictions as a table for people: rounded, with the verdict in words."""
    return pd.DataFrame(
        {
            "compound": names.str.slice(0, 26).str.ljust(26),
            "predicted": predicted["logS"].map("{:.2f}".format),
            "from": predicted["logS_lower"].map("{:.2f}".format),
            "to": predicted["logS_upper"].map("{:.2f}".format),
            "in domain": np.where(predicted["logS_in_domain"], "yes", "no"),
            "measured": measured.map("{:.2f}".format),
            "held": np.where(is_held(predicted, measured), "yes", "no"),
        }
    )


def is_held(predicted: pd.DataFrame, measured: pd.Series) -> pd.Series:
    """Return whether each measured value lies in its interval."""
    return measured.between(predicted["logS_lower"], predicted["logS_upper"])


def summary(predicted: pd.DataFrame, measured: pd.Series) -> str:
    """Return in a sentence how near the predictions came and how many intervals held."""
    error = float(np.sqrt(np.square(predicted["logS"] - measured).mean()))
    usual = float(measured.std(ddof=0))
    return (
        f"Of {len(measured)} new compounds {int(is_held(predicted, measured).sum())} lie in their "
        f"90% intervals. The typical error (RMSE) is {error:.2f};\ntheir values spread by "
        f"{usual:.2f}, which is what always guessing their mean would miss by."
    )


if __name__ == "__main__":
    main()
