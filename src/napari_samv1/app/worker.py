"""Worker: a background thread that runs the newest job of each key, and delivers results by callbacks."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

COUNT_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """The end of a job: its key, and either its value or the error that ended it."""

    key: Hashable
    value: Any = None
    error: Exception | None = None
    cancelled: bool = False


class JobCancelled(Exception):  # noqa: N818 - not an error
    """Raised inside a job by its ticket, once the job is cancelled."""


class Ticket:
    """A job's means to hear of its cancellation, and to report progress."""

    def __init__(self, key: Hashable, report: Callable[[Hashable, object], None]) -> None:
        self.key = key
        self._report = report
        self._cancelled = threading.Event()
        self._counted = time.monotonic()

    def cancel(self) -> None:
        """Ask the job to end at its next check."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """True if the job should end: it was cancelled, or the program is closing."""
        return self._cancelled.is_set() or not threading.main_thread().is_alive()

    def check(self) -> None:
        """Raise ``JobCancelled`` if the job should end."""
        if self.cancelled:
            raise JobCancelled

    def report(self, progress: object) -> None:
        """Send progress to the main thread; raise ``JobCancelled`` if the job should end."""
        self.check()
        self._report(self.key, progress)

    def count(self, done: int, total: int | None) -> None:
        """Report ``(done, total)``, twice a second at most; raise as ``report`` does.

        A short job is held up by the main thread as it draws each step, and ends before a person reads it.
        """
        self.check()
        now = time.monotonic()
        if now - self._counted >= COUNT_SECONDS:
            self._counted = now
            self.report((done, total))


Job = Callable[[Ticket], Any]
# makes calls on the main thread in the order of their arrival, without waiting for them
Deliver = Callable[[Callable[[], None]], None]


class Worker:
    """Thread that runs the newest job of each key, in the order of the keys' arrival.

    A job that waits is replaced by a newer one with the same key; a running one goes on, and its answer is
    delivered unless it was cancelled. Jobs never raise out of the thread: every job that is not replaced ends
    in an ``Outcome``.

    The thread starts with a job and ends when none waits: a thread that waits would keep its team of OpenMP
    threads, and beside it the teams of other threads compute a third slower.

    napari's workers are not used, because napari keeps each, with its arguments, as long as the window lives.

    Parameters
    ----------
    name : str
        For the thread's name and the log.
    on_finished : callable
        Called with each ``Outcome``, through ``deliver``.
    on_progress : callable, optional
        Called with a job's key and its report, through ``deliver``.
    deliver : callable
        Passes a call of the worker's thread on to the main thread: ``Mailbox`` of ``widgets/shared`` where
        Qt runs, a queue's ``put`` in a script or a test.
    """

    def __init__(
        self,
        name: str,
        on_finished: Callable[[Outcome], None],
        on_progress: Callable[[Hashable, object], None] | None = None,
        *,
        deliver: Deliver,
    ) -> None:
        self.name = name
        self._on_finished = on_finished
        self._on_progress = on_progress
        self._deliver = deliver
        self._waiting: OrderedDict[Hashable, tuple[Ticket, Job]] = OrderedDict()
        self._running: Ticket | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def submit(self, key: Hashable, job: Job) -> Ticket:
        """Run ``job(ticket)`` after the waiting jobs; it replaces a waiting job of the same key."""
        ticket = Ticket(key, self._post_progress)
        with self._lock:
            if self._stopped:
                ticket.cancel()
                return ticket
            self._waiting[key] = (ticket, job)
            if self._thread is None:
                # not a daemon: torch must not be torn down under a running job
                self._thread = threading.Thread(target=self._run, name=f"napari-samv1 {self.name}")
                self._thread.start()
        return ticket

    def cancel(self, key: Hashable) -> None:
        """Drop the waiting job of this key and ask a running one to end."""
        with self._lock:
            waiting = self._waiting.pop(key, None)
            running = self._running
        if waiting is not None:
            waiting[0].cancel()
            self._deliver(partial(self._finish, Outcome(key, cancelled=True)))
        if running is not None and running.key == key:
            running.cancel()

    @property
    def busy(self) -> bool:
        """True while a job runs or waits."""
        with self._lock:
            return self._running is not None or bool(self._waiting)

    def stop(self, timeout: float | None = 10.0) -> bool:
        """End the thread, and deliver nothing afterwards; True if it ended within ``timeout`` seconds."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
            thread = self._thread
            if self._running is not None:
                self._running.cancel()
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._stopped or not self._waiting:
                    self._thread = None
                    return
                _, (ticket, job) = self._waiting.popitem(last=False)
                self._running = ticket
            outcome = _outcome_of(ticket, job)
            del job
            with self._lock:
                self._running = None
            self._deliver(partial(self._finish, outcome))
            del outcome  # the next job must not keep an embedding alive

    def _finish(self, outcome: Outcome) -> None:
        if not self._stopped:
            self._on_finished(outcome)

    def _post_progress(self, key: Hashable, progress: object) -> None:
        if self._on_progress is not None:
            self._deliver(partial(self._progress, key, progress))

    def _progress(self, key: Hashable, progress: object) -> None:
        if not self._stopped and self._on_progress is not None:
            self._on_progress(key, progress)


def _outcome_of(ticket: Ticket, job: Job) -> Outcome:
    try:
        ticket.check()
        value = job(ticket)
    except JobCancelled:
        return Outcome(ticket.key, cancelled=True)
    except Exception as error:  # catches all, because a thread has no caller to do so
        if ticket.cancelled:
            return Outcome(ticket.key, cancelled=True)
        logger.debug("%s failed", ticket.key, exc_info=True)
        return Outcome(ticket.key, error=error)
    return Outcome(ticket.key, value=value, cancelled=ticket.cancelled)
