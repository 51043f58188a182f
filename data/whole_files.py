"""Files that are there as a whole or not at all, whenever a program is killed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name beside a file; what was written there takes its place at the end.

    An error inside leaves the file as it was, and nothing beside it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with written_whole(Path(folder) / "some.txt") as partial:
        ...         _ = partial.write_text("whole")
        ...     (Path(folder) / "some.txt").read_text()
        'whole'
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def write_whole(text: str, path: Path) -> None:
    """Write a text file, UTF-8, through a temporary name."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write plain values as a JSON file through a temporary name."""
    write_whole(json.dumps(values, ensure_ascii=False, indent=1) + "\n", path)
