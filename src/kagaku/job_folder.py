"""The folder of a long job's finished parts, beside its output: whose parts they are."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.outputs import check_job_folder
from kagaku.run import read_json

HEAD_BYTES = 1_000_000
"""How much of a file is compared by content."""


class JobFolder:
    """A folder of finished parts, ``<output>.parts``.

    Args:
        output: What the parts will be joined to.
        mark: Name of the file in the folder that tells what its parts are of.
        what: The word for the job, for messages.
        identity: What the parts depend on, by word: input, weights, settings.
    """

    def __init__(self, output: Path, *, mark: str, what: str, identity: Mapping[str, Any]) -> None:
        self.path = output.with_name(f"{output.name}.parts")
        self._mark, self._what = mark, what
        self._identity = json.loads(json.dumps(identity))

    def kept(self) -> dict[str, Any] | None:
        """Return what an earlier, stopped call gave to `begin`; None where there was none.

        Raises:
            InputError: The parts are those of another job, or the folder is something else.
        """
        check_job_folder(self.path, mark=self._mark, what=self._what)
        if not (self.path / self._mark).exists():
            return None
        stored = read_json(self.path / self._mark)
        if differ := [word for word in self._identity if stored.get(word) != self._identity[word]]:
            told = [f"another {word}" for word in differ if word == "input"]
            told += [f"other {word}" for word in differ if word != "input"]
            raise InputError(
                f"the folder keeps the finished parts of {' and '.join(told)}",
                fix="Give the command that began it again, or choose another --output, or remove "
                "the folder.",
                where=str(self.path),
            )
        return stored

    def begin(self, found: Mapping[str, Any]) -> None:
        """Make the folder and keep what was found out before the first part."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(json.dumps({**self._identity, **found}, indent=1), self.path / self._mark)

    def remove(self) -> None:
        """Remove the folder, what it is of last: stopped half-way, the next call goes on."""
        for one in self.path.iterdir():
            if one.name != self._mark:
                one.unlink()
        shutil.rmtree(self.path)


def input_state(source: Path) -> dict[str, Any]:
    """Return a file's name, size and time, and a digest of its head; for a folder, all files'."""
    digest = hashlib.sha256()
    n_bytes = 0
    files = [one for one in source.rglob("*") if one.is_file()] if source.is_dir() else [source]
    for one in sorted(files):
        state = one.stat()
        n_bytes += state.st_size
        told = (str(one.relative_to(source.parent)), state.st_size, state.st_mtime_ns)
        digest.update(json.dumps(told).encode())
    if source.is_file():
        with source.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
    return {"name": source.name, "bytes": n_bytes, "digest": digest.hexdigest()}
