"""Whether something can be written where the user wants it, asked before any work."""

import os
from pathlib import Path

from kagaku.errors import InputError


def check_writable(path: Path) -> None:
    """Refuse a path that no file or folder can be made at.

    Raises:
        InputError: Something on its way is a file, or may not be written into.
    """
    beside = next(one for one in path.absolute().parents if one.exists())
    if not beside.is_dir():
        problem = f"{str(beside)!r} is a file, so nothing can lie in it"
    elif not os.access(beside, os.W_OK):
        problem = f"the folder {str(beside)!r} may not be written into"
    else:
        return
    raise InputError(problem, fix="Choose another --output.", where=str(path))
