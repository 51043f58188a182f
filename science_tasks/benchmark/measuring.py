"""How long a method took, also over several attempts, and the most memory it held."""

import json
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

from kagaku.data.whole_files import write_json

BETWEEN_WRITES = 5.0
"""Seconds between two writings of what an attempt has taken so far: the most that a kill hides."""

BETWEEN_LOOKS = 0.2
"""Seconds between two looks at the memory."""


class Stopwatch:
    """Seconds of wall time, those of earlier attempts that were stopped included.

    Args:
        path: Where they are kept until the answers are there.
        of: What is timed; what another has taken does not count.
    """

    def __init__(self, path: Path, of: str) -> None:
        self._path, self._of = path, of
        self._before, self._begun = self._kept(), time.monotonic()
        self._written = self._begun

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._before + time.monotonic() - self._begun

    def tick(self) -> None:
        """Keep the time so far, at most every few seconds."""
        now = time.monotonic()
        if now - self._written >= BETWEEN_WRITES:
            self._written = now
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json({"of": self._of, "seconds": self.seconds}, self._path)

    def forget(self) -> None:
        """Remove what was kept."""
        self._path.unlink(missing_ok=True)

    def _kept(self) -> float:
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            return float(stored["seconds"]) if stored["of"] == self._of else 0.0
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0


class Watch:
    """Looks at the process's resident memory, and ticks a stopwatch, as long as it is open.

    The memory is the whole process's, so it holds what earlier methods left there.

    Args:
        stopwatch: What is told that time goes by.
    """

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._process, self._stopwatch = psutil.Process(), stopwatch
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most_bytes = 0
        """The most resident memory that was seen."""

    def __enter__(self) -> "Watch":
        """Start to look."""
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look for the last time."""
        self._ended.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._ended.wait(BETWEEN_LOOKS):
            self._look()
            self._stopwatch.tick()

    def _look(self) -> None:
        self.most_bytes = max(self.most_bytes, int(self._process.memory_info().rss))
