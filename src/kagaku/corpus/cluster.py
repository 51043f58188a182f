"""Workers for corpora and embeddings: this machine's cores, a Dask cluster, or SLURM jobs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from kagaku.data.corpora.running import Runner, run_here
from kagaku.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

TASKS_PER_WORKER = 3
"""Tasks that wait at each worker: enough to keep it busy, few enough to fit in memory."""


@contextmanager
def workers(
    n_workers: int | None = None, *, scheduler: str | None = None, slurm: int | None = None
) -> Iterator[Runner]:
    """Give a runner, and end its workers afterwards.

    Args:
        n_workers: Worker processes on this machine; 0 works in this process, None takes a core
            each.
        scheduler: Address of a running Dask scheduler, such as ``"tcp://head:8786"``.
        slurm: Number of SLURM jobs to start as workers, configured by dask-jobqueue's own file.

    Raises:
        InputError: Two ways were asked for, the scheduler does not answer, or dask-jobqueue is
            not installed.
    """
    if sum(one is not None for one in (n_workers, scheduler, slurm)) > 1:
        raise InputError(
            "more than one kind of workers was asked for",
            fix="Give only one of --workers, --scheduler and --slurm.",
        )
    if n_workers == 0:
        yield run_here
        return
    from distributed import Client

    connect: Any = Client  # distributed has no types
    with _cluster(n_workers, slurm) if scheduler is None else _nothing() as cluster:
        try:
            client = connect(scheduler if cluster is None else cluster, timeout=30)
        except (OSError, ValueError) as error:
            raise InputError(
                f"the Dask scheduler {scheduler!r} does not answer ({error})",
                fix="Start it with `dask scheduler`, and give the address that it prints.",
            ) from None
        with client:
            yield DaskRunner(client)


class DaskRunner:
    """Runs tasks on the workers of a Dask client, a few per worker at a time.

    Workers may join and leave meanwhile, as SLURM starts its jobs: they are counted anew whenever
    a task is finished.

    Args:
        client: The client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __call__(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results in the order in which they are finished.

        Raises:
            InputError: Workers that took up a task were killed, one after the other.
        """
        import distributed

        running: Any = distributed.as_completed([])
        waiting, n_running = iter(tasks), 0

        def fill() -> None:
            """Give the workers who are there now what they lack."""
            nonlocal n_running
            most = TASKS_PER_WORKER * max(1, sum(self._client.nthreads().values()))
            for task in islice(waiting, max(0, most - n_running)):
                running.add(self._client.submit(function, task, pure=False))
                n_running += 1

        fill()
        for future in running:
            n_running -= 1
            fill()
            try:
                result = future.result()
            except distributed.KilledWorker as error:
                raise InputError(
                    f"a task was given up: {error.allowed_failures + 1} workers that took it up "
                    "were killed, as the system does when memory runs out",
                    fix="Take fewer workers or give each more memory, then run the command again.",
                    where=f"worker {error.last_worker.address}",
                ) from None
            yield result


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _cluster(n_workers: int | None, slurm: int | None) -> Iterator[Any]:
    """Give a cluster of processes on this machine or of SLURM jobs."""
    if slurm is None:
        import distributed

        local_cluster: Any = distributed.LocalCluster
        with local_cluster(
            n_workers=n_workers or _cores(), threads_per_worker=1, dashboard_address=":0"
        ) as local:
            yield local
        return
    try:
        import dask_jobqueue  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise InputError(
            "SLURM workers need the package dask-jobqueue",
            fix="Install it with: pip install 'kagaku[cluster]'.",
        ) from None
    slurm_cluster: Any = dask_jobqueue.SLURMCluster  # type: ignore[attr-defined,unused-ignore]
    with slurm_cluster() as jobs:
        jobs.scale(jobs=slurm)
        yield jobs


def _cores() -> int:
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)
