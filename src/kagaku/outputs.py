"""Whether something can be written where the user wants it, asked before any work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def check_ending(path: Path, endings: tuple[str, ...], what: str) -> None:
    """Refuse a file that cannot be written in the form that its ending names, or not there.

    Args:
        path: The file to write.
        endings: Those that can be written.
        what: The word for what is written, in the plural, for the message.

    Raises:
        InputError: The ending is none of these, or no file can be made there.
    """
    if path.suffix not in endings:
        raise InputError(
            f"{what} cannot be written as {path.suffix!r}",
            fix=f"Name a file that ends in one of {list(endings)}.",
            where=str(path),
        )
    check_writable(path)


def check_job_folder(folder: Path, *, mark: str, what: str) -> None:
    """Refuse a folder that holds something other than the job that is to be written into it.

    Args:
        folder: Where the job writes; may be there already from an earlier call.
        mark: Name of what every such job has in its folder.
        what: The word for the job, for the message.

    Raises:
        InputError: It is a file, may not be written into, or holds other things.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "this is a file, not a folder", fix="Choose another --output.", where=str(folder)
        )
    check_writable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).exists():
        raise InputError(
            f"the folder holds other files, which a {what} would mix with",
            fix="Choose an empty or a new folder as --output.",
            where=str(folder),
        )


@contextmanager
def writing_told(output: Path, what: str) -> Iterator[None]:
    """Tell a full disk and the like in words.

    Args:
        output: What is written.
        what: The word for what is written, in the plural, for the message.

    Raises:
        InputError: Something went wrong on the disk.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"the {what} cannot be written ({error.strerror or error})",
            fix="Free some disk space or choose another --output, then run the command again.",
            where=str(output),
        ) from error
