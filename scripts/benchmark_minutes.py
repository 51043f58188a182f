"""Write how long benchmark methods took into the table that ``kagaku benchmark --estimate`` reads.

    python scripts/benchmark_minutes.py FOLDER... [--busy]

Each folder was written by ``kagaku benchmark`` without ``--quick``, on a machine that did nothing
else; ``--busy`` marks those of a machine that did, whose times are too long if anything. Rows of
the same task, method and base are replaced, by later folders too, unless they tell of more splits.
Tasks whose methods are marked as long against what was measured are named.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from kagaku.benchmarks.minutes import (
    TABLE,
    Minutes,
    minutes_of_folder,
    newest,
    read_minutes,
    write_minutes,
)
from kagaku.benchmarks.request import LONG_MINUTES
from kagaku.science_tasks.tasks import TASKS

BUSY = "other work beside"
"""What stands behind a machine whose times are upper bounds."""


def wrongly_marked(rows: list[Minutes]) -> list[str]:
    """Return a sentence for each task whose run is long or short against its long methods."""
    found = []
    for name, task in TASKS.items():
        known = {one.method: one.minutes for one in rows if one.task == name}
        usual, total = (
            sum(known.get(method, 0.0) for method in methods)
            for methods in (task.usual(with_long=False), task.default)
        )
        if usual > LONG_MINUTES:
            found.append(f"{name} took {usual:.1f} minutes without what is marked as long")
        if task.long and set(task.default) <= set(known) and total <= LONG_MINUTES:
            found.append(f"{name} took {total:.1f} minutes with {task.long}, marked as long")
    return found


def main() -> None:
    """Update the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--busy", action="store_true", help="other work ran beside")
    arguments = parser.parse_args()
    rows = read_minutes(arguments.table) if arguments.table.is_file() else []
    for folder in arguments.folders:
        found = minutes_of_folder(folder)
        if arguments.busy:
            found = [replace(one, machine=f"{one.machine}, {BUSY}") for one in found]
        rows = newest(rows, found)
    write_minutes(rows, arguments.table)
    print(f"{len(rows)} rows in {arguments.table}")
    for sentence in wrongly_marked(rows):
        print(sentence)


if __name__ == "__main__":
    main()
