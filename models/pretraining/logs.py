"""What a run writes down as it goes: CSV files, and the same numbers for TensorBoard.

After a stop, rows of steps that the saved state does not hold are removed, so that each step
stands in the files once.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kagaku.data.whole_files import write_whole

STEPS_FILE, LOSSES_FILE, VALID_FILE = "steps.csv", "losses.csv", "valid.csv"
TENSORBOARD_FOLDER = "tensorboard"

LossKey = tuple[str, str]
"""A source and the name of a loss."""

_PLACE = ("step", "tokens", "seconds")
COLUMNS = {
    STEPS_FILE: (
        *_PLACE,
        "loss",
        "gradient_norm",
        "learning_rate",
        "skipped",
        "tokens_per_second",
        "waiting_share",
        "peak_share",
    ),
    LOSSES_FILE: (*_PLACE, "source", "loss", "value", "micro_batches"),
    VALID_FILE: (*_PLACE, "source", "loss", "value", "micro_batches"),
}
"""Columns of each file; losses are means over the micro-batches that had them. New columns come
last, since a run may go on that an older version began: what it did not write is left empty."""


class RunLog:
    """The files of one run, opened to go on after a step.

    Args:
        folder: The run folder.
        step: The last step of the saved state; later rows are removed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # tensorboard takes a second to import, and only the process that logs needs it
        from torch.utils.tensorboard.writer import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        for name, columns in COLUMNS.items():
            _keep_until(folder / name, columns, step)
        self._board = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=step + 1)

    @property
    def is_validated(self) -> bool:
        """Whether held-out losses were ever measured in this run."""
        lines = (self.folder / VALID_FILE).read_text(encoding="utf-8").splitlines()
        return len(lines) > 1

    def write_steps(self, rows: Sequence[Sequence[int | float]]) -> None:
        """Write one row per step, in the columns of `STEPS_FILE`."""
        self._append(STEPS_FILE, rows)
        for row in rows:
            named = dict(zip(COLUMNS[STEPS_FILE], row, strict=True))
            for name in COLUMNS[STEPS_FILE][3:]:
                self._scalar(f"step/{name}", float(named[name]), int(named["step"]))

    def write_losses(
        self,
        file: str,
        place: tuple[int, int, float],
        losses: Mapping[LossKey, tuple[float, int]],
    ) -> None:
        """Write mean losses by source and name.

        Args:
            file: `LOSSES_FILE` or `VALID_FILE`.
            place: Step, tokens and seconds.
            losses: By source and name, the sum over micro-batches and their number.
        """
        rows = [
            (*place, source, name, total / count, count)
            for (source, name), (total, count) in sorted(losses.items())
        ]
        self._append(file, rows)
        part = "valid" if file == VALID_FILE else "train"
        for source, name, value in [(row[3], row[4], row[5]) for row in rows]:
            self._scalar(f"{part}/{name}/{source}", value, place[0])

    def close(self) -> None:
        """Finish the files."""
        self._board.close()

    def _append(self, file: str, rows: Sequence[Sequence[object]]) -> None:
        with (self.folder / file).open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(
                [f"{one:.6g}" if isinstance(one, float) else one for one in row] for row in rows
            )

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._board.add_scalar(name, value, step)


def last_held_out(folder: Path, step: int) -> dict[LossKey, tuple[float, int]]:
    """Return the held-out losses measured at a step: sums and numbers of micro-batches.

    Empty where that step was not measured.

    Args:
        folder: The run folder.
        step: The step.
    """
    path, columns = folder / VALID_FILE, COLUMNS[VALID_FILE]
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.reader(stream) if len(row) == len(columns)][1:]
    return {
        (source, name): (float(value) * int(count), int(count))
        for at, _, _, source, name, value, count in rows
        if int(at) == step and count
    }


def forget_held_out(folder: Path, step: int) -> None:
    """Remove the held-out losses of a step, of which a kill may have left a part."""
    _keep_until(folder / VALID_FILE, COLUMNS[VALID_FILE], step - 1)


def _keep_until(path: Path, columns: Sequence[str], step: int) -> None:
    """Leave a file with its heading and the rows of steps up to ``step``."""
    kept: list[list[str]] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            heading, *rows = list(csv.reader(stream)) or [[]]
        missing = [""] * (len(columns) - len(heading))
        # A kill may have left half a row at the end.
        whole = [row for row in rows if len(row) == len(heading)]
        kept = [[*row, *missing] for row in whole if int(row[0]) <= step]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *kept])
    write_whole(text.getvalue(), path)
