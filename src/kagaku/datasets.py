"""Public data sets: taken from the local folder, from the cache, or fetched, and always compared.

``KAGAKU_DATA`` names folders that are looked at first (several are joined as in ``PATH``);
``KAGAKU_CACHE`` the cache; ``KAGAKU_OFFLINE=1`` forbids to fetch.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from kagaku.cache import cache_folder, offline_variable
from kagaku.data.catalogue import DataFile, Source, data_file, list_files, locate, verify
from kagaku.data.catalogue.contents import read_stored
from kagaku.data.catalogue.dataset import ENDINGS
from kagaku.data.catalogue.own_files import is_own, open_own_file
from kagaku.downloading import ByteCallback, Downloader
from kagaku.errors import InputError

SPARE_BYTES = 1 << 16
"""What a compressed file may have more than its content: some data do not pack."""

MOST_SOURCE_BYTES = 1 << 24
"""Most bytes of one source of a derived file; the largest known, a JSON, has 2.6 MB."""

_INCOMING = ".incoming"


def read(key: str) -> bytes:
    """Return the content of a catalogued file, fetching it if no folder has it.

    Args:
        key: Such as ``molecules/moleculenet/ESOL.csv``.

    Raises:
        InputError: There is no such file, it cannot be had, or its content is wrong.
    """
    return source()(key)


def source(environment: Mapping[str, str] = os.environ) -> "DatasetSource":
    """Return the source of data sets that the environment describes; hand it to task code.

    Args:
        environment: Where ``KAGAKU_DATA``, ``KAGAKU_CACHE`` and ``KAGAKU_OFFLINE`` are looked up.

    Raises:
        InputError: ``KAGAKU_DATA`` names a folder that is not there.
    """
    return DatasetSource(
        folders=data_folders(environment),
        cache=cache_folder("datasets", environment),
        forbidden_by=offline_variable(environment),
    )


def data_folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the folders that ``KAGAKU_DATA`` names, in their order.

    Raises:
        InputError: One of them is not there.
    """
    named = environment.get("KAGAKU_DATA", "").split(os.pathsep)
    folders = tuple(Path(one).expanduser() for one in named if one)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"there is no folder {str(folder)!r}", fix="Correct it.", where="KAGAKU_DATA"
            )
    return folders


