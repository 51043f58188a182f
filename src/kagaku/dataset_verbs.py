"""`kagaku datasets`: which public data sets there are, whether they are here, and whether whole."""

from collections.abc import Sequence
from pathlib import Path

from kagaku.data.catalogue import DataFile, Dataset, find_dataset, list_datasets, verify
from kagaku.datasets import DatasetSource, source
from kagaku.downloading import ByteCallback
from kagaku.errors import InputError
from kagaku.terminal import ProgressCallback, Terminal


def run_datasets(
    name: str | None,
    *,
    domain: str | None = None,
    verify_files: bool = False,
    fetch: bool = False,
    terminal: Terminal | None = None,
) -> bool:
    """List the catalogue, or show one card; fetch and verify if asked to.

    Args:
        name: A data set; None means all (of a domain).
        domain: Only its data sets.
        verify_files: Compare every file that is here with its checksum, and say which is missing.
        fetch: Fetch what is in no folder first.
        terminal: Where to print.

    Returns:
        False if `verify_files` found a wrong or missing file.

    Raises:
        InputError: There is no such data set or domain, or something cannot be fetched.
    """
    terminal = terminal or Terminal()
    if name is not None and domain is not None:
        raise InputError(
            f"{name!r} is one data set, so there is nothing for --domain to choose from",
            fix="Leave one of them out.",
        )
    chosen = [find_dataset(name)] if name is not None else list_datasets(domain)
    where = source()
    files = [file for dataset in chosen for file in dataset.files]
    if fetch:
        fetch_files(files, where, terminal)
    if verify_files:
        return verify_all(files, where, terminal)
    if name is not None:
        show_card(chosen[0], where, terminal)
    else:
        show_table(chosen, where, terminal)
    return True


def show_table(datasets: Sequence[Dataset], where: DatasetSource, terminal: Terminal) -> None:
    """Print one row for each data set."""
    terminal.table(
        f"{len(datasets)} data sets (more about one: kagaku datasets NAME)",
        ["name", "domain", "what it is", "rows", "MB", "licence", "where"],
        [
            [
                one.name,
                one.domain,
                one.title.partition(": ")[2] or one.title,
                f"{one.n_rows:,}",
                f"{one.n_bytes / 1e6:.1f}",
                one.licence.partition(". ")[0].removesuffix("."),
                _place(one.files, where),
            ]
            for one in datasets
        ],
    )


def show_card(dataset: Dataset, where: DatasetSource, terminal: Terminal) -> None:
    """Print a data set's card, and where each of its files comes from and lies."""
    terminal.say(dataset.card.strip())
    terminal.table(
        "Files",
        ["file", "bytes", "sha256", "from", "where"],
        [
            [
                file.key,
                f"{file.n_bytes:,}",
                file.sha256[:16],
                f"{file.repository}@{file.commit[:12]}",
                _place([file], where),
            ]
            for file in dataset.files
        ],
    )


def fetch_files(files: Sequence[DataFile], where: DatasetSource, terminal: Terminal) -> None:
    """Fetch the files that are in no folder.

    Raises:
        InputError: Fetching is forbidden or fails; what came before is kept.
    """
    missing = [file for file in files if where.find(file) is None]
    if missing and where.forbidden_by is not None:
        raise where.not_here(missing)
    with terminal.progress("Fetching") as progress:
        for done, file in enumerate(missing):
            name = Path(file.key).name
            progress(done, len(missing), name)
            where.path(file, _telling(progress, done, len(missing), name))
    here = len(files) - len(missing)
    terminal.say(f"{len(missing)} files fetched into {where.cache}; {here} were here already.")


def verify_all(files: Sequence[DataFile], where: DatasetSource, terminal: Terminal) -> bool:
    """Compare files with their checksums; tell each that is wrong or missing.

    Returns:
        Whether every file is here and right.
    """
    wrong: list[str] = []
    missing: list[DataFile] = []
    done, total = 0, sum(file.n_bytes for file in files)
    with terminal.progress("Verifying") as progress:
        for file in files:
            progress(done, total, file.key)
            path = where.find(file)
            if path is None:
                missing.append(file)
            elif (told := _wrong(path, file)) is not None:
                wrong.append(told)
            done += file.n_bytes
    for told in wrong:
        terminal.say(f"WRONG    {told}")
    for file in missing:
        terminal.say(f"MISSING  {file.key} (kagaku datasets {file.dataset} --fetch)")
    right = len(files) - len(wrong) - len(missing)
    terminal.say(f"{right} files right, {len(wrong)} wrong, {len(missing)} missing.")
    return not wrong and not missing


def _telling(progress: ProgressCallback, done: int, total: int, name: str) -> ByteCallback:
    """Return what tells the progress bar how many bytes of one file there are."""
    return lambda n_bytes: progress(done, total, f"{name}, {n_bytes / 1e6:.1f} MB")


def _wrong(path: Path, file: DataFile) -> str | None:
    """Return what is wrong with a stored file, or None."""
    try:
        verify(path, file)
    except InputError as error:
        return str(error)
    return None


def _place(files: Sequence[DataFile], where: DatasetSource) -> str:
    """Return where files are: in a folder, the cache, partly there, or not here."""
    paths = [where.find(file) for file in files]
    here = [path for path in paths if path is not None]
    if not here:
        return "not here"
    if len(here) < len(paths):
        return f"{len(here)} of {len(paths)} here"
    return "cache" if all(path.is_relative_to(where.cache) for path in here) else "folder"
