"""What the front door says: tables, sentences and progress bars on the standard error stream."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap

ProgressCallback = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""

BETWEEN = 2
"""Columns of the screen between two columns of a table."""

LEAST_HEADING = 8
"""Characters of a heading that stand in one line anyway."""

LEAST_WIDTH = 12
"""Columns of the screen that words are left with beside whole names and numbers."""

UNBROKEN = 24
"""Longest cell, in characters, that a narrow terminal does not break into lines."""

_NUMBER = re.compile(r"[+-]?[\d.,]*")


def _no_progress(done: int, total: int, label: str) -> None:
    """Show nothing."""
    del done, total, label


class Terminal:
    """Prints for people; a quiet one prints nothing.

    rich is imported on first use, so that `kagaku --help` does not wait for it.

    Args:
        quiet: Print nothing at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str = "", *, path: Path | None = None) -> None:
        """Print one paragraph; a path ends it whole, so that it can be copied."""
        if not self.quiet:
            from rich.console import Console

            console = Console(stderr=True, highlight=False)
            if path is None:
                console.print(text, markup=False)
            else:
                console.print(f"{text} {path}", markup=False, soft_wrap=True)

    def command(self, text: str) -> None:
        """Print something to be copied: on a line of its own, never broken."""
        if not self.quiet:
            from rich.console import Console

            Console(stderr=True, highlight=False).print(f"  {text}", markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""
        if self.quiet:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(stderr=True, highlight=False)
        cells = [[row[place] for row in rows] for place in range(len(columns))]
        are_numbers = [all(map(_NUMBER.fullmatch, one)) for one in cells]
        gaps = BETWEEN * (len(columns) + 1)
        names, widths = list(columns), _widths(columns, cells)
        fits = sum(widths) + gaps <= console.width
        if not fits:
            names = [
                _broken(name, max(map(len, one), default=0)) if is_number else name
                for name, one, is_number in zip(columns, cells, are_numbers, strict=True)
            ]
            widths = _widths(names, cells)
        # What a row is called stays whole as long as something is left for the other words.
        narrow = [
            width if is_number or place == 0 else min(width, LEAST_WIDTH)
            for place, (width, is_number) in enumerate(zip(widths, are_numbers, strict=True))
        ]
        names_fit = sum(narrow) + gaps <= console.width
        numbers_fit = sum(narrow) - narrow[0] + LEAST_WIDTH + gaps <= console.width
        # As text, since a SMILES such as "C[C@H]" or a unit in brackets would be read as markup.
        table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for place, (name, width, is_number) in enumerate(
            zip(names, widths, are_numbers, strict=True)
        ):
            has_room = fits or (names_fit and place == 0)
            table.add_column(
                Text(name),
                # A number that is cut is another number; where there is no room it is broken.
                overflow="fold",
                no_wrap=(is_number and numbers_fit) or (has_room and width <= UNBROKEN),
                justify="right" if is_number else "left",
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)

    @contextmanager
    def progress(self, title: str) -> Iterator[ProgressCallback]:
        """Show a progress bar with the time left; gives the callback that moves it."""
        if self.quiet:
            yield _no_progress
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True, highlight=False)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[label]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # a log file gets no empty lines
        )
        with bar:
            task = bar.add_task(title, total=None, label="")

            def move(done: int, total: int, label: str) -> None:
                bar.update(task, completed=done, total=total, label=label)

            yield move


def _widths(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is, unbroken."""
    return [
        max(map(len, [*name.splitlines(), *one]), default=0)
        for name, one in zip(names, cells, strict=True)
    ]


def _broken(name: str, width: int) -> str:
    """Return the heading of a column of numbers in lines hardly longer than these."""
    return "\n".join(wrap(name, max(width, LEAST_HEADING), break_long_words=False)) or name
