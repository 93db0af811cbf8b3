"""Calls from threads, made on Qt's main thread."""

from __future__ import annotations

import threading

from napari_samv1.widgets.shared.mailbox import Mailbox


def test_calls_of_a_thread_are_made_in_order_on_the_main_thread(qtbot):
    mailbox, made = Mailbox(), []

    def note(number: int) -> None:
        made.append((number, threading.current_thread()))

    def post() -> None:
        for number in range(5):
            mailbox(lambda number=number: note(number))

    thread = threading.Thread(target=post)
    thread.start()
    thread.join()
    assert made == []
    qtbot.waitUntil(lambda: len(made) == 5)
    assert made == [(number, threading.main_thread()) for number in range(5)]


def test_a_call_for_a_window_that_is_gone_is_dropped(qtbot):
    mailbox, made = Mailbox(), []
    mailbox.deleteLater()
    with qtbot.waitSignal(mailbox.destroyed):
        pass
    mailbox(lambda: made.append(1))
    qtbot.wait(10)
    assert made == []
