"""The folder of a long job's finished parts, beside its output: whose parts they are."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kagaku import __version__
from kagaku.data.whole_files import write_whole
from kagaku.errors import InputError
from kagaku.outputs import check_job_folder
from kagaku.run import read_json

VERSION = "version of kagaku"
"""What every job depends on, whatever else it does."""


class JobFolder:
    """A folder of finished parts, ``<output>.parts``.

    Args:
        output: What the parts will be joined to.
        mark: Name of the file in the folder that tells what its parts are of.
        what: The word for the job, for messages.
        identity: What the parts depend on, by word: input, weights, settings. kagaku's version
            counts too.
    """

    def __init__(self, output: Path, *, mark: str, what: str, identity: Mapping[str, Any]) -> None:
        self.path = output.with_name(f"{output.name}.parts")
        self._mark, self._what = mark, what
        self._identity = {**json.loads(json.dumps(identity)), VERSION: __version__}

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
            told = [f"another {word}" for word in differ if word in ("input", VERSION)]
            told += [f"other {word}" for word in differ if word not in ("input", VERSION)]
            raise self._strange(" and ".join(told))
        return stored

    def check_files(self, kept: Mapping[str, Any], digest: str) -> None:
        """Compare the files that the input's cells name with those that `begin` was told of.

        Args:
            kept: What `kept` gave; ``files`` is the digest of then.
            digest: See `NamedFiles.digest`.

        Raises:
            InputError: Some have changed.
        """
        if kept.get("files") != digest:
            raise self._strange("another input: files that its cells name have changed")

    def _strange(self, told: str) -> InputError:
        return InputError(
            f"the folder keeps the finished parts of {told}",
            fix="Give the command that began it again, or choose another --output, or remove the "
            "folder.",
            where=str(self.path),
        )

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
