"""Who embeds: this process, processes beside it, or a Dask cluster."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from kagaku.corpus.cluster import workers
from kagaku.data.corpora.running import Runner
from kagaku.errors import InputError


@dataclass(frozen=True)
class Workforce:
    """Which workers were asked for."""

    asked: str | None = None
    """A number of processes on this machine, or ``"dask"``; None and ``"0"`` are this process."""

    scheduler: str | None = None
    """Address of a running Dask scheduler."""

    slurm: int | None = None
    """Number of SLURM jobs to start as workers."""

    @property
    def is_here(self) -> bool:
        """Whether this process does the work."""
        return self.asked in (None, "0") and self.scheduler is None and self.slurm is None

    def open(self) -> AbstractContextManager[Runner] | None:
        """Return what gives a runner; None where this process does the work.

        Raises:
            InputError: It is neither a number nor ``"dask"``, or no cluster is named.
        """
        if self.asked is not None and self.asked != "dask" and not self.asked.isdecimal():
            raise InputError(
                f"--workers is {self.asked!r}", fix="Give a number of processes, or dask."
            )
        scheduler = self.scheduler
        if self.asked == "dask" and scheduler is None and self.slurm is None:
            scheduler = _configured()
        n_workers = int(self.asked) if self.asked not in (None, "dask") else None
        if scheduler is None and self.slurm is None and not n_workers:
            return None
        return workers(n_workers, scheduler=scheduler, slurm=self.slurm)


def _configured() -> str:
    """Return the scheduler's address from Dask's own configuration, DASK_SCHEDULER_ADDRESS too."""
    import dask

    settings: Any = dask.config
    address = settings.get("scheduler-address", None)
    if address is None:
        raise InputError(
            "no Dask cluster is named",
            fix="Give --scheduler with the address that `dask scheduler` prints, or --slurm with a "
            "number of jobs, or set DASK_SCHEDULER_ADDRESS.",
        )
    return str(address)
