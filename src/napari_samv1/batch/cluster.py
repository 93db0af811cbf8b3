"""Schedulers of tasks: threads of this process, or a dask.distributed cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from typing import Any

from napari_samv1.batch.segment import (
    Outcome,
    Part,
    Task,
    failed,
    find_part,
    finished,
    join_parts,
    parts_of,
    segment_file,
)
from napari_samv1.engine.progress import Cancelled

NO_CLUSTER = "a scheduler needs the package distributed: run `pip install 'napari-samv1[cluster]'`"

PATIENCE_SECONDS = 5.0
"""Time after which a cluster without workers is told of."""

PACKAGE = "napari-samv1"

OnTask = Callable[[Task, int, int], None]


class ClusterError(Exception):
    """A cluster cannot be used; the message says why."""


class OtherVersionError(ClusterError):
    """A worker has another version of this package, which may find other objects."""

    @classmethod
    def of(cls, worker: str, has: str, own: str) -> OtherVersionError:
        return cls(
            f"worker {worker} has {PACKAGE} {has}, and this process {own}: install the same version for both"
        )


def on_threads(tasks: Sequence[Task], workers: int, on_progress: OnTask | None = None) -> Iterator[Outcome]:
    """Segment images on ``workers`` threads of this process; yield outcomes as they are ready.

    ``on_progress(task, done, total)`` is called from the threads. When the iterator is closed, running
    images stop at their next step without output, and no other begins.
    """
    stopped = False

    def one(task: Task) -> Outcome:
        def report(done: int, total: int) -> None:
            if stopped:
                raise Cancelled
            if on_progress is not None:
                on_progress(task, done, total)

        if stopped:
            raise Cancelled
        return segment_file(task, report)

    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(one, task) for task in tasks]):
                yield future.result()
        finally:
            stopped = True


def on_cluster(
    tasks: Sequence[Task], address: str, on_wait: Callable[[], None] | None = None
) -> Iterator[Outcome]:
    """Segment images on a running dask.distributed cluster; yield outcomes as they are ready.

    A task is a plane or a group of regions. If a worker dies, the scheduler gives its task to another one.
    Workers must see the input and output folders under the same paths as this process. ``on_wait`` is called
    once if there is no worker after a few seconds; tasks wait for one.

    Raises
    ------
    ClusterError
        If the scheduler does not answer, a worker has another version of this package, or the package
        distributed is missing.
    """
    try:
        from distributed import CancelledError, Client
        from distributed import as_completed as completed
    except ImportError as error:
        raise ClusterError(NO_CLUSTER) from error
    try:
        # not the default one, as dask would go on asking it after its scheduler is gone
        client = Client(address, timeout=30, set_as_default=False)
    # distributed has an error for each: a wrong address, no answer, different versions
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"there is no scheduler at {address}: {error}") from error
    with _closed_quietly(client):
        started = time.monotonic()
        begun = {task: _begun(task) for task in tasks}
        yield from (one for one in begun.values() if isinstance(one, Outcome))
        unfinished = [task for task, one in begun.items() if not isinstance(one, Outcome)]
        if unfinished:
            _require_same_version(client, address)
        own = metadata.version(PACKAGE)
        plans = {client.submit(_planned, task, own, pure=False): task for task in unfinished}
        # after the tasks are there, because some clusters start workers for tasks only
        if plans and on_wait is not None and not _has_workers(client):
            on_wait()
        ends: dict[Any, Task] = {}
        coming = completed(list(plans), loop=client.loop)
        for future in coming:
            task = plans[future] if future in plans else ends[future]
            try:
                result = future.result()
            except OtherVersionError:
                raise
            except CancelledError:
                result = Outcome(task.path, "failed", error=_gone(address))
            # the scheduler gives up a task that kills its workers, for example by lack of memory
            except Exception as error:
                result = failed(task, error, started)
            if isinstance(result, Outcome):
                yield replace(result, seconds=time.monotonic() - started)
                continue
            found = [client.submit(_found, task, part, own, pure=False) for part in result]
            end = client.submit(_joined, task, begun[task], result, found, pure=False)
            ends[end] = task
            coming.add(end)


def _begun(task: Task) -> dict[str, Any] | Outcome:
    """All that a task depends on, or its outcome if it is finished already, or its file is missing."""
    try:
        made_from = task.made_from
        return finished(task, made_from) or made_from
    except Exception as error:
        return failed(task, error, time.monotonic())


@contextmanager
def _closed_quietly(client: Any) -> Iterator[None]:
    """Close a client at the end, without its traceback of a scheduler that is gone."""
    log = logging.getLogger("distributed.client")
    level = log.level
    try:
        with client:
            try:
                yield
            finally:
                log.setLevel(logging.CRITICAL)
    finally:
        log.setLevel(level)


def _has_workers(client: Any) -> bool:
    """Return True as soon as there is a worker, and False if there is none for a few seconds."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
    except TimeoutError:
        return False
    except OSError:
        # without a scheduler each task fails with a sentence
        return True
    return True


def _gone(address: str) -> str:
    return f"the scheduler at {address} is gone: start it and run the same command to continue"


def _require_same_version(client: Any, address: str) -> None:
    """Check the workers that are there; of those that come later, each task does."""
    own = metadata.version(PACKAGE)
    try:
        versions = client.run(metadata.version, PACKAGE, on_error="return")
    except OSError as error:
        raise ClusterError(_gone(address)) from error
    for worker, found in versions.items():
        if isinstance(found, metadata.PackageNotFoundError):
            raise OtherVersionError.of(worker, "not installed", own)
        # another error is of a worker that has just ended
        if isinstance(found, str) and found != own:
            raise OtherVersionError.of(worker, found, own)


def _require_version(expected: str) -> None:
    """Check this worker's version."""
    from distributed import get_worker

    own = metadata.version(PACKAGE)
    if own != expected:
        raise OtherVersionError.of(get_worker().address, own, expected)


def _planned(task: Task, version: str) -> list[Part] | Outcome:
    _require_version(version)
    try:
        return parts_of(task)
    except Exception as error:
        return failed(task, error, time.monotonic())


def _found(task: Task, part: Part, version: str) -> Any:
    _require_version(version)
    # errors are returned, so that their sentence is made in the worker
    try:
        return find_part(task, part)
    except Exception as error:
        return failed(task, error, time.monotonic())


def _joined(task: Task, made_from: dict[str, Any], parts: Sequence[Part], found: Sequence[Any]) -> Outcome:
    _require_version(made_from["version"])
    for one in found:
        if isinstance(one, Outcome):
            return one
    return join_parts(task, made_from, parts, found, time.monotonic())
