"""The bad cells of a file of any length: counted all, listed up to a bound, told together."""

from collections.abc import Sequence
from pathlib import Path

from kagaku.data import BadCell, BadRowsError, write_rejected
from kagaku.data.bad_rows import SHOWN
from kagaku.outputs import rejected_path
from kagaku.terminal import Terminal

KEPT_BAD_CELLS = 100_000
"""Most bad cells that are listed one by one, so that a wholly wrong file does not fill memory."""


class BadCells:
    """What the first pass over a file finds that cannot be used."""

    def __init__(self) -> None:
        self.listed: list[BadCell] = []
        self.count = 0

    def add(self, found: Sequence[BadCell]) -> None:
        """Count some more, and list them while there is room."""
        self.count += len(found)
        self.listed += found[: KEPT_BAD_CELLS - len(self.listed)]

    @property
    def told(self) -> str:
        """How many there are, beside a progress bar; empty where there are none."""
        return f"{self.count:,} bad cells" if self.count else ""

    def refuse(self, n_rows: int, output: Path, terminal: Terminal) -> None:
        """Stop where there are any, and write the list beside the output; remove an older list.

        Args:
            n_rows: Rows of the whole file.
            output: What was to be written.
            terminal: Told where the list is, if the error does not show it whole.

        Raises:
            BadRowsError: There are bad cells.
        """
        rejected = rejected_path(output)
        if not self.listed:
            rejected.unlink(missing_ok=True)
            return
        write_rejected(self.listed, rejected)
        if self.count > SHOWN:
            is_whole = self.count == len(self.listed)
            which = "All" if is_whole else f"The first {len(self.listed):,}"
            terminal.say(f"{which} bad cells are listed in", path=rejected)
        raise BadRowsError(self.listed, n_rows, n_cells=self.count)
