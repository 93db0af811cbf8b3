"""The background worker, its results taken from a plain queue instead of Qt's event loop."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest

from napari_samv1.app.worker import Outcome, Ticket, Worker


class Calls(queue.Queue[Callable[[], None]]):
    """Calls that wait to be made by the thread of the test."""

    def __call__(self, call: Callable[[], None]) -> None:
        self.put(call)

    def make_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self.get(timeout=5)()

    def make_waiting(self) -> None:
        while not self.empty():
            self.get()()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def outcomes() -> list[Outcome]:
    return []


@pytest.fixture
def worker(calls, outcomes):
    worker = Worker("test", outcomes.append, deliver=calls)
    yield worker
    assert worker.stop()


def test_a_job_runs_in_a_thread_and_its_outcome_where_the_calls_are_made(calls):
    threads = []
    worker = Worker(
        "test",
        lambda outcome: threads.append((threading.current_thread(), outcome.value)),
        deliver=calls,
    )
    worker.submit("a", lambda ticket: threading.current_thread())
    calls.make_until(lambda: len(threads) == 1)
    delivered_on, ran_on = threads[0]
    assert delivered_on is threading.current_thread()
    assert ran_on is not threading.current_thread()
    assert worker.stop()


def test_of_waiting_jobs_with_one_key_only_the_newest_runs(worker, calls, outcomes):
    gate, ran = threading.Event(), []
    worker.submit("first", lambda ticket: gate.wait(5))
    for number in range(50):
        worker.submit("object 1", lambda ticket, number=number: ran.append(number))
    gate.set()
    calls.make_until(lambda: len(outcomes) == 2)
    assert ran == [49]


def test_jobs_of_other_keys_all_run(worker, calls, outcomes):
    for number in range(5):
        worker.submit(number, lambda ticket, number=number: number * 10)
    calls.make_until(lambda: len(outcomes) == 5)
    assert [outcome.value for outcome in outcomes] == [0, 10, 20, 30, 40]


def test_an_error_is_an_outcome_and_the_thread_goes_on(worker, calls, outcomes):
    def fail(ticket):
        raise ValueError("no such file")

    worker.submit("a", fail)
    worker.submit("b", lambda ticket: 1)
    calls.make_until(lambda: len(outcomes) == 2)
    assert str(outcomes[0].error) == "no such file"
    assert outcomes[1].value == 1


def test_a_running_job_ends_at_its_next_check_when_cancelled(worker, calls, outcomes):
    started = threading.Event()

    def run(ticket: Ticket) -> None:
        started.set()
        while True:
            time.sleep(0.005)
            ticket.report(1)

    worker.submit("long", run)
    assert started.wait(5)
    worker.cancel("long")
    calls.make_until(lambda: len(outcomes) == 1)
    assert outcomes[0].cancelled
    assert outcomes[0].error is None


def test_progress_arrives_in_order(calls, outcomes):
    progress = []
    worker = Worker("test", outcomes.append, lambda key, done: progress.append((key, done)), deliver=calls)
    worker.submit("a", lambda ticket: [ticket.report(step) for step in range(4)])
    calls.make_until(lambda: len(outcomes) == 1)
    assert progress == [("a", 0), ("a", 1), ("a", 2), ("a", 3)]
    assert worker.stop()


def test_counts_come_twice_a_second_and_not_of_a_job_that_is_soon_done(calls, outcomes, monkeypatch):
    at = [0.0]
    monkeypatch.setattr("napari_samv1.app.worker.time.monotonic", lambda: at[0])
    progress = []
    worker = Worker("test", outcomes.append, lambda _key, done: progress.append(done), deliver=calls)

    def job(ticket: Ticket) -> None:
        for step in range(10):
            at[0] = 0.175 * step
            ticket.count(step, 10)

    worker.submit("a", job)
    calls.make_until(lambda: len(outcomes) == 1)
    assert progress == [(3, 10), (6, 10), (9, 10)]
    assert worker.stop()


def test_a_cancelled_job_ends_at_its_next_count(worker, calls, outcomes):
    started, cancelled = threading.Event(), threading.Event()

    def job(ticket: Ticket) -> None:
        started.set()
        assert cancelled.wait(5)
        ticket.count(1, 2)

    worker.submit("a", job)
    assert started.wait(5)
    worker.cancel("a")
    cancelled.set()
    calls.make_until(lambda: len(outcomes) == 1)
    assert outcomes[0].cancelled


def test_stopping_ends_a_running_job_and_delivers_nothing_more(worker, calls, outcomes):
    started = threading.Event()

    def run(ticket: Ticket) -> str:
        started.set()
        while not ticket.cancelled:
            time.sleep(0.005)
        return "too late"

    worker.submit("long", run)
    worker.submit("waiting", lambda ticket: 1)
    assert started.wait(5)
    assert worker.stop(5)
    calls.make_waiting()
    assert outcomes == []
    assert worker.submit("after", lambda ticket: 1).cancelled


def test_what_was_delivered_before_stopping_is_dropped_afterwards(worker, calls, outcomes):
    worker.submit("a", lambda ticket: 1)
    delivered = calls.get(timeout=5)
    assert worker.stop()
    delivered()
    assert outcomes == []


def test_a_waiting_job_that_is_cancelled_never_runs_and_its_cancellation_is_an_outcome(
    worker, calls, outcomes
):
    gate, ran = threading.Event(), []
    worker.submit("first", lambda ticket: gate.wait(5))
    ticket = worker.submit("second", lambda ticket: ran.append(2))
    worker.cancel("second")
    assert outcomes == [], "delivered, never called"
    calls.make_waiting()
    assert outcomes == [Outcome("second", cancelled=True)]
    gate.set()
    calls.make_until(lambda: len(outcomes) == 2)
    assert worker.stop()
    assert ticket.cancelled
    assert ran == []


def test_a_worker_is_busy_until_its_job_has_ended(worker, calls, outcomes):
    gate = threading.Event()
    assert not worker.busy
    worker.submit("a", lambda ticket: gate.wait(5))
    assert worker.busy
    gate.set()
    calls.make_until(lambda: len(outcomes) == 1)
    assert not worker.busy


def test_the_thread_ends_with_its_last_job_and_a_later_job_starts_another(worker, calls, outcomes):
    threads = []
    for round_ in (1, 2):
        worker.submit("a", lambda ticket: threads.append(threading.current_thread()))
        calls.make_until(lambda: len(outcomes) == round_)  # noqa: B023
        threads[-1].join(5)
        assert not threads[-1].is_alive()
    assert threads[0] is not threads[1]


def test_no_thread_starts_without_a_job(calls):
    before = threading.active_count()
    worker = Worker("idle", lambda outcome: None, deliver=calls)
    assert threading.active_count() == before
    assert worker.stop()
