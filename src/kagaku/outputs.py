"""Whether something can be written where the user wants it, asked before any work; and by one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

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


def check_apart(source: Path, output: Path) -> None:
    """Refuse an output that would replace its input, or lie in the folder that is the input.

    Raises:
        InputError: It would. In a folder, even a part would count as a change of the input.
    """
    read, written = source.resolve(), output.resolve()
    if read in (written, rejected_path(written)) or (read.is_dir() and read in written.parents):
        raise InputError(
            "the output would replace the input or lie in it",
            fix="Choose another --output.",
            where=str(output),
        )


def rejected_path(output: Path) -> Path:
    """Return where the bad cells of an output's input are listed, beside the output.

    Example:
        >>> rejected_path(Path("vectors.parquet")).name
        'vectors.rejected.csv'
    """
    return output.with_name(f"{output.stem}.rejected.csv")


@contextmanager
def writing_alone(output: Path) -> Iterator[None]:
    """Hold the lock ``<output>.lock``, so that no other process writes the same output meanwhile.

    The system takes the lock back when its process ends, however it ends; a lock file that a killed
    process has left is no hindrance.

    Raises:
        InputError: Another process holds it.
    """
    path = output.with_name(f"{output.name}.lock")
    lock = FileLock(path, timeout=0)
    with writing_told(output, "lock beside the output"):
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:  # an OSError too
            raise InputError(
                "another process is writing this output",
                fix="Wait until it is done, stop it, or choose another --output.",
                where=str(output),
            ) from None
    try:
        yield
    finally:
        # While it is held, so that whoever comes next makes a file of its own. Windows refuses.
        with suppress(OSError):
            path.unlink()
        lock.release()


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