@dataclass(frozen=True)
class DatasetSource(Source):
    """Gives the content of catalogued files, wherever they are."""

    folders: Sequence[Path]
    """Looked at first, in their order; nothing is written there."""

    cache: Path
    """Keeps what was fetched."""

    forbidden_by: str | None = None
    """The environment variable that forbids to fetch, or None."""

    downloader: Downloader = field(default_factory=Downloader)
    """Fetches."""

    def __call__(self, key: str) -> bytes:
        """Return the uncompressed content of the file with this key.

        Raises:
            InputError: There is no such file, it cannot be had, or its content is wrong.
        """
        if is_own(key):
            return open_own_file(key, (*self.folders, self.cache))
        file = data_file(key)
        return read_stored(self.path(file), file)

    def find(self, file: DataFile) -> Path | None:
        """Return where a file lies, in a folder or the cache, or None."""
        return locate(file, (*self.folders, self.cache))

    def path(self, file: DataFile, progress: ByteCallback | None = None) -> Path:
        """Return where a file lies, plain or compressed, fetching it if it is nowhere.

        Args:
            file: The file.
            progress: Is told how many bytes of a download there are by now.

        Raises:
            InputError: It may not be fetched, or that fails.
        """
        found = self.find(file)
        if found is not None:
            return found
        if self.forbidden_by is not None:
            raise self.not_here([file])
        from filelock import FileLock  # two processes may want the same file

        lock = self.cache / _INCOMING / f"{file.sha256}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            found = locate(file, (self.cache,))
            if found is None:
                found = (self._derived if file.derivation else self._copied)(file, progress)
        return found

    def not_here(self, files: Sequence[DataFile]) -> InputError:
        """Return the error that says which files to put where, since nothing may be fetched."""
        place = self.folders[0] if self.folders else self.cache
        listed = "\n".join(f"  {file.key}  (from {file.address})" for file in files)
        return InputError(
            f"{len(files)} file{'s are' if len(files) > 1 else ' is'} in no folder, and "
            f"{self.forbidden_by} forbids to fetch",
            fix="Copy there what `kagaku datasets --fetch` put into the cache of another machine, "
            f"plain or as .gz, .zst, .xz or .bz2:\n{listed}",
            where=str(place),
        )

    def _copied(self, file: DataFile, progress: ByteCallback | None) -> Path:
        """Fetch a file whose content is the source's own.

        Raises:
            InputError: The download fails, or its content is not the catalogue's.
        """
        (path,) = file.sources
        ending = PurePosixPath(path).suffix.lower()
        name = file.key + (ending if ending in ENDINGS else "")
        incoming = self.cache / _INCOMING / name
        address = self.downloader.address(file.repository, file.commit, path)
        self.downloader.download(address, incoming, file.n_bytes + SPARE_BYTES, progress)
        return self._keep(incoming, self.cache / name, file, address)

    def _derived(self, file: DataFile, progress: ByteCallback | None) -> Path:
        """Fetch the sources of a file and make it from them; they are kept until that succeeds.

        Raises:
            InputError: A source cannot be had, or what is made of it is not the catalogue's.
        """
        from kagaku.data.catalogue.derivations import derive

        folder = self.cache / _INCOMING / file.sha256
        content = derive(file, self._fetch_into(folder, file, progress))
        found = hashlib.sha256(content).hexdigest()
        shutil.rmtree(folder, ignore_errors=True)
        if found != file.sha256:
            raise InputError(
                f"what was made of its source has sha256 {found}, the catalogue's is {file.sha256}",
                fix="Its source or a library that packs it has changed: take the file from "
                "somebody who has it.",
                where=f"{file.key}, from {file.address}",
            )
        incoming = self.cache / _INCOMING / file.key
        incoming.parent.mkdir(parents=True, exist_ok=True)
        incoming.write_bytes(content)
        return self._keep(incoming, self.cache / file.key, file, file.address)

    def _fetch_into(
        self, folder: Path, file: DataFile, progress: ByteCallback | None
    ) -> Callable[[str], bytes]:
        """Return a function that gives the file's sources, each fetched once."""
        same = {
            one.sources[0]: one.key
            for one in list_files()
            if not one.derivation
            and (one.repository, one.commit) == (file.repository, file.commit)
            and PurePosixPath(one.sources[0]).suffix not in ENDINGS
        }

        def fetch(path: str) -> bytes:
            if path in same:
                return self(same[path])
            if not (folder / path).resolve().is_relative_to(folder.resolve()):
                raise InputError(
                    f"its source names a file {path!r} outside of its repository",
                    fix="Nothing was read from it: look at the source in a browser.",
                    where=f"{file.key}, from {file.address}",
                )
            target = folder / path
            if not target.exists():
                address = self.downloader.address(file.repository, file.commit, path)
                self.downloader.download(address, target, MOST_SOURCE_BYTES, progress)
            return target.read_bytes()

        return fetch

    def _keep(self, incoming: Path, target: Path, file: DataFile, address: str) -> Path:
        """Compare what came with the catalogue and give it its name; what is wrong is deleted.

        Raises:
            InputError: It is wrong; has the address and both checksums.
        """
        try:
            verify(incoming, file)
        except InputError as error:
            incoming.unlink(missing_ok=True)
            raise InputError(
                error.what,
                fix="Nothing was kept of it. Look at the address in a browser: it may be a page "
                "that asks to log in; otherwise take the file from somebody who has it.",
                where=address,
            ) from None
        target.parent.mkdir(parents=True, exist_ok=True)
        return incoming.replace(target)
