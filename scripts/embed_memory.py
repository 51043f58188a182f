"""Measure memory and speed of `kagaku embed` on files of 10^4, 10^5 and 10^6 real sequences.

Draws windows of given lengths from the proteins of a real FASTA file, embeds each file in a
process of its own, and prints how much memory that process held at most, and how many records it
embedded per second. Stopped, the same command goes on: finished sizes are kept, and `kagaku embed`
itself goes on with an unfinished one. Its speed is then that of the last call.

    python scripts/embed_memory.py uniprot.fasta --sizes 10000 100000 --lengths 30 30
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

POOL_RESIDUES = 20_000_000
"""Most residues of the given file that windows are drawn from."""

MEASURE = """
import json, sys, time
from pathlib import Path
from kagaku.bulk_embedding import embed_file, peak_memory
from kagaku.embedding_output import check_output
from kagaku.terminal import Terminal
source, output, model, result = sys.argv[1:]
check_output(Path(source), Path(output))
before, start = peak_memory(), time.monotonic()
done = embed_file(Path(source), Path(output), model=model, terminal=Terminal())
told = {"records": done.n_rows, "seconds": time.monotonic() - start, "speed": done.speed,
        "memory_before": before, "memory": peak_memory()}
Path(result).write_text(json.dumps(told))
"""


def sequences(path: Path) -> list[str]:
    """Return the sequences of a FASTA file, up to `POOL_RESIDUES`."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    pool, n_residues = [], 0
    with path.open() as stream:
        for _, sequence in SimpleFastaParser(stream):
            pool.append(sequence.upper())
            n_residues += len(sequence)
            if n_residues > POOL_RESIDUES:
                break
    return pool


def windows(pool: list[str], n_records: int, shortest: int, longest: int) -> Iterator[str]:
    """Yield windows of random proteins; lengths spread evenly over their logarithm.

    A length beyond every protein's is made of several windows in a row.
    """
    rng = np.random.default_rng(0)
    for _ in range(n_records):
        length = round(float(np.exp(rng.uniform(np.log(shortest), np.log(longest)))))
        window = ""
        while len(window) < length:
            protein = pool[rng.integers(len(pool))]
            start = int(rng.integers(max(1, len(protein) - length + 1)))
            window += protein[start : start + length - len(window)]
        yield window


def write_fasta(path: Path, pool: list[str], n_records: int, lengths: tuple[int, int]) -> None:
    """Write a FASTA file through a temporary name, unless it is there."""
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    with partial.open("w") as stream:
        for number, one in enumerate(windows(pool, n_records, *lengths)):
            stream.write(f">w{number}\n{one}\n")
    partial.replace(path)


def measure(source: Path, output: Path, model: str, result: Path) -> dict[str, float | str]:
    """Return what a process that embeds one file came to; from an earlier call where there is."""
    if not result.exists():
        words = [sys.executable, "-c", MEASURE, str(source), str(output), model, str(result)]
        subprocess.run(words, check=True, env={**os.environ})
        output.unlink()
    told: dict[str, float | str] = json.loads(result.read_text())
    return told


def main() -> None:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta", type=Path, help="Real proteins to draw windows from.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--lengths", type=int, nargs=2, default=[30, 5_000])
    parser.add_argument("--model", default="untrained-tiny")
    parser.add_argument("--output", type=Path, default=Path("embed_memory"))
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    pool = sequences(asked.fasta)
    shortest, longest = asked.lengths
    print(f"{asked.model}, lengths {shortest} to {longest}, {time.strftime('%Y-%m-%d')}")
    print("| sequences | peak memory [MB] | of it before reading [MB] | time [s] | speed |")
    print("|---|---|---|---|---|")
    for size in asked.sizes:
        name = f"{size}_{shortest}_{longest}"
        source = asked.output / f"{name}.fasta"
        write_fasta(source, pool, size, (shortest, longest))
        vectors = asked.output / f"{name}_{asked.model.replace('/', '_')}.parquet"
        told = measure(source, vectors, asked.model, vectors.with_suffix(".json"))
        memory, before = (float(told[one]) / 1e6 for one in ("memory", "memory_before"))
        seconds = float(told["seconds"])
        print(f"| {size:,} | {memory:,.0f} | {before:,.0f} | {seconds:,.0f} | {told['speed']} |")


if __name__ == "__main__":
    main()
