"""Files of a repository packed in one tar archive whose bytes depend on nothing but them."""

import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from kagaku.data.catalogue.dataset import DataFile


def blood_cell_archive(file: DataFile, fetch: Callable[[str], bytes]) -> bytes:
    """Return a tar archive of the images and annotations of one part of BCCD.

    Args:
        file: Its key ends in the part: ``bccd_train.tar``.
        fetch: Gives the source's files.
    """
    (root,) = file.sources
    part = PurePosixPath(file.key).stem.removeprefix("bccd_")
    names = fetch(f"{root}/ImageSets/Main/{part}.txt").decode().split()
    paths = [
        path
        for name in sorted(names)
        for path in (f"JPEGImages/{name}.jpg", f"Annotations/{name}.xml")
    ]
    return packed((path, fetch(f"{root}/{path}")) for path in paths)


def synthesis_archive(file: DataFile, fetch: Callable[[str], bytes]) -> bytes:
    """Return a tar archive of the annotated synthesis procedures and the lists of their names.

    Args:
        file: Its source is the folder.
        fetch: Gives the source's files.
    """
    (root,) = file.sources
    lists = {
        name: fetch(f"{root}/{name}")
        for name in (f"sfex-{part}-fnames.txt" for part in ("dev", "test", "train"))
    }
    names = sorted(name for one in lists.values() for name in one.decode().split())
    paths = [path for name in names for path in (f"data/{name}.ann", f"data/{name}.txt")]
    members = [(path, fetch(f"{root}/{path}")) for path in paths]
    return packed([*members, *lists.items()])


def packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a tar archive of names and contents, in this order, with fixed dates and owners."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()
