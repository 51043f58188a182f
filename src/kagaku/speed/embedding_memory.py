"""Memory of `kagaku embed` on files of ever more sequences, each in a process of its own."""

from pathlib import Path

import numpy as np
import pandas as pd

from kagaku.models import save_encoder, untrained_encoder
from kagaku.models.backbone import BackboneConfig
from kagaku.models.encoder import EncoderConfig
from kagaku.speed.part import Measured, Wishes
from kagaku.speed.samples import sample_file
from kagaku.speed.timing import Comparison, Target, run_python

PEPTIDE = 30
"""Residues of each sequence."""

SMALL = EncoderConfig(
    name="one-block",
    modalities=("protein",),
    backbone=BackboneConfig(dim=64, depth=1, heads=2, hidden=128),
)
"""What embeds them: small, so that a million take minutes; what a file adds to memory is the same
for any encoder of this width."""

FLAT = Target("flat: <= 1.5x", 1.5, "value")
"""What is aimed at: the longest file's memory over the shortest's. It is above 1 since only longer
files fill a row group of the output, 8 MB, when their parts are joined."""

EMBED = """
import json, sys, time
from pathlib import Path
from kagaku.api import load
from kagaku.embedding.bulk import embed_file, peak_memory
from kagaku.terminal import Terminal
source, output, model, told = sys.argv[1:]
load(model)
before, start = peak_memory(), time.monotonic()
done = embed_file(Path(source), Path(output), model=model, terminal=Terminal(quiet=True))
seconds = time.monotonic() - start
answer = {"rows": done.n_rows, "seconds": seconds, "before": before, "peak": peak_memory()}
Path(told).write_text(json.dumps(answer))
"""


def measure(wishes: Wishes, folder: Path) -> Measured:
    """Measure each length of file once: memory does not depend on who else is busy."""
    encoder = folder / "encoder"
    save_encoder(untrained_encoder(SMALL), encoder)
    details, held = {}, {}
    for size in sorted(wishes.sizes.n_peptides):
        peptides = folder / f"peptides_{size}.fasta"
        write_peptides(peptides, size)
        answer, vectors = folder / f"embed_{size}.json", folder / f"vectors_{size}.parquet"
        told = run_python(EMBED, peptides, vectors, encoder, told=answer)
        details[f"embed {size}"] = told
        held[size] = (told["peak"] - told["before"]) / 1e6
    return Measured(tuple(comparisons(held)), details=details)


def comparisons(held: dict[int, float]) -> list[Comparison]:
    """Return a row for each length of file, and one of the longest over the shortest.

    Args:
        held: By number of sequences, the memory above that of the loaded process, in MB.
    """
    rows = [
        Comparison(
            f"embed {size:,} peptides: memory above the loaded process",
            "MB",
            (megabytes,),
            better="lower",
        )
        for size, megabytes in held.items()
    ]
    shortest, longest = min(held), max(held)
    if longest > shortest:
        name = f"memory of {longest:,} peptides over that of {shortest:,}"
        ratio = held[longest] / held[shortest]
        rows.append(Comparison(name, "times", (ratio,), better="lower", target=FLAT))
    return rows


def write_peptides(path: Path, n_peptides: int) -> None:
    """Write a FASTA file of windows of the shipped sample's proteins."""
    frame = pd.read_csv(sample_file("proteins"))
    proteins = [str(one) for one in frame[frame.columns[0]]]
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(n_peptides):
            protein = proteins[rng.integers(len(proteins))]
            start = int(rng.integers(max(1, len(protein) - PEPTIDE + 1)))
            stream.write(f">w{number}\n{protein[start : start + PEPTIDE]}\n")
