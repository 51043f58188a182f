"""Memory of `kagaku predict` on a long file, in a process of its own."""

from collections.abc import Sequence
from itertools import chain, combinations, islice
from pathlib import Path

import pandas as pd

from kagaku.api import finetune
from kagaku.speed.part import Measured, Wishes
from kagaku.speed.samples import sample_file
from kagaku.speed.timing import Comparison, Target, run_python

MODEL = "untrained-tiny"
"""The base of the run that predicts."""

PREDICT = """
import json, sys, time
from pathlib import Path
from kagaku.api import load
from kagaku.embedding.bulk import peak_memory
from kagaku.streaming import predict_file
from kagaku.terminal import Terminal
run, source, output, told = map(Path, sys.argv[1:])
model = load(run)
before, start = peak_memory(), time.monotonic()
n_rows = predict_file(model, source, output, terminal=Terminal(quiet=True))
seconds = time.monotonic() - start
answer = {"rows": n_rows, "seconds": seconds, "before": before, "peak": peak_memory()}
told.write_text(json.dumps(answer))
"""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure it once: memory does not depend on who else is busy."""
    sizes = wishes.sizes
    run, source = folder / "run", folder / "molecules.csv"
    sample = pd.read_csv(sample_file("molecules"))
    fitted = sample.head(sizes.training_rows) if sizes.training_rows else sample
    finetune(
        fitted,
        str(sample.columns[1]),
        run,
        method="readout",
        base=MODEL,
        quiet=True,
        overwrite=True,
    )
    smiles = distinct_molecules(sample[sample.columns[0]].tolist(), sizes.n_molecules)
    pd.DataFrame({sample.columns[0]: smiles}).to_csv(source, index=False)
    output = folder / "predicted.parquet"
    told = run_python(PREDICT, run, source, output, told=folder / "predict.json")
    comparison = Comparison(
        f"predict {sizes.n_molecules:,} molecules: memory above the loaded model",
        "MB",
        ((told["peak"] - told["before"]) / 1e6,),
        better="lower",
        target=Target("< 2 GB", 2_000.0, "value"),
    )
    return Measured((comparison,), details={"predict": told})


def distinct_molecules(smiles: Sequence[str], number: int) -> list[str]:
    """Return so many different SMILES: mixtures of two, then of three, of the given molecules.

    What has been seen once is not computed again, so that repeated molecules would cost less than
    a real file's.
    """
    # In the order of the whole they would all begin with the first molecule. Half of the shifts, as
    # the others give the same mixtures the other way round.
    pairs = ((one, other) for shift in range(1, (len(smiles) + 1) // 2) for one, other in
             zip(smiles, [*smiles[shift:], *smiles[:shift]], strict=True))  # fmt: skip
    found = [".".join(one) for one in islice(chain(pairs, combinations(smiles, 3)), number)]
    assert len(found) == number, "too few molecules to mix"
    return found
