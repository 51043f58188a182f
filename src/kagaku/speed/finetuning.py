"""Fine-tuning on ESOL beside chemprop's default training, each in a process of its own."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from kagaku.datasets import source
from kagaku.errors import InputError
from kagaku.speed.part import Measured, NotRun, Wishes
from kagaku.speed.timing import Comparison, Target, run_child, take_turns

KEY = "molecules/moleculenet/ESOL.csv"
COLUMN, SHORT = "measured log solubility in mols per litre", "logS"

NAME = "fine-tune ESOL, method auto, with intervals and report"
TARGET = Target("<= 1/3 of chemprop's time", 3.0)


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure both in turns; the row says what is missing."""
    if wishes.chemprop is None:
        why = "--chemprop PYTHON names no Python that has chemprop"
        return Measured(not_run=(NotRun(NAME, why, TARGET.text),))
    try:
        table = pd.read_csv(io.BytesIO(source()(KEY)))
    except InputError as error:
        return Measured(not_run=(NotRun(NAME, str(error), TARGET.text),))
    data = folder / "esol.csv"
    table[["smiles", COLUMN]].rename(columns={COLUMN: SHORT}).to_csv(data, index=False)
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: run_child(our_words(data, folder / "run")),
        "theirs": lambda: run_child(
            their_words(wishes.chemprop or Path(), data, folder / "theirs")
        ),
    }
    seconds = take_turns(contenders, wishes.turns)
    return Measured(
        (
            Comparison(
                NAME,
                "s",
                seconds["ours"],
                seconds["theirs"],
                "chemprop train, defaults",
                better="lower",
                target=TARGET,
            ),
        )
    )


def our_words(data: Path, output: Path) -> list[str | Path]:
    """Return the words of our command."""
    target = f"{SHORT} [log10(mol/L)]"
    flags: list[str | Path] = ["--target", target, "--method", "auto", "--output", output]
    return [sys.executable, "-m", "kagaku", "finetune", data, *flags, "--overwrite"]


def their_words(python: Path, data: Path, output: Path) -> list[str | Path]:
    """Return the words of chemprop's command, which stands beside its Python."""
    columns = ["--smiles-columns", "smiles", "--target-columns", SHORT]
    kind = ["--task-type", "regression"]
    command = python.with_name("chemprop")
    return [command, "train", "--data-path", data, *kind, *columns, "--output-dir", output]
