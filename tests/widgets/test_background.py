from __future__ import annotations

import threading
import time

import pytest

from napari_samv1.widgets.shared.background import Outcome, Ticket, Worker


@pytest.fixture
def outcomes() -> list[Outcome]:
    return []


@pytest.fixture
def worker(qapp, outcomes):
    worker = Worker("test", outcomes.append)
    yield worker
    assert worker.stop()


def test_a_value_comes_back_on_the_main_thread(qtbot, outcomes):
    threads = []
    worker = Worker("test", lambda outcome: threads.append((threading.current_thread(), outcome.value)))
    worker.submit("a", lambda ticket: threading.current_thread())
    qtbot.waitUntil(lambda: len(threads) == 1)
    delivered_on, ran_on = threads[0]
    assert delivered_on is threading.main_thread()
    assert ran_on is not threading.main_thread()
    assert worker.stop()


def test_of_waiting_jobs_with_one_key_only_the_newest_runs(qtbot, worker, outcomes):
    gate, ran = threading.Event(), []
    worker.submit("first", lambda ticket: gate.wait(5))
    for number in range(50):
        worker.submit("object 1", lambda ticket, number=number: ran.append(number))
    gate.set()
    qtbot.waitUntil(lambda: len(outcomes) == 2)
    assert ran == [49]


def test_jobs_of_other_keys_all_run(qtbot, worker, outcomes):
    for number in range(5):
        worker.submit(number, lambda ticket, number=number: number * 10)
    qtbot.waitUntil(lambda: len(outcomes) == 5)
    assert [outcome.value for outcome in outcomes] == [0, 10, 20, 30, 40]


def test_an_error_is_an_outcome_and_the_thread_goes_on(qtbot, worker, outcomes):
    def fail(ticket):
        raise ValueError("no such file")

    worker.submit("a", fail)
    worker.submit("b", lambda ticket: 1)
    qtbot.waitUntil(lambda: len(outcomes) == 2)
    assert str(outcomes[0].error) == "no such file"
    assert outcomes[1].value == 1


def test_a_running_job_ends_at_its_next_check_when_cancelled(qtbot, worker, outcomes):
    started = threading.Event()

    def run(ticket: Ticket) -> None:
        started.set()
        while True:
            time.sleep(0.005)
            ticket.report(1)

    worker.submit("long", run)
    assert started.wait(5)
    worker.cancel("long")
    qtbot.waitUntil(lambda: len(outcomes) == 1)
    assert outcomes[0].cancelled
    assert outcomes[0].error is None


def test_progress_arrives_in_order(qtbot, outcomes):
    progress = []
    worker = Worker("test", outcomes.append, lambda key, done: progress.append((key, done)))
    worker.submit("a", lambda ticket: [ticket.report(step) for step in range(4)])
    qtbot.waitUntil(lambda: len(outcomes) == 1)
    assert progress == [("a", 0), ("a", 1), ("a", 2), ("a", 3)]
    assert worker.stop()


def test_stopping_ends_a_running_job_and_delivers_nothing_more(qtbot, worker, outcomes):
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
    qtbot.wait(50)
    assert outcomes == []
    assert worker.submit("after", lambda ticket: 1).cancelled


def test_no_thread_starts_without_a_job(qapp):
    before = threading.active_count()
    worker = Worker("idle", lambda outcome: None)
    assert threading.active_count() == before
    assert worker.stop()
