"""Paths in cells: files beside the table, never anything outside its folder."""

from pathlib import Path, PurePosixPath, PureWindowsPath

from kagaku.errors import InputError


def file_in_folder(cell: str, folder: Path) -> Path:
    """Return the file that a cell names, relative to the table's folder.

    A table may come from somebody else, so a path in it must not reach other files: absolute paths,
    ``..`` and links that lead out of the folder are refused.

    Raises:
        InputError: The path leads out of the folder, or there is no such file.
    """
    text = cell.strip().replace("\\", "/")
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive or text.startswith("~"):
        raise InputError(
            "the path is absolute", fix="Give it relative to the folder that the table is in."
        )
    outside = InputError(
        "the path leads out of the table's folder", fix="Put the file beside the table."
    )
    if ".." in PurePosixPath(text).parts:
        raise outside
    path = folder / text
    try:
        exists, resolved = path.exists(), path.resolve()
    except (OSError, ValueError):
        raise InputError("this is not a path", fix="Give the name of a file.") from None
    if not resolved.is_relative_to(folder.resolve()):
        raise outside
    if not exists:
        raise InputError("there is no such file", fix="Correct the path, or add the file.")
    return path
